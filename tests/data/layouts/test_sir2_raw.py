"""SIR2 as people hold it: the parts' folders in any spelling, then `Focus`, `Thick`, `Thickness`."""

from __future__ import annotations

import shutil

import pytest

from sirr_jax.cli.main import main
from sirr_jax.data.layouts.registry import recognize
from sirr_jax.data.prepare.validate import check
from tests.helpers import set_files as sets

COUNTS = {"object": 199, "postcard": 200, "wild": 101}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return sets.sir2_release(tmp_path_factory.mktemp("sets") / "SIR2_Dataset")


def counts(root):
    layout = recognize(root)
    assert layout.name == "sir2_raw"
    return {part.name: len(part.entries) for part in layout.scan(root).parts}


def test_release_has_all_parts_and_no_mistakes(release, capsys):
    assert counts(release) == COUNTS
    parts = recognize(release).parts(release)
    assert all(set(entry.files) == {"mixture", "transmission", "reflection"} for entry in parts["postcard"])
    for name, folder in (("object", "SolidObjectDataset"), ("postcard", "Postcard Dataset"), ("wild", "Wildscene")):
        assert all(entry.name.startswith(f"{folder}/") for entry in parts[name])
    assert main(["data", "check", str(release)]) == 0
    assert "mistake" not in "".join(capsys.readouterr())
    assert check(release).findings == ()


@pytest.mark.parametrize(
    ("postcards", "objects", "wild", "thick"),
    [
        ("PostcardDataset", "Solid Object Dataset", "WildSceneDataset", "Thickness"),
        ("Postcard", "SolidObject", "wild_scene", "thick"),
        ("postcards", "objects", "Wild-Scenes", "THICKNESS"),
        ("sir2_postcard", "sir2_object", "sir2_wild", "Thick"),
        ("Postcard Dataset/Postcard Dataset", "SolidObjectDataset/SolidObjectDataset", "Wildscene/withgt", "Thick"),
        ("SIR2/SIR2/Postcard Dataset", "SIR2/SIR2/SolidObjectDataset", "SIR2/SIR2/Wildscene", "Thick"),
    ],
)
def test_spellings_do_not_change_the_counts(tmp_path, postcards, objects, wild, thick):
    root = sets.sir2_release(tmp_path / "held", postcards=postcards, objects=objects, wild=wild, thick=thick)
    assert counts(root) == COUNTS


@pytest.mark.parametrize(
    ("inside", "part", "count"),
    [
        ("Postcard Dataset", "postcard", 200),
        ("Postcard Dataset/Thick", "postcard", 60),
        ("Postcard Dataset/Thick/2-3", "postcard", 3),
        ("SolidObjectDataset", "object", 199),
        ("SolidObjectDataset/7", "object", 10),
        ("SolidObjectDataset/7/Thick", "object", 3),
        ("Wildscene", "wild", 101),
    ],
)
def test_a_folder_inside_belongs_to_the_same_part(release, inside, part, count):
    assert counts(release / inside) == {part: count}


def test_focus_and_thick_decide_where_no_folder_names_a_part(tmp_path):
    sets.sir2_release(tmp_path / "x", postcards="first", objects="second", wild="withgt")
    assert counts(tmp_path / "x") == COUNTS


def test_clutter_of_systems_is_not_read(tmp_path):
    root = sets.sir2_raw(tmp_path / "SIR2")
    before = counts(root)
    for folder in (root, root / "withgt", root / "withgt" / "9"):
        for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._m.jpg"):
            (folder / name).write_bytes(b"x")
    shutil.copytree(root / "withgt", root / "__MACOSX" / "withgt")
    assert counts(root) == before
    assert {finding.kind for finding in check(root).findings} == {"count"}


def test_pictures_under_unknown_names_are_mentioned(tmp_path):
    root = sets.sir2_raw(tmp_path / "SIR2")
    for n in "12":
        sets.triplet(root / "evening" / n)
    assert counts(root)["wild"] == 4
    (note,) = check(root).of("not read")
    assert (note.path, note.wrong) == (root / "evening", False)
    assert note.text == "2 of its folders count as wild: no folder names a part (postcard, object)"
