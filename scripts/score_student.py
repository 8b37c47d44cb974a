"""Scores models on synthetic mixtures of held-out photos, separately for each mixing model.

    python scripts/score_student.py /held_out_photos --model runs/release/models/student.safetensors --json scores.json

For each mixing model of `sirr_jax.synthesis.multiview`, the reflection of each photo is the next photo, with the
options of configs/release.py; the same folder gives the same mixtures. Photos are reduced to `--side` first, 320 px as
in training; another side scales the widths of blurs and ghosts (except the kernels of fixed length, CEILNet's and
DSRNet's). The table contains, by protocol `errnet`: the input; the input less the best single constant, fitted on these
samples; Yang et al.'s closed form with the best of several thresholds; and the models. `clean` is the PSNR of a model's
output for the photos themselves.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from sirr_jax import Restorer, UserError, load
from sirr_jax.data.images.decode import read_image
from sirr_jax.data.images.reader import list_images
from sirr_jax.json_text import to_json
from sirr_jax.metrics import psnr, score
from sirr_jax.models.convex_suppression import suppress
from sirr_jax.synthesis.multiview import MIXING_MODELS, MultiviewOptions, synthesize_single

_TRAINED_SIDE = 320
_RELEASE = Path(__file__).parent.parent / "configs" / "release.py"
_THRESHOLDS = (0.01, 0.02, 0.033, 0.05, 0.08, 0.11)


def main(argv: list[str]) -> int:
    """Prints the scores; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of photos that no model was trained on")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], metavar="FILE", help="model file; may be repeated"
    )
    parser.add_argument(
        "--side", type=int, default=_TRAINED_SIDE, help="longest side of the photos in pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, help="side of the mixtures in pixels, a central crop (default: 5/8 of --side)"
    )
    parser.add_argument("--max-side", type=int, help="--max-side of `sirr remove`")
    parser.add_argument("--self-ensemble", type=int, help="--self-ensemble of `sirr remove`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the scores to this file")
    args = parser.parse_args(argv)
    try:
        if args.json and not args.json.resolve().parent.is_dir():
            raise UserError(f"the folder of --json {args.json} does not exist; make it first")
        photos = [_reduced(read_image(file), args.side) for file in list_images(args.photos, recursive=True)]
        if len(photos) < 2:
            raise UserError(f"{args.photos} has {len(photos)} photos; 2 or more are needed to mix them")
        paths = {path.stem if len(args.model) == 1 else str(path): path for path in args.model}
        models = {
            name: load(path, max_side=args.max_side, self_ensemble=args.self_ensemble) for name, path in paths.items()
        }
        size = args.size or args.side * 5 // 8
        mixtures = _score_mixtures(photos, models, size, scale=args.side / _TRAINED_SIDE)
        report = {"mixtures": mixtures, "clean": _score_clean(photos, models)}
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(_table(report))
    if args.json:
        args.json.write_text(to_json(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _reduced(photo: np.ndarray, side: int) -> np.ndarray:
    image = Image.fromarray(photo)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _score_mixtures(
    photos: list[np.ndarray], models: dict[str, Restorer], size: int, *, scale: float
) -> dict[str, dict]:
    crops = np.stack([_middle(photo, size) for photo in photos]).astype(np.float32) / 255.0
    release_options = runpy.run_path(str(_RELEASE))["get_config"]().data.synthesis.to_dict() | {
        "clean_probability": 0.0
    }
    for name in ("blur_weak", "blur_own", "ghosting_shift"):
        release_options[name] = (
            scale * np.asarray(release_options.get(name, getattr(MultiviewOptions(), name)))
        ).tolist()
    report = {}
    for number, name in enumerate(MIXING_MODELS):
        alone = tuple(float(i == number) for i in range(len(MIXING_MODELS)))
        options = MultiviewOptions(**release_options | {"size": size, "model_probabilities": alone})
        make = jax.jit(lambda key, t, r, options=options: synthesize_single(key, t, r, options=options))
        keys = jax.random.split(jax.random.key(number), len(crops))
        samples = [make(key, t, r) for key, t, r in zip(keys, crops, np.roll(crops, -1, axis=0), strict=True)]
        images, targets = (np.stack([np.asarray(sample[i]) for sample in samples]) for i in (0, 1))
        constant = _best_constant(images, targets)
        restorers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "input": lambda image: image,
            "input less a constant": lambda image, c=constant: np.clip(image - c, 0.0, 1.0),
        }
        restorers |= {name: lambda image, model=model: model(image).restored for name, model in models.items()}
        rows = {label: _mean(images, targets, restore) for label, restore in restorers.items()}
        closed = [_mean(images, targets, lambda image, h=h: _suppressed(image, h)) for h in _THRESHOLDS]
        rows["Yang et al., best threshold"] = max(closed, key=lambda row: row["psnr"])
        report[name] = rows
    report["mean"] = {
        row: {m: float(np.mean([report[name][row][m] for name in MIXING_MODELS])) for m in metrics}
        for row, metrics in report[MIXING_MODELS[0]].items()
    }
    return report


def _score_clean(photos: list[np.ndarray], models: dict[str, Restorer]) -> dict[str, dict[str, float]]:
    report = {}
    for name, model in models.items():
        values = [psnr(model(photo).restored, photo.astype(np.float32) / 255.0) for photo in photos]
        report[name] = {"mean": float(np.mean(values)), "least": float(np.min(values))}
    return report


def _middle(photo: np.ndarray, size: int) -> np.ndarray:
    height, width, _ = photo.shape
    if min(height, width) < size:
        raise UserError(f"a photograph is {width}x{height} px; choose a --size of {min(height, width)} or less")
    top, left = (height - size) // 2, (width - size) // 2
    return photo[top : top + size, left : left + size]


def _best_constant(images: np.ndarray, targets: np.ndarray) -> float:
    candidates = np.linspace(0.0, 0.4, 41)
    return float(max(candidates, key=lambda c: np.mean(psnr(np.clip(images - c, 0.0, 1.0), targets))))


def _suppressed(image: np.ndarray, threshold: float) -> np.ndarray:
    return np.clip(np.asarray(suppress(jnp.asarray(image[None]), threshold=threshold))[0], 0.0, 1.0)


def _mean(images: np.ndarray, targets: np.ndarray, restore: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
    scores = [score(restore(image), target, protocol="errnet") for image, target in zip(images, targets, strict=True)]
    return {name: float(np.mean([one[name] for one in scores])) for name in scores[0]}


def _table(report: dict[str, dict]) -> str:
    lines = ["| mixing | output | PSNR | SSIM | LMSE | NCC |", "|---|---|---|---|---|---|"]
    for mixing, rows in report["mixtures"].items():
        for label, row in rows.items():
            scores = f"{row['psnr']:.2f} | {row['ssim']:.4f} | {row['lmse']:.4f} | {row['ncc']:.4f}"
            lines.append(f"| {mixing} | {label} | {scores} |")
    for name, row in report["clean"].items():
        lines.append(f"clean, {name}: {row['mean']:.2f} dB, least {row['least']:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
