"""Common first steps of all metrics: choose the array library, check the pair, clip the estimate."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError

Image = np.ndarray | jax.Array
Score = float | np.ndarray | jax.Array

_FAR_ABOVE = 16.0


def prepare(estimate: Any, target: Any, *, metric: str, smallest: int = 1) -> tuple[ModuleType, Image, Image]:
    """Checks a pair of images and prepares it for a metric (benchmark protocol, section 1).

    The estimate is clipped to [0, 1], the target is not changed, and neither is rounded. The published code then
    multiplies both by 255. Here the constants of the metrics are scaled down instead, which gives the same score: a
    compiler may fuse that product into the following subtraction, and equal pixels would differ by a rounding.

    Args:
        estimate: image [H, W, C] or batch [N, H, W, C], floating point, nominally in [0, 1].
        target: target of the same shape, floating point, in [0, 1].
        metric: name of the metric, for the error message.
        smallest: smallest side in pixels that the metric can score.

    Returns:
        The array library (`jax.numpy` if either argument is a JAX array or tracer, else `numpy`) and the two images in
        its working precision, float32 or float64.

    Raises:
        UserError: The arguments are not floating point, differ in shape, are not images, or are too small; or values of
            NumPy arrays are far above 1.
    """
    xp = jnp if isinstance(estimate, jax.Array) or isinstance(target, jax.Array) else np
    images = {"estimate": xp.asarray(estimate), "target": xp.asarray(target)}
    for role, image in images.items():
        if not jnp.issubdtype(image.dtype, jnp.floating):
            raise UserError(
                f"{metric}: the {role} has dtype {image.dtype}, expected floating point in [0, 1]: "
                "divide 8-bit images by 255"
            )
    x, y = images.values()
    if x.shape != y.shape:
        raise UserError(
            f"{metric}: the estimate has shape {x.shape} and the target {y.shape}, expected equal shapes: "
            "crop or resize one to the other"
        )
    if x.ndim not in (3, 4) or x.shape[-1] == 0:
        raise UserError(
            f"{metric}: got arrays of shape {x.shape}, expected [H, W, C] or [N, H, W, C]: "
            "give gray images a last axis of size 1"
        )
    height, width = x.shape[-3:-1]
    if min(height, width) < smallest:
        raise UserError(
            f"{metric}: the images are {height}x{width} pixels (H x W), expected at least "
            f"{smallest}x{smallest}: score a larger crop or leave this metric out"
        )
    if xp is np and x.size:
        _check_range(images, metric)
    working = xp.float32 if xp is jnp else xp.float64
    return xp, xp.clip(x.astype(working), 0.0, 1.0), y.astype(working)


def _check_range(images: dict[str, np.ndarray], metric: str) -> None:
    """Rejects images that are clearly not in [0, 1]; values slightly beyond it are allowed."""
    for role, image in images.items():
        if (high := float(image.max())) > _FAR_ABOVE:
            raise UserError(
                f"{metric}: the {role}'s values reach {high:g}, expected [0, 1]: divide 8-bit images by 255"
            )


def finish(score: Image) -> Score:
    """Converts the score of a single NumPy image to `float`; returns batches and JAX arrays unchanged.

    Args:
        score: score of one image, [], or of a batch, [N].

    Returns:
        A `float` for a NumPy array without axes, else `score`.
    """
    return float(score) if score.ndim == 0 and not isinstance(score, jax.Array) else score
