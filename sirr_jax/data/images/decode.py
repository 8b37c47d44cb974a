"""One image file -> uint8 RGB, whatever the file holds."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from sirr_jax.data.images.image_file import ImageFile, PackedFile
from sirr_jax.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIFF_WIDTH = 256
_TIFF_HEIGHT = 257
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATIONS_ON_THE_SIDE = (5, 6, 7, 8)


class UnreadableImageError(UserError):
    """A file that should hold an image and cannot be decoded: not an image, truncated, damaged, or gone."""


def read_image(file: str | ImageFile | BinaryIO, *, name: str | None = None) -> np.ndarray:
    """Decodes one image the way a viewer would show it.

    * The EXIF (or XMP) orientation is applied; a damaged EXIF block counts as upright.
    * Gray, two-level, palette, CMYK and YCbCr images become RGB. Color profiles are not applied (`read_profile`).
    * Transparency (an alpha channel, a transparent palette entry or a color key) is composited over white,
      as on a
      page: what lies under transparent pixels is arbitrary.
    * 16 bits of gray become 8 by rounding, of color by leaving out the lower 8; floating-point images are taken
      as [0, 1].
    * Of an animation or of several pages, the first.

    Args:
      file: A path, a file inside a shard, or a binary file opened for reading.
      name: What error messages call the file; its path when left out.

    Returns:
      uint8 `[height, width, 3]`, RGB, read-only.

    Raises:
      UnreadableImageError: The file is missing, not an image, truncated or damaged, or its values have no
        8-bit meaning (floats outside [0, 1], integers beyond 16 bits).
    """
    with _opened(file, name) as image:
        image.load()
        transposition = _TRANSPOSITIONS.get(_orientation(image))
        upright = image if transposition is None else image.transpose(transposition)
        return _rgb(upright)


def read_profile(file: str | BinaryIO) -> bytes | None:
    """Reads the ICC profile that the colors of `read_image` are meant in; None where there is none.

    Only an image that is RGB in the file keeps its profile: what others become is no longer what theirs describes.

    Args:
      file: A path or a binary file opened for reading.

    Raises:
      UnreadableImageError: The file is missing or its header is not that of an image.
    """
    with _opened(file, None) as image:
        return image.info.get("icc_profile") if image.mode in ("RGB", "RGBA") else None


def image_size(file: str | ImageFile | BinaryIO, *, name: str | None = None) -> tuple[int, int]:
    """Reads the size that `read_image` will return, from the header alone.

    Args:
      file: A path, a file inside a shard, or a binary file opened for reading.
      name: What error messages call the file; its path when left out.

    Returns:
      Height and width in pixels, orientation applied.

    Raises:
      UnreadableImageError: The file is missing or its header is not that of an image.
    """
    if isinstance(file, PackedFile):
        return file.size
    with _opened(file, name) as image:
        width, height = image.size
        if hasattr(image, "tag_v2"):
            # Whether Pillow has already turned a TIFF's size depends on its version; the tags are never
            # turned.
            width, height = image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
        return (width, height) if _orientation(image) in _ORIENTATIONS_ON_THE_SIDE else (height, width)


@contextmanager
def _opened(file: str | ImageFile | BinaryIO, name: str | None) -> Iterator[Image.Image]:
    name = str(file) if name is None else name
    try:
        with Image.open(file.open() if isinstance(file, PackedFile) else file) as image:
            yield image
    except UserError:  # a shard that cannot be read says so itself
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(
            f"{name}: not an image, whatever its name says; replace the file or remove it"
        ) from None
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise UnreadableImageError(f"{name}: cannot be opened ({error.strerror}); check the path") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(
            f"{name}: more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; make the image smaller"
        ) from None
    except Exception as error:  # Pillow's decoders raise almost every built-in error on damaged data
        raise UnreadableImageError(
            f"{name}: the image is truncated, damaged or of an unknown kind "
            f"({type(error).__name__}: {error}); replace the file or remove it"
        ) from error


def _orientation(image: Image.Image) -> int:
    try:
        # The base class's method: the one of PNG files would decode the whole image to look for late EXIF
        # data.
        return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
    except Exception:  # a photograph with a damaged EXIF block is still a photograph
        return 1


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _gray(np.asarray(image).astype(np.float64), full_scale=65535)
    if image.mode == "F":
        return _gray(np.asarray(image).astype(np.float64), full_scale=1)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _gray(values: np.ndarray, *, full_scale: int) -> np.ndarray:
    # Written so that NaN fails too.
    if not (values.min() >= 0 and values.max() <= full_scale):
        raise ValueError(f"values {values.min():g} to {values.max():g} where 0 to {full_scale} was expected")
    gray = np.rint(values * (255 / full_scale)).astype(np.uint8)
    rgb = np.repeat(gray[:, :, None], 3, axis=2)
    rgb.flags.writeable = False
    return rgb
