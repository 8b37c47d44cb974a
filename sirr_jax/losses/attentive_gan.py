"""AttentiveGAN's losses (AttentiveGAN specification, section 4; Qian et al., CVPR 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.layers.resize import downsample_area


class Weights(NamedTuple):
    """The numbers in which the paper and the authors' code differ, and those that they share.

    Attributes:
        theta: by how much an attention map weighs less than the next one.
        last: theta's exponent at the last map; the code starts to count at 1.
        scales: of the errors at a quarter, half and the full resolution.
        discriminator_map: gamma, of the discriminator's map; 0 leaves its loss out.
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
    """L_ATT: the sum over maps A_t, t = 1..N, of theta^(N - t + last) MSE(A_t, M).

    Args:
        maps: A_1..A_N, [B, H, W, 1] each.
        mask: M, [B, H, W, 1], 1 where drops are.
        theta: base of the weights.
        last: exponent at the last map.
    """
    exponents = range(len(maps) - 1 + last, last - 1, -1)
    return sum(theta**e * _mse(a, mask) for e, a in zip(exponents, maps, strict=True))


def truth_pyramid(target: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The target at a quarter and at half the resolution, as OpenCV's bilinear reduction gives it.

    It does not filter first: a pixel of the half image is the mean of 2x2, one of the quarter image the mean of the
    *central* 2x2 of 4x4.

    Args:
        target: [B, H, W, C]; H and W multiples of 4.

    Returns:
        [B, H/4, W/4, C] and [B, H/2, W/2, C].

    Raises:
        UserError: if H or W is not a multiple of 4.
    """
    # One pixel further on, the blocks of 2x2 are the middles of every other block of 4x4.
    between = downsample_area(jnp.roll(target, (-1, -1), axis=(1, 2)), 2)
    return between[:, ::2, ::2], downsample_area(target, 2)


def multiscale_loss(images: Sequence[jax.Array], target: jax.Array, *, scales: Sequence[float]) -> jax.Array:
    """L_M: the weighted sum of the mean squared errors at three resolutions.

    Args:
        images: the estimates at a quarter, half and the full resolution, [B, h, w, 3].
        target: [B, H, W, 3]; H and W multiples of 4.
        scales: their weights, in the same order.

    Raises:
        UserError: if H or W is not a multiple of 4.
    """
    targets = (*truth_pyramid(target), target)
    return sum(w * _mse(s, t) for w, s, t in zip(scales, images, targets, strict=True))


def map_loss(real: jax.Array, fake: jax.Array, drops: jax.Array) -> jax.Array:
    """L_map: the discriminator's map should show the drops of a restored image, and nothing of a real one.

    Args:
        real: its map of clean photographs, [B, H, W, 1].
        fake: its map of restored images, the same shape.
        drops: the generator's last attention map or the mask; carries no gradient.
    """
    return _mse(fake, jax.lax.stop_gradient(drops)) + jnp.square(real).mean()


def _mse(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.square(a - b).mean()
