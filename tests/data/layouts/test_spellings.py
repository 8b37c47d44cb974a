"""Every layout under other spellings of its folders, in wrappers, and beside the clutter of systems."""

from __future__ import annotations

import shutil

import pytest

from sirr_jax.data.layouts.registry import recognize
from sirr_jax.data.prepare.validate import check
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.sequences import FolderSequences
from tests.data.layouts.test_registry import EXAMPLES
from tests.helpers import set_files as sets

RELEASES = [example for example in EXAMPLES if example[0] not in ("shards", "photos")]
# The letters of RSIR2's folders are their names.
RESPELLED = [example for example in RELEASES if example[0] not in ("rsir2", "ceilnet")]


def counts(root):
    layout = recognize(root)
    return layout.name, {part.name: len(part.entries) for part in layout.scan(root).parts}


def respell(root):
    """Renames all folders in a folder: other case, other separators, plural."""
    for path in sorted((path for path in root.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts)):
        name = path.name.replace("_", " ").replace("-", "_")
        path.rename(path.with_name(name.upper() if name[-1].isdigit() or name[-1] == "s" else f"{name.upper()}S"))


def clutter(root):
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._1.png"):
            (folder / name).write_bytes(b"x")
    (root / "__MACOSX" / "a").mkdir(parents=True)
    sets.picture(root / "__MACOSX" / "a" / "1.png")


@pytest.mark.parametrize("example", RELEASES, ids=lambda example: f"{example[0]}-{example[1]}")
def test_a_wrapping_folder_and_clutter_change_nothing(example, tmp_path):
    _, folder, build, *_ = example
    root = build(tmp_path / "plain" / folder)
    before, findings = counts(root), check(root).findings
    inner = tmp_path / "outer" / root.name / root.name
    shutil.copytree(root, inner)
    clutter(inner)
    (inner.parent / "__MACOSX").mkdir()
    (inner.parent / "README.txt").touch()
    name, parts = counts(inner.parent)
    # A wrapped `test_a` is the part `test_a`, and `test_a` itself a set without parts.
    assert (name, list(parts.values())) == (before[0], list(before[1].values()))
    assert len(check(inner.parent).findings) == len(findings)


@pytest.mark.parametrize("example", RESPELLED, ids=lambda example: f"{example[0]}-{example[1]}")
def test_spellings_change_nothing(example, tmp_path):
    _, folder, build, *_ = example
    root = build(tmp_path / folder)
    before = counts(root)
    respell(root)
    assert counts(root) == before


def test_doubled_folders_after_unpacking(tmp_path):
    root = sets.cityscapes(tmp_path / "x")
    before = counts(root)
    for name in ("leftImg8bit", "gtFine"):
        shutil.move(root / name, tmp_path / name)
        (root / f"{name}_trainvaltest").mkdir()
        shutil.move(tmp_path / name, root / f"{name}_trainvaltest" / name)
    assert counts(root) == before
    root = sets.deraindrop(tmp_path / "rain")
    before = counts(root)
    shutil.move(root / "train", tmp_path / "train")
    shutil.move(tmp_path / "train", root / "train" / "train")
    assert counts(root) == before


def test_coco_without_a_folder_of_images(tmp_path):
    root = sets.coco_stuff(tmp_path / "x")
    before = counts(root)
    for split in ("train2017", "val2017"):
        shutil.move(root / "images" / split, root / split)
    assert counts(root) == before


def test_upper_case_extensions_and_endings_of_ceilnet(tmp_path):
    for name in ("7_Input.JPG", "7_Label1.JPEG", "7_label_2.png", "8-input.png", "8-label1.png", "8-label2.png"):
        sets.picture(tmp_path / "x" / name)
    assert counts(tmp_path / "x") == ("ceilnet", {"": 2})
    sets.picture(tmp_path / "photos" / "my_input.png")
    assert counts(tmp_path / "photos") == ("photos", {"": 1})


def test_second_copy_of_a_part_is_a_mistake_instead_of_a_silent_choice(tmp_path):
    for name in ("WildSceneDataset", "sir2_wild", "PostcardDataset"):
        sets.layer_folders(tmp_path / "SIR2" / name, (1, 2))
    (finding,) = check(tmp_path / "SIR2").of("doubled")
    assert finding.path.name == "sir2_wild"
    assert finding.text.startswith("is the same part as ")


def test_sources_read_respelled_folders(tmp_path):
    pairs = sets.layer_folders(tmp_path / "mine", (1, 2), reflection=True)
    (pairs / "transmission_layer").rename(pairs / "Transmission Layer")
    assert len(FolderPairs(pairs)) == 2
    (pairs / "blended").rename(pairs / "Blended")
    (tmp_path / "wrapper").mkdir()
    pairs.rename(tmp_path / "wrapper" / "mine")
    assert len(FolderPairs(tmp_path / "wrapper")) == 2
    sequences = sets.sequences(tmp_path / "outer" / "sequences")
    respell(sequences)
    assert len(FolderSequences(tmp_path / "outer")) == 2
