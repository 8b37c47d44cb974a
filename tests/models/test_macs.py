"""Costs against a manual count."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from sirr_jax.layers.conv import conv
from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.models import build
from sirr_jax.models.macs import cost


class Small(nn.Module):
    """Convolutions with and without groups, both forms of transposed convolution, a jitted matrix product."""

    def example_shapes(self, *, size):
        return ((1, *size, 3),)

    @nn.compact
    def __call__(self, x, *, train=False):
        x = conv(4, kernel=3, stride=2, name="a")(x)
        x = conv(4, kernel=5, groups=2, name="b")(x)
        x = BatchNorm(name="norm")(x, train=train)
        x = ConvTranspose(6, kernel=3, stride=2, padding=1, output_padding=1, name="c")(x)
        x = ConvTranspose(2, name="d")(x)
        return {"products": jax.jit(lambda x: x @ jnp.ones((2, 7)))(x)}


def test_macs_and_parameters_match_a_manual_count():
    actual = cost(Small(), size=(8, 12))
    low = 4 * 6
    by_hand = low * 9 * 3 * 4 + low * 25 * 2 * 4
    by_hand += 4 * low * 9 * 4 * 6 // 4
    # The sub-pixel form computes the corners of the pixels: one more row and one more column.
    by_hand += (8 + 1) * (12 + 1) * 4 * 6 * 4 * 2
    by_hand += 16 * 24 * 2 * 7
    assert actual.macs == by_hand
    assert actual.parameters == (9 * 3 + 1) * 4 + (25 * 2 + 1) * 4 + 8 + 9 * 4 * 6 + 6 + 16 * 6 * 2 + 2
    assert actual.shapes == ((1, 8, 12, 3),)


def test_networks_of_a_fixed_size_report_it():
    assert cost(build("edge_gan/discriminator", width="tiny"), size=(32, 32)).shapes == ((1, 400, 400, 3),)
