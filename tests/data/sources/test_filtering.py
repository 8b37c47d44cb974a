from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.data.sources.filtering import Skipped, screen
from sirr_jax.data.sources.photos import EmbeddedPhotos, FolderPhotos
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo, truncate, write


def test_usable_photos_keep_their_order(photo_folder):
    photos = FolderPhotos(photo_folder)
    for rule in ("error", "skip"):
        screening = screen(photos, min_side=40, on_corrupt=rule)
        assert screening.skipped == ()
        assert screening.summary() == ""
        assert [screening.photos.name(i) for i in range(7)] == [photos.name(i) for i in range(7)]
        np.testing.assert_array_equal(screening.photos.read(4), photos.read(4))


def test_unusable_photos_are_skipped_and_listed(photo_folder):
    (photo_folder / "0.jpg").write_text("no image")
    truncate(photo_folder / "3.png")
    write(photo_folder / "inside" / "2.png", np.zeros((50, 50, 3), np.uint8))
    write(photo_folder / "small.png", labelled_photo(9, 30, 90))
    photos = FolderPhotos(photo_folder, on_corrupt="skip")
    screening = screen(photos, min_side=40, on_corrupt="skip")
    assert screening.skipped == (
        Skipped(str(photo_folder / "0.jpg"), "unreadable"),
        Skipped(str(photo_folder / "3.png"), "unreadable"),
        Skipped(str(photo_folder / "inside" / "2.png"), "nearly black"),
        Skipped(str(photo_folder / "small.png"), "too small"),
    )
    assert screening.summary() == "skipped: 4 of 9 photographs (2 unreadable, 1 nearly black, 1 too small)"
    assert [int(screening.photos.read(i)[0, 0, 2]) for i in range(len(screening.photos))] == [1, 5, 0, 4, 6]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncate, r"3\.png: the image is truncated"),
        (lambda path: write(path, np.zeros((50, 50, 3), np.uint8)), r"3\.png is nearly black: .*--on-corrupt skip"),
        (lambda path: write(path, labelled_photo(9, 30, 90)), r"3\.png is 90x30 .*40x40"),
    ],
)
def test_error_names_the_first_unusable_photo(photo_folder, spoil, message):
    spoil(photo_folder / "3.png")
    write(photo_folder / "5.png", np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(UserError, match=message) as raised:
        screen(FolderPhotos(photo_folder), min_side=40, on_corrupt="error")
    assert "\n" not in str(raised.value)


def test_no_usable_photo_left(photo_folder):
    message = r"no usable photo is left; skipped: 7 of 7 photographs \(7 too small\): use other photos"
    with pytest.raises(UserError, match=message):
        screen(FolderPhotos(photo_folder), min_side=100, on_corrupt="skip")


def test_screen_embedded_photos():
    photos = EmbeddedPhotos("validation")
    assert len(screen(photos, min_side=100, on_corrupt="error").photos) == 2
