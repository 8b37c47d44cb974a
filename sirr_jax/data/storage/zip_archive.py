"""Photographs in one .zip file: what travels to a machine that has little more than Python."""

from __future__ import annotations

import functools
import io
import threading
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from sirr_jax.data.images.decode import UnreadableImageError, image_size
from sirr_jax.data.images.image_file import PackedFile
from sirr_jax.data.images.reader import IMAGE_EXTENSIONS
from sirr_jax.errors import UserError


def is_zip(path: Path) -> bool:
    """Whether a path names a .zip file."""
    return path.suffix.lower() == ".zip" and path.is_file()


def zipped_photos(path: Path) -> list[PackedFile]:
    """Finds the images in a .zip file, sorted by name; hidden files and other kinds of file are left out.

    Args:
      path: The file.

    Returns:
      The images, at least one, with their sizes from the headers.

    Raises:
      UserError: It is no .zip file, is damaged or holds no image; an image's header is unreadable.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path}: no .zip file that can be read ({error}); make it again") from None
    lock = threading.Lock()
    found = []
    for name in sorted(archive.namelist()):
        inside = PurePosixPath(name)
        if inside.suffix.lower() not in IMAGE_EXTENSIONS or any(part.startswith((".", "__")) for part in inside.parts):
            continue
        load = functools.partial(_load, archive, lock, path, name)
        found.append(PackedFile(path / name, image_size(io.BytesIO(load()), name=f"{path / name}"), load))
    if not found:
        raise UserError(
            f"{path}: no images in this file; expected names ending in {' '.join(sorted(IMAGE_EXTENSIONS))}"
        )
    return found


def _load(archive: zipfile.ZipFile, lock: threading.Lock, path: Path, name: str) -> bytes:
    try:
        with lock:
            return archive.read(name)
    # A method of compression that Python does not know is a NotImplementedError, an encrypted file a RuntimeError.
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise UnreadableImageError(
            f"{path / name}: cannot be read from the .zip file ({error}); make it again"
        ) from None
