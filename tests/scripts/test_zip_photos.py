"""`scripts/zip_photos.py`: every photo has a name of its own."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pytest

import sirr_jax
from sirr_jax.data.sources.photos import FolderPhotos
from tests.helpers.photo_files import labelled_photo, write

SCRIPT = Path(sirr_jax.__file__).parent.parent / "scripts" / "zip_photos.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("zip_photos", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names(script, *folders):
    return [name for _, name in script.archive_names(folders)]


def test_names_without_clashes_are_those_of_the_files(script, tmp_path):
    for name in ("a.png", "b/c.jpeg", "d.v2.JPG"):
        write(tmp_path / "set" / name, labelled_photo(0, 4, 4))
    assert names(script, tmp_path / "set") == ["set/a.jpg", "set/b/c.jpg", "set/d.v2.jpg"]


def test_photos_that_differ_in_extension_case_or_folder_have_distinct_names(script, tmp_path):
    for folder in ("x/set", "y/set"):
        for name in ("a.jpg", "a.png", "a_png.jpg", "a.webp", "a.WEBP", "A.bmp"):
            write(tmp_path / folder / name, labelled_photo(0, 4, 4))
    found = names(script, tmp_path / "x" / "set", tmp_path / "y" / "set")
    assert len({name.casefold() for name in found}) == len(found) == 12
    assert found[6:] == [name.replace("set/", "set_2/") for name in found[:6]]
    assert {"set/A.jpg", "set/a_jpg.jpg", "set/a_png.jpg"} <= set(found)


def test_archive_has_every_photo_once(script, tmp_path, capsys, monkeypatch):
    for label, name in enumerate(("a.bmp", "a.png", "b.png")):
        write(tmp_path / "set" / name, labelled_photo(60 * label, 24, 24))
    arguments = ["--side", "16", "--quality", "95"]
    monkeypatch.chdir(tmp_path / "set")
    assert script.main([".", str(tmp_path / "set"), "--out", str(tmp_path / "photos.zip"), *arguments]) == 0
    output = capsys.readouterr()
    assert output.out.startswith(f"{tmp_path / 'photos.zip'}: ")
    assert output.err.count("occurs twice; written once") == 3
    with zipfile.ZipFile(tmp_path / "photos.zip") as archive:
        assert archive.namelist() == ["set/a.jpg", "set/a_png.jpg", "set/b.jpg"]
    photos = FolderPhotos(tmp_path / "photos.zip")
    assert [round(int(photos.read(index)[8, 8, 2]) / 60) for index in range(3)] == [0, 1, 2]
    assert not list(tmp_path.glob("*partial*"))
