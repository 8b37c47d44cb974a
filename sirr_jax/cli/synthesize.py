"""`sirr synthesize`: makes a data set from photos."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sirr_jax.cli.argument_parser import ArgumentParser
from sirr_jax.cli.values import parse_values
from sirr_jax.errors import UserError


def parser() -> argparse.ArgumentParser:
    """Returns the command line of `sirr synthesize`."""
    result = ArgumentParser(
        prog="sirr synthesize",
        description="Make a data set from clean photos: mixtures with reflections, raindrops, watermarks, holes, fog, "
        "rain and other degradations. Writes one folder per layer, manifest.json (seed, parameters and checksums of "
        "every image) and contact_sheet.png. The same seed gives the same bytes.",
    )
    result.add_argument(
        "kind",
        metavar="KIND",
        help="degradation, for example ceilnet or raindrops; `sirr synthesize list` prints the kinds and their options",
    )
    result.add_argument(
        "photos", nargs="?", metavar="PHOTOS", help="folder of photos, or `embedded` for those of scikit-image"
    )
    result.add_argument("out", nargs="?", type=Path, metavar="OUT", help="folder to make")
    result.add_argument("--count", type=int, default=64, metavar="N", help="number of samples (default: 64)")
    result.add_argument(
        "--size", type=int, default=256, metavar="N", help="side of the images in pixels (default: 256)"
    )
    result.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    result.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the kind, for example sigma=[2,3], level=4 or logos=FOLDER; may be repeated",
    )
    result.add_argument(
        "--on-corrupt",
        choices=("error", "skip"),
        default="error",
        help="handling of photos that are unreadable, nearly black or smaller than --size: error stops with a message, "
        "skip leaves them out (default: error)",
    )
    return result


def run(argv: list[str]) -> int:
    """Parses arguments and writes the data set."""
    args = parser().parse_args(argv)

    from sirr_jax.data.prepare.generate import get_generator, kinds

    if args.kind == "list":
        print("\n".join(f"{kind:<22}{' '.join(get_generator(kind, {}).options)}" for kind in kinds()))
        return 0
    if args.photos is None or args.out is None:
        raise UserError("PHOTOS and OUT are required; see sirr synthesize --help")
    if args.out.exists():
        raise UserError(f"{args.out} exists; choose another folder or remove it first")
    generator = get_generator(args.kind, parse_values("--option", args.option))

    from rich.console import Console
    from rich.progress import Progress

    from sirr_jax.data.prepare.generate.dataset import generate_dataset
    from sirr_jax.data.sources.photos import EmbeddedPhotos, FolderPhotos, PhotoSource

    photos: PhotoSource
    if args.photos == "embedded":
        photos = EmbeddedPhotos("train", crop=args.size)
    else:
        # `generate_dataset` skips photos that are too small; with a larger crop the source would stop at them.
        crop = 1 if args.on_corrupt == "skip" else args.size
        photos = FolderPhotos(args.photos, crop=crop, on_corrupt=args.on_corrupt)
    console = Console(stderr=True)
    # A bar in a file would be a line beside the one line of an error.
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(args.kind, total=args.count)
        dataset = generate_dataset(
            args.out,
            photos,
            kind=args.kind,
            generator=generator,
            count=args.count,
            seed=args.seed,
            size=args.size,
            on_corrupt=args.on_corrupt,
            report=lambda done: progress.update(task, completed=done),
        )
    print(dataset.folder)
    if dataset.screening.skipped:
        print(dataset.screening.summary(), file=sys.stderr)
    return 0
