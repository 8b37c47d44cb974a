"""Tests of TFDS data sets: every example has exactly the pixels of the picture in the layout."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.images.decode import UnreadableImageError, read_image
from sirr_jax.data.images.label_maps import read_face_parts, read_labels
from sirr_jax.data.layouts.registry import recognize
from sirr_jax.data.prepare import tfds as sirr_tfds
from sirr_jax.data.prepare.tfds.catalogue import CATALOGUE
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.segmentation import FolderLabelled
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.errors import UserError
from tests.helpers import set_files as sets
from tests.helpers.photo_files import labelled_photo, truncate

pytest.importorskip("tensorflow_datasets")


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def build(tmp_path):
    def build(name, root, **options):
        return sirr_tfds.builder(name, manual_dir=root, data_dir=tmp_path / "built", prepare=True, **options)

    return build


def image_of(entry, layer, layout):
    """Reads a layer as the rest of the project does: [H, W, C]."""
    if layer not in ("labels", "reflection_labels"):
        return read_image(entry.files[layer])
    if layout.name == "celebamask_hq":
        return read_face_parts({key.removeprefix("mask/"): path for key, path in entry.files.items() if "/" in key})[
            ..., None
        ]
    space = layout.label_space(entry.files[layer])
    return read_labels(entry.files[layer], space.classes, ignore=space.ignore)[..., None]


def assert_examples_equal(source, entries, layout, layers):
    assert [example["name"].decode() for example in source] == [entry.name for entry in entries]
    for example, entry in zip(source, entries, strict=True):
        assert example.keys() == {"name", *layers} | ({"sequence"} if entry.sequence else set())
        assert example.get("sequence", b"").decode() == entry.sequence
        for layer in layers:
            assert example[layer].dtype == np.uint8
            np.testing.assert_array_equal(example[layer], image_of(entry, layer, layout))


TRIPLETS = ("mixture", "transmission", "reflection")
LABELLED = ("transmission", "labels")


@pytest.mark.parametrize(
    ("name", "make", "config", "layers", "splits"),
    [
        ("sirr_sir2", sets.sir2_raw, "triplets", TRIPLETS, {"object": 3, "postcard": 1, "wild": 2}),
        ("sirr_ceilnet", sets.ceilnet, None, TRIPLETS[:2], {"test": 2}),
        ("sirr_ceilnet", lambda root: sets.ceilnet(root, endings=["input"]), "mixtures", TRIPLETS[:1], {"test": 2}),
        ("sirr_deraindrop", sets.deraindrop, None, TRIPLETS[:2], {"train": 11, "test_a": 3, "test_b": 2}),
        ("sirr_rsir2", sets.rsir2, None, TRIPLETS[:2], {"train": 3, "test": 2}),
        ("sirr_sgrrn", sets.sgrrn, None, (*TRIPLETS, "labels", "reflection_labels"), {"train": 1, "val": 1, "test": 1}),
        ("sirr_voc", sets.voc, None, LABELLED, {"train": 2}),
        ("sirr_foggy_cityscapes", sets.foggy, None, TRIPLETS[:2], {"train": 3, "val": 3}),
        ("sirr_coco_stuff", sets.coco_stuff, None, LABELLED, {"train2017": 2, "val2017": 1}),
        ("sirr_celebamask_hq", sets.faces, None, LABELLED, {"train": 3}),
        ("sirr_sequences", sets.sequences, None, TRIPLETS[:2], {"train": 7}),
    ],
)
def test_examples_equal_the_pictures_of_the_layout(build, tmp_path, name, make, config, layers, splits):
    root = make(tmp_path / "x")
    built = build(name, root, config=config)
    layout = recognize(root)
    assert f"sirr_{layout.name}".removesuffix("_raw") == name
    assert {split: info.num_examples for split, info in built.info.splits.items()} == splits
    parts = list(layout.parts(root).values())
    for split, entries in zip(splits, parts, strict=True):
        assert_examples_equal(built.as_data_source(split=split), entries, layout, layers)


def seg(root):
    sets.picture(root / "img" / "1.jpg")
    sets.labels(root / "seg" / "1.png")
    return root


def ade20k(root):
    for split in ("training", "validation"):
        sets.picture(root / "images" / split / "ADE_1.jpg")
        sets.labels(root / "annotations" / split / "ADE_1.png", (0, 150))
    return root


def cityscapes(root):
    sets.cityscapes(root)
    for path in root.rglob("*_labelTrainIds.png"):
        path.unlink()
    return root


# Name -> function that writes the set, config, part.
TRAINED_FROM = {
    "sirr_real20": (lambda root: sets.layer_folders(root, (3, 12, 4)), None, ""),
    "sirr_real89": (lambda root: sets.layer_folders(root, (3, 12, 4)), None, ""),
    "sirr_nature": (lambda root: sets.layer_folders(root, (3, 12, 4)), None, ""),
    "sirr_sir2": (sets.sir2_raw, "triplets", "#object"),
    "sirr_ceilnet": (sets.ceilnet, None, ""),
    "sirr_deraindrop": (sets.deraindrop, None, "#train"),
    "sirr_rsir2": (sets.rsir2, None, "#train"),
    "sirr_sgrrn": (sets.sgrrn, None, "#val"),
    "sirr_voc": (sets.voc, None, ""),
    "sirr_cityscapes": (cityscapes, None, "#train"),
    "sirr_foggy_cityscapes": (lambda root: cityscapes(sets.foggy(root)), "labelled", "#train"),
    "sirr_rain_cityscapes": (sets.rain, "pairs", "#train"),
    "sirr_ade20k": (ade20k, None, "#training"),
    "sirr_coco_stuff": (sets.coco_stuff, None, "#train2017"),
    "sirr_celebamask_hq": (sets.faces, None, ""),
    "sirr_seg": (seg, None, ""),
    "sirr_pairs": (lambda root: sets.layer_folders(root, (3, 12, 4), reflection=True), "triplets", ""),
    "sirr_sequences": (sets.sequences, None, ""),
}


def samples(where, layers):
    """Returns the arrays that each source which can use such a set gives, item by item."""
    found = {"photos": FolderPhotos(where)} if "transmission" in layers and str(where).startswith("tfds:") else {}
    if {"mixture", "transmission"} <= layers:
        found["pairs"] = FolderPairs(where)
    if {"transmission", "labels"} <= layers:
        found["labelled"] = FolderLabelled(where)
    if "sequence" in layers:
        found["sequences"] = FolderSequences(where)
        del found["pairs"]  # a folder of sequences is not one of pairs
    items = {}
    for kind, source in found.items():
        if kind == "sequences":
            items[kind] = [[*source.read(i, t)[:2]] for i in range(len(source)) for t in range(source.triples(i))]
        else:
            items[kind] = [source.read(index) for index in range(len(source))]
    return items


@pytest.mark.parametrize("name", sirr_tfds.names())
def test_every_set_is_trained_from_as_its_folder(build, tmp_path, monkeypatch, name):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "built"))
    make, config, part = TRAINED_FROM[name]
    root = make(tmp_path / name.removeprefix("sirr_"))
    built = build(name, root, config=config)
    assert built.info.file_format.value == "array_record"
    layers = {*built.info.features}
    expected = samples(f"{root}{part}", layers)
    assert expected
    reference = f"tfds:{name}/{config}{part}" if config else f"tfds:{name}{part}"
    read = samples(reference, layers)
    assert "photos" in read
    for kind, items in expected.items():
        assert len(read[kind]) == len(items) > 0
        for item, other in zip(items, read[kind], strict=True):
            for array, other_array in zip(item, other, strict=True):
                np.testing.assert_array_equal(array, other_array)


def test_odd_files_are_read_as_in_training(build, tmp_path):
    root = sets.layer_folders(tmp_path / "mine", ("a", "b", "c"), reflection=True)
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(labelled_photo(3, 12, 10)).save(root / "blended" / "a.jpg", exif=turned)
    sets.labels(root / "transmission_layer" / "b.png", range(200), palette=True)
    deep = np.arange(120, dtype=np.uint16).reshape(10, 12) * 500
    Image.fromarray(deep).save(root / "transmission_layer" / "c.png")
    # After rotation the photo is 10x12 like the others.
    built = build("sirr_pairs", root, config="triplets")
    layout = recognize(root)
    assert_examples_equal(built.as_data_source(split="train"), layout.entries(root), layout, TRIPLETS)


def test_built_set_does_not_need_the_original(build, tmp_path):
    root = sets.layer_folders(tmp_path / "real20", (3, 12))
    build("sirr_real20", root)
    shutil.rmtree(root)
    again = build("sirr_real20", root)
    source = again.as_data_source(split="test")
    assert [source[index]["name"] for index in (1, 0)] == [b"12", b"3"]


def test_label_space_in_the_metadata(build, tmp_path):
    root = sets.cityscapes(tmp_path / "x")
    with pytest.raises(UserError, match=r"Cityscapes labelIds and .*Cityscapes trainIds: all pictures"):
        build("sirr_cityscapes", root)
    for path in root.rglob("*_labelTrainIds.png"):
        path.unlink()
    built = build("sirr_cityscapes", root)
    expected = {"label_space": "Cityscapes labelIds", "classes": 34, "ignore": 255}
    assert {name: value for name, value in built.info.metadata.items() if name != "sirr_jax"} == expected
    again = sirr_tfds.builder("sirr_cityscapes", data_dir=tmp_path / "built")
    assert {name: value for name, value in again.info.metadata.items() if name != "sirr_jax"} == expected


@pytest.mark.parametrize("inside", ["nature", "nature_train", "."])
def test_search_for_the_copy(build, tmp_path, inside):
    home = tmp_path / ("Nature" if inside == "." else "home")
    sets.layer_folders(home / inside, (1,))
    sets.layer_folders(home / "mine", (1, 2))
    built = build("sirr_nature", home)
    assert {split: info.num_examples for split, info in built.info.splits.items()} == {
        "train" if inside.endswith("train") else "test": 1
    }
    # A generic layout does not include a named set next to it.
    if inside != ".":
        assert build("sirr_pairs", home).info.splits["train"].num_examples == 2


def test_default_manual_dir(tmp_path):
    root = sets.layer_folders(tmp_path / "built" / "downloads" / "manual" / "real89", (1,))
    built = sirr_tfds.builder("sirr_real89", data_dir=tmp_path / "built", prepare=True)
    layout = recognize(root)
    assert_examples_equal(built.as_data_source(split="train"), layout.entries(root), layout, TRIPLETS[:2])


def test_several_copies(build, tmp_path):
    for name in ("one", "two"):
        sets.layer_folders(tmp_path / "home" / name, (1,))
    with pytest.raises(UserError, match=r"contains several such sets: use one as manual_dir, such as .*one$"):
        build("sirr_pairs", tmp_path / "home")


@pytest.mark.parametrize("home", ["missing", "empty", "full"])
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("sirr_real20", "ceciliavision/perceptual-reflection-removal"),
        ("sirr_sir2", "sir2data.github.io"),
        ("sirr_pairs", "put real pairs into the folder pairs of manual_dir"),
    ],
)
def test_missing_set_error_states_where_it_is_published(build, tmp_path, name, published, home):
    (tmp_path / "empty").mkdir()
    sets.picture(tmp_path / "full" / "holiday" / "1.jpg")
    with pytest.raises(UserError, match="no such set in") as raised:
        build(name, tmp_path / home)
    assert published in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "built").rglob("*.array_record*"))


def test_tfds_loads_registered_sets(tmp_path):
    tfds = sirr_tfds.register()
    root = sets.deraindrop(tmp_path / "manual" / "deraindrop", (("test_a", 2, "png"),))
    options = {"download_config": tfds.download.DownloadConfig(manual_dir=tmp_path / "manual")}
    built = tfds.builder("sirr_deraindrop", data_dir=tmp_path / "built")
    built.download_and_prepare(**options)
    layout = recognize(root)
    source = tfds.data_source("sirr_deraindrop", data_dir=tmp_path / "built", split="test_a")
    assert_examples_equal(source, layout.entries(root), layout, TRIPLETS[:2])
    with pytest.raises(UserError, match=r"sirr_voc: manual_dir is missing or empty: put PASCAL VOC .*pascal/VOC"):
        tfds.builder("sirr_voc", data_dir=tmp_path / "b").download_and_prepare()


@pytest.mark.parametrize("name", sirr_tfds.names())
def test_every_set_has_a_builder(tmp_path, name):
    assert sirr_tfds.register().builder_cls(name).name == name
    for config, layers in CATALOGUE[name].layers.items():
        tfds_builder = sirr_tfds.builder(name, data_dir=tmp_path, config=config)
        assert (
            f"into the folder {name.removeprefix('sirr_')} of manual_dir" in tfds_builder.MANUAL_DOWNLOAD_INSTRUCTIONS
        )
        assert set(tfds_builder.info.features) - {"sequence"} == {"name", *layers}
        assert tfds_builder.info.full_name == "/".join([name, *[config] * (len(CATALOGUE[name].layers) > 1), "1.0.0"])
    assert not any(tmp_path.iterdir())


def test_errors(build, tmp_path):
    with pytest.raises(UserError, match="unknown TFDS data set 'real20'; known: sirr_real20"):
        sirr_tfds.builder("real20")
    with pytest.raises(UserError, match="sirr_pairs has no config 'labels'; it has pairs, triplets"):
        sirr_tfds.builder("sirr_pairs", config="labels")
    with pytest.raises(UserError, match="file_format='riegeli': expected one of array_record, tfrecord"):
        sirr_tfds.builder("sirr_pairs", file_format="riegeli")
    root = sets.layer_folders(tmp_path / "mine", (1, 2))
    with pytest.raises(UserError, match=r"1\.jpg has no reflection, which sirr_pairs/triplets needs"):
        build("sirr_pairs", root, config="triplets")
    sets.picture(root / "transmission_layer" / "2.png", size=(9, 9))
    with pytest.raises(UserError, match=r"2\.png is 9x9 pixels and .*2\.jpg is 12x10"):
        build("sirr_pairs", root)
    truncate(root / "transmission_layer" / "2.png")
    with pytest.raises(UnreadableImageError, match=r"2\.png"):
        build("sirr_pairs", root)
    (root / "transmission_layer" / "2.png").unlink()
    with pytest.raises(UserError, match="no file '2' in transmission_layer"):
        build("sirr_pairs", root)
    assert not list((tmp_path / "built" / "sirr_pairs").rglob("*.array_record*"))


def test_offline_and_without_tensorflow(tmp_path):
    root = sets.layer_folders(tmp_path / "mine", (1, 2))
    code = f"""
import socket, sys
def refuse(*_): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
from sirr_jax.data.prepare.tfds import builder
built = builder("sirr_pairs", manual_dir={str(root)!r}, data_dir={str(tmp_path / "built")!r}, prepare=True)
print([example["mixture"].shape for example in built.as_data_source(split="train")], "tensorflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[(10, 12, 3), (10, 12, 3)] False"


def test_import_does_not_import_tfds():
    code = "import sys, sirr_jax.data.prepare.tfds; print('tensorflow_datasets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_tf_data_reads_records(build, tmp_path):
    pytest.importorskip("tensorflow")
    root = sets.voc(tmp_path / "x")
    built = build("sirr_voc", root, file_format="tfrecord")
    layout = recognize(root)
    source = list(built.as_dataset(split="train").as_numpy_iterator())
    assert_examples_equal(source, layout.entries(root), layout, LABELLED)
    with pytest.raises(UserError, match=r"1\.0\.0 is built as tfrecord, not array_record: use another data_dir"):
        build("sirr_voc", root, file_format="array_record")
    assert build("sirr_voc", root).info.file_format.value == "tfrecord"
    assert {path.suffix for path in Path(built.data_dir).glob("*train*")} == {".tfrecord-00000-of-00001"}
