"""Normalization layers, equal to PyTorch's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn


def instance_norm(x: jax.Array) -> jax.Array:
    """Normalizes each channel of each image of `[B, H, W, C]`; biased variance, epsilon 1e-5, as in PyTorch."""
    y = x.astype(jnp.float32)
    mean = y.mean(axis=(1, 2), keepdims=True)
    variance = jnp.square(y - mean).mean(axis=(1, 2), keepdims=True)
    return ((y - mean) * jax.lax.rsqrt(variance + 1e-5)).astype(x.dtype)


class BatchNorm(nn.Module):
    """Batch normalization of `[..., C]`, with the running statistics of PyTorch's `BatchNorm2d`.

    Flax's layer stores the biased batch variance; PyTorch and TensorFlow's fused kernel store the unbiased one.
    Parameters: `scale` and `bias` [C]. Running statistics: `mean` and `var` [C] in the collection `batch_stats`; they
    are updated if `train` is set and the collection is mutable. Computed in float32 whatever the input's type.

    Attributes:
        momentum: weight of the new batch in the running statistics (PyTorch's convention; Keras and Flax use 1 minus
            it).
        epsilon: constant added to the variance.
        axis_name: name of a pmapped axis over which the statistics are averaged, so that several devices equal one.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Normalizes `x` with the statistics of the batch (`train`) or the running ones; keeps shape and type."""
        channels = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, channels, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        y = x.astype(jnp.float32)
        mean, var = running_mean.value.astype(jnp.float32), running_var.value.astype(jnp.float32)
        if train:
            axes = tuple(range(x.ndim - 1))
            synchronize = self.axis_name is not None and not self.is_initializing()
            mean, count = y.mean(axis=axes), x.size // x.shape[-1]
            if synchronize:
                mean, count = jax.lax.pmean(mean, self.axis_name), count * jax.lax.axis_size(self.axis_name)
            # Two passes: mean(y^2) - mean(y)^2 loses all digits where the mean is large.
            var = jnp.square(y - jnp.expand_dims(mean, axes)).mean(axis=axes)
            var = jax.lax.pmean(var, self.axis_name) if synchronize else var
            if self.is_mutable_collection("batch_stats") and not self.is_initializing():
                unbiased = var * (count / max(count - 1, 1))
                keep = 1.0 - self.momentum
                running_mean.value = keep * running_mean.value + self.momentum * mean
                running_var.value = keep * running_var.value + self.momentum * unbiased
        factor = jax.lax.rsqrt(var + self.epsilon) * scale.astype(jnp.float32)
        shift = bias.astype(jnp.float32) - mean * factor
        axes = tuple(range(x.ndim - 1))
        return (y * jnp.expand_dims(factor, axes) + jnp.expand_dims(shift, axes)).astype(x.dtype)


class GroupNorm(nn.Module):
    """Normalization of groups of neighboring channels of each image of `[B, H, W, C]`: PyTorch's `GroupNorm`.

    Flax's layer needs implicit type promotion for half precision. Parameters: `scale` and `bias` [C]. Computed in
    float32 whatever the input's type.

    Attributes:
        groups: number of groups, a divisor of C.
        epsilon: constant added to the (biased) variance.
    """

    groups: int
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalizes `x`; keeps shape and type."""
        batch, height, width, channels = x.shape
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        y = x.astype(jnp.float32).reshape(batch, height, width, self.groups, channels // self.groups)
        y = y - y.mean(axis=(1, 2, 4), keepdims=True)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(axis=(1, 2, 4), keepdims=True) + self.epsilon)
        y = y.reshape(x.shape) * scale[None, None, None] + bias[None, None, None]
        return y.astype(x.dtype)
