"""Normalized cross-correlation."""

from __future__ import annotations

from sirr_jax.metrics._images import Image, Score, finish, prepare

_ALL = (-3, -2, -1)


def ncc(estimate: Image, target: Image) -> Score:
    """Computes the normalized cross-correlation, in [-1, 1]; higher is better (benchmark protocol, section 1).

    There is one mean and one population standard deviation per image, over all pixels and channels.

    Args:
        estimate: image [H, W, C] or batch [N, H, W, C], floating point; clipped to [0, 1], not rounded.
        target: target of the same shape, floating point, in [0, 1].

    Returns:
        One value per image: a `float` for [H, W, C], [N] for a batch. float64 for NumPy arrays; a float32 JAX
        array if either argument is a JAX array or tracer. 0 if either image is constant, even if both are identical:
        the correlation is then undefined, and the published code divides 0 by 0.

    Raises:
        UserError: The shapes differ, are not images or are empty, or an array is not floating point.
    """
    xp, x, y = prepare(estimate, target, metric="ncc")
    x, y = _centered(x), _centered(y)
    spread = xp.sqrt((x * x).mean(axis=_ALL)) * xp.sqrt((y * y).mean(axis=_ALL))
    constant = spread == 0.0
    return finish(xp.where(constant, 0.0, (x * y).mean(axis=_ALL) / xp.where(constant, 1.0, spread)))


def _centered(image: Image) -> Image:
    """Subtracts the mean of an image."""
    # The first value is subtracted before, so that constant images become exactly 0 whatever the rounding of the mean.
    image = image - image[..., :1, :1, :1]
    return image - image.mean(axis=_ALL, keepdims=True)
