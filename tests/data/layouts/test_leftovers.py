from __future__ import annotations

import pytest

from sirr_jax.data.prepare.validate import check
from tests.helpers import set_files as sets


def notes(root):
    report = check(root)
    assert not any(finding.wrong for finding in report.of("not read"))
    return [(finding.path.relative_to(root).as_posix(), finding.text) for finding in report.of("not read")]


@pytest.mark.parametrize(
    ("build", "extra"),
    [
        (lambda root: sets.layer_folders(root, (1, 2)), "blended/more/3.jpg"),
        (sets.deraindrop, "test_c/data/1_rain.png"),
        (sets.rsir2, "images/extra/A/1.png"),
        (sets.sgrrn, "training2/input/1.png"),
        (sets.cityscapes, "leftImg8bit/train_extra/x/1_leftImg8bit.png"),
        (sets.coco_stuff, "images/test2017/1.jpg"),
        (sets.sir2_raw, "notes/1.png"),
        (sets.ceilnet, "more/1-input.png"),
    ],
)
def test_images_outside_the_layout_are_named(tmp_path, build, extra):
    root = build(tmp_path / "mine")
    assert notes(root) == []
    path = sets.picture(root / extra)
    folder = path.parent.relative_to(root).as_posix()
    assert notes(root) == [(folder, f"the image {path.name} outside the layout; not read")]
    other = sets.picture(path.with_name(f"z{path.name}"))
    assert notes(root) == [(folder, f"2 images ({min(path.name, other.name)}, ...) outside the layout; not read")]


def test_other_pictures_and_archives_are_named(tmp_path):
    root = sets.picture(tmp_path / "photos" / "1.png").parent
    for name in ("a.HEIC", "b.gif", "more.zip", "notes.txt", "Thumbs.db"):
        (root / name).write_bytes(b"x")
    assert notes(root) == [
        (".", "2 images (a.HEIC, ...) of a kind that is not read; convert to PNG or JPEG"),
        ("more.zip", "an archive; not read, unpack it if it belongs to the set"),
    ]


def test_unlabelled_photos_of_voc_are_left_out_on_purpose(tmp_path):
    root = sets.voc(tmp_path / "VOC2012")
    sets.picture(root / "SegmentationObject" / "2007_1.png")
    assert notes(root) == []
