from __future__ import annotations

import io
import itertools
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.samples.photo import PhotoLayers
from sirr_jax.data.sources.filtering import screen
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo, truncate, write


@pytest.fixture
def zipped(photo_folder, tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(photo_folder.rglob("*.png")):
            archive.write(file, file.relative_to(photo_folder))
        archive.writestr("notes.txt", "none")
        archive.writestr("__MACOSX/._1.png", "none")
    return path


def test_zip_file_gives_the_same_batches_as_a_folder(photo_folder, zipped):
    photos, archived = FolderPhotos(photo_folder), FolderPhotos(zipped)
    assert len(archived) == len(photos) == 7
    names = [name.removeprefix(f"{zipped}/") for name in map(archived.name, range(7))]
    assert names == [name.removeprefix(f"{photo_folder}/") for name in map(photos.name, range(7))]
    batches = []
    for source, loader in ((photos, "threads"), (archived, "threads"), (archived, "tf")):
        stream = {"single": PhotoLayers(source, crop=16)}
        with build_loader(stream, {"single": 4}, loader=loader, seed=1, start_step=0) as batch_loader:
            batches.append(list(itertools.islice(batch_loader, 4)))
    for one, other, third in zip(*batches, strict=True):
        for name, array in one["single"].items():
            np.testing.assert_array_equal(other["single"][name], array)
            np.testing.assert_array_equal(third["single"][name], array)


def test_damaged_zip_files(zipped, tmp_path):
    data = bytearray(zipped.read_bytes())
    place = data.index(b"1.png") + 60
    data[place] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"bad\.zip/1\.png"):
        FolderPhotos(tmp_path / "bad.zip").read(0)
    (tmp_path / "cut.zip").write_bytes(data[:300])
    with pytest.raises(UserError, match=r"cut\.zip: not a readable \.zip file"):
        FolderPhotos(tmp_path / "cut.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(UserError, match=r"empty\.zip: no images in this file"):
        FolderPhotos(tmp_path / "empty.zip")


@pytest.fixture
def damaged(photo_folder, tmp_path):
    """An archive and a folder of the same files: one without a header, one truncated, one too small, one black."""
    (photo_folder / "1.png").write_text("no image")
    truncate(photo_folder / "3.png")
    write(photo_folder / "5.png", labelled_photo(5, 10, 10))
    write(photo_folder / "inside" / "4.png", np.zeros((44, 48, 3), np.uint8))
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(photo_folder.rglob("*.png")):
            archive.write(file, file.relative_to(photo_folder))
    return path


def test_unusable_photos_of_an_archive_are_skipped_as_those_of_a_folder(photo_folder, damaged, caplog):
    photos, archived = (FolderPhotos(place, crop=16, on_corrupt="skip") for place in (photo_folder, damaged))
    assert len(archived) == len(photos) == 6
    for index in range(6):
        np.testing.assert_array_equal(archived.read(index), photos.read(index))
        assert archived.size(index) == photos.size(index)
    for place in (photo_folder, damaged):
        messages = [record.getMessage() for record in caplog.records if f"{place}/" in record.getMessage()]
        assert len(messages) == 4
    with pytest.raises(UserError, match=r"photos\.zip/1\.png: not an image"):
        FolderPhotos(damaged, crop=16)
    screened = [
        [(Path(skipped.name).name, skipped.fault) for skipped in screen(source, min_side=16, on_corrupt="skip").skipped]
        for source in (FolderPhotos(photo_folder, on_corrupt="skip"), FolderPhotos(damaged, on_corrupt="skip"))
    ]
    assert screened[0] == screened[1]
    assert sorted(screened[1]) == [
        ("1.png", "unreadable"),
        ("3.png", "unreadable"),
        ("4.png", "nearly black"),
        ("5.png", "too small"),
    ]


def test_damaged_member_of_an_archive_is_skipped(zipped, tmp_path):
    data = bytearray(zipped.read_bytes())
    # The signature of one member's own header: its directory entry is sound.
    place = data.index(b"1.png") - 30
    data[place : place + 4] = b"XXXX"
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"bad\.zip/1\.png: cannot be read from the \.zip file"):
        FolderPhotos(tmp_path / "bad.zip")
    photos = FolderPhotos(tmp_path / "bad.zip", on_corrupt="skip")
    assert [int(photos.read(index)[0, 0, 2]) for index in range(7)] == [3, 3, 5, 0, 2, 4, 6]


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "bmp"])
def test_only_headers_are_read_at_the_start(tmp_path, monkeypatch, extension):
    path = tmp_path / "photos.zip"
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(stream, {"jpg": "JPEG"}.get(extension, extension))
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.{extension}", stream.getvalue())
    read = []
    real_read = zipfile.ZipExtFile.read

    def counting_read(member, n=-1):
        data = real_read(member, n)
        read.append(len(data))
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counting_read)
    photos = FolderPhotos(path)
    assert [photos.size(index) for index in range(3)] == [(300, 400)] * 3
    if extension != "webp":  # Pillow reads WebP as a whole
        assert 0 < sum(read) < 0.2 * 3 * len(stream.getvalue())


def test_images_of_one_name_are_all_read(tmp_path, caplog):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for label in range(3):
            stream = io.BytesIO()
            Image.fromarray(labelled_photo(label, 20, 20)).save(stream, "PNG")
            archive.writestr("set/a.png", stream.getvalue())
    photos = FolderPhotos(path)
    assert [int(photos.read(index)[0, 0, 2]) for index in range(len(photos))] == [0, 1, 2]
    assert [Path(photos.name(index)).name for index in range(3)] == ["a.png", "a.png (2)", "a.png (3)"]
    assert "2 names occur more than once; all of these images are read" in caplog.text
