"""Tests of packed sets: TFDS sets with the same files, which give the same samples as the original folders."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.find_dataset import find_set
from sirr_jax.data.images.decode import read_encoded
from sirr_jax.data.images.image_file import path_of
from sirr_jax.data.images.label_maps import read_face_parts, read_labels
from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.prepare.pack import pack
from sirr_jax.data.prepare.validate import check
from sirr_jax.data.samples.photo import PairCrops, PhotoCrops, PhotoLayers, SequenceCrops
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.segmentation import FolderLabelled
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.errors import UserError
from tests.helpers import set_files as sets
from tests.helpers.photo_files import labelled_photo, truncate


def contents(where, root):
    """Returns part, name, sequence and files with their bytes, of every picture."""
    return [
        (
            part,
            entry.name,
            entry.sequence,
            {k: (path_of(f).relative_to(root), read_encoded(f)) for k, f in entry.files.items()},
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
    packed = pack(root, tmp_path / "packed", shard_bytes=500, license="CC0")
    assert contents(tmp_path / "packed", tmp_path / "packed") == contents(root, root)
    assert (packed.layout, packed.license) == (name, "CC0")
    assert packed.parts == {part: len(entries) for part, entries in dataset.parts.items()}
    files = [file for entries in dataset.parts.values() for entry in entries for file in entry.files.values()]
    assert sum(packed.layers.values()) == len(files)
    assert packed.shards == len([*(tmp_path / "packed").glob("*.array_record-?????-of-?????")]) > 1
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
def test_folders_and_packed_sets_give_the_same_batches(streams, kind):
    folders, packed = streams
    expected = batches(folders, "threads")
    assert_equal(batches(packed, kind), expected)
    # After resuming in the middle, and in the second of two processes.
    assert_equal(batches(packed, kind, start_step=2, steps=1), expected[2:])
    shares = batches(packed, kind, process_index=1, process_count=2)
    halves = [{k: {n: a[len(a) // 2 :] for n, a in v.items()} for k, v in batch.items()} for batch in expected]
    assert_equal(shares, halves)


def test_labels_and_masks_are_read_from_packed_sets(tmp_path):
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
        pack(pair_folder, tmp_path / out / "mine" / "1.0.0", shard_bytes=4000, license="mine")
    again = pack(tmp_path / "a" / "mine", tmp_path / "c" / "mine" / "1.0.0", shard_bytes=4000)
    assert (again.layout, again.title, again.license) == ("pairs", "real pairs", "mine")
    files = [{path.name: path.read_bytes() for path in (tmp_path / out / "mine" / "1.0.0").iterdir()} for out in "abc"]
    assert files[0] == files[1]
    assert {name: data for name, data in files[2].items() if "record" in name} == {
        name: data for name, data in files[0].items() if "record" in name
    }
    assert contents(tmp_path / "c" / "mine", tmp_path / "c" / "mine" / "1.0.0") == contents(pair_folder, pair_folder)


def odd_photos(root: Path) -> Path:
    """Writes photos of many kinds with odd names."""
    photo = labelled_photo(1, 20, 24)
    turned = Image.Exif()
    turned[274] = 6
    for name, image, options in (
        ("two words.png", Image.fromarray(photo), {}),
        ("ünïcode 写真.jpg", Image.fromarray(photo), {"exif": turned}),
        ("gray's.jpeg", Image.fromarray(photo[..., 0]), {}),
        ("print.jpg", Image.fromarray(photo).convert("CMYK"), {}),
        ("a#b%20c.png", Image.fromarray(photo[..., 0].astype(np.uint16) * 2500), {}),
        ("sub folder/palette.PNG", Image.fromarray(photo).convert("P"), {}),
        ("see-through.webp", Image.fromarray(np.dstack([photo, photo[..., 0] * 9])), {"lossless": True}),
        (os.fsdecode(b"latin-\xe9.tif"), Image.fromarray(photo), {}),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)
    return root


def test_odd_files_keep_their_bytes_names_and_pixels(tmp_path):
    root = odd_photos(tmp_path / "odd photos")
    pack(root, tmp_path / "packed", layout="photos")
    stored = contents(tmp_path / "packed", tmp_path / "packed")
    assert stored == contents(root, root)
    folder, packed = FolderPhotos(root), FolderPhotos(tmp_path / "packed")
    assert len(folder) == len(packed) == 8
    for index in range(8):
        np.testing.assert_array_equal(packed.read(index), folder.read(index))
    # TFDS itself reads the bytes and the names.
    tfds = pytest.importorskip("tensorflow_datasets")
    examples = list(tfds.builder_from_directory(tmp_path / "packed").as_data_source("train"))
    assert [(os.fsdecode(e["files"]["transmission"]), e["transmission"]) for e in examples] == [
        (files["transmission"][0].as_posix(), files["transmission"][1]) for *_, files in stored
    ]


def test_tfds_decodes_ordinary_photos(pair_folder, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    pack(pair_folder, tmp_path / "packed", license="mine")
    built = tfds.builder_from_directory(tmp_path / "packed")
    assert (built.info.description, built.info.redistribution_info.license) == ("real pairs", "mine")
    assert built.info.splits["train"].num_examples == 5
    for example, index in zip(built.as_data_source("train"), range(5), strict=True):
        np.testing.assert_array_equal(example["mixture"], labelled_photo(index, 26, 33))
        np.testing.assert_array_equal(example["transmission"], labelled_photo(100 + index, 26, 33))
        assert example["name"] == str(index).encode()


def test_selecting_one_part(tmp_path):
    root = sets.deraindrop(tmp_path / "rain")
    with pytest.raises(UserError, match=r"rain has the parts train, test_a, test_b; select one: .*rain#train"):
        FolderPairs(root)
    assert len(FolderPairs(f"{root}#test_a")) == 3
    pack(root, tmp_path / "packed")
    assert len(FolderPairs(f"{tmp_path / 'packed'}#train")) == 11
    with pytest.raises(UserError, match=r"packed has the parts train, test_a, test_b; select one: .*packed#train"):
        FolderPairs(tmp_path / "packed")
    assert pack(f"{root}#test_b", tmp_path / "b").parts == {"test_b": 2}
    assert len(FolderPairs(tmp_path / "b")) == 2
    with pytest.raises(UserError, match=r"rain has no part 'tset'; it has train, test_a, test_b"):
        FolderPairs(f"{root}#tset")


def test_undecodable_files(pair_folder, tmp_path, caplog):
    truncate(pair_folder / "transmission_layer" / "3.png")
    with pytest.raises(UserError, match=r"transmission_layer/3\.png: the image is truncated"):
        pack(pair_folder, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
    assert not list(tmp_path.glob("packed.*"))
    packed = pack(pair_folder, tmp_path / "packed", skip_unreadable=True)
    assert packed.parts == {"": 4}
    assert len(packed.skipped) == 1
    assert "transmission_layer/3.png" in packed.skipped[0]
    assert json.loads((tmp_path / "packed" / "metadata.json").read_text())["sirr_jax"]["skipped"] == [*packed.skipped]
    assert "skipped" in caplog.text
    for path in (pair_folder / "blended").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="pairs: none of the 5 pictures can be decoded"):
        pack(pair_folder, tmp_path / "none", skip_unreadable=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["packed", "pairs"]


def test_existing_folders_are_kept(pair_folder, tmp_path):
    (tmp_path / "full").mkdir()
    with pytest.raises(UserError, match="full exists; choose another folder"):
        pack(pair_folder, tmp_path / "full")
    # A folder that another program has made is left alone.
    (tmp_path / "again.partial").mkdir()
    (tmp_path / "again.partial" / "thesis.txt").write_text("mine")
    pack(pair_folder, tmp_path / "again")
    assert (tmp_path / "again.partial" / "thesis.txt").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"c: cannot be written \((Not a directory|File exists)\); choose another OUT"):
        pack(pair_folder, tmp_path / "file" / "c")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no data set of a known layout"):
        pack(tmp_path / "empty", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_killed_process_leaves_no_set(pair_folder, tmp_path):
    code = (
        "import sys, time; from sirr_jax.data.prepare.pack import pack\n"
        "pack(sys.argv[1], sys.argv[2], shard_bytes=1, report=lambda done, _: done < 3 or time.sleep(60))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, pair_folder, tmp_path / "packed"])
    for _ in range(600):
        if len([*tmp_path.glob("packed.*.partial/*.array_record-*")]) >= 3:
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (partial,) = tmp_path.glob("packed.*.partial")
    assert not (tmp_path / "packed").exists()
    with pytest.raises(UserError, match="no data set of a known layout"):
        FolderPairs(partial)
    pack(pair_folder, tmp_path / "packed")
    assert len(FolderPairs(tmp_path / "packed")) == 5


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


def test_modified_records(packed, caplog):
    shards = sorted(packed.glob("*.array_record-*"))
    data = bytearray(shards[1].read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF
    shards[1].write_bytes(data)
    (finding,) = check(packed, thorough=True).of("unreadable")[:1]
    assert "record 0 cannot be read" in finding.text
    with pytest.raises(UserError, match=r"array_record-00001-of-00005: record 0 cannot be read"):
        [FolderPairs(packed).read(i) for i in range(5)]
    # The same rule as for files: the next pair.
    pairs = FolderPairs(packed, on_corrupt="skip")
    np.testing.assert_array_equal(pairs.read(1), pairs.read(2))
    assert "skipped (1 so far)" in caplog.text


def first_shard(root):
    return min(root.glob("*.array_record-*"))


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_index(root, **changes):
    content = json.loads((root / "metadata.json").read_text())
    edit(root / "metadata.json", sirr_jax=content["sirr_jax"] | changes)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: first_shard(root).unlink(), r"packed-train\.array_record-00000-of-00005 is missing"),
        (
            lambda root: first_shard(root).write_bytes(b"x" * first_shard(root).stat().st_size),
            r"array_record-00000-of-00005: record 0 cannot be read",
        ),
        (
            lambda root: truncate(first_shard(root)),
            r"array_record-00000-of-00005 has \d+ bytes, metadata.json states \d+",
        ),
        (lambda root: truncate(root / "metadata.json"), r"metadata\.json: missing or damaged \(no JSON\)"),
        (lambda root: truncate(root / "features.json"), r"features\.json: missing or damaged"),
        (lambda root: (root / "features.json").unlink(), r"features\.json: missing or damaged \(No such file"),
        (lambda root: truncate(root / "dataset_info.json"), r"dataset_info\.json: missing or damaged"),
        (lambda root: edit(root / "dataset_info.json", splits=[{}]), r"dataset_info\.json: damaged"),
        (lambda root: edit(root / "dataset_info.json", fileFormat="tfrecord"), r"tfrecord, which has no random access"),
        (lambda root: edit_index(root, pictures={"train": []}), r"0 pictures in train, but there are 5 records"),
        (lambda root: edit_index(root, pictures={"train": [[1]]}), r"metadata\.json: damaged"),
        (lambda root: edit_index(root, label_spaces=7), r"metadata\.json: damaged"),
    ],
)
def test_errors_of_damaged_sets(packed, damage, message):
    damage(packed)
    with pytest.raises(UserError, match=message) as caught:
        [FolderPairs(packed).read(index) for index in range(5)]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("manifest.json", '{"format": "sirr_jax shards", "version": 1}'), ("index.msgpack", "x")],
)
def test_old_packs_end_in_a_line_that_says_how_to_make_them_again(tmp_path, name, content):
    root = tmp_path / "old"
    root.mkdir()
    (root / name).write_text(content)
    for use in (FolderPhotos, FolderPairs, FolderSequences, FolderLabelled, check, find_set):
        with pytest.raises(UserError, match=r"old: packed by an earlier version .*: sirr data pack SET .*") as caught:
            use(root)
        assert "\n" not in str(caught.value)


def test_sets_of_another_kind_raise(packed, photo_folder, sequence_folder, tmp_path):
    pack(photo_folder, tmp_path / "plain", layout="photos")
    with pytest.raises(UserError, match="a TFDS set, whose pictures have transmission; expected pairs"):
        FolderPairs(tmp_path / "plain")
    with pytest.raises(UserError, match="0 is not a frame of a sequence"):
        FolderSequences(packed)
    assert len(FolderPhotos(packed)) == 5
    with pytest.raises(UserError, match=r"no layout is called 'pears'; did you mean 'pairs'"):
        pack(photo_folder, tmp_path / "x", layout="pears")
