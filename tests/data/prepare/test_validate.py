from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.prepare.validate import check
from sirr_jax.errors import UserError
from tests.helpers import set_files as sets
from tests.helpers.photo_files import truncate


def findings(report, kind):
    """Returns the findings of one kind as (path in the set, text)."""
    return [(finding.path.relative_to(report.root).as_posix(), finding.text) for finding in report.of(kind)]


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize(
    "build",
    [lambda root: sets.layer_folders(root, (1, 2)), sets.ceilnet, sets.rsir2, sets.sgrrn, sets.voc, sets.sequences],
)
def test_valid_sets_have_no_findings(tmp_path, build, thorough):
    report = check(build(tmp_path / "mine"), thorough=thorough, crop=10)
    assert report.findings == ()
    assert report.sizes == {(10, 12): report.count}
    assert report.thorough == thorough


def test_counts_of_published_sets(tmp_path):
    report = check(sets.layer_folders(tmp_path / "real20", (3, 4, 9)))
    assert findings(report, "count") == [(".", "3 complete pictures, but the published set has 20")]
    ids = (3, 4, 9, 12, 15, 22, 23, 25, 29, 39, 46, 47, 58, 86, 87, 89, 93, 103)
    report = check(sets.layer_folders(tmp_path / "real20", ids))
    assert findings(report, "incomplete") == [(".", "the pictures 107, 110 of Real20 are missing")]
    report = check(sets.layer_folders(tmp_path / "real20", (*ids, 107, 110)))
    assert report.findings == ()
    report = check(sets.deraindrop(tmp_path / "rain"))
    assert [text for _, text in findings(report, "count")] == [
        "train: 11 complete pictures, but the published set has 861",
        "test_a: 3 complete pictures, but the published set has 58",
        "test_b: 2 complete pictures, but the published set has 249 or 239",
    ]


def test_both_releases_of_a_part_are_complete(tmp_path):
    for index in range(52):
        sets.triplet(tmp_path / "withgt" / str(index))
    assert check(tmp_path).findings == ()


def test_odd_files(tmp_path):
    root = sets.deraindrop(tmp_path / "r", (("train", 11, "png"),))
    (root / "train" / "data" / "preview.html").write_text("no picture")
    sets.picture(root / "train" / "data" / "rain.png")
    shutil.move(root / "train/gt/3_clean.png", root / "train/gt/3_clean.PNG")
    sets.picture(root / "train" / "data" / "03_rain.jpg")
    report = check(root)
    assert findings(report, "odd file") == [
        ("train/data/preview.html", "the extension is not that of an image; not read"),
        ("train/data/rain.png", "the name does not identify a picture; not read"),
        ("train/data/03_rain.jpg", ".jpg, while the others are .png; read anyway"),
        ("train/gt/3_clean.PNG", ".PNG, while the others are .png; read anyway"),
    ]
    assert findings(report, "doubled") == [("train/data/3_rain.png", "is the same picture as 03_rain.jpg; keep one")]
    assert not any(finding.wrong for finding in report.of("odd file"))


def test_missing_folder_is_one_finding(tmp_path):
    root = sets.deraindrop(tmp_path)
    shutil.rmtree(root / "test_a" / "gt")
    assert findings(check(root), "incomplete") == [("test_a", "no folder gt")]
    assert check(root).of("unpaired") == ()
    root = sets.sgrrn(tmp_path / "s")
    shutil.rmtree(root / "val" / "rf-semantic")
    assert findings(check(root), "incomplete") == [("val", "no folder rf-semantic")]


def test_raw_sir2(tmp_path):
    root = sets.sir2_raw(tmp_path)
    (root / "withgt/9/r.jpg").unlink()
    sets.triplet(root / "withgt/10", "m.jpg", "g.jpg")  # next to the marked triplet, which takes precedence
    sets.triplet(root / "withgt/11", "m.jpg", "m_rs.jpg", "g_rs.jpg", "r.jpg", "12.jpg")
    sets.triplet(root / "withgt/12", "m.jpg", "m.png", "g.jpg", "r.jpg")
    report = check(root)
    assert findings(report, "unpaired") == [("withgt/9", "no file for r of m, g, r")]
    assert findings(report, "odd file") == [("withgt/11/12.jpg", "the name contains no layer (m, g or r); not read")]
    assert findings(report, "doubled") == [
        ("withgt/11/m_rs.jpg", "m.jpg and m_rs.jpg: neither belongs to a complete triplet; keep one"),
        ("withgt/12/m.png", "is the same layer as m.jpg; keep one"),
    ]
    names = {entry.name: entry.files for part in report.parts for entry in part.entries}
    assert [path.name for path in names["withgt/10"].values()] == ["m_rs.jpg", "g_rs.jpg", "r_rs.jpg"]


