"""Sources of photos: a folder, .zip file or TFDS set, or the photos that scikit-image installs."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from sirr_jax.data.find_dataset import find_set, is_tfds
from sirr_jax.data.images.decode import image_size, read_image
from sirr_jax.data.images.image_file import ImageFile
from sirr_jax.data.images.reader import FileReader, OnCorrupt, check_large_enough, list_images
from sirr_jax.data.storage.zip_archive import is_zip, zipped_photos
from sirr_jax.errors import UserError

# motorcycle_right.png is left out: it is the stereo partner of motorcycle_left.png, and both could become the layers
# of one sample.
_TRAINING_FILES = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
)
_VALIDATION_FILE = "coffee.png"


class PhotoSource(Protocol):
    """Photos by index. Reading must depend on the index alone and be thread-safe."""

    def __len__(self) -> int:
        """Returns the number of photos."""
        ...

    def name(self, index: int) -> str:
        """Returns the name of a photo in messages."""
        ...

    def size(self, index: int) -> tuple[int, int] | None:
        """Returns height and width of a photo from its header; None if it is unreadable."""
        ...

    def read(self, index: int) -> np.ndarray:
        """Decodes a photo to uint8 RGB `[height, width, 3]`; another photo instead of a skipped one."""
        ...

    def read_alone(self, index: int) -> np.ndarray:
        """Decodes this very photo to uint8 RGB `[height, width, 3]`; raises an error if it is unreadable."""
        ...


class FolderPhotos:
    """All photos of a folder and its subfolders, sorted by path, or those of a .zip file or a TFDS set."""

    def __init__(self, root: str | Path, *, crop: int = 1, on_corrupt: OnCorrupt = "error") -> None:
        """Finds the photos and reads their headers.

        Args:
            root: folder, .zip file of photos, or TFDS set (its folder or `tfds:NAME`, and `#PART`).
            crop: minimum short side of a photo in pixels.
            on_corrupt: rule for files that cannot be decoded, are nearly black or too small. "error" raises an error;
                "skip" logs one warning per file, leaves small photos out, and `read` returns the next photo instead of
                the others.

        Raises:
            UserError: The folder is missing or contains no images, or no photo is left. With `on_corrupt` "error" also:
                a photo is smaller than the crop or its header is unreadable.
        """
        root = Path(root)
        self._reader = FileReader(root, on_corrupt)
        sizes = {path: self._reader.size(path) for path in _files(root)}
        if not any(sizes.values()):
            raise UserError(f"{root}: none of the {len(sizes)} images can be decoded; replace the files")
        self._paths = [path for path, size in sizes.items() if size is None or self._is_large_enough(path, size, crop)]
        self._sizes = [sizes[path] for path in self._paths]
        if not self._paths:
            raise UserError(f"{root}: none of the {len(sizes)} images is as large as the crop; choose smaller crops")

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, index: int) -> str:
        """Returns the path of a photo."""
        return str(self._paths[index])

    def size(self, index: int) -> tuple[int, int] | None:
        """Returns height and width of a photo from its header; None if the header is unreadable and skipped."""
        return self._sizes[index]

    def read_alone(self, index: int) -> np.ndarray:
        """Decodes this very photo, uint8 `[height, width, 3]`, also if unusable ones are skipped.

        Raises:
            UnreadableImageError: The photo cannot be decoded.
        """
        return read_image(self._paths[index])

    def read(self, index: int) -> np.ndarray:
        """Decodes a photo to uint8 `[height, width, 3]`.

        Raises:
            UserError: The photo cannot be decoded or is nearly black, and `on_corrupt` is "error"; or no photo is
                usable.
        """
        return self._reader.first_readable(index, len(self), lambda i: self._reader.photograph(self._paths[i]))

    def _is_large_enough(self, path: ImageFile, size: tuple[int, int], crop: int) -> bool:
        try:
            check_large_enough(str(path), size, crop)
        except UserError as error:
            self._reader.leave_out(path, error)
            return False
        return True


class EmbeddedPhotos:
    """The photos that scikit-image installs: enough to train a first network without a data set.

    The validation photo is held out from training. Its left and right halves count as two photos, so that the two
    layers of a validation sample share no pixel.
    """

    def __init__(self, split: Literal["train", "validation"], *, crop: int = 1) -> None:
        """Finds the photos.

        Args:
            split: "train" for fifteen photos, "validation" for the two halves of a sixteenth.
            crop: minimum short side of a photo in pixels; smaller photos are left out.

        Raises:
            UserError: The split is unknown, scikit-image is not installed or lacks a photo, or fewer than two photos
                are as large as the crop.
        """
        if split not in ("train", "validation"):
            raise UserError(f"split {split!r} of the embedded photos: expected 'train' or 'validation'")
        names = _TRAINING_FILES if split == "train" else (_VALIDATION_FILE,)
        folder = _skimage_data()
        entries: list[tuple[str, Traversable, slice]] = []
        short_sides = []
        for name in names:
            file = folder / name
            height, width = _embedded_size(file)
            for part, columns in _parts(split, width):
                short = min(height, columns.stop - columns.start)
                short_sides.append(short)
                if short >= crop:
                    entries.append((f"scikit-image's {name}{part}", file, columns))
        if len(entries) < 2:
            raise UserError(
                f"crops of {crop}x{crop} need two photos of this size, but the embedded {split} photos "
                f"go up to {sorted(short_sides)[-2]} pixels: choose a smaller config.data.crop or use a photo folder"
            )
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def name(self, index: int) -> str:
        """Returns the name of a photo."""
        return self._entries[index][0]

    def size(self, index: int) -> tuple[int, int]:
        """Returns height and width of a photo from its header."""
        _, file, columns = self._entries[index]
        return _embedded_size(file)[0], columns.stop - columns.start

    def read_alone(self, index: int) -> np.ndarray:
        """Decodes a photo to uint8 `[height, width, 3]`: `read`, which replaces none."""
        return self.read(index)

    def read(self, index: int) -> np.ndarray:
        """Decodes a photo to uint8 `[height, width, 3]`."""
        name, file, columns = self._entries[index]
        with file.open("rb") as stream:
            return read_image(stream, name=name)[:, columns]


def _files(root: Path) -> list[ImageFile]:
    if is_zip(root):
        return [*zipped_photos(root)]
    if not is_tfds(root):
        return [*list_images(root, recursive=True)]
    entries = find_set(root).only_part()
    files = [entry.files["transmission"] for entry in entries if "transmission" in entry.files]
    if not files:
        raise UserError(f"{root}: a TFDS set without clean photos (layer transmission); use another set")
    return files


def _parts(split: str, width: int) -> tuple[tuple[str, slice], ...]:
    if split == "train":
        return (("", slice(0, width)),)
    return ((" (left half)", slice(0, width // 2)), (" (right half)", slice(width // 2, width)))


def _skimage_data() -> Traversable:
    try:
        return importlib.resources.files("skimage") / "data"
    except ModuleNotFoundError:
        raise UserError(
            "the embedded photos come with scikit-image, which is not installed: "
            "pip install 'sirr_jax[train]', or use a photo folder"
        ) from None


def _embedded_size(file: Traversable) -> tuple[int, int]:
    name = f"scikit-image's {file.name}"
    if not file.is_file():
        raise UserError(f"{name} is missing from the installed scikit-image: pip install -U 'sirr_jax[train]'")
    with file.open("rb") as stream:
        return image_size(stream, name=name)
