from __future__ import annotations

import re

import pytest

from sirr_jax.data.images.decode import read_image
from sirr_jax.data.layouts.registry import ranked_layouts, recognize
from sirr_jax.data.prepare.pack import pack
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.errors import UserError
from tests.helpers import set_files as sets

REAL20 = (3, 4, 9, 12, 15, 22, 23, 25, 29, 39, 46, 47, 58, 86, 87, 89, 93, 103, 107, 110)


def combined(root):
    for name in ("SolidObjectDataset", "PostcardDataset", "WildSceneDataset"):
        sets.layer_folders(root / name, (1, 2), reflection=True)
    return root


def ibcln(root):
    for folder in ("natural_I", "natural_T", "testA1", "testB"):
        sets.picture(root / folder / "5.jpg")
    return root


def ade20k(root):
    for split in ("training", "validation"):
        sets.picture(root / "images" / split / "ADE_1.jpg")
        sets.labels(root / "annotations" / split / "ADE_1.png", (0, 150))
    return root


def seg(root):
    sets.picture(root / "img" / "1.jpg")
    sets.labels(root / "seg" / "1.png")
    return root


def earlier_deraindrop(root):
    for index in (0, 7):
        sets.picture(root / "rain" / f"{index}_rain.jpg")
        sets.picture(root / "clean" / f"{index:03}_clean.jpg")
    return root


def photos(root):
    sets.picture(root / "a" / "1.png")
    return sets.picture(root / "2.jpg").parent


def packed_rain(root):
    pack(sets.deraindrop(root.parent / "rain"), root)
    return root


AACHEN = "aachen_000000_000019"
RAIN = f"{AACHEN}_alpha_0.01_beta_0.005_dropsize_0.01_pattern"
LAST_RAIN = f"{AACHEN}_alpha_0.03_beta_0.015_dropsize_0.002_pattern"

# Layout, folder of the set, function that writes it, names of the first and last entry, count.
EXAMPLES = [
    ("real20", "real20_420", lambda root: sets.layer_folders(root, REAL20), "3", "110", 20),
    ("real89", "real89", lambda root: sets.layer_folders(root, (1, 2)), "1", "2", 2),
    ("nature", "Nature", lambda root: sets.layer_folders(root, (2, 10)), "2", "10", 2),
    ("ibcln", "natural", ibcln, "train/5", "test/5", 2),
    ("ceil_table2", "ceil_table2", lambda root: sets.layer_folders(root, ("2008_1",)), "2008_1", "2008_1", 1),
    ("sir2", "SIR2", combined, "object/1", "wild/2", 6),
    ("sir2", "sir2_wild", lambda root: sets.layer_folders(root, (1, 2)), "wild/1", "wild/2", 2),
    ("pairs", "mine", lambda root: sets.layer_folders(root, ("b9", "b10"), reflection=True), "b9", "b10", 2),
    ("sir2_raw", "SIR2", sets.sir2_raw, "SolidObjectDataset/1/Focus/1", "withgt/10", 6),
    ("ceilnet", "x", sets.ceilnet, "7", "2008_000001", 2),
    ("ceilnet", "real45", lambda root: sets.ceilnet(root, endings=("input",)), "7", "2008_000001", 2),
    ("rsir2", "x", sets.rsir2, "train/19-0", "test/19-1", 5),
    ("rsir2", "one", lambda root: sets.rsir2(root.parent) / "images" / "train", "19-0", "19-2", 3),
    ("deraindrop", "x", sets.deraindrop, "train/0", "test_b/1", 16),
    ("deraindrop", "y", lambda root: sets.deraindrop(root) / "test_a", "0", "2", 3),
    ("deraindrop", "z", earlier_deraindrop, "0", "7", 2),
    ("sgrrn", "x", sets.sgrrn, "train/1-person-pottedplant", "test/1-person-pottedplant", 3),
    ("voc", "VOC2012", sets.voc, "2007_1", "2007_3", 2),
    ("voc", "x", lambda root: sets.voc(root / "VOCdevkit" / "VOC2012").parent.parent, "2007_1", "2007_3", 2),
    ("cityscapes", "x", sets.cityscapes, "train/aachen_000000_000019", "val/lindau_000000_000019", 3),
    ("foggy_cityscapes", "x", sets.foggy, f"train/{AACHEN}_beta_0.005", "val/lindau_000000_000019_beta_0.02", 6),
    ("rain_cityscapes", "x", sets.rain, f"train/{RAIN}_2", f"train/{LAST_RAIN}_12", 6),
    (
        "rain_cityscapes",
        "y",
        lambda root: sets.rain(root, infix="_leftImg8bit"),
        f"train/{RAIN}_2",
        f"train/{LAST_RAIN}_12",
        6,
    ),
    ("coco_stuff", "x", sets.coco_stuff, "train2017/000000000009", "val2017/000000000139", 3),
    (
        "coco_stuff",
        "y",
        lambda root: sets.coco_stuff(root, folder="stuffthingmaps_trainval2017"),
        "train2017/000000000009",
        "val2017/000000000139",
        3,
    ),
    ("ade20k", "x", ade20k, "training/ADE_1", "validation/ADE_1", 2),
    ("celebamask_hq", "x", sets.faces, "0", "2000", 3),
    ("seg", "x", seg, "1", "1", 1),
    ("sequences", "x", sets.sequences, "s0/8", "s1/11", 7),
    ("photos", "x", photos, "2.jpg", "a/1.png", 2),
    ("tfds", "x", packed_rain, "train/0", "test_b/1", 16),
]


