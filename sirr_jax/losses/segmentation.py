"""Losses for semantic segmentation."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cross_entropy(
    logits: jax.Array, labels: jax.Array, *, ignore: int = 255, axis_name: str | None = None
) -> jax.Array:
    """Computes the mean of -log p(label) over labelled pixels, where p is the softmax over the classes.

    Equals torch's `cross_entropy` with `ignore_index`, except that it is 0 if no pixel is labelled.

    Args:
        logits: [B, H, W, C] logits.
        labels: [B, H, W] integers below C, or `ignore`.
        ignore: label of pixels without a class.
        axis_name: mapped device axis over which labelled pixels are counted. Averaged over that axis, the loss is then
            the mean over the pixels of all devices; without it, the mean of the means of the devices.

    Returns:
        float32 scalar.
    """
    labelled = labels != ignore
    target = jax.nn.one_hot(jnp.where(labelled, labels, 0), logits.shape[-1])
    log_likelihood = (target * jax.nn.log_softmax(logits.astype(jnp.float32))).sum(axis=-1)
    count = labelled.astype(jnp.float32).sum()
    if axis_name is not None:
        count = jax.lax.pmean(count, axis_name)
    return -jnp.where(labelled, log_likelihood, 0.0).sum() / jnp.where(count > 0, count, 1.0)
