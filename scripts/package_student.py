"""Put the student of a finished training into the package: half-precision weights and the log of its training.

    python scripts/package_student.py runs/teacher runs/student runs/polish --max-side 640 --self-ensemble 4

Of several runs, each of which went on with what the one before exported, the last one's student. With
`--average earlier.safetensors` it is a mean of its weights and of those that it once went on from, which keeps more of
what that one could do on other pictures (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Writes
`student.safetensors` and `training.json` (what was averaged, and of every run its config, what it said of itself, its
scores if it was scored, everything logged) to sirr_jax/inference/packaged/. The model card beside them, CARD.md, is
written by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sirr_jax import UserError
from sirr_jax.inference.restorer import PACKAGED
from sirr_jax.inference.self_ensemble import check_count
from sirr_jax.weights.model_file import StoredNetwork, load_model, save_model

_LICENSE = "Apache-2.0"
_VGG_LICENSE = "its layers of VGG-19: CC BY 4.0, Karen Simonyan and Andrew Zisserman, rounded to half precision"


def main(argv: list[str]) -> int:
    """Write the files; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs of configs/release.py, in order")
    parser.add_argument(
        "--max-side",
        type=int,
        required=True,
        help="larger photographs are to be restored by way of a copy of this side",
    )
    parser.add_argument(
        "--self-ensemble", type=int, default=1, help="symmetries of a photograph to average over (default: %(default)s)"
    )
    parser.add_argument("--average", type=Path, help="an earlier student of the same form")
    parser.add_argument("--share", type=float, default=0.5, help="of the earlier student in the mean (%(default)s)")
    args = parser.parse_args(argv)
    try:
        check_count(args.self_ensemble)
        model = load_model(args.runs[-1] / "models" / "student.safetensors")
        student = model.networks["student"]
        if args.average:
            student = _mean(student, args.average, args.share)
        halved = student._replace(variables=jax.tree.map(lambda x: np.asarray(x, np.float16), student.variables))
        terms = f"{_LICENSE}; {_VGG_LICENSE}" if student.model_args.get("hypercolumn") else _LICENSE
        averaged = {"earlier": args.average.name, "share": args.share} if args.average else None
        use = {"max_side": args.max_side, "self_ensemble": args.self_ensemble}
        model = model._replace(networks={"student": halved}, license=terms, **use)
        save_model(PACKAGED, model, overwrite=True)
        PACKAGED.with_name("training.json").write_text(_log(args.runs, averaged), encoding="utf-8")
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{PACKAGED}: {PACKAGED.stat().st_size / 2**20:.2f} MiB")
    return 0


def _mean(last: StoredNetwork, path: Path, share: float) -> StoredNetwork:
    earlier = load_model(path).networks.get("student")
    if earlier is None or earlier.model_args != last.model_args:
        raise UserError(f"{path} holds no student {last.model_args}; give --average one of the same form")
    if not 0.0 < share < 1.0:
        raise UserError(f"--share is {share}; choose a number between 0 and 1")

    def mean(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (1.0 - share) * np.asarray(x, np.float32) + share * np.asarray(y, np.float32)

    return last._replace(variables=jax.tree.map(mean, last.variables, earlier.variables))


def _log(runs: list[Path], averaged: dict[str, Any] | None) -> str:
    """One JSON object, `averaged` and `runs` in their order; a line for each step that was logged."""
    head = f'{{"averaged": {json.dumps(averaged)},\n"runs": [\n'
    return head + ",\n".join(_log_of(run) for run in runs) + "\n]}\n"


def _log_of(run: Path) -> str:
    head = {
        "config": _without_places(json.loads((run / "config.json").read_text(encoding="utf-8"))),
        "metadata": (run / "metadata.txt").read_text(encoding="utf-8").splitlines(),
    }
    if (scores := run / "scores.json").exists():
        head["scores"] = json.loads(scores.read_text(encoding="utf-8"))
    lines = (run / "scalars.jsonl").read_text(encoding="utf-8").splitlines()
    records = ",\n".join(json.dumps(_rounded(json.loads(line)), allow_nan=False) for line in lines)
    return json.dumps(head, indent=1)[:-2] + f',\n "log": [\n{records}\n ]\n}}'


def _rounded(record: dict[str, float]) -> dict[str, float]:
    return {
        name: value if isinstance(value, int) else float(f"{value:.5g}")
        for name, value in record.items()
        if name != "time"
    }


def _without_places(config: dict) -> dict:
    """Files and folders by their last name: where they lay is nobody's business."""

    def bare(value: object) -> object:
        if isinstance(value, dict):
            return _without_places(value)
        return Path(value).name if isinstance(value, str) else value

    return {name: bare(value) for name, value in config.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