@pytest.mark.parametrize(("name", "folder", "build", "first", "last", "count"), EXAMPLES)
def test_layouts_are_recognized_and_read(name, folder, build, first, last, count, tmp_path):
    root = build(tmp_path / folder)
    layout = recognize(root)
    assert layout.name == name
    entries = layout.entries(root)
    assert (entries[0].name, entries[-1].name, len(entries)) == (first, last, count)
    files = [path for entry in entries for path in entry.files.values()]
    assert all(read_image(path).any() for path in files)
    # Several pictures in fog or rain share one clear photo.
    unshared = files if name not in ("foggy_cityscapes", "rain_cityscapes") else [e.files["mixture"] for e in entries]
    assert len(set(unshared)) == len(unshared)


def test_every_layout_has_an_example():
    assert {example[0] for example in EXAMPLES} == {layout.name for layout in ranked_layouts()}
    assert len({layout.name for layout in ranked_layouts()}) == len(ranked_layouts())


def test_training_sources_read_the_same_pictures(tmp_path):
    root = sets.layer_folders(tmp_path / "mine", ("b9", "b10", "a"))
    entries, pairs = recognize(root).entries(root), FolderPairs(root)
    assert [str(entry.files["mixture"]) for entry in entries] == [pairs.name(index) for index in range(len(pairs))]
    root = sets.sequences(tmp_path / "sequences")
    entries, sequences = recognize(root).entries(root), FolderSequences(root)
    counts = [sum(entry.sequence == f"s{index}" for entry in entries) for index in range(2)]
    assert counts == [sequences.triples(index) + 2 for index in range(2)]


def test_rsir2_a_is_transmission_and_b_is_mixture(tmp_path):
    root = sets.rsir2(tmp_path)
    for entry in recognize(root).entries(root):
        assert entry.files["mixture"].parent.name == "B"
        assert entry.files["transmission"].parent.name == "A"
        assert entry.files["mixture"].stem == entry.files["transmission"].stem


def test_cityscapes_train_ids_take_precedence(tmp_path):
    root = sets.cityscapes(tmp_path)
    layout = recognize(root)
    last = layout.entries(root)[-1].files["labels"]
    first = layout.entries(root)[0].files["labels"]
    assert last.name.endswith("_labelTrainIds.png")
    assert (layout.label_space(last).classes, layout.label_space(first).classes) == (19, 34)


def test_sir2_raw_parts(tmp_path):
    root = sets.sir2_raw(tmp_path)
    for folder, expected in (
        (".", {"object": 3, "postcard": 1, "wild": 2}),
        ("SolidObjectDataset", {"object": 3}),
        ("SolidObjectDataset/1", {"object": 2}),
        ("SolidObjectDataset/1/Focus", {"object": 1}),
        ("Postcard Dataset", {"postcard": 1}),
        ("Postcard Dataset/Focus", {"postcard": 1}),
        ("withgt", {"wild": 2}),
    ):
        layout = recognize(root / folder)
        assert layout.name == "sir2_raw", folder
        assert {part.name: len(part.entries) for part in layout.scan(root / folder).parts} == expected


def test_unknown_folder_error_lists_the_layouts(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="no data set of a known layout") as raised:
        recognize(tmp_path)
    for part in ("sir2data.github.io", "blended,transmission_layer", "rui1996/DeRaindrop", "-label1", "\\{m,g,r\\}"):
        assert part.replace("\\", "") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_folder_of_data_sets_error_lists_them(tmp_path):
    sets.layer_folders(tmp_path / "real20", (3,))
    sets.ceilnet(tmp_path / "table2")
    with pytest.raises(UserError, match=r"contains some: use one of .*real20, .*table2"):
        recognize(tmp_path)


@pytest.mark.parametrize("name", ["missing", "file.png"])
def test_missing_folder_and_file_instead_of_folder(tmp_path, name):
    sets.picture(tmp_path / "file.png")
    with pytest.raises(UserError, match=rf"{name}: (no such folder|not a readable folder)"):
        recognize(tmp_path / name)


def test_error_names_a_file_without_its_partner(tmp_path):
    root = sets.layer_folders(tmp_path / "mine", (1, 2, 3))
    (root / "transmission_layer" / "2.png").unlink()
    layout = recognize(root)
    with pytest.raises(UserError, match=r"blended/2\.jpg: no file '2' in transmission_layer$"):
        layout.entries(root)
    (root / "blended" / "3.jpg").unlink()
    with pytest.raises(UserError, match=r"2 such files; `sirr data check"):
        layout.entries(root)


def test_empty_folders(tmp_path):
    for name in ("blended", "transmission_layer"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="contains no picture of real pairs; expected"):
        recognize(tmp_path).entries(tmp_path)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("Real20_420", "published at github.com/ceciliavision/perceptual-reflection-removal; check the path"),
        ("DeRaindrop", "published at github.com/rui1996/DeRaindrop; check the path"),
        ("CelebAMask-HQ", "CelebAMask-HQ is published at"),
        ("holiday", "holiday: no such folder; check the path"),
    ],
)
def test_missing_set_error_states_where_it_is_published(name, source, tmp_path):
    with pytest.raises(UserError, match=re.escape(source)):
        recognize(tmp_path / name)