def test_triplet_with_rare_extension_is_noted_and_read(tmp_path):
    for index in range(30):
        sets.triplet(tmp_path / "withgt" / str(index))
    shutil.rmtree(tmp_path / "withgt" / "7")
    sets.triplet(tmp_path / "withgt" / "7", "m.jpg", "g.jpg", "r.jpg")
    report = check(tmp_path)
    assert report.count == 30
    assert [name for name, _ in findings(report, "odd file")] == [f"withgt/7/{layer}.jpg" for layer in "mgr"]


def test_unreadable_files(tmp_path):
    root = sets.layer_folders(tmp_path / "mine", (1, 2, 3))
    (root / "blended" / "1.jpg").write_text("no image")
    truncate(root / "transmission_layer" / "2.png")
    assert findings(check(root), "unreadable") == [
        ("blended/1.jpg", "not an image despite its extension; replace or remove the file")
    ]
    unreadable = findings(check(root, thorough=True), "unreadable")
    assert [name for name, _ in unreadable] == ["blended/1.jpg", "transmission_layer/2.png"]
    assert unreadable[1][1].startswith("the image is truncated")


def test_sizes(tmp_path):
    root = sets.layer_folders(tmp_path / "mine", (1, 2, 3))
    sets.picture(root / "transmission_layer" / "2.png", size=(12, 10))
    sets.picture(root / "blended" / "3.jpg", size=(30, 40))
    sets.picture(root / "transmission_layer" / "3.png", size=(30, 40))
    report = check(root, crop=11)
    assert findings(report, "sizes") == [
        (
            "transmission_layer/2.png",
            "is 10x12 pixels (width x height) and blended/2.jpg 12x10: both must have the same size",
        )
    ]
    assert report.sizes == {(10, 12): 2, (30, 40): 1}
    small = findings(report, "too small")
    assert [name for name, _ in small] == [
        f"{layer}"
        for layer in ("blended/1.jpg", "transmission_layer/1.png", "blended/2.jpg", "transmission_layer/2.png")
    ]
    assert "12x10 pixels (width x height), too small for crops of 11x11" in small[0][1]


def test_exif_orientation_counts_for_sizes(tmp_path):
    root = sets.layer_folders(tmp_path / "mine", (1,))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (10, 12), "red").save(root / "blended" / "1.jpg", exif=exif)
    assert check(root).findings == ()


def test_nearly_black_layers_are_noted(tmp_path):
    root = sets.layer_folders(tmp_path / "mine", (1, 2), reflection=True)
    Image.fromarray(np.full((10, 12, 3), 5, np.uint8)).save(root / "reflection_layer" / "2.png")
    assert check(root).findings == ()
    report = check(root, thorough=True)
    assert findings(report, "nearly black") == [("reflection_layer/2.png", "nearly black")]
    assert report.mistakes == ()


def test_invalid_label_images(tmp_path):
    root = sets.voc(tmp_path)
    sets.labels(root / "SegmentationClass" / "2007_0.png", size=(10, 11))
    sets.picture(root / "SegmentationClass" / "2007_1.png")
    sets.labels(root / "SegmentationClass" / "2007_2.png", (0, 21, 254))
    sets.labels(root / "SegmentationClass" / "2008.png")
    report = check(root, thorough=True)
    assert findings(report, "labels") == [
        (
            "SegmentationClass/2007_1.png",
            "a color image (RGB), expected class indices; convert the colors to indices",
        ),
        ("SegmentationClass/2007_2.png", "contains the labels 21, 254; expected 0 to 20, or 255 for no class"),
    ]
    assert findings(report, "unpaired") == [("SegmentationClass/2008.png", "no file '2008' in JPEGImages")]
    assert [name for name, _ in findings(report, "sizes")] == ["SegmentationClass/2007_0.png"]
    assert len(check(root).of("labels")) == 1


