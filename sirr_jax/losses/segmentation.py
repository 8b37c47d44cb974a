"""Losses of label maps."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cross_entropy(
    logits: jax.Array, labels: jax.Array, *, ignore: int = 255, axis_name: str | None = None
) -> jax.Array:
    """Mean of -log p(label) over the pixels that have a class; p is the softmax over the classes.

    As torch's `cross_entropy` with `ignore_index`, but 0 where no pixel has a class.

    Args:
        logits: [B, H, W, C].
        labels: [B, H, W] integers below C, or `ignore`.
        ignore: the label of pixels without a class.
        axis_name: a pmapped axis to count such pixels over. Averaged over that axis, the loss is then the mean over
            the pixels of all devices; without it, the mean of the devices' means.
    """
    labelled = labels != ignore
    target = jax.nn.one_hot(jnp.where(labelled, labels, 0), logits.shape[-1])
    log_likelihood = (target * jax.nn.log_softmax(logits.astype(jnp.float32))).sum(axis=-1)
    count = labelled.astype(jnp.float32).sum()
    if axis_name is not None:
        count = jax.lax.pmean(count, axis_name)
    return -jnp.where(labelled, log_likelihood, 0.0).sum() / jnp.where(count > 0, count, 1.0)
