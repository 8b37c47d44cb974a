"""Means of scores, their uncertainty, images made worse, and comparisons of two models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sirr_jax.evaluation.methods import INPUT
from sirr_jax.evaluation.score_table import METRICS, Row

_RESAMPLES = 2_000


def summarize(rows: Iterable[Row]) -> dict[str, Any]:
    """Summarizes scores by set, model and protocol.

    Args:
        rows: scores of each image.

    Returns:
        `{SET: {"images": n, "models": {MODEL: {PROTOCOL: {METRIC: mean, ..., "images": n, "worse": k, "worst": image,
        "median": {METRIC: ...}, "interval": {METRIC: [low, high]}}}}}}`. Infinite scores (equal images) are left out of
        means and counted as "infinite". "worse" counts images whose PSNR is below the input's.
    """
    tables: dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]] = {}
    for row in rows:
        of_set = tables.setdefault(row.key.set, {})
        of_set.setdefault(row.key.model, {}).setdefault(row.key.protocol, {})[row.key.image] = row.scores
    return {
        name: {
            "images": max(len(images) for protocols in models.values() for images in protocols.values()),
            "models": {
                model: {
                    protocol: _of_images(images, models.get(INPUT, {}).get(protocol, {}))
                    for protocol, images in protocols.items()
                }
                for model, protocols in models.items()
            },
        }
        for name, models in tables.items()
    }


def overall(summary: Mapping[str, Any], sets: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Averages the means of several sets, weighted by their numbers of images, as the field does.

    Args:
        summary: result of `summarize`.
        sets: names of the sets.

    Returns:
        `{MODEL: {PROTOCOL: {METRIC: mean}}}` for models that were scored on all sets.
    """
    result: dict[str, dict[str, dict[str, float]]] = {}
    models = set.intersection(*(set(summary[name]["models"]) for name in sets)) if sets else set()
    for model in sorted(models):
        parts = [summary[name]["models"][model] for name in sets]
        for protocol in sorted(set.intersection(*(set(part) for part in parts))):
            weights = [part[protocol]["images"] for part in parts]
            result.setdefault(model, {})[protocol] = {
                metric: float(np.average([part[protocol][metric] for part in parts], weights=weights))
                for metric in METRICS
                if all(part[protocol].get(metric) is not None for part in parts)
            } | {"images": sum(weights), "worse": sum(part[protocol]["worse"] for part in parts)}
    return result


def sign_test(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Compares two models image by image.

    Args:
        first: image -> score of the first model, higher is better.
        second: the same for the second.

    Returns:
        "better": images for which the first is better, "worse": those for which the second is, "p": two-sided p-value
        of the sign test, 1 where no image differs.
    """
    differences = [first[image] - second[image] for image in first if image in second]
    better, worse = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    count = better + worse
    tail = sum(math.comb(count, k) for k in range(min(better, worse) + 1))
    return {"better": better, "worse": worse, "p": min(1.0, 2 * tail / 2**count)}


def _of_images(
    images: Mapping[str, Mapping[str, float]], of_input: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    medians, intervals = {}, {}
    for metric in METRICS:
        values = np.array([scores[metric] for scores in images.values() if metric in scores])
        finite = values[np.isfinite(values)]
        if not len(finite):
            continue
        result[metric] = float(finite.mean())
        medians[metric], intervals[metric] = float(np.median(finite)), _interval(finite)
        if len(finite) < len(values):
            result.setdefault("infinite", {})[metric] = len(values) - len(finite)
    losses = {image: of_input[image]["psnr"] - scores["psnr"] for image, scores in images.items() if image in of_input}
    worse = {image: loss for image, loss in losses.items() if loss > 0}
    result |= {"images": len(images), "worse": len(worse), "median": medians, "interval": intervals}
    if worse:
        result["worst"] = max(worse, key=lambda image: worse[image])
    return result


def _interval(values: np.ndarray) -> list[float]:
    """The bootstrap's 95 % interval of the mean, from a fixed seed."""
    generator = np.random.default_rng(0)
    means = values[generator.integers(0, len(values), (_RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return [float(low), float(high)]
