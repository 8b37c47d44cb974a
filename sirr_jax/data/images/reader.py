"""Image files in folders: listing, ordering, and the handling of unreadable files."""

from __future__ import annotations

import copy
import logging
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from sirr_jax.data.images.decode import UnreadableImageError, image_size, read_image
from sirr_jax.data.images.image_file import ImageFile
from sirr_jax.data.images.passing_errors import is_passing, retried
from sirr_jax.data.images.quality import is_nearly_black
from sirr_jax.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from sirr_jax.data.images.decode_cache import DecodeCache

Item = TypeVar("Item")
OnCorrupt = Literal["error", "skip"]

IMAGE_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"})

# What systems and programs leave beside the files of a person, in lower case.
_CLUTTER = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin", "lost+found"}
)

_log = logging.getLogger(__name__)


def is_clutter(name: str) -> bool:
    """Returns whether a name is hidden (`.DS_Store`, `._1.jpg`) or of a file that a system adds (`Thumbs.db`)."""
    return name.startswith(".") or name.lower() in _CLUTTER


def list_folder(folder: Path) -> list[Path]:
    """Lists the entries of a folder without hidden ones and clutter (`is_clutter`), sorted by name.

    Raises:
        UserError: The folder is missing, is not a folder or cannot be read.
    """
    try:
        return retried(lambda: sorted(p for p in folder.iterdir() if not is_clutter(p.name)), name=str(folder))
    except OSError as error:
        if is_passing(error):
            raise
        raise UserError(f"{folder}: not a readable folder ({error.strerror}); check the path") from None


def list_images(folder: Path, *, recursive: bool) -> list[Path]:
    """Lists the image files of a folder by their extension (case-insensitive), sorted by path.

    Other files are ignored with a line in the debug log; hidden files and folders (with a leading dot: `.DS_Store`,
    `._photo.jpg`) and clutter (`Thumbs.db`, `__MACOSX`) are ignored silently. Symbolic links to folders are followed,
    each folder once.

    Args:
        folder: folder to search.
        recursive: whether to search subfolders.

    Returns:
        Paths of the images; at least one.

    Raises:
        UserError: The folder is missing, unreadable, or contains no image.
    """
    images: list[Path] = []
    visited: set[str] = set()
    pending = [folder]
    while pending:
        current = pending.pop()
        resolved = os.path.realpath(current)
        if resolved in visited:
            continue
        visited.add(resolved)
        for path in list_folder(current):
            if path.is_dir():
                if recursive:
                    pending.append(path)
            elif path.suffix.lower() in IMAGE_EXTENSIONS:
                images.append(path)
            else:
                _log.debug("%s: ignored, the extension is not that of an image", path)
    if not images:
        extensions = " ".join(sorted(IMAGE_EXTENSIONS))
        raise UserError(f"{folder}: no images in this folder; expected files ending in {extensions}")
    return sorted(images, key=lambda path: path.relative_to(folder).as_posix())


def natural_order(name: str) -> tuple[list[str | int], str]:
    """Returns a sorting key that puts `frame10` after `frame9`."""
    parts: list[str | int] = [
        int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", name))
    ]
    return parts, name


def check_large_enough(name: str, size: tuple[int, int], crop: int) -> None:
    """Raises an error if the short side of an image is below the crop.

    Args:
        name: name of the image in the message.
        size: height and width in pixels.
        crop: side of the crop in pixels.

    Raises:
        UserError: The image is too small.
    """
    height, width = size
    if min(height, width) < crop:
        raise UserError(
            f"{name} is {width}x{height} pixels (width x height), too small for crops of {crop}x{crop}: "
            "choose smaller crops or remove the file"
        )


class FileReader:
    """Reads the image files of one source, with one rule for unusable files. Thread-safe.

    Errors of the machine (`images.passing_errors`) are raised under both rules and never recorded.
    """

    def __init__(self, root: Path, on_corrupt: OnCorrupt) -> None:
        """Makes a reader.

        Args:
            root: folder of the source, for messages.
            on_corrupt: rule for unusable files. "error" raises an error on the first one; "skip" logs one warning per
                file, with the number of files skipped so far, and uses the next usable file.

        Raises:
            UserError: `on_corrupt` has another value.
        """
        if on_corrupt not in ("error", "skip"):
            raise UserError(f"config.data.on_corrupt={on_corrupt!r}: expected 'error' or 'skip'")
        self._root = root
        self._skips = on_corrupt == "skip"
        self._decode: Callable[[ImageFile], np.ndarray] = read_image
        self._unreadable: dict[ImageFile, str] = {}
        self._lock = threading.Lock()

    def held(self, memory: DecodeCache) -> FileReader:
        """Returns a reader of the same files that caches decoded images in `memory`."""
        reader = copy.copy(self)
        reader._decode = memory.remember(self._decode)
        return reader

    def size(self, path: ImageFile) -> tuple[int, int] | None:
        """Returns height and width from the header; None for an unreadable header if such files are skipped."""
        try:
            return image_size(path)
        except UnreadableImageError as error:
            self.leave_out(path, error)
            return None

    def image(self, path: ImageFile) -> np.ndarray:
        """Decodes a file to uint8 `[height, width, 3]`; a file that failed before fails again without decoding."""
        if path in self._unreadable:
            raise UnreadableImageError(self._unreadable[path])
        try:
            return self._decode(path)
        except UnreadableImageError as error:
            if self._skips:
                self._note(path, error)
            raise

    def photograph(self, path: ImageFile) -> np.ndarray:
        """Decodes a photo as `image` does, and rejects a nearly black one.

        Raises:
            UnreadableImageError: The file cannot be decoded, or 99 of 100 pixels are below 8 of 255 in every channel.
        """
        image = self.image(path)
        if is_nearly_black(image):
            error = UnreadableImageError(
                f"{path}: nearly black, no sample can be made from it; remove the file or set "
                "config.data.on_corrupt=skip"
            )
            if self._skips:
                self._note(path, error)
            raise error
        return image

    def leave_out(self, path: ImageFile, error: UserError) -> None:
        """Records an unusable file if such files are skipped.

        Raises:
            UserError: Such files are not skipped; raises `error`.
        """
        if not self._skips:
            raise error
        self._note(path, error)

    def first_readable(self, start: int, count: int, read: Callable[[int], Item]) -> Item:
        """Reads item `start`; if unusable files are skipped, the next readable item, cyclically.

        The choice of the item depends on the files alone, never on earlier reads.

        Args:
            start: index of the requested item.
            count: number of items.
            read: function that reads one item by index, through `image`.

        Returns:
            The item.

        Raises:
            UnreadableImageError: The item cannot be read and unusable files are not skipped.
            UserError: No item can be read.
        """
        for offset in range(count):
            try:
                return read((start + offset) % count)
            except UnreadableImageError:
                if not self._skips:
                    raise
        raise UserError(f"{self._root}: none of the {count} entries can be decoded; replace the damaged files")

    def _note(self, path: ImageFile, error: UserError) -> None:
        with self._lock:
            if path not in self._unreadable:
                self._unreadable[path] = str(error)
                _log.warning("skipped (%d so far): %s", len(self._unreadable), error)
