from __future__ import annotations

import itertools
import zipfile

import numpy as np
import pytest

from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.samples.photo import PhotoLayers
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.errors import UserError


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
        FolderPhotos(tmp_path / "bad.zip")
    (tmp_path / "cut.zip").write_bytes(data[:300])
    with pytest.raises(UserError, match=r"cut\.zip: not a readable \.zip file"):
        FolderPhotos(tmp_path / "cut.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(UserError, match=r"empty\.zip: no images in this file"):
        FolderPhotos(tmp_path / "empty.zip")
