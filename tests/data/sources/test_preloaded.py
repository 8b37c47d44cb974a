from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.preloaded import PreloadedPhotos
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo, truncate, write


class Counting:
    """A source that counts how many photos are decoded."""

    def __init__(self, photos):
        self.photos, self.decoded = photos, 0

    def __len__(self):
        return len(self.photos)

    def name(self, index):
        return self.photos.name(index)

    def size(self, index):
        return self.photos.size(index)

    def read(self, index):
        self.decoded += 1
        return self.photos.read(index)

    read_alone = read


def test_photos_are_decoded_once(photo_folder):
    photos = Counting(FolderPhotos(photo_folder))
    preloaded = PreloadedPhotos(photos)
    assert (len(preloaded), photos.decoded) == (7, 7)
    assert not preloaded.table.flags.writeable
    for path in photo_folder.rglob("*.png"):
        path.unlink()
    for index in range(7):
        photo = preloaded.read(index)
        label = int(photo[0, 0, 2])
        assert photo.shape == (40 + label, 52 - label, 3)
        np.testing.assert_array_equal(photo, labelled_photo(label, 40 + label, 52 - label))
        assert (preloaded.size(index), preloaded.name(index)) == (photo.shape[:2], photos.name(index))


def test_photos_of_one_size_have_a_sheet_each(tmp_path):
    for label in range(3):
        write(tmp_path / f"{label}.png", labelled_photo(label, 20, 30))
    preloaded = PreloadedPhotos(FolderPhotos(tmp_path))
    assert preloaded.table.shape == (3, 20, 30, 3)
    assert [tuple(place) for place in preloaded.places] == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    np.testing.assert_array_equal(preloaded.table, [labelled_photo(label, 20, 30) for label in range(3)])


def test_limit_is_checked_before_a_photo_is_decoded(photo_folder):
    photos = Counting(FolderPhotos(photo_folder))
    with pytest.raises(UserError, match=r"device: the decoded photos take more than .* GiB \(.* GiB\); use smaller"):
        PreloadedPhotos(photos, limit_bytes=7 * 40 * 40 * 3)
    assert photos.decoded == 0


def test_one_panorama_does_not_multiply_the_table(tmp_path):
    for label in range(30):
        write(tmp_path / f"{label:02}.png", labelled_photo(label, 20, 30))
    write(tmp_path / "panorama.png", labelled_photo(99, 24, 250))
    pixels = 30 * 20 * 30 + 24 * 250
    preloaded = PreloadedPhotos(FolderPhotos(tmp_path), limit_bytes=4 * pixels)
    np.testing.assert_array_equal(preloaded.read(30), labelled_photo(99, 24, 250))


@pytest.mark.parametrize("shape", [(20, 30), (21, 31)])
def test_damaged_photos_are_replaced_as_the_source_does(tmp_path, shape):
    for label in range(4):
        write(tmp_path / f"{label}.png", labelled_photo(label, *(shape if label == 1 else (20, 30))))
    truncate(tmp_path / "0.png")  # only decoding finds it
    (tmp_path / "2.png").write_text("no image")
    photos = FolderPhotos(tmp_path, on_corrupt="skip")
    preloaded = PreloadedPhotos(photos)
    assert [int(preloaded.read(index)[0, 0, 2]) for index in range(4)] == [1, 1, 3, 3]
    for index in range(4):
        np.testing.assert_array_equal(preloaded.read(index), photos.read(index))


def test_photo_that_differs_from_its_header_has_a_sheet_of_its_own(tmp_path):
    for label in range(2):
        write(tmp_path / f"{label}.png", labelled_photo(label, 20, 30))
    photos = FolderPhotos(tmp_path)
    stream = io.BytesIO()
    Image.fromarray(labelled_photo(7, 35, 10)).save(stream, "PNG")
    (tmp_path / "1.png").write_bytes(stream.getvalue())  # replaced after the headers were read
    preloaded = PreloadedPhotos(photos)
    np.testing.assert_array_equal(preloaded.read(0), labelled_photo(0, 20, 30))
    np.testing.assert_array_equal(preloaded.read(1), labelled_photo(7, 35, 10))
