"""Structural similarity with the uniform 7x7 or the Gaussian 11x11 window."""

from __future__ import annotations

import math
from typing import Any, cast

from sirr_jax.errors import UserError
from sirr_jax.metrics._images import Image, Score, finish, prepare

_GAUSSIAN = tuple(math.exp(-0.5 * (k / 1.5) ** 2) for k in range(-5, 6))

# By name: weights of the window along one axis, and factor from population to sample covariance.
_WINDOWS = {
    "uniform": ((1.0 / 7.0,) * 7, 49.0 / 48.0),
    "gaussian": (tuple(weight / sum(_GAUSSIAN) for weight in _GAUSSIAN), 1.0),
}
_C1 = 0.01**2
_C2 = 0.03**2


def ssim(estimate: Image, target: Image, *, window: str = "uniform") -> Score:
    """Computes the mean structural similarity, at most 1; higher is better (benchmark protocol, section 1).

    It is the mean over the windows inside the image, per channel, then over channels; K1 = 0.01, K2 = 0.03 of the
    dynamic range. Both windows equal scikit-image's: "uniform" is its default (7x7, sample covariance) and the one
    reported for reflection removal; "gaussian" is Wang et al. 2004 (11x11, sigma 1.5, population covariance).

    Args:
        estimate: image [H, W, C] or batch [N, H, W, C], floating point; clipped to [0, 1], not rounded.
        target: target of the same shape, floating point, in [0, 1].
        window: window function, "uniform" or "gaussian".

    Returns:
        One value per image: a `float` for [H, W, C], [N] for a batch. float64 for NumPy arrays; a float32 JAX
        array if either argument is a JAX array or tracer.

    Raises:
        UserError: The window is unknown, the images are smaller than it (7 or 11 pixels a side), the shapes differ or
            are not images, or an array is not floating point.
    """
    if window not in _WINDOWS:
        raise UserError(f"ssim: unknown window {window!r}, expected one of {', '.join(_WINDOWS)}")
    _, x, y = prepare(estimate, target, metric=f"ssim ({window} window)", smallest=len(_WINDOWS[window][0]))
    _, similarity = contrast_and_similarity(x, y, window=window)
    return finish(similarity.mean(axis=(-3, -2)).mean(axis=-1))


def contrast_and_similarity(x: Image, y: Image, *, window: str) -> tuple[Image, Image]:
    """Computes the contrast term of SSIM and SSIM itself in every window inside the image.

    Args:
        x: estimate [..., H, W, C] in [0, 1].
        y: target of the same shape.
        window: window function, "uniform" or "gaussian".

    Returns:
        Two arrays [..., H', W', C].
    """
    weights, sample_factor = _WINDOWS[window]
    mean_x, mean_y, variances, covariance = _moments(x, y, weights)
    variances, covariance = sample_factor * variances, sample_factor * covariance
    squares, products = mean_x**2 + mean_y**2 + _C1, 2.0 * mean_x * mean_y + _C1
    above, below = 2.0 * covariance + _C2, variances + _C2
    return above / below, (products * above) / (squares * below)


def _moments(x: Image, y: Image, weights: tuple[float, ...]) -> tuple[Image, Image, Image, Image]:
    """Computes the means of x and y, the sum of their variances, and their covariance in every window."""
    # In float32, E[x^2] - E[x]^2 loses the variance of bright flat regions. The law of total covariance, one axis after
    # the other, squares only deviations from a mean of the same window.
    mean_x, mean_y = x, y
    variances: Any = 0.0 * x
    covariance: Any = variances
    for axis in (-2, -3):
        rows_x, rows_y = _shifts(mean_x, axis, weights), _shifts(mean_y, axis, weights)
        rows_v, rows_c = _shifts(variances, axis, weights), _shifts(covariance, axis, weights)
        mean_x = cast(Image, sum(w * row for w, row in zip(weights, rows_x, strict=True)))
        mean_y = cast(Image, sum(w * row for w, row in zip(weights, rows_y, strict=True)))
        variances = covariance = 0.0
        for w, row_x, row_y, row_v, row_c in zip(weights, rows_x, rows_y, rows_v, rows_c, strict=True):
            deviation_x, deviation_y = row_x - mean_x, row_y - mean_y
            variances = variances + w * (row_v + (deviation_x**2 + deviation_y**2))
            covariance = covariance + w * (row_c + deviation_x * deviation_y)
    return mean_x, mean_y, variances, covariance


def _shifts(image: Image, axis: int, weights: tuple[float, ...]) -> list[Image]:
    """Returns the image shifted to each tap of the window along a (negative) axis, cropped to the windows that fit."""
    fitting = image.shape[axis] - len(weights) + 1
    trailing = (slice(None),) * (-1 - axis)
    indices: list[Any] = [(..., slice(k, k + fitting), *trailing) for k in range(len(weights))]
    return [image[index] for index in indices]
