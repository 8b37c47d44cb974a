"""Photos in one .zip file, which is easy to copy to another machine."""

from __future__ import annotations

import functools
import logging
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from sirr_jax.data.images.decode import UnreadableImageError
from sirr_jax.data.images.image_file import PackedFile
from sirr_jax.data.images.passing_errors import is_passing, retried
from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, is_clutter
from sirr_jax.errors import UserError

_log = logging.getLogger(__name__)


def is_zip(path: Path) -> bool:
    """Returns whether a path is an existing .zip file."""
    return path.suffix.lower() == ".zip" and path.is_file()


def zipped_photos(path: Path) -> list[PackedFile]:
    """Lists the images in a .zip file, sorted by name; hidden files, clutter and other files are ignored.

    Only the directory of the file is read; the size of an image comes from its header when it is asked for. Of several
    images of one name, each counts.

    Args:
        path: .zip file.

    Returns:
        The images, at least one.

    Raises:
        UserError: The file is not a .zip file, is damaged or contains no image.
    """
    try:
        archive = retried(functools.partial(zipfile.ZipFile, path), name=str(path))
    except (zipfile.BadZipFile, OSError) as error:
        if is_passing(error):
            raise
        raise UserError(f"{path}: not a readable .zip file ({error}); create it again") from None
    members = sorted(filter(_is_image, archive.infolist()), key=lambda member: member.filename)
    if not members:
        raise UserError(
            f"{path}: no images in this file; expected names ending in {' '.join(sorted(IMAGE_EXTENSIONS))}"
        )
    lock = threading.Lock()
    seen: Counter[str] = Counter()
    images = []
    for member in members:
        seen[member.filename] += 1
        number = seen[member.filename]
        name = path / (member.filename if number == 1 else f"{member.filename} ({number})")
        load = functools.partial(_load, archive, lock, name, member)
        stream = functools.partial(_stream, archive, lock, name, member)
        images.append(PackedFile(name, None, load, stream=stream))
    if len(seen) < len(members):
        _log.warning("%s: %d names occur more than once; all of these images are read", path, len(members) - len(seen))
    return images


def _is_image(member: zipfile.ZipInfo) -> bool:
    inner_path = PurePosixPath(member.filename)
    if member.is_dir() or any(map(is_clutter, inner_path.parts)):
        return False
    return inner_path.suffix.lower() in IMAGE_EXTENSIONS


def _load(archive: zipfile.ZipFile, lock: threading.Lock, name: Path, member: zipfile.ZipInfo) -> bytes:
    def read() -> bytes:
        with lock:
            return archive.read(member)

    with _one_line_errors(name):
        return retried(read, name=str(name))


def _stream(archive: zipfile.ZipFile, lock: threading.Lock, name: Path, member: zipfile.ZipInfo) -> BinaryIO:
    """Opens an image for reading its header; the stream reads from the archive without the lock, as zipfile allows."""

    def open_member() -> BinaryIO:
        with lock:
            return cast(BinaryIO, archive.open(member))

    with _one_line_errors(name):
        return retried(open_member, name=str(name))


@contextmanager
def _one_line_errors(name: Path) -> Iterator[None]:
    try:
        yield
    # An unsupported compression method raises NotImplementedError, an encrypted file RuntimeError.
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        if is_passing(error):
            raise
        raise UnreadableImageError(f"{name}: cannot be read from the .zip file ({error}); create it again") from None
