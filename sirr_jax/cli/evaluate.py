"""`sirr evaluate`: scores models on data sets."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sirr_jax.cli.argument_parser import ArgumentParser
from sirr_jax.errors import UserError

if TYPE_CHECKING:
    from sirr_jax.evaluation.methods import Method
    from sirr_jax.evaluation.score_table import ScoreTable


def parser() -> argparse.ArgumentParser:
    """Returns the command line of `sirr evaluate`."""
    result = ArgumentParser(
        prog="sirr evaluate",
        description="Score models on data sets. The untouched input is always scored too. Writes scores.csv (one row "
        "per image, model and protocol), summary.json and table.md. An interrupted evaluation continues.",
    )
    result.add_argument(
        "sets",
        nargs="+",
        metavar="SET",
        help="data set of any known layout, ROOT#PART for one of its parts, or a folder of data sets",
    )
    result.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="MODEL",
        help="model file, 'bundled' (the bundled student) or 'yang' (Yang et al. 2019, without weights); may be "
        "repeated (default: bundled, unless --restored is given)",
    )
    result.add_argument(
        "--restored",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="folder of pictures that another program restored, with the names of the set's pictures, in DIR or in "
        "DIR/SET; may be repeated",
    )
    result.add_argument(
        "--protocol",
        action="append",
        default=[],
        metavar="NAME",
        help="metric protocol; may be repeated (default: errnet)",
    )
    result.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the results (default: runs/evaluate/NAME of the first set)"
    )
    return result


def run(argv: list[str]) -> int:
    """Parses arguments, scores, writes the results, prints the tables."""
    args = parser().parse_args(argv)
    from rich.console import Console
    from rich.progress import Progress

    from sirr_jax.cli.photo_files import make_folder
    from sirr_jax.evaluation.datasets import find_test_sets
    from sirr_jax.evaluation.evaluate import default_out, evaluate
    from sirr_jax.evaluation.methods import FolderMethod, InputMethod, open_model
    from sirr_jax.evaluation.score_table import ScoreTable
    from sirr_jax.metrics.protocols import protocol_name

    protocols = tuple(dict.fromkeys(protocol_name(name) for name in args.protocol or ["errnet"]))
    test_sets = [test_set for where in args.sets for test_set in find_test_sets(where)]
    _check_unique("sets", [test_set.name for test_set in test_sets])
    models = args.model or ([] if args.restored else ["bundled"])
    methods: list[Method] = [InputMethod(), *map(open_model, models), *map(FolderMethod, args.restored)]
    _check_unique("models", [method.name for method in methods])
    out: Path = args.out or default_out(args.sets)
    make_folder(out)
    table = ScoreTable(out / "scores.csv")
    table.check_models({method.name: method.sha256 for method in methods})
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("images", total=sum(len(test_set.pairs) for test_set in test_sets))
        missing = evaluate(
            test_sets,
            methods,
            protocols,
            table,
            progress=lambda name, done: bar.update(task, description=name, completed=done),
        )
    for name, count in missing.items():
        print(f"sirr evaluate: {name} has no picture for {count} of the sets' pictures", file=sys.stderr)
    _write(out, table, [test_set.name for test_set in test_sets], methods, protocols)
    return 0


def _write(
    out: Path, table: ScoreTable, sets: Sequence[str], methods: Sequence[Method], protocols: Sequence[str]
) -> None:
    import sirr_jax
    from sirr_jax.evaluation.report import markdown
    from sirr_jax.evaluation.summary import overall, sign_test, summarize
    from sirr_jax.json_text import to_json

    names = [method.name for method in methods]
    rows = [
        row
        for row in table.rows.values()
        if row.key.set in sets and row.key.model in names and row.key.protocol in protocols
    ]
    summary = summarize(rows)
    stamp = {
        "version": sirr_jax.__version__,
        "models": {method.name: method.sha256 for method in methods},
        "protocols": list(protocols),
    }
    pairs: list[dict[str, Any]] = []
    for protocol in protocols:
        psnr = {
            name: {
                f"{row.key.set}/{row.key.image}": row.scores["psnr"]
                for row in rows
                if row.key.model == name and row.key.protocol == protocol
            }
            for name in names
        }
        pairs += [
            {"protocol": protocol, "first": first, "second": second, **sign_test(psnr[first], psnr[second])}
            for first, second in combinations(names, 2)
            if psnr[first] and psnr[second]
        ]
    content: dict[str, Any] = {**stamp, "sets": summary, "comparisons": pairs}
    if len(sets) > 1:
        content["overall"] = {
            "sets": list(sets),
            "weighting": "mean over all images of the sets",
            "models": overall(summary, [name for name in sets if name in summary]),
        }
    text = markdown(summary, stamp)
    (out / "summary.json").write_text(to_json(content, indent=2) + "\n", encoding="utf-8")
    (out / "table.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"{out / 'scores.csv'}\n{out / 'summary.json'}\n{out / 'table.md'}")


def _check_unique(what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two {what} are called {name!r}; rename one of their files or folders")
