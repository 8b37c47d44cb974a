"""Image files in folders: finding them, ordering them, and what happens to those that cannot be read."""

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
from sirr_jax.data.images.quality import is_nearly_black
from sirr_jax.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from sirr_jax.data.images.decode_cache import DecodeCache

Item = TypeVar("Item")
OnCorrupt = Literal["error", "skip"]

IMAGE_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"})

_log = logging.getLogger(__name__)


def list_folder(folder: Path) -> list[Path]:
    """Lists what is in a folder, hidden entries aside, sorted by name.

    Raises:
      UserError: The folder is missing, is not a folder or may not be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder}: not a folder that can be read ({error.strerror}); check the path") from None


def list_images(folder: Path, *, recursive: bool) -> list[Path]:
    """Lists the image files of a folder, known by their extension in any case, sorted by path.

    Other files are left out with a line in the debug log, and so is what is hidden (a name that starts with a
    dot: `.DS_Store`, `._photo.jpg`). Linked folders are followed, each folder once.

    Args:
      folder: Where to look.
      recursive: Whether to look into the folders inside.

    Returns:
      The paths; at least one.

    Raises:
      UserError: The folder is missing, unreadable, or without a single image.
    """
    images: list[Path] = []
    seen: set[str] = set()
    pending = [folder]
    while pending:
        current = pending.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        for path in list_folder(current):
            if path.is_dir():
                if recursive:
                    pending.append(path)
            elif path.suffix.lower() in IMAGE_EXTENSIONS:
                images.append(path)
            else:
                _log.debug("%s: ignored, not an image by its extension", path)
    if not images:
        extensions = " ".join(sorted(IMAGE_EXTENSIONS))
        raise UserError(f"{folder}: no images in this folder; expected files ending in {extensions}")
    return sorted(images, key=lambda path: path.relative_to(folder).as_posix())


def natural_order(name: str) -> tuple[list[str | int], str]:
    """Sorting key that puts `frame10` after `frame9`."""
    parts: list[str | int] = [
        int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", name))
    ]
    return parts, name


def check_large_enough(name: str, size: tuple[int, int], crop: int) -> None:
    """Refuses an image whose short side is below the crop.

    Args:
      name: What the message calls the image.
      size: Height and width in pixels.
      crop: Side of the crop in pixels.

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
    """Reads the image files of one source, under one rule for files that cannot be used.

    Safe to use from several threads.
    """

    def __init__(self, root: Path, on_corrupt: OnCorrupt) -> None:
        """Makes a reader.

        Args:
          root: The source's folder, for messages.
          on_corrupt: "error" raises on the first file that cannot be used; "skip" logs one warning per file,
            with the number of files skipped so far, and goes on with the next that can.

        Raises:
          UserError: `on_corrupt` is neither of the two.
        """
        if on_corrupt not in ("error", "skip"):
            raise UserError(f"data.on_corrupt={on_corrupt!r}: expected 'error' or 'skip'")
        self._root = root
        self._skips = on_corrupt == "skip"
        self._decode: Callable[[ImageFile], np.ndarray] = read_image
        self._unreadable: dict[ImageFile, str] = {}
        self._lock = threading.Lock()

    def held(self, memory: DecodeCache) -> FileReader:
        """Returns a reader of the same files that keeps what it decoded in `memory`."""
        reader = copy.copy(self)
        reader._decode = memory.remember(self._decode)
        return reader

    def size(self, path: ImageFile) -> tuple[int, int] | None:
        """Height and width from the header; None for an unreadable header that the rule says to skip."""
        try:
            return image_size(path)
        except UnreadableImageError as error:
            self.leave_out(path, error)
            return None

    def image(self, path: ImageFile) -> np.ndarray:
        """Decodes a file to uint8 `[height, width, 3]`; a file known to be unreadable fails at once."""
        if path in self._unreadable:
            raise UnreadableImageError(self._unreadable[path])
        try:
            return self._decode(path)
        except UnreadableImageError as error:
            if self._skips:
                self._note(path, error)
            raise

    def photograph(self, path: ImageFile) -> np.ndarray:
        """Decodes a photograph to make samples from, as `image` does; one that is nearly black is no use either.

        Raises:
          UnreadableImageError: It cannot be decoded, or 99 of 100 pixels are darker than 8 of 255 in every channel.
        """
        image = self.image(path)
        if is_nearly_black(image):
            error = UnreadableImageError(
                f"{path}: nearly black all over, which no sample can be made from; remove the file or set "
                "data.on_corrupt=skip"
            )
            if self._skips:
                self._note(path, error)
            raise error
        return image

    def leave_out(self, path: ImageFile, error: UserError) -> None:
        """Notes a file that cannot be used, where the rule says to skip such files.

        Raises:
          UserError: `error`, where it does not.
        """
        if not self._skips:
            raise error
        self._note(path, error)

    def first_readable(self, start: int, count: int, read: Callable[[int], Item]) -> Item:
        """Reads item `start`, or where the rule says to skip, the next readable one, going round.

        Which item that is depends on the files alone, never on what was read before.

        Args:
          start: Index of the wanted item.
          count: Number of items.
          read: Reads one item by index, through `image`.

        Returns:
          The item.

        Raises:
          UnreadableImageError: The item cannot be read and the rule is "error".
          UserError: No item can be read.
        """
        for offset in range(count):
            try:
                return read((start + offset) % count)
            except UnreadableImageError:
                if not self._skips:
                    raise
        raise UserError(f"{self._root}: not one of its {count} entries can be decoded; replace the damaged files")

    def _note(self, path: ImageFile, error: UserError) -> None:
        with self._lock:
            if path not in self._unreadable:
                self._unreadable[path] = str(error)
                _log.warning("skipped (%d so far): %s", len(self._unreadable), error)
