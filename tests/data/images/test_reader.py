from __future__ import annotations

import logging

import numpy as np
import pytest

from sirr_jax.data.images.reader import FileReader, list_images, natural_order
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo, write


def test_list_images_by_extension_sorted(tmp_path, caplog):
    names = ["b.PNG", "a/z.jpeg", "a.JPG", "a/b/c.TiFf", "d.webp", "e.bmp", "10.png", "9.png"]
    others = [".DS_Store", "._a.jpg", "notes.txt", ".hidden/x.png", "a/readme", "Thumbs.db", "e.heic.part"]
    for name in [*names, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    with caplog.at_level(logging.DEBUG, "sirr_jax"):
        images = list_images(tmp_path, recursive=True)
    assert [path.relative_to(tmp_path).as_posix() for path in images] == sorted(names)
    assert any("notes.txt" in record.message for record in caplog.records)
    flat = list_images(tmp_path, recursive=False)
    assert [path.name for path in flat] == sorted(name for name in names if "/" not in name)


def test_symbolic_links_are_followed_once(tmp_path):
    write(tmp_path / "real" / "1.png", labelled_photo(0, 4, 4))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "photos" / "loop").symlink_to(tmp_path / "photos")
    assert [path.name for path in list_images(tmp_path / "photos", recursive=True)] == ["1.png"]


def test_errors_name_missing_empty_and_invalid_folders(tmp_path):
    (tmp_path / "empty").mkdir()
    file = write(tmp_path / "file.png", labelled_photo(0, 4, 4))
    for folder, expectation in (
        (tmp_path / "gone", "not a readable folder"),
        (tmp_path / "empty", "no images"),
        (file, "not a readable folder"),
    ):
        with pytest.raises(UserError, match=f"{folder}.*{expectation}"):
            list_images(folder, recursive=True)


def test_natural_order_compares_numbers():
    names = ["frame10", "frame9", "2_b", "10_a", "frame", "frame09"]
    assert sorted(names, key=natural_order) == ["2_b", "10_a", "frame", "frame09", "frame9", "frame10"]


def test_unknown_on_corrupt_value(tmp_path):
    with pytest.raises(UserError, match=r"data\.on_corrupt='ignore'.*'error' or 'skip'"):
        FileReader(tmp_path, "ignore")


def test_unreadable_file_is_not_decoded_again(tmp_path, caplog):
    good = write(tmp_path / "1.png", labelled_photo(1, 4, 4))
    bad = tmp_path / "0.png"
    bad.write_text("no image")
    reader = FileReader(tmp_path, "skip")

    def read(index):
        return reader.image((bad, good)[index])

    first = reader.first_readable(0, 2, read)
    # It stays skipped even after a repair: samples must not depend on the time of reading.
    write(bad, labelled_photo(0, 4, 4))
    np.testing.assert_array_equal(reader.first_readable(0, 2, read), first)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
