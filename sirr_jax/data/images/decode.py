"""Decodes one image file of any kind to uint8 RGB."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from sirr_jax.data.images.image_file import ImageFile, PackedFile
from sirr_jax.data.images.passing_errors import is_passing, retried
from sirr_jax.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

Result = TypeVar("Result")

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
_TRANSPOSING_ORIENTATIONS = (5, 6, 7, 8)


class UnreadableImageError(UserError):
    """An image file cannot be decoded: it is missing, truncated, damaged or not an image."""


def read_image(file: str | ImageFile | IO[bytes], *, name: str | None = None) -> np.ndarray:
    """Decodes one image as a viewer shows it.

    * The EXIF (or XMP) orientation is applied; a damaged EXIF block counts as upright.
    * Gray, two-level, palette, CMYK and YCbCr images become RGB. Color profiles are not applied (`read_profile`).
    * Transparency (an alpha channel, a transparent palette entry or a color key) is composited over white; the
      colors of fully transparent pixels are arbitrary.
    * 16-bit gray values are rounded to 8 bits; 16-bit color values lose their lower 8 bits. Floating-point images
      must have values in [0, 1].
    * Only the first frame or page of an animation or a multi-page file is read.

    Args:
        file: path, packed file, or binary file opened for reading.
        name: name of the file in error messages; None for its path.

    Returns:
        uint8 RGB `[height, width, 3]`, read-only.

    Raises:
        UnreadableImageError: The file is missing, not an image, truncated or damaged, or its values cannot be converted
            to 8 bits (floats outside [0, 1], integers beyond 16 bits).
        OSError: The file cannot be read at present; see `sirr_jax.data.images.passing_errors`.
        MemoryError: The memory does not suffice.
    """

    def read(image: Image.Image) -> np.ndarray:
        image.load()
        transposition = _TRANSPOSITIONS.get(_orientation(image))
        upright = image if transposition is None else image.transpose(transposition)
        return _rgb(upright)

    return _read(file, name, read)


def read_encoded(file: ImageFile) -> bytes:
    """Returns the bytes of an image file.

    Raises:
        UnreadableImageError: The file is missing or not readable.
        OSError: The file cannot be read at present.
    """
    if isinstance(file, PackedFile):
        return file.load()
    try:
        return retried(file.read_bytes, name=str(file))
    except MemoryError as error:
        raise MemoryError(f"{file}: not enough memory to read it") from error
    except OSError as error:
        if is_passing(error):
            raise
        raise UnreadableImageError(f"{file}: cannot be opened ({error.strerror}); check the path") from None


def is_plain(encoded: bytes, *, channels: int) -> bool:
    """Returns whether any reader of images decodes a file to the pixels of `read_image`, or to the class indices.

    Args:
        encoded: content of a file that `read_image` decodes.
        channels: 3 for pictures, 1 for label images.

    Returns:
        True for upright PNG and JPEG files of 8 bits, RGB for 3 channels and gray for 1, without transparency.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        is_common = image.format in ("PNG", "JPEG") and not image.has_transparency_data and _orientation(image) == 1
        # Pillow scales gray values of fewer bits.
        mode = "RGB" if channels == 3 else "L"
        return (
            is_common
            and image.mode == mode
            and all(tile[3] in (mode, (mode, "")) or image.format == "JPEG" for tile in image.tile)
        )


def read_profile(file: str | IO[bytes]) -> bytes | None:
    """Reads the ICC profile of the colors that `read_image` returns.

    Only images stored as RGB keep their profile: a profile for another color space does not describe the converted
    colors.

    Args:
        file: path or binary file opened for reading.

    Returns:
        The profile; None if there is none.

    Raises:
        UnreadableImageError: The file is missing or its header is not an image header.
    """

    def read(image: Image.Image) -> bytes | None:
        return image.info.get("icc_profile") if image.mode in ("RGB", "RGBA") else None

    return _read(file, None, read)


def image_size(file: str | ImageFile | IO[bytes], *, name: str | None = None) -> tuple[int, int]:
    """Reads the size of the array that `read_image` returns, from the header alone.

    Args:
        file: path, packed file, or binary file opened for reading.
        name: name of the file in error messages; None for its path.

    Returns:
        Height and width in pixels, with the orientation applied.

    Raises:
        UnreadableImageError: The file is missing or its header is not an image header.
    """
    if isinstance(file, PackedFile) and file.size is not None:
        return file.size

    def read(image: Image.Image) -> tuple[int, int]:
        width, height = image.size
        if hasattr(image, "tag_v2"):
            # Some versions of Pillow apply the orientation to the size of a TIFF; the tags are always unrotated.
            width, height = image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
        return (width, height) if _orientation(image) in _TRANSPOSING_ORIENTATIONS else (height, width)

    return _read(file, name, read, header=True)


def _read(
    file: str | ImageFile | IO[bytes],
    name: str | None,
    read: Callable[[Image.Image], Result],
    *,
    header: bool = False,
) -> Result:
    """Returns what `read` makes of an image; with `header`, only the first bytes of a packed file are available."""
    name = str(file) if name is None else name

    def read_once() -> Result:
        with _opened(file, name, header=header) as image:
            return read(image)

    # A stream cannot be read from the beginning again.
    return retried(read_once, name=name) if isinstance(file, str | Path | PackedFile) else read_once()


@contextmanager
def _opened(file: str | ImageFile | IO[bytes], name: str, *, header: bool) -> Iterator[Image.Image]:
    try:
        with ExitStack() as stack:
            if isinstance(file, PackedFile):
                source = stack.enter_context(file.open_header() if header else file.open())
                yield stack.enter_context(Image.open(source))
            else:
                yield stack.enter_context(Image.open(file))
    except UserError:  # an unreadable archive or TFDS set raises its own message
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(f"{name}: not an image despite its extension; replace or remove the file") from None
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise UnreadableImageError(f"{name}: cannot be opened ({error.strerror}); check the path") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(
            f"{name}: more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; downscale the image"
        ) from None
    except MemoryError as error:
        raise MemoryError(f"{name}: not enough memory to decode it") from error
    except Exception as error:  # Pillow's decoders raise almost every built-in error on damaged data
        if is_passing(error):
            raise
        raise UnreadableImageError(
            f"{name}: the image is truncated, damaged or of an unsupported kind "
            f"({type(error).__name__}: {error}); replace or remove the file"
        ) from error


def _orientation(image: Image.Image) -> int:
    try:
        # The method of the base class: that of PNG files decodes the whole image to find EXIF data at its end.
        return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
    except Exception as error:  # a damaged EXIF block does not make the photo unreadable
        if is_passing(error):
            raise
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
    # This form of the comparison also rejects NaN.
    if not (values.min() >= 0 and values.max() <= full_scale):
        raise ValueError(f"values {values.min():g} to {values.max():g}, expected 0 to {full_scale}")
    gray = np.rint(values * (255 / full_scale)).astype(np.uint8)
    rgb = np.repeat(gray[:, :, None], 3, axis=2)
    rgb.flags.writeable = False
    return rgb
