"""Photos in one .zip file, which is easy to copy to another machine."""

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
    """Returns whether a path is an existing .zip file."""
    return path.suffix.lower() == ".zip" and path.is_file()


def zipped_photos(path: Path) -> list[PackedFile]:
    """Lists the images in a .zip file, sorted by name; hidden and other files are ignored.

    Args:
        path: .zip file.

    Returns:
        The images, at least one, with the sizes from their headers.

    Raises:
        UserError: The file is not a .zip file, is damaged or contains no image, or the header of an image is
            unreadable.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path}: not a readable .zip file ({error}); create it again") from None
    lock = threading.Lock()
    images = []
    for name in sorted(archive.namelist()):
        inner_path = PurePosixPath(name)
        is_hidden = any(part.startswith((".", "__")) for part in inner_path.parts)
        if is_hidden or inner_path.suffix.lower() not in IMAGE_EXTENSIONS:
            continue
        load = functools.partial(_load, archive, lock, path, name)
        images.append(PackedFile(path / name, image_size(io.BytesIO(load()), name=f"{path / name}"), load))
    if not images:
        raise UserError(
            f"{path}: no images in this file; expected names ending in {' '.join(sorted(IMAGE_EXTENSIONS))}"
        )
    return images


def _load(archive: zipfile.ZipFile, lock: threading.Lock, path: Path, name: str) -> bytes:
    try:
        with lock:
            return archive.read(name)
    # An unsupported compression method raises NotImplementedError, an encrypted file RuntimeError.
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise UnreadableImageError(
            f"{path / name}: cannot be read from the .zip file ({error}); create it again"
        ) from None
