from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
import skimage.data

from sirr_jax.data.sources.photos import EmbeddedPhotos, FolderPhotos
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo, truncate, write


def test_folder_photos_are_sorted_by_path(photo_folder):
    photos = FolderPhotos(photo_folder, crop=40)
    names = [photos.name(index) for index in range(len(photos))]
    assert len(photos) == 7
    assert names == sorted(names)
    assert [int(photos.read(index)[0, 0, 2]) for index in range(7)] == [1, 3, 5, 0, 2, 4, 6]


def test_error_names_a_photo_below_the_crop(photo_folder):
    write(photo_folder / "small.png", labelled_photo(0, 30, 90))
    FolderPhotos(photo_folder, crop=30)
    with pytest.raises(UserError, match=r"small\.png is 90x30 .*31x31: choose smaller crops or remove"):
        FolderPhotos(photo_folder, crop=31)


def test_file_that_is_not_an_image_raises_on_construction(photo_folder):
    (photo_folder / "0.jpg").write_text("<html>")
    with pytest.raises(UserError, match=r"0\.jpg: not an image"):
        FolderPhotos(photo_folder)


def test_truncated_file_raises_on_read(photo_folder):
    truncate(photo_folder / "3.png")
    photos = FolderPhotos(photo_folder)
    with pytest.raises(UserError, match=r"3\.png: .*truncated"):
        photos.read(1)
    assert photos.read(0)[0, 0, 2] == 1


def test_on_corrupt_skip_warns_once_per_file(photo_folder, caplog):
    (photo_folder / "7.png").write_text("no image")
    truncate(photo_folder / "3.png")
    truncate(photo_folder / "5.png")
    photos = FolderPhotos(photo_folder, on_corrupt="skip")
    labels = [int(photos.read(index)[0, 0, 2]) for index in (0, 1, 2, 3, 4, 1, 2)]
    # In order: 1, 3 (truncated), 5 (truncated), 7 (not an image), inside/0, ...
    assert labels == [1, 0, 0, 0, 0, 0, 0]
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 3
    assert all(any(name in line for line in warned) for name in ("3.png", "5.png", "7.png"))


def test_skipping_wraps_around(photo_folder):
    truncate(photo_folder / "inside" / "6.png")
    assert FolderPhotos(photo_folder, on_corrupt="skip").read(6)[0, 0, 2] == 1


def test_no_readable_photo_left(tmp_path):
    for name in ("a.png", "b.png"):
        truncate(write(tmp_path / name, labelled_photo(0, 60, 60)))
    photos = FolderPhotos(tmp_path, on_corrupt="skip")
    with pytest.raises(UserError, match=r"none of the 2"):
        photos.read(0)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no image")
    with pytest.raises(UserError, match=r"none of the 2"):
        FolderPhotos(tmp_path, on_corrupt="skip")


def test_embedded_training_photos_match_scikit_image():
    photos = EmbeddedPhotos("train")
    by_name = {photos.name(index): photos.read(index) for index in range(len(photos))}
    assert len(by_name) == 15
    np.testing.assert_array_equal(by_name["scikit-image's astronaut.png"], skimage.data.astronaut())
    gray = skimage.data.camera()
    np.testing.assert_array_equal(by_name["scikit-image's camera.png"], np.repeat(gray[..., None], 3, 2))


def test_embedded_validation_halves_are_disjoint_and_held_out():
    halves = EmbeddedPhotos("validation")
    assert len(halves) == 2
    np.testing.assert_array_equal(np.concatenate([halves.read(0), halves.read(1)], axis=1), skimage.data.coffee())
    training = EmbeddedPhotos("train")
    assert not any("coffee" in training.name(index) for index in range(len(training)))


def test_embedded_photos_below_the_crop_are_left_out():
    assert len(EmbeddedPhotos("train", crop=301)) == 12
    photos = EmbeddedPhotos("train", crop=500)
    assert all(min(photos.read(index).shape[:2]) >= 500 for index in range(len(photos)))
    EmbeddedPhotos("validation", crop=300)
    with pytest.raises(UserError, match=r"301x301.*validation.*up to 300 pixels.*smaller config\.data\.crop"):
        EmbeddedPhotos("validation", crop=301)


def test_unknown_embedded_split():
    with pytest.raises(UserError, match=r"'test'.*'train' or 'validation'"):
        EmbeddedPhotos("test")


def test_without_scikit_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(UserError, match=r"pip install 'sirr_jax\[train\]'"):
        EmbeddedPhotos("train")


def test_scikit_image_lacks_a_photo(monkeypatch, tmp_path):
    shutil.copytree(skimage.data_dir, tmp_path / "data", ignore=lambda *_: ["rocket.jpg"])
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    EmbeddedPhotos("validation")
    with pytest.raises(UserError, match=r"rocket\.jpg is missing"):
        EmbeddedPhotos("train")


def test_nearly_black_photos_are_rejected_or_skipped(photo_folder, caplog):
    write(photo_folder / "2b.png", np.full((40, 40, 3), 5, np.uint8))
    photos = FolderPhotos(photo_folder)
    index = [photos.name(i) for i in range(8)].index(str(photo_folder / "2b.png"))
    with pytest.raises(UserError, match=r"2b\.png: nearly black, .*config\.data\.on_corrupt=skip"):
        photos.read(index)
    skipping = FolderPhotos(photo_folder, on_corrupt="skip")
    np.testing.assert_array_equal(skipping.read(index), skipping.read((index + 1) % 8))
    assert caplog.text.count("skipped (1 so far)") == 1


def test_small_photos_are_skipped_and_counted(photo_folder, caplog):
    sizes = {(40 + i, 52 - i) for i in range(7)}
    min_side = sorted(min(size) for size in sizes)[3]
    with pytest.raises(UserError, match="too small for crops"):
        FolderPhotos(photo_folder, crop=min_side)
    photos = FolderPhotos(photo_folder, crop=min_side, on_corrupt="skip")
    assert all(min(photos.read(i).shape[:2]) >= min_side for i in range(len(photos)))
    assert f"skipped ({7 - len(photos)} so far)" in caplog.text
    with pytest.raises(UserError, match="none of the 7 images is as large as the crop"):
        FolderPhotos(photo_folder, crop=999, on_corrupt="skip")
