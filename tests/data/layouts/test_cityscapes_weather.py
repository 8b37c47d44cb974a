from __future__ import annotations

import shutil

import pytest

from sirr_jax.data.layouts.registry import recognize
from sirr_jax.data.prepare.validate import check
from sirr_jax.errors import UserError
from tests.helpers import set_files as sets

PHOTO = "aachen_000000_000019"


def findings(root, *kinds):
    return [
        (finding.path.name, finding.text) for finding in recognize(root).scan(root).findings if finding.kind in kinds
    ]


def test_all_fog_densities_share_a_photo_and_its_labels(tmp_path):
    root = sets.foggy(tmp_path)
    layout = recognize(root)
    parts = layout.parts(root)
    assert {name: len(entries) for name, entries in parts.items()} == {"train": 3, "val": 3}
    for entry in parts["train"]:
        assert entry.files["mixture"].name.endswith(f"_foggy_{entry.name.rpartition('19_')[2]}.png")
        assert entry.files["transmission"] == root / "leftImg8bit/train/aachen" / f"{PHOTO}_leftImg8bit.png"
        assert entry.files["labels"].name == f"{PHOTO}_gtFine_labelIds.png"
    spaces = [layout.label_space(part[0].files["labels"]).classes for part in parts.values()]
    assert spaces == [34, 19]


@pytest.mark.parametrize(("gone", "layers"), [("gtFine", {"transmission"}), ("leftImg8bit", {"labels"})])
def test_fog_without_clean_photos_or_labels(tmp_path, gone, layers):
    root = sets.foggy(tmp_path)
    shutil.rmtree(root / gone)
    assert {frozenset(entry.files) for entry in recognize(root).entries(root)} == {frozenset(layers | {"mixture"})}


def test_rain_is_paired_with_clean_photos(tmp_path):
    root = sets.rain(tmp_path)
    entries = recognize(root).entries(root)
    patterns = [int(entry.name.rpartition("_")[2]) for entry in entries]
    assert patterns == [2, 12] * 3
    assert {entry.files["transmission"].name for entry in entries} == {f"{PHOTO}_leftImg8bit.png"}
    assert not recognize(root).scan(root).findings


def test_missing_clean_photo_is_one_finding(tmp_path):
    root = sets.rain(tmp_path)
    (root / "leftImg8bit/train/aachen" / f"{PHOTO}_leftImg8bit.png").unlink()
    ((_, text),) = findings(root, "unpaired")
    assert text == f"no file for {PHOTO} in leftImg8bit/train/aachen"
    shutil.rmtree(root / "leftImg8bit")
    assert findings(root, "incomplete") == [(root.name, "no folder leftImg8bit/train")]


def test_missing_fog_density_is_a_finding(tmp_path):
    root = sets.foggy(tmp_path)
    folder = root / "leftImg8bit_foggy" / "train" / "bochum"
    for beta in ("0.005", "0.02"):
        sets.picture(folder / f"bochum_000000_000019_leftImg8bit_foggy_beta_{beta}.png")
    sets.picture(root / "leftImg8bit_foggy/train/aachen/aachen_000001_000019_leftImg8bit_foggy_beta_0.01.png")
    sets.picture(root / "leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png")
    sets.labels(root / "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png", (0, 7))
    assert [text for _, text in findings(root, "incomplete")] == [
        "aachen_000001_000019 has no picture beta_0.005 and 1 more, unlike the other photos",
        "bochum_000000_000019 has no picture beta_0.01, unlike the other photos",
    ]
    with pytest.raises(UserError, match=r"has no picture beta_0\.005"):
        recognize(root).entries(root)


def test_file_names_without_weather_are_odd_files(tmp_path):
    root = sets.foggy(tmp_path)
    sets.picture(root / "leftImg8bit_foggy/train/aachen" / f"{PHOTO}_leftImg8bit.png")
    assert [name for name, _ in findings(root, "odd file")] == [f"{PHOTO}_leftImg8bit.png"]


def test_published_counts(tmp_path):
    counts = [finding.text for finding in check(sets.foggy(tmp_path / "fog")).of("count")]
    assert counts[0] == "train: 3 complete pictures, but the published set has 8925 or 1494"
    counts = [finding.text for finding in check(sets.rain(tmp_path / "rain")).of("count")]
    assert counts == ["train: 6 complete pictures, but the published set has 9432"]
    counts = [found.text for found in check(sets.coco_stuff(tmp_path / "coco"), thorough=True).findings]
    assert counts == [
        "train2017: 2 complete pictures, but the published set has 118287",
        "val2017: 1 complete picture, but the published set has 5000",
    ]


def test_coco_stuff_labels_out_of_range(tmp_path):
    root = sets.coco_stuff(tmp_path)
    sets.labels(root / "annotations/val2017/000000000139.png", (0, 182))
    (finding,) = check(root, thorough=True).of("labels")
    assert finding.text == "contains the label 182; expected 0 to 181, or 255 for no class"
