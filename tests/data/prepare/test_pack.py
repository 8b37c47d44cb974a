"""Tests of packed sets: they contain the same files and give the same samples as the original folders."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from sirr_jax.data.find_dataset import find_set
from sirr_jax.data.images.image_file import PackedFile, path_of
from sirr_jax.data.images.label_maps import read_face_parts, read_labels
from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.prepare.pack import pack
from sirr_jax.data.prepare.validate import check
from sirr_jax.data.samples.photo import PairCrops, PhotoCrops, PhotoLayers, SequenceCrops
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.errors import UserError
from tests.helpers import set_files as sets
from tests.helpers.photo_files import truncate


def encoded(file):
    return file.load() if isinstance(file, PackedFile) else file.read_bytes()


def contents(where, root):
    """Returns part, name, sequence and files with their bytes, of every picture."""
    return [
        (
            part,
            entry.name,
            entry.sequence,
            {k: (path_of(f).relative_to(root), encoded(f)) for k, f in entry.files.items()},
        )
        for part, entries in find_set(where).parts.items()
        for entry in entries
    ]


LAYOUTS = {
    "deraindrop": sets.deraindrop,
    "sgrrn": sets.sgrrn,
    "cityscapes": sets.cityscapes,
    "celebamask_hq": sets.faces,
    "sequences": sets.sequences,
    "sir2_raw": sets.sir2_raw,
    "rsir2": sets.rsir2,
    "foggy_cityscapes": sets.foggy,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_packed_set_equals_the_original(name, tmp_path):
    root = LAYOUTS[name](tmp_path / "set")
    dataset = find_set(root)
    manifest = pack(root, tmp_path / "packed", shard_bytes=500, license="CC0")
    assert contents(tmp_path / "packed", tmp_path / "packed") == contents(root, root)
    assert (manifest.layout, manifest.license) == (name, "CC0")
    assert manifest.parts == {part: len(entries) for part, entries in dataset.parts.items()}
    files = [file for entries in dataset.parts.values() for entry in entries for file in entry.files.values()]
    assert sum(manifest.layers.values()) == len(files)
    assert sum(shard.records for shard in manifest.shards) == len(set(files))
    assert len(manifest.shards) > 1
    assert json.loads((tmp_path / "packed" / "manifest.json").read_text())["shards"] == [
        dataclasses.asdict(shard) for shard in manifest.shards
    ]
    report = check(tmp_path / "packed", thorough=True)
    assert report.sizes == check(root).sizes
    assert [finding for finding in report.mistakes if finding.kind != "count"] == []


@pytest.fixture
def streams(photo_folder, sequence_folder, pair_folder, tmp_path):
    """Four streams from folders, and the same streams from packed sets."""

    def build(photos, sequences, pairs):
        photos = FolderPhotos(photos)
        return {
            "layers": PhotoLayers(photos, crop=12, margin=2),
            "photos": PhotoCrops(photos, crop=16),
            "sequences": SequenceCrops(FolderSequences(sequences), crop=16),
            "pairs": PairCrops(FolderPairs(pairs), crop=16),
        }

    folders = photo_folder, sequence_folder, pair_folder
    packed = [tmp_path / "packed" / folder.name for folder in folders]
    for folder, out, layout in zip(folders, packed, ("photos", None, None), strict=True):
        pack(folder, out, layout=layout, shard_bytes=3000)
    return build(*folders), build(*packed)


def batches(streams, kind, *, start_step=0, steps=3, **options):
    counts = {"layers": 4, "photos": 2, "sequences": 2, "pairs": 4}
    with build_loader(streams, counts, loader=kind, seed=5, start_step=start_step, **options) as batch_loader:
        return list(itertools.islice(batch_loader, steps))


def assert_equal(one, other):
    for batch, other_batch in zip(one, other, strict=True):
        for kind, arrays in batch.items():
            for name, array in arrays.items():
                np.testing.assert_array_equal(array, other_batch[kind][name], err_msg=f"{kind} {name}")


@pytest.mark.parametrize("kind", ["tf", "threads"])
def test_folders_and_shards_give_the_same_batches(streams, kind):
    folders, packed = streams
    expected = batches(folders, "threads")
    assert_equal(batches(packed, kind), expected)
    # After resuming in the middle, and in the second of two processes.
    assert_equal(batches(packed, kind, start_step=2, steps=1), expected[2:])
    shares = batches(packed, kind, process_index=1, process_count=2)
    halves = [{k: {n: a[len(a) // 2 :] for n, a in v.items()} for k, v in batch.items()} for batch in expected]
    assert_equal(shares, halves)


def test_labels_and_masks_are_read_from_shards(tmp_path):
    for build, layer in ((sets.sgrrn, "labels"), (sets.voc, "labels")):
        root = build(tmp_path / build.__name__)
        pack(root, tmp_path / "packed" / build.__name__)
        packed = find_set(tmp_path / "packed" / build.__name__)
        for entry, other in zip(_all(packed), _all(find_set(root)), strict=True):
            file = entry.files[layer]
            assert file.labels.title == "PASCAL VOC"
            np.testing.assert_array_equal(read_labels(file, 21), read_labels(other.files[layer], 21))
    root = sets.faces(tmp_path / "faces")
    pack(root, tmp_path / "packed" / "faces")
    for entry, other in zip(_all(find_set(tmp_path / "packed" / "faces")), _all(find_set(root)), strict=True):
        np.testing.assert_array_equal(*(read_face_parts(_parts(e)) for e in (entry, other)))


def _all(dataset):
    return [entry for entries in dataset.parts.values() for entry in entries]


def _parts(entry):
    return {layer.removeprefix("mask/"): f for layer, f in entry.files.items() if layer.startswith("mask/")}


def test_packing_is_deterministic_and_packed_sets_can_be_packed(pair_folder, tmp_path):
    for out in ("a", "b"):
        pack(pair_folder, tmp_path / out, shard_bytes=4000, license="mine")
    pack(tmp_path / "a", tmp_path / "c", shard_bytes=4000)
    files = {out: {path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in "abc"}
    assert files["a"] == files["b"] == files["c"]


def test_selecting_one_part(tmp_path):
    root = sets.deraindrop(tmp_path / "rain")
    with pytest.raises(UserError, match=r"rain has the parts train, test_a, test_b; select one: .*rain#train"):
        FolderPairs(root)
    assert len(FolderPairs(f"{root}#test_a")) == 3
    pack(root, tmp_path / "packed")
    assert len(FolderPairs(f"{tmp_path / 'packed'}#train")) == 11
    assert pack(f"{root}#test_b", tmp_path / "b").parts == {"test_b": 2}
    assert len(FolderPairs(tmp_path / "b")) == 2
    with pytest.raises(UserError, match=r"rain has no part 'tset'; it has train, test_a, test_b"):
        FolderPairs(f"{root}#tset")


def test_undecodable_files(pair_folder, tmp_path, caplog):
    truncate(pair_folder / "transmission_layer" / "3.png")
    with pytest.raises(UserError, match=r"transmission_layer/3\.png: the image is truncated"):
        pack(pair_folder, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
    manifest = pack(pair_folder, tmp_path / "packed", skip_unreadable=True)
    assert manifest.parts == {"": 4}
    assert len(manifest.skipped) == 1
    assert "transmission_layer/3.png" in manifest.skipped[0]
    assert "skipped" in caplog.text
    assert not list(tmp_path.glob("packed.*"))
    # A folder that another program has made is left alone.
    (tmp_path / "again.partial").mkdir()
    (tmp_path / "again.partial" / "precious").touch()
    pack(tmp_path / "packed", tmp_path / "again")
    assert (tmp_path / "again.partial" / "precious").exists()
    with pytest.raises(UserError, match="again exists"):
        pack(pair_folder, tmp_path / "again")


def test_copied_frames_are_found_before_packing(sequence_folder, tmp_path):
    blended = sequence_folder / "s0" / "blended"
    for name in ("9.png", "10.png"):
        (blended / name).write_bytes((blended / "8.png").read_bytes())
    with pytest.raises(UserError, match="are the same file"):
        pack(sequence_folder, tmp_path / "packed")


@pytest.fixture
def packed(pair_folder, tmp_path) -> Path:
    pack(pair_folder, tmp_path / "packed", shard_bytes=300)
    return tmp_path / "packed"


def test_modified_shard(packed):
    shard = packed / "pictures-00001.array_record"
    data = bytearray(shard.read_bytes())
    data[70_000] ^= 0xFF
    shard.write_bytes(data)
    assert not check(packed).mistakes
    (finding,) = (f for f in check(packed, thorough=True).mistakes if "SHA-256" in f.text)
    assert finding.path == shard
    shard.write_bytes(b"\0" * len(data))
    with pytest.raises(UserError, match=r"pictures-00001\.array_record: record 0 cannot be read"):
        [FolderPairs(packed).read(i) for i in range(5)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "pictures-00000.array_record").unlink(), r"pictures-00000\.array_record is missing"),
        (
            lambda root: truncate(root / "pictures-00000.array_record"),
            r"has \d+ bytes; manifest\.json states \d+ bytes",
        ),
        (lambda root: truncate(root / "index.msgpack"), r"index\.msgpack has \d+ bytes"),
        (lambda root: (root / "manifest.json").unlink(), r"manifest\.json: not the manifest of a packed set"),
        (lambda root: truncate(root / "manifest.json"), r"manifest\.json: not the manifest of a packed set"),
        (lambda root: _edit(root, version=7), r"manifest\.json: version 7, but this sirr_jax reads version 1"),
        (lambda root: _edit(root, shards=[{}]), r"manifest\.json: damaged"),
        (lambda root: _edit(root, parts={"": 9}), r"index\.msgpack: 5 pictures but the manifest states 9"),
        (lambda root: (root / "index.msgpack").write_bytes(b"\xc1" * 2000), r"index\.msgpack"),
    ],
)
def test_errors_of_damaged_sets(packed, damage, message):
    damage(packed)
    with pytest.raises(UserError, match=message) as caught:
        FolderPairs(packed)
    assert "\n" not in str(caught.value)


def _edit(root, **changes):
    path = root / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_damaged_index(packed):
    size = (packed / "index.msgpack").stat().st_size
    (packed / "index.msgpack").write_bytes(b"\xc1" * size)
    with pytest.raises(UserError, match=r"index\.msgpack: damaged"):
        FolderPairs(packed)


def test_sets_of_another_kind_raise(packed, photo_folder, sequence_folder, tmp_path):
    pack(photo_folder, tmp_path / "plain", layout="photos")
    with pytest.raises(UserError, match="a packed set, whose pictures have transmission; expected pairs"):
        FolderPairs(tmp_path / "plain")
    with pytest.raises(UserError, match="0 is not a frame of a sequence"):
        FolderSequences(packed)
    assert len(FolderPhotos(packed)) == 5
    with pytest.raises(UserError, match=r"unknown layout 'pears'; known layouts: shards, real20"):
        pack(photo_folder, tmp_path / "x", layout="pears")
