"""Tests of labelled photos in every layout: classes, sizes and errors."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.images.label_maps import FACE_PARTS
from sirr_jax.data.prepare.pack import pack
from sirr_jax.data.sources.segmentation import FolderLabelled
from sirr_jax.errors import UserError
from tests.helpers import set_files as sets
from tests.helpers.photo_files import truncate


def ade20k(root):
    for index in range(2):
        sets.picture(root / "images" / "training" / f"a{index}.jpg", seed=index)
        sets.labels(root / "annotations" / "training" / f"a{index}.png", (0, 1, 150))
    return root


def seg(root, values=(0, 3, 255)):
    for index in range(3):
        sets.picture(root / "img" / f"{index}.png", seed=index)
        sets.labels(root / "seg" / f"{index}.png", values)
    return root


# Layout: function that writes it, part, pictures, classes, labels of the first picture.
LAYOUTS = {
    "voc": (sets.voc, "", 2, 21, {0, 1, 20, 255}),
    "cityscapes": (sets.cityscapes, "#train", 2, 19, {0, 18, 255}),
    "cityscapes trainIds": (sets.cityscapes, "#val", 1, 19, {0, 18, 255}),
    "ade20k": (ade20k, "", 2, 150, {255, 0, 149}),
    "coco_stuff": (sets.coco_stuff, "#train2017", 2, 182, {0, 91, 181, 255}),
    "sgrrn": (sets.sgrrn, "#train", 1, 21, {0, 1, 20, 255}),
    "seg": (seg, "", 3, 255, {0, 3, 255}),
    "foggy": (sets.foggy, "#train", 1, 19, {0, 18, 255}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_give_class_indices_in_folders_and_packed(name, tmp_path):
    build, part, count, classes, labels = LAYOUTS[name]
    root = build(tmp_path / "set")
    source = FolderLabelled(f"{root}{part}")
    assert (len(source), source.classes) == (count, classes)
    photo, label_map = source.read(0)
    assert (photo.shape, photo.dtype, label_map.shape, label_map.dtype) == ((10, 12, 3), np.uint8, (10, 12), np.uint8)
    assert set(np.unique(label_map)) == labels
    pack(root, tmp_path / "packed", shard_bytes=2000)
    packed = FolderLabelled(f"{tmp_path / 'packed'}{part}")
    assert (len(packed), packed.classes) == (count, classes)
    for index in range(count):
        assert packed.name(index).endswith(source.name(index).removeprefix(str(root)))
        for one, other in zip(packed.read(index), source.read(index), strict=True):
            np.testing.assert_array_equal(one, other)


def test_cityscapes_label_ids_become_train_ids(tmp_path):
    root = sets.cityscapes(tmp_path / "set")
    every = [*range(34)]
    sets.labels(root / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png", every)
    labels = FolderLabelled(f"{root}#train").read(0)[1].reshape(-1)[:34].tolist()
    # The public table: road, sidewalk, building, wall, fence, pole, light, sign, ..., train, motorcycle, bicycle.
    expected = [255] * 34
    for train_id, label_id in enumerate((7, 8, 11, 12, 13, 17, 19, 20, *range(21, 29), 31, 32, 33)):
        expected[label_id] = train_id
    assert labels == expected


def faces(root, side=16):
    rng = np.random.default_rng(0)
    (root / "CelebA-HQ-img").mkdir(parents=True)
    folder = root / "CelebAMask-HQ-mask-anno" / "0"
    folder.mkdir(parents=True)
    masks = {}
    for part in ("skin", "nose", "hair"):
        masks[part] = rng.random((8, 8)) < 0.5
        Image.fromarray(masks[part].astype(np.uint8) * 255).save(folder / f"00000_{part}.png")
    Image.fromarray(rng.integers(0, 256, (side, 16, 3), np.uint8)).save(root / "CelebA-HQ-img" / "0.png")
    return root, masks


@pytest.mark.parametrize("packed", [False, True])
def test_face_masks_are_upscaled_to_the_photo(tmp_path, packed):
    root, masks = faces(tmp_path / "faces")
    where = root
    if packed:
        pack(root, tmp_path / "packed")
        where = tmp_path / "packed"
    source = FolderLabelled(where, crop=16)
    assert (len(source), source.classes) == (1, 19)
    photo, labels = source.read(0)
    expected = np.zeros((8, 8), np.uint8)
    for part, mask in masks.items():
        expected[mask] = FACE_PARTS.index(part) + 1
    assert photo.shape == (16, 16, 3)
    np.testing.assert_array_equal(labels, expected.repeat(2, axis=0).repeat(2, axis=1))


def test_masks_of_another_aspect_ratio(tmp_path):
    root, _ = faces(tmp_path / "faces", side=24)
    with pytest.raises(UserError, match=r"8x8 pixels and .*0\.png is 16x24: masks .* must have its aspect ratio"):
        FolderLabelled(root)


MISTAKES = {
    "color": (
        lambda path: sets.picture(path, size=(40, 40)),
        r"1\.png: a color image \(RGB\), expected class indices",
    ),
    "range": (
        lambda path: sets.labels(path, (0, 21, 255), size=(40, 40)),
        r"1\.png: contains the label 21; expected 0 to 20, or 255 for no class",
    ),
    "damage": (truncate, r"1\.png: the labels are truncated or damaged"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_invalid_labels_raise_or_are_skipped(name, tmp_path, caplog):
    spoil, message = MISTAKES[name]
    root = tmp_path / "set"
    for index in range(4):
        sets.picture(root / "JPEGImages" / f"{index}.png", size=(40, 40), seed=index)
        sets.labels(root / "SegmentationClass" / f"{index}.png", (index, 20), size=(40, 40))
    spoil(root / "SegmentationClass" / "1.png")
    with pytest.raises(UserError, match=message) as caught:
        FolderLabelled(root).read(1)
    assert "\n" not in str(caught.value)
    source = FolderLabelled(root, on_corrupt="skip")
    for _ in range(2):
        np.testing.assert_array_equal(source.read(1)[0], source.read(2)[0])
        np.testing.assert_array_equal(source.read(1)[1], source.read(2)[1])
    (record,) = caplog.records
    assert record.message.startswith("skipped (1 so far): ")
    assert "1.png" in record.message


def test_sizes_of_photo_and_labels_must_match(tmp_path, caplog):
    root = sets.voc(tmp_path / "set")
    sets.labels(root / "SegmentationClass" / "2007_1.png", size=(9, 12))
    with pytest.raises(UserError, match=r"2007_1\.png is 12x9 pixels and .*2007_1\.jpg is 12x10"):
        FolderLabelled(root)
    assert len(FolderLabelled(root, on_corrupt="skip")) == 1
    assert len(caplog.records) == 1
    with pytest.raises(UserError, match=r"too small for crops of 11x11"):
        FolderLabelled(seg(tmp_path / "seg"), crop=11)
    with pytest.raises(UserError, match="no usable picture is left"):
        FolderLabelled(root, crop=11, on_corrupt="skip")


def test_number_of_classes(tmp_path):
    root = seg(tmp_path / "seg", (0, 3, 255))
    assert FolderLabelled(root, classes=4).classes == 4
    with pytest.raises(UserError, match="contains the label 3; expected 0 to 2"):
        FolderLabelled(root, classes=3).read(0)
    with pytest.raises(UserError, match="classes=256: expected 2 to 255"):
        FolderLabelled(root, classes=256)
    with pytest.raises(UserError, match=r"has labels of 21 classes, but config\.data\.classes=19; set it to 21"):
        FolderLabelled(sets.voc(tmp_path / "voc"), classes=19)


def test_sets_without_labels(photo_folder, pair_folder):
    with pytest.raises(UserError, match=r"whose pictures have mixture, transmission; expected a photo .* labels"):
        FolderLabelled(pair_folder)
    with pytest.raises(UserError, match="no such folder"):
        FolderLabelled(photo_folder / "nowhere")
