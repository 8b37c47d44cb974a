"""`sirr data`: checks and packs data sets."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from sirr_jax.cli.argument_parser import ArgumentParser
from sirr_jax.errors import UserError

if TYPE_CHECKING:
    from sirr_jax.data.layouts.base import Finding
    from sirr_jax.data.prepare.validate import Report

_LISTED_SIZES = 6
_LISTED = 20


def parser() -> argparse.ArgumentParser:
    """Returns the command line of `sirr data`, with its subcommands."""
    result = ArgumentParser(prog="sirr data", description="Check and pack data sets.")
    commands = result.add_subparsers(required=True, metavar="COMMAND")
    _add_check(commands)
    _add_pack(commands)
    return result


def run(argv: list[str]) -> int:
    """Parses arguments and runs the subcommand."""
    args = parser().parse_args(argv)
    return args.run(args)


def _add_check(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    check = commands.add_parser(
        "check",
        help="list the contents and the mistakes of a data set",
        description="Detect the layout of a data set and check names, counts, sizes and labels. The exit code is 0 "
        "for a data set without mistakes and 2 otherwise.",
    )
    check.add_argument("folder", type=Path, metavar="DIR", help="folder of the data set")
    check.add_argument("--as", dest="layout", metavar="NAME", help="layout of the data set (default: detected)")
    check.add_argument("--thorough", action="store_true", help="decode every file instead of the headers alone")
    check.add_argument("--crop", type=int, metavar="N", help="smallest allowed side of the images in pixels")
    check.add_argument("--all", action="store_true", help=f"list all findings instead of {_LISTED} of each kind")
    check.set_defaults(run=_check)


def _add_pack(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    pack = commands.add_parser(
        "pack",
        renamed={"--licence": "--license"},
        help="write a data set into a TFDS set with a few large files",
        description="Copy the files of a data set, byte for byte and with their names, into a prepared TFDS set "
        "(TensorFlow Datasets) of ArrayRecord files. OUT can replace the data set in training configs.",
    )
    pack.add_argument("set", metavar="SET", help="data set, or SET#PART for one of its parts")
    pack.add_argument("out", metavar="OUT", help="folder to make, or tfds:NAME for NAME/1.0.0 in $TFDS_DATA_DIR")
    pack.add_argument("--as", dest="layout", metavar="NAME", help="layout of the data set (default: detected)")
    pack.add_argument(
        "--license", default="", metavar="TEXT", help="license of the images, for the description of the set"
    )
    pack.add_argument("--shard-mib", type=int, default=256, metavar="N", help="size of a shard in MiB (default: 256)")
    pack.add_argument(
        "--on-corrupt",
        choices=("error", "skip"),
        default="error",
        help="handling of unreadable files: error stops with a message, skip leaves them out (default: error)",
    )
    pack.set_defaults(run=_pack)


def _pack(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from sirr_jax.data.prepare.pack import pack

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(args.out, total=None)
        packed = pack(
            args.set,
            args.out,
            layout=args.layout,
            shard_bytes=args.shard_mib * 2**20,
            license=args.license,
            skip_unreadable=args.on_corrupt == "skip",
            report=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print(f"{packed.folder}: {packed.title} ({packed.layout})")
    for part, count in packed.parts.items():
        _print_row(part or "images", str(count))
    _print_row("shards", f"{packed.shards}, {packed.bytes / 2**20:.1f} MiB")
    _print_row("license", packed.license or "not stated")
    if packed.skipped:
        _print_row("skipped", f"{len(packed.skipped)} images that cannot be decoded; metadata.json lists them")
    return 0


def _check(args: argparse.Namespace) -> int:
    from sirr_jax.data.prepare.validate import check

    report = check(args.folder, layout=args.layout, thorough=args.thorough, crop=args.crop)
    _print_summary(report)
    limit = None if args.all else _LISTED
    _print_findings("notes", report.notes, report.root, limit)
    _print_findings("mistakes", report.mistakes, report.root, limit)
    if report.mistakes:
        count = len(report.mistakes)
        raise UserError(
            f"{args.folder}: {count} mistake{'s' * (count > 1)}, listed above; correct them and check again"
        )
    return 0


def _print_summary(report: Report) -> None:
    print(f"{report.root}: {report.layout.title} ({report.layout.name})")
    for part in report.parts:
        expected = f" of {' or '.join(map(str, part.expected))}" if part.expected else ""
        _print_row(part.name or "images", f"{len(part.entries)}{expected}")
    sequences = len({entry.sequence for part in report.parts for entry in part.entries if entry.sequence})
    if sequences:
        _print_row("sequences", str(sequences))
    listed = [f"{width}x{height} ({count})" for (height, width), count in report.sizes.most_common(_LISTED_SIZES)]
    more = len(report.sizes) - len(listed)
    if listed:
        _print_row("sizes", ", ".join(listed) + (f" and {more} more" if more else ""))
    _print_row("checked", "every pixel" if report.thorough else "names and headers; --thorough decodes the files")


def _print_findings(title: str, findings: Sequence[Finding], root: Path, limit: int | None) -> None:
    if not findings:
        return
    print(f"{title}:")
    for kind, group in groupby(sorted(findings, key=lambda finding: finding.kind), key=lambda finding: finding.kind):
        of_kind = list(group)
        for finding in of_kind[:limit]:
            name = "." if finding.path == root else finding.path.relative_to(root).as_posix()
            # File names from archives of other systems may not be UTF-8; they are printed with question marks.
            print(f"  {name}: {finding.text}".encode(errors="replace").decode())
        if limit is not None and len(of_kind) > limit:
            print(f"  ... and {len(of_kind) - limit} more ({kind}); --all lists them")


def _print_row(name: str, value: str) -> None:
    print(f"  {name:<11}{value}")
