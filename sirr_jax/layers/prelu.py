"""ReLU with a learned negative slope (He et al. 2015)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn


class PReLU(nn.Module):
    """Parametric ReLU: `x` where it is positive, else `slope * x`, with one slope per channel (PyTorch's `PReLU(C)`).

    The parameter `slope` [C] is initially 0.25.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer to `x` [..., C]; keeps shape and type."""
        slope = self.param("slope", nn.initializers.constant(0.25), x.shape[-1:], jnp.float32)
        scaled = x * jnp.expand_dims(slope.astype(x.dtype), tuple(range(x.ndim - 1)))
        return jnp.where(x > 0, x, scaled)
