"""Folders of layers, in which files of the same name belong to the same picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sirr_jax.data.images.image_file import ImageFile
from sirr_jax.data.images.reader import FileReader, check_large_enough, list_images, natural_order
from sirr_jax.data.layouts.folder_names import subfolder
from sirr_jax.data.layouts.matching import has_folders
from sirr_jax.errors import UserError


def find_layers(folder: Path, *, required: Sequence[str], optional: str) -> dict[str, list[Path]]:
    """Lists the images in the folder of each layer, in natural order of their names.

    Names are compared without extension: blended `1.jpg` belongs to transmission `1.png`.

    Args:
        folder: folder that contains one folder per layer.
        required: names of the required folders, which may be spelled otherwise (`Transmission Layer`).
        optional: name of the optional folder.

    Returns:
        Layer -> paths; entry `i` of every layer belongs to the same picture.

    Raises:
        UserError: A required folder is missing or contains no images, a name occurs twice in one folder, or the names
            in two folders differ.
    """
    for layer in required:
        if not has_folders(folder, layer):
            raise UserError(
                f"{folder} has no folder {layer!r}; expected the folders {', '.join(required)} "
                f"and optionally {optional}"
            )
    present = [*required, optional] if has_folders(folder, optional) else list(required)
    paths = {layer: subfolder(folder, layer) for layer in present}
    by_name = {layer: _by_name(path) for layer, path in paths.items()}
    first = by_name[required[0]]
    for layer in present[1:]:
        _check_same_names(paths[required[0]], first, paths[layer], by_name[layer])
    order = sorted(first, key=natural_order)
    return {layer: [by_name[layer][name] for name in order] for layer in present}


def check_same_size(reader: FileReader, paths: Sequence[ImageFile], crop: int) -> None:
    """Raises an error for images of different sizes or smaller than the crop, by their headers.

    Args:
        reader: reader of the headers; files that it skips are not compared.
        paths: images that must have the same size.
        crop: side of the crop in pixels.

    Raises:
        UserError: The sizes differ or are too small; the message names the file.
    """
    sizes: Mapping[ImageFile, tuple[int, int]] = {
        path: size for path in paths if (size := reader.size(path)) is not None
    }
    for path, size in sizes.items():
        check_large_enough(str(path), size, crop)
    check_equal_sizes(sizes)


def check_equal_sizes(sizes: Mapping[ImageFile, tuple[int, int]]) -> None:
    """Raises an error for images of different sizes.

    Args:
        sizes: file -> height and width in pixels.

    Raises:
        UserError: The sizes differ; the message names the first deviating file and both sizes.
    """
    pairs = list(sizes.items())
    for path, (height, width) in pairs[1:]:
        other, (other_height, other_width) = pairs[0]
        if (height, width) != (other_height, other_width):
            raise UserError(
                f"{path} is {width}x{height} pixels and {other} is {other_width}x{other_height}: "
                "images that belong together must have the same size"
            )


def _by_name(folder: Path) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in list_images(folder, recursive=False):
        if path.stem in names:
            raise UserError(
                f"{path} and {names[path.stem].name} have the same name up to the extension; keep one of them"
            )
        names[path.stem] = path
    return names


def _check_same_names(folder: Path, names: Mapping[str, Path], other: Path, other_names: Mapping[str, Path]) -> None:
    for present, other_present, where in (
        (names, other_names, other),
        (other_names, names, folder),
    ):
        missing = sorted(present.keys() - other_present.keys(), key=natural_order)
        if missing:
            raise UserError(
                f"{where} has no image {missing[0]!r} to match {present[missing[0]]} "
                f"({len(missing)} missing): the folders of all layers must contain the same names"
            )
