"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

from sirr_jax.metrics._images import Image, Score, finish, prepare


def psnr(estimate: Image, target: Image, *, per_channel: bool = True) -> Score:
    """Computes the peak signal-to-noise ratio in dB; higher is better (benchmark protocol, section 1).

    Papers on reflection removal (ERRNet and its successors) compute one PSNR per channel and average the dB values. The
    textbook value pools the squared error of all channels before the logarithm. The two can differ by more than 1 dB if
    the errors of the channels differ.

    Args:
        estimate: image [H, W, C] or batch [N, H, W, C], floating point; clipped to [0, 1], not rounded.
        target: target of the same shape, floating point, in [0, 1].
        per_channel: average the dB values of the channels if true, pool their squared errors if false.

    Returns:
        PSNR in dB, one value per image: a `float` for [H, W, C], [N] for a batch. float64 for NumPy arrays; a float32
        JAX array if either argument is a JAX array or tracer. Infinite if a channel (pooled: the whole image) is
        identical to the target.

    Raises:
        UserError: The shapes differ, are not images or are empty, or an array is not floating point.
    """
    xp, x, y = prepare(estimate, target, metric="psnr")
    error = ((x - y) ** 2).mean(axis=(-3, -2))
    if not per_channel:
        error = error.mean(axis=-1, keepdims=True)
    identical = error == 0.0
    decibel = -10.0 * xp.log10(xp.where(identical, 1.0, error))
    return finish(xp.where(identical, math.inf, decibel).mean(axis=-1))
