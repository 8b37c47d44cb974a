"""Mixtures of a whole batch, with independent random choices for each sample."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError
from sirr_jax.synthesis.reflection.base import Mixture
from sirr_jax.synthesis.reflection.registry import get_synthesis


def synthesize_batch(
    key: jax.Array,
    transmission: jax.Array,
    reflection: jax.Array,
    index: jax.Array,
    *,
    name: str,
    options: Any = None,
) -> Mixture:
    """Makes one mixture of every pair of a batch.

    The random choices of a sample depend on the key and on its index alone, not on its place in the batch: the same
    samples in other batches, on other numbers of devices or after a restart give the same mixtures.

    Args:
        key: PRNG key, one for all samples.
        transmission: [B, H, W, 3] uint8, or float32 in [0, 1].
        reflection: reflected scenes of the same shape; the type may differ.
        index: [B] integers, positions of the samples in the endless stream of samples.
        name: model name, one of `SYNTHESES`. Static.
        options: options of that model; None for the published ones. Static.

    Returns:
        A `Mixture` whose leaves have a leading axis B.

    Raises:
        UserError: The name is unknown, the options belong to another model, or a shape or type is wrong.
    """
    model = get_synthesis(name)
    options = model.options() if options is None else options
    if not isinstance(options, model.options):
        raise UserError(
            f"the options of {name!r} are {type(options).__name__}, expected {model.options.__name__}: pass those, or "
            "another name"
        )
    index = jnp.asarray(index)
    if index.shape != transmission.shape[:1] or not jnp.issubdtype(index.dtype, jnp.integer):
        raise UserError(
            f"index is {index.dtype} of shape {index.shape}, expected one integer for each of the "
            f"{transmission.shape[0]} samples"
        )
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)
    synthesize = jax.vmap(functools.partial(model.synthesize, options=options))
    return synthesize(keys, _as_float(transmission), _as_float(reflection))


def _as_float(image: jax.Array) -> jax.Array:
    image = jnp.asarray(image)
    return image.astype(jnp.float32) / 255.0 if image.dtype == jnp.uint8 else image
