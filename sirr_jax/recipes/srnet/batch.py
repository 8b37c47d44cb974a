"""Batches of degraded photographs, their targets and labels, made from raw samples on the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.recipes.base import Tree

FACE_SIDES = ((2, 3), (4, 5), (7, 8))
"""Left and right eyebrow, eye and ear of CelebAMask-HQ (SR-Net specification, section 4)."""


def degraded_batch(raw: Tree, key: jax.Array, *, flip: bool, faces: bool) -> dict[str, jax.Array]:
    """Converts samples to floats and mirrors half of them.

    Args:
        raw: "degraded", uint8 `mixture` and `target` [B, S, S, 3], `labels` [B, S, S], `index` [B].
        key: PRNG key of the run; the random value of a sample depends on it and on the index alone.
        flip: whether to mirror.
        faces: whether labels are parts of faces, of which mirroring swaps left and right ones.

    Returns:
        `mixture`, `target` float32 [B, S, S, 3] in [0, 1]; `labels` int32 [B, S, S], 255 where there is no class.
    """
    samples = raw["degraded"]
    mixture, target = (samples[name].astype(jnp.float32) / 255.0 for name in ("mixture", "target"))
    labels = samples["labels"].astype(jnp.int32)
    if flip:
        keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(samples["index"])
        mirrored = jax.vmap(jax.random.bernoulli)(keys)
        mirrored_labels = jnp.asarray(_mirrored_labels(faces))[labels[:, :, ::-1]]
        labels = jnp.where(mirrored[:, None, None], mirrored_labels, labels)
        mixture, target = (jnp.where(mirrored[:, None, None, None], x[:, :, ::-1], x) for x in (mixture, target))
    return {"mixture": mixture, "target": target, "labels": labels}


def _mirrored_labels(faces: bool) -> np.ndarray:
    """The label of each label in a mirrored image, [256]."""
    table = np.arange(256, dtype=np.int32)
    for left, right in FACE_SIDES if faces else ():
        table[[left, right]] = right, left
    return table
