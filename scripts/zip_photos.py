"""Writes photos into one .zip file for training: reduced to a longest side and saved as JPEG.

    python scripts/zip_photos.py photos/cid22 photos/clic2025 --out photos.zip --side 768 --quality 92
    sirr train --config=dynamics:small --workdir=runs/small --config.data.photos=photos.zip

The same photos give the same bytes.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from sirr_jax.data.images.decode import read_image
from sirr_jax.data.images.reader import list_images
from sirr_jax.errors import UserError
from sirr_jax.temporary_paths import new_file

# A fixed date, so that the same photos give the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def main(argv: list[str]) -> int:
    """Writes the file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of photos, searched recursively")
    parser.add_argument("--out", type=Path, required=True, help=".zip file to write")
    parser.add_argument("--side", type=int, default=768, help="longest side of the photos in pixels (default: 768)")
    parser.add_argument("--quality", type=int, default=92, help="JPEG quality, 1 to 95 (default: 92)")
    args = parser.parse_args(argv)
    try:
        if args.out.exists():
            raise UserError(f"{args.out} exists; choose another --out or remove it first")
        with new_file(args.out, overwrite=False) as partial, zipfile.ZipFile(partial, "w") as archive:
            for path, name in archive_names(args.folders):
                archive.writestr(zipfile.ZipInfo(name, _DATE), _jpeg(path, args.side, args.quality))
    except UserError as error:
        print(f"zip_photos: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: {args.out.stat().st_size / 2**20:.1f} MiB")
    return 0


def archive_names(folders: Sequence[Path]) -> list[tuple[Path, str]]:
    """Names photos inside the .zip file; no two names are equal, not even on systems that ignore case.

    Args:
        folders: folders of photos. A photo in several of them counts once.

    Returns:
        Photo and name: `<folder>/<path in it>.jpg`. Of photos with equal names, such as `a.png` and `a.jpg`, those
        after the first have their extension in it, `a_png.jpg`, and a number if need be.

    Raises:
        UserError: A folder has no photo.
    """
    names: list[tuple[Path, str]] = []
    taken: set[str] = set()
    photos: set[Path] = set()
    homes: set[str] = set()
    for folder in folders:
        home = _unused(homes, [folder.resolve().name])
        for path in list_images(folder, recursive=True):
            if path.resolve() in photos:
                print(f"zip_photos: {path} occurs twice; written once", file=sys.stderr)
                continue
            photos.add(path.resolve())
            bare = (Path(home) / path.relative_to(folder)).with_suffix("").as_posix()
            name = _unused(taken, [bare, f"{bare}_{path.suffix[1:].lower()}"])
            names.append((path, f"{name}.jpg"))
    return names


def _unused(taken: set[str], names: Sequence[str]) -> str:
    """Returns the first name that is not taken, of `names` and the last of them with 2, 3, ..., and takes it."""
    numbered = (f"{names[-1]}_{number}" for number in itertools.count(2))
    chosen = next(name for name in itertools.chain(names, numbered) if name.casefold() not in taken)
    taken.add(chosen.casefold())
    return chosen


def _jpeg(path: Path, side: int, quality: int) -> bytes:
    image = Image.fromarray(read_image(path))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
