"""`sirr synthesize`: a data set made from photographs."""

from __future__ import annotations

import argparse
from pathlib import Path

from sirr_jax.cli.values import parse_values
from sirr_jax.errors import UserError


def run(argv: list[str]) -> int:
    """Parse arguments and make the set."""
    parser = argparse.ArgumentParser(
        prog="sirr synthesize",
        description="Make a data set from clean photographs: mixtures with reflections, raindrops, "
        "watermarks, holes, fog, rain and other degradations. "
        "Writes a folder per layer, manifest.json (seed, parameters and checksums of every image) and "
        "contact_sheet.png. The same seed gives the same bytes.",
    )
    parser.add_argument("kind", help="what to make; `sirr synthesize list` names the kinds and their options")
    parser.add_argument("photos", nargs="?", help="a folder of photographs, or `embedded` (scikit-image's)")
    parser.add_argument("out", nargs="?", type=Path, help="the folder to make")
    parser.add_argument("--count", type=int, default=64, help="how many samples (default: 64)")
    parser.add_argument("--size", type=int, default=256, help="side of the images in pixels (default: 256)")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is random (default: 0)")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the kind, e.g. sigma=[2,3], level=4 or logos=FOLDER",
    )
    parser.add_argument(
        "--on-corrupt",
        choices=("error", "skip"),
        default="error",
        help="what to do with a photograph that is unreadable, nearly black or smaller than --size (default: error)",
    )
    args = parser.parse_args(argv)

    from sirr_jax.data.prepare.generate import get_generator, kinds

    if args.kind == "list":
        print("\n".join(f"{kind:<22}{' '.join(get_generator(kind, {}).options)}" for kind in kinds()))
        return 0
    if args.photos is None or args.out is None:
        parser.error("PHOTOS and OUT are needed")
    if args.out.exists():
        raise UserError(f"{args.out} exists; choose another folder or remove it first")
    generator = get_generator(args.kind, parse_values("--option", args.option))

    from rich.progress import Progress

    from sirr_jax.data.prepare.generate.dataset import make_set
    from sirr_jax.data.sources.photos import EmbeddedPhotos, FolderPhotos

    if args.photos == "embedded":
        photos = EmbeddedPhotos("train", crop=args.size)
    else:
        # Those that are too small are skipped with the rest, where the source would stop.
        least = 1 if args.on_corrupt == "skip" else args.size
        photos = FolderPhotos(args.photos, crop=least, on_corrupt=args.on_corrupt)
    with Progress() as progress:
        task = progress.add_task(args.kind, total=args.count)
        made = make_set(
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
    print(made.folder)
    if made.screening.skipped:
        print(made.screening.summary())
    return 0