def test_palettes_are_noted_for_layouts_with_plain_labels(tmp_path):
    report = check(sets.sgrrn(tmp_path, palette=True), thorough=True)
    assert report.mistakes == ()
    assert len(report.of("palette")) == 6
    assert check(sets.voc(tmp_path / "voc")).of("palette") == ()


def test_cityscapes_labels_have_their_own_ranges(tmp_path):
    root = sets.cityscapes(tmp_path)
    assert check(root, thorough=True).of("labels") == ()
    sets.labels(root / "gtFine/val/lindau/lindau_000000_000019_gtFine_labelTrainIds.png", (0, 33))
    assert len(check(root, thorough=True).of("labels")) == 1
    (root / "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png").unlink()
    shutil.rmtree(root / "gtFine/train/bochum")
    assert [name.split("/")[0] for name, _ in findings(check(root), "unpaired")] == ["gtFine", "leftImg8bit"]


def test_face_masks_may_be_smaller_than_the_photos(tmp_path):
    root = sets.faces(tmp_path)
    assert [finding.kind for finding in check(root, thorough=True).findings] == ["count"]
    assert check(root, crop=16).of("too small") == ()
    assert len(check(root, crop=17).of("too small")) == 3
    masks = root / "CelebAMask-HQ-mask-anno"
    sets.picture(masks / "0" / "00001_l_brow.png", size=(9, 8))
    sets.picture(masks / "0" / "00001_beard.png")
    sets.picture(masks / "1" / "00001_skin.png", size=(8, 8))
    sets.picture(masks / "1" / "02001_skin.png", size=(8, 8))
    sets.picture(root / "CelebA-HQ-img" / "7.jpg")
    report = check(root)
    assert len(report.of("sizes")) == 1
    assert [name for name, _ in findings(report, "odd file")] == ["CelebAMask-HQ-mask-anno/0/00001_beard.png"]
    assert [name for name, _ in findings(report, "doubled")] == ["CelebAMask-HQ-mask-anno/1/00001_skin.png"]
    assert sorted(name for name, _ in findings(report, "unpaired")) == [
        "CelebA-HQ-img/7.jpg",
        "CelebAMask-HQ-mask-anno/1/02001_skin.png",
    ]


def test_sequences(tmp_path):
    root = sets.sequences(tmp_path)
    sets.picture(root / "s1" / "blended" / "9.png", size=(11, 12))
    (root / "s0" / "transmission" / "8.png").unlink()
    (root / "notes").mkdir()
    report = check(root)
    assert [name for name, _ in findings(report, "sizes")] == ["s1/blended/9.png", "s1/transmission/9.png"]
    assert findings(report, "unpaired") == [("s0/blended/8.png", "no file '8' in transmission")]
    assert findings(report, "incomplete") == [
        ("notes", "no folder blended and transmission"),
        ("notes", "0 complete frames; a sequence needs three or more"),
        ("s0", "2 complete frames; a sequence needs three or more"),
    ]


def test_copied_frames_are_a_finding(tmp_path):
    root = sets.sequences(tmp_path)
    for frame in (9, 10):
        shutil.copy(root / "s0/blended/8.png", root / f"s0/blended/{frame}.png")
    (finding,) = check(root).findings
    assert finding.kind == "reader"
    assert "copies of one image are not a burst" in finding.text


def test_ceilnet_inputs_without_ground_truth(tmp_path):
    report = check(sets.ceilnet(tmp_path / "real45", endings=("input",)))
    assert findings(report, "count") == [(".", "2 complete pictures, but the published set has 45")]
    root = sets.ceilnet(tmp_path / "mine")
    (root / "7-label1.png").unlink()
    (root / "2008_000001-label2.png").unlink()
    assert findings(check(root), "unpaired") == [
        ("7-input.png", "no file '7' in <id>-label1.*"),
        ("2008_000001-input.png", "no file '2008_000001' in <id>-label2.*"),
    ]
    root = sets.ceilnet(tmp_path / "other", endings=("input", "label2"))
    assert len(check(root).of("unpaired")) == 2


def test_empty_layers(tmp_path):
    for name in ("blended", "transmission_layer"):
        (tmp_path / name).mkdir()
    assert findings(check(tmp_path), "count") == [(".", "no complete picture")]


def test_crop_out_of_range(tmp_path):
    with pytest.raises(UserError, match="a crop of 0 pixels: expected 1 or more"):
        check(sets.layer_folders(tmp_path, (1,)), crop=0)
