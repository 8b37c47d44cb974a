from __future__ import annotations

import pytest

from sirr_jax.data.layouts.folder_names import is_named, levels, names_of, plain_name, subfolder
from sirr_jax.data.layouts.sir2_parts import is_variation, part_mentioned, part_named


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("transmission_layer", "Transmission Layers"),
        ("bg-semantic", "BG_Semantic"),
        ("val", "Validation"),
        ("training", "train"),
        ("test_a", "testA"),
    ],
)
def test_spellings_of_one_name(one, other):
    assert plain_name(one) == plain_name(other)


@pytest.mark.parametrize(("one", "other"), [("A", "a"), ("testA1", "testB"), ("train", "test"), ("gt", "g")])
def test_different_names(one, other):
    assert plain_name(one) != plain_name(other)


def test_exact_name_comes_first_and_doubles_are_entered(tmp_path):
    for name in ("Blended", "blended", "gtFine_trainvaltest/gtFine", "data/Data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "blended" / "1.png").touch()
    assert subfolder(tmp_path, "blended") == tmp_path / "blended"
    assert subfolder(tmp_path, "BLENDED") == tmp_path / "Blended"
    assert subfolder(tmp_path, "gtFine") == tmp_path / "gtFine_trainvaltest" / "gtFine"
    assert subfolder(tmp_path, "data") == tmp_path / "data" / "Data"
    assert not subfolder(tmp_path, "transmission_layer").is_dir()


def test_levels_end_at_images_and_at_several_folders(tmp_path):
    inner = tmp_path / "Real20" / "set"
    (inner / "blended").mkdir(parents=True)
    (inner / "other").mkdir()
    (tmp_path / "Real20" / "__MACOSX").mkdir()
    assert levels(tmp_path / "Real20") == [tmp_path / "Real20", inner]
    assert names_of(inner)[:2] == ["set", "Real20"]
    assert is_named(inner, ("real20",))
    (tmp_path / "Real20" / "1.JPG").touch()
    assert levels(tmp_path / "Real20") == [tmp_path / "Real20"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Postcard Dataset", "postcard"),
        ("PostcardDataset", "postcard"),
        ("SolidObjectDataset", "object"),
        ("Wildscene", "wild"),
        ("WildSceneDataset (1)", "wild"),
        ("SIR2_postcards", "postcard"),
        ("objectives", None),
        ("wilderness", None),
        ("postcards and objects", None),
    ],
)
def test_parts_of_sir2(name, part):
    assert part_named(name) == part


def test_mentioned_parts_and_variations():
    assert part_mentioned("my postcards - copy") == "postcard"
    assert part_mentioned("postcards and objects") is None
    assert [name for name in ("Focus", "thick", "Thickness", "Think", "Focused") if is_variation(name)] == [
        "Focus",
        "thick",
        "Thickness",
    ]
