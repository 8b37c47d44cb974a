"""AttentiveGAN's losses (AttentiveGAN specification, section 4; Qian et al., CVPR 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp

from sirr_jax.layers.resize import downsample_area


class Weights(NamedTuple):
    """Loss weights, some of which differ between the paper and the authors' code.

    Attributes:
        theta: ratio of the weight of an attention map to that of the next one.
        last: exponent of theta at the last map; the code counts from 1.
        scales: weights of the errors at quarter, half and full resolution.
        discriminator_map: weight gamma of the loss of the discriminator's map; 0 disables it.
    """

    theta: float
    last: int
    scales: tuple[float, float, float] = (0.6, 0.8, 1.0)
    discriminator_map: float = 0.0


PAPER = Weights(theta=0.8, last=0, discriminator_map=0.05)
"""The paper's equations."""

RELEASED = Weights(theta=0.6, last=1)
"""The authors' training code, which has no loss on the discriminator's map."""


def attention_loss(maps: Sequence[jax.Array], mask: jax.Array, *, theta: float, last: int) -> jax.Array:
    """Computes L_ATT: the sum over maps A_t, t = 1..N, of theta^(N - t + last) MSE(A_t, M).

    Args:
        maps: attention maps A_1..A_N, [B, H, W, 1] each.
        mask: mask M of the drops, [B, H, W, 1], 1 in drops.
        theta: base of the weights.
        last: exponent at the last map.

    Returns:
        float32 scalar.
    """
    exponents = range(len(maps) - 1 + last, last - 1, -1)
    return cast(jax.Array, sum(theta**e * _mse(a, mask) for e, a in zip(exponents, maps, strict=True)))


def target_pyramid(target: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Downsamples the target to quarter and half resolution, as OpenCV's bilinear resize does.

    It does not filter first: a pixel of the half image is the mean of 2x2 pixels, one of the quarter image the mean of
    the *central* 2x2 of 4x4 pixels.

    Args:
        target: [B, H, W, C] images; H and W multiples of 4.

    Returns:
        The images at [B, H/4, W/4, C] and at [B, H/2, W/2, C].

    Raises:
        UserError: H or W is not a multiple of 4.
    """
    # Shifted by one pixel, every other block of 2x2 is the center of a block of 4x4.
    shifted = downsample_area(jnp.roll(target, (-1, -1), axis=(1, 2)), 2)
    return shifted[:, ::2, ::2], downsample_area(target, 2)


def multiscale_loss(images: Sequence[jax.Array], target: jax.Array, *, scales: Sequence[float]) -> jax.Array:
    """Computes L_M: the weighted sum of the mean squared errors at three resolutions.

    Args:
        images: estimates at quarter, half and full resolution, [B, h, w, 3] each.
        target: [B, H, W, 3] images; H and W multiples of 4.
        scales: weights of the errors, in the same order.

    Returns:
        float32 scalar.

    Raises:
        UserError: H or W is not a multiple of 4.
    """
    targets = (*target_pyramid(target), target)
    return cast(jax.Array, sum(w * _mse(s, t) for w, s, t in zip(scales, images, targets, strict=True)))


def map_loss(real: jax.Array, fake: jax.Array, drops: jax.Array) -> jax.Array:
    """Computes L_map, which trains the discriminator's map towards the drops of restored and towards 0 on real images.

    Args:
        real: map of the discriminator for clean photographs, [B, H, W, 1].
        fake: map of the discriminator for restored images, the same shape.
        drops: last attention map of the generator, or the mask; no gradient flows into it.

    Returns:
        float32 scalar.
    """
    return _mse(fake, jax.lax.stop_gradient(drops)) + jnp.square(real).mean()


def _mse(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.square(a - b).mean()
