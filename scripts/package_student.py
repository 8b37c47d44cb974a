"""Writes the bundled model: the student of finished runs in half precision, with the log of its training.

    python scripts/package_student.py runs/teacher runs/student runs/polish --max-side 640 --self-ensemble 4

Each run started from the export of the run before; the student is that of the last run. `--average earlier.safetensors`
averages its weights with those of an earlier student that it was trained from, which keeps more of the earlier
student's accuracy on other images (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Writes
`student.safetensors` and `training.json` (the averaging; config, metadata, scores if any, and log of every run) to
sirr_jax/inference/packaged/. The model card beside them, CARD.md, is written by hand.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sirr_jax import UserError
from sirr_jax.inference.restorer import PACKAGED
from sirr_jax.inference.self_ensemble import check_count
from sirr_jax.json_text import to_json
from sirr_jax.weights.license import is_non_commercial
from sirr_jax.weights.model_file import Model, StoredNetwork, load_model, save_model

_TITLE = "sirr_jax bundled student"
_AUTHOR = "sirr_jax contributors"
_VGG_AUTHOR = "VGG-19 layers: Karen Simonyan, Andrew Zisserman"
_LICENSE = "Apache-2.0"
_VGG_LICENSE = "its layers of VGG-19: CC BY 4.0, Karen Simonyan and Andrew Zisserman, rounded to half precision"


def main(argv: list[str]) -> int:
    """Writes the files; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "runs", nargs="+", type=Path, help="folders of finished runs of configs/release.py, in the order of training"
    )
    parser.add_argument(
        "--max-side",
        type=int,
        required=True,
        metavar="N",
        help="recommended longer side in pixels: larger photos are processed at this size",
    )
    parser.add_argument(
        "--self-ensemble",
        type=int,
        default=1,
        metavar="N",
        help="recommended number of flips and rotations to average over: 1, 2, 4 or 8 (default: %(default)s)",
    )
    parser.add_argument(
        "--average", type=Path, metavar="FILE", help="model file of an earlier student with the same arguments"
    )
    parser.add_argument(
        "--share", type=float, default=0.5, help="weight of the earlier student in the mean (default: %(default)s)"
    )
    args = parser.parse_args(argv)
    try:
        check_count(args.self_ensemble)
        model = load_model(args.runs[-1] / "models" / "student.safetensors")
        student = _checked(model)
        if args.average:
            student = _mean(student, args.average, args.share)
        halved = student._replace(variables=jax.tree.map(lambda x: np.asarray(x, np.float16), student.variables))
        has_vgg = bool(student.model_args.get("hypercolumn"))
        averaged = {"earlier": args.average.name, "share": args.share} if args.average else None
        model = model._replace(
            networks={"student": halved},
            title=_TITLE,
            author=f"{_AUTHOR}; {_VGG_AUTHOR}" if has_vgg else _AUTHOR,
            date=datetime.date.today().isoformat(),
            license=f"{_LICENSE}; {_VGG_LICENSE}" if has_vgg else _LICENSE,
            max_side=args.max_side,
            self_ensemble=args.self_ensemble,
        )
        save_model(PACKAGED, model, overwrite=True)
        PACKAGED.with_name("training.json").write_text(_training_log(args.runs, averaged), encoding="utf-8")
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{PACKAGED}: {PACKAGED.stat().st_size / 2**20:.2f} MiB")
    return 0


def _checked(model: Model) -> StoredNetwork:
    """Returns the student, which must be trained and come from no weights that forbid commercial use."""
    student = model.networks["student"]
    if student.steps == 0:
        raise UserError("the student of the last run was never trained (0 steps); finish the run first")
    if forbidden := [parent for parent in student.parents if is_non_commercial(parent.license)]:
        names = ", ".join(f"{parent.name} ({parent.license})" for parent in forbidden)
        raise UserError(f"the student comes from weights that forbid commercial use: {names}; train it without them")
    return student


def _mean(last: StoredNetwork, path: Path, share: float) -> StoredNetwork:
    earlier = load_model(path).networks.get("student")
    if earlier is None or earlier.model_args != last.model_args:
        raise UserError(f"{path} has no student with the arguments {last.model_args}; give --average another file")
    if not 0.0 < share < 1.0:
        raise UserError(f"--share is {share}; choose a number between 0 and 1")

    def mean(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (1.0 - share) * np.asarray(x, np.float32) + share * np.asarray(y, np.float32)

    return last._replace(variables=jax.tree.map(mean, last.variables, earlier.variables))


def _training_log(runs: list[Path], averaged: dict[str, Any] | None) -> str:
    """Returns one JSON object with `averaged` and `runs`; each logged step is one line."""
    head = f'{{"averaged": {to_json(averaged)},\n"runs": [\n'
    return head + ",\n".join(_run_log(run) for run in runs) + "\n]}\n"


def _run_log(run: Path) -> str:
    head = {
        "config": _without_folders(json.loads((run / "config.json").read_text(encoding="utf-8"))),
        "metadata": (run / "metadata.txt").read_text(encoding="utf-8").splitlines(),
    }
    if (scores := run / "scores.json").exists():
        head["scores"] = json.loads(scores.read_text(encoding="utf-8"))
    lines = (run / "scalars.jsonl").read_text(encoding="utf-8").splitlines()
    records = ",\n".join(to_json(_rounded(json.loads(line))) for line in lines)
    return to_json(head, indent=1)[:-2] + f',\n "log": [\n{records}\n ]\n}}'


def _rounded(record: dict[str, float | None]) -> dict[str, float | None]:
    return {
        name: float(f"{value:.5g}") if isinstance(value, float) else value
        for name, value in record.items()
        if name != "time"
    }


def _without_folders(config: dict) -> dict:
    """Reduces paths to their last component, so that no folder names are published."""

    def bare(value: object) -> object:
        if isinstance(value, dict):
            return _without_folders(value)
        return Path(value).name if isinstance(value, str) else value

    return {name: bare(value) for name, value in config.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
