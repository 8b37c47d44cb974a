"""Errors of the machine are raised under both rules, in every reader; errors of decoding alone are damage."""

from __future__ import annotations

import builtins
import errno
import io
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sirr_jax.cli.main import main
from sirr_jax.data.images import passing_errors
from sirr_jax.data.images.decode import UnreadableImageError, image_size, read_encoded, read_image
from sirr_jax.data.images.label_maps import read_labels
from sirr_jax.data.images.passing_errors import WAITS, is_passing, retried
from sirr_jax.data.images.reader import FileReader
from sirr_jax.data.prepare.validate import check
from sirr_jax.data.sources.filtering import screen
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.preloaded import PreloadedPhotos
from sirr_jax.errors import UserError
from tests.helpers import set_files as sets
from tests.helpers.photo_files import truncate

PASSING = (errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.EIO, errno.ENOMEM, errno.EINTR, errno.ETIMEDOUT)


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(passing_errors.time, "sleep", lambda seconds: None)


class Breakdown:
    """Makes opening and reading of files fail for a number of calls."""

    def __init__(self, monkeypatch, error):
        self.error, self.left, self.match = error, 0, ""
        real_open = builtins.open

        def failing_open(file, *args, **kwargs):
            self.fail(file)
            return real_open(file, *args, **kwargs)

        monkeypatch.setattr(builtins, "open", failing_open)
        monkeypatch.setattr(io, "open", failing_open)
        real_read = zipfile.ZipFile.open

        def failing_member(archive, name, *args, **kwargs):
            self.fail(getattr(name, "filename", name))
            return real_read(archive, name, *args, **kwargs)

        monkeypatch.setattr(zipfile.ZipFile, "open", failing_member)

    def fail(self, file):
        if self.left and isinstance(file, str | Path) and str(file).endswith(self.match):
            self.left -= 1
            raise self.error

    def during(self, calls, match):
        self.left, self.match = calls, match


def errors():
    return [*(OSError(number, "broken") for number in PASSING), MemoryError()]


@pytest.mark.parametrize("error", errors(), ids=lambda error: str(error) or "memory")
def test_passing_errors_are_raised_and_never_recorded(photo_folder, monkeypatch, caplog, error):
    reader = FileReader(photo_folder, "skip")
    path = photo_folder / "1.png"
    breakdown = Breakdown(monkeypatch, error)
    for read in (reader.image, reader.photograph, reader.size, read_image, image_size, read_encoded):
        breakdown.during(99, "1.png")
        with pytest.raises((OSError, MemoryError)) as raised:
            read(path)
        assert not isinstance(raised.value, UserError)
        assert "1.png" in str(raised.value)
        breakdown.during(0, "")
        assert read(path) is not None
    assert not caplog.records


@pytest.mark.parametrize("number", PASSING)
def test_errors_that_pass_at_once_are_not_noticed(photo_folder, monkeypatch, caplog, number):
    photos = FolderPhotos(photo_folder, on_corrupt="skip")
    expected = photos.read(1)
    breakdown = Breakdown(monkeypatch, OSError(number, "broken"))
    breakdown.during(len(WAITS), Path(photos.name(1)).name)
    np.testing.assert_array_equal(photos.read(1), expected)
    assert breakdown.left == 0
    assert not caplog.records


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "broken"), MemoryError()], ids=["EMFILE", "memory"])
def test_sources_do_not_skip_sound_photos(photo_folder, tmp_path, monkeypatch, form, error):
    source = photo_folder
    if form == "zip":
        source = tmp_path / "photos.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in sorted(photo_folder.rglob("*.png")):
                archive.write(file, file.relative_to(photo_folder))
    breakdown = Breakdown(monkeypatch, error)
    photos = FolderPhotos(source, on_corrupt="skip")
    expected = [photos.read(index) for index in range(7)]
    for use in (
        lambda: FolderPhotos(source, on_corrupt="skip"),
        lambda: [photos.read(index) for index in range(7)],
        lambda: PreloadedPhotos(photos),
        lambda: screen(photos, min_side=8, on_corrupt="skip"),
    ):
        breakdown.during(99, "3.png")
        with pytest.raises((OSError, MemoryError)):
            use()
        breakdown.during(0, "")
    for index, photo in enumerate(expected):
        np.testing.assert_array_equal(photos.read(index), photo)


def test_labels_pairs_and_checks(tmp_path, monkeypatch, capsys):
    label = sets.labels(tmp_path / "labels.png", (0, 1))
    pairs = sets.layer_folders(tmp_path / "mine", (1, 2))
    breakdown = Breakdown(monkeypatch, OSError(errno.EIO, "broken"))
    for use, match in (
        (lambda: read_labels(label, 2), "labels.png"),
        (lambda: FolderPairs(pairs, on_corrupt="skip"), "2.png"),
        (lambda: check(pairs), "2.png"),
    ):
        breakdown.during(99, match)
        with pytest.raises(OSError, match=r"broken after 4 tries; the file may be sound, so it is not skipped"):
            use()
        breakdown.during(99, match)
    assert main(["data", "check", str(pairs)]) == 2
    assert capsys.readouterr().err.startswith(f"sirr data: {pairs}/transmission_layer/2.png: broken after 4 tries")
    breakdown.during(0, "")
    assert len(FolderPairs(pairs, on_corrupt="skip")) == 2


def test_damage_is_still_skipped(photo_folder, caplog):
    truncate(photo_folder / "1.png")
    reader = FileReader(photo_folder, "skip")
    for path in (photo_folder / "1.png", photo_folder / "gone.png"):
        with pytest.raises(UnreadableImageError):
            reader.image(path)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_errors_of_decoders_and_of_paths_are_about_the_file():
    assert not is_passing(OSError("image file is truncated"))
    assert not is_passing(OSError(-2))
    assert not is_passing(FileNotFoundError(errno.ENOENT, "gone"))
    assert not is_passing(OSError(errno.EINVAL, "a seek before the beginning"))
    assert not is_passing(ValueError("x"))
    assert is_passing(OSError("out of memory error when reading image file"))


def test_each_try_begins_anew():
    tries = []

    def read():
        tries.append(1)
        if len(tries) < 3:
            raise OSError(errno.ESTALE, "stale")
        return "content"

    assert retried(read, name="x") == "content"
    assert len(tries) == 3
