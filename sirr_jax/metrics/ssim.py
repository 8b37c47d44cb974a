"""Structural similarity with the uniform 7x7 or the Gaussian 11x11 window."""

from __future__ import annotations

import math

from sirr_jax.errors import UserError
from sirr_jax.metrics._images import Image, Score, finish, prepare

_GAUSSIAN = tuple(math.exp(-0.5 * (k / 1.5) ** 2) for k in range(-5, 6))

# Name -> (weights of the window along one axis, factor from population to sample covariance).
_WINDOWS = {
    "uniform": ((1.0 / 7.0,) * 7, 49.0 / 48.0),
    "gaussian": (tuple(weight / sum(_GAUSSIAN) for weight in _GAUSSIAN), 1.0),
}
_C1 = 0.01**2
_C2 = 0.03**2


def ssim(estimate: Image, target: Image, *, window: str = "uniform") -> Score:
    """Mean structural similarity, at most 1; higher is better (benchmark protocol, section 1).

    Per channel, over the windows that lie inside the image, then the mean over channels; K1 = 0.01, K2 = 0.03
    of the dynamic range. Both windows equal scikit-image's: "uniform" is its default (7x7, sample covariance)
    and what reflection removal reports; "gaussian" is Wang et al. 2004 (11x11, sigma 1.5, population
    covariance).

    Args:
        estimate: [H, W, C] or [N, H, W, C], floating point; clipped to [0, 1], not rounded.
        target: the same shape, floating point, in [0, 1].
        window: "uniform" or "gaussian".

    Returns:
        One value per image: a `float` for [H, W, C], [N] for a batch. float64 for NumPy arrays; a float32 JAX
        array if either argument is a JAX array or tracer.

    Raises:
        UserError: unknown window; images smaller than it (7 or 11 pixels a side); shapes differ or are not
            images; an array is not floating point.
    """
    if window not in _WINDOWS:
        raise UserError(f"ssim: unknown window {window!r}, expected one of {', '.join(_WINDOWS)}")
    weights, sample_factor = _WINDOWS[window]
    _, x, y = prepare(estimate, target, metric=f"ssim ({window} window)", smallest=len(weights))
    mean_x, mean_y, variances, covariance = _moments(x, y, weights)
    variances, covariance = sample_factor * variances, sample_factor * covariance
    similarity = ((2.0 * mean_x * mean_y + _C1) * (2.0 * covariance + _C2)) / (
        (mean_x**2 + mean_y**2 + _C1) * (variances + _C2)
    )
    return finish(similarity.mean(axis=(-3, -2)).mean(axis=-1))


def _moments(x: Image, y: Image, weights: tuple[float, ...]) -> tuple[Image, Image, Image, Image]:
    """Means of x and y, sum of their variances, and covariance, in every window inside the image."""
    # E[x^2] - E[x]^2 loses the variance of bright flat regions in float32. The law of total covariance, one
    # axis after the other, only ever squares deviations from a mean of the same window.
    mean_x, mean_y = x, y
    variances = covariance = 0.0 * x
    for axis in (-2, -3):
        rows_x, rows_y = _shifts(mean_x, axis, weights), _shifts(mean_y, axis, weights)
        rows_v, rows_c = _shifts(variances, axis, weights), _shifts(covariance, axis, weights)
        mean_x = sum(w * row for w, row in zip(weights, rows_x, strict=True))
        mean_y = sum(w * row for w, row in zip(weights, rows_y, strict=True))
        variances = covariance = 0.0
        for w, row_x, row_y, row_v, row_c in zip(weights, rows_x, rows_y, rows_v, rows_c, strict=True):
            deviation_x, deviation_y = row_x - mean_x, row_y - mean_y
            variances = variances + w * (row_v + (deviation_x**2 + deviation_y**2))
            covariance = covariance + w * (row_c + deviation_x * deviation_y)
    return mean_x, mean_y, variances, covariance


def _shifts(image: Image, axis: int, weights: tuple[float, ...]) -> list[Image]:
    """The image seen from each tap of the window along one axis (negative), cut to the windows that fit."""
    fitting = image.shape[axis] - len(weights) + 1
    behind = (slice(None),) * (-1 - axis)
    return [image[(..., slice(k, k + fitting), *behind)] for k in range(len(weights))]
