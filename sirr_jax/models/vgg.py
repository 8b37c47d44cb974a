"""VGG-19 features (Simonyan and Zisserman 2015)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv

# Convolutions of each block; a 2x2 maximum stands between the blocks.
VGG19_BLOCKS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))


class Vgg19(nn.Module):
    """The convolutional part of VGG-19, cut off where the weights at hand end.

    Attributes:
        layers: names of the convolutions to compute, in order from `conv1_1`; a prefix of the network.
        dtype: computation type; parameters stay float32.
    """

    layers: tuple[str, ...] = tuple(f"conv{b}_{i}" for b, n in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, n + 1))
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Compute features.

        Args:
            image: [B, H, W, 3] in the range the weights were trained for: see `sirr_jax.weights.vgg`.
            train: without effect.

        Returns:
            `relu1_1`, `relu1_2`, ... as far as `layers` reach; [B, H/2^b, W/2^b, C], floored, b = block - 1.
        """
        x, features, block = image, {}, 1
        for name in self.layers:
            b, i = (int(n) for n in name.removeprefix("conv").split("_"))
            if b != block:
                x, block = nn.max_pool(x, (2, 2), strides=(2, 2)), b
            x = nn.relu(conv(VGG19_BLOCKS[b - 1][i - 1], dtype=self.dtype, name=name)(x))
            features[f"relu{b}_{i}"] = x
        return features


def normalise(image: jax.Array, convention: str) -> jax.Array:
    """Bring RGB `[B, H, W, 3]` in [0, 1] into the range of a weight file's convention."""
    if convention == "caffe":
        mean = jnp.array([103.939, 116.779, 123.68], jnp.float32)
        return image[..., ::-1] * 255.0 - mean[None, None, None]
    mean = jnp.array([0.485, 0.456, 0.406], jnp.float32)
    deviation = jnp.array([0.229, 0.224, 0.225], jnp.float32)
    return (image - mean[None, None, None]) / deviation[None, None, None]
