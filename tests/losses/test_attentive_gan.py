"""AttentiveGAN's losses against literal sums."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.losses.attentive_gan import (
    PAPER,
    RELEASED,
    attention_loss,
    map_loss,
    multiscale_loss,
    target_pyramid,
)

GENERATOR = np.random.default_rng(0)


def draw(*shape):
    return GENERATOR.random(shape).astype(np.float32)


def mse(a, b):
    return float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))


@pytest.mark.parametrize(
    ("weights", "expected"), [(PAPER, (0.512, 0.64, 0.8, 1.0)), (RELEASED, (0.1296, 0.216, 0.36, 0.6))]
)
def test_attention_loss_weights(weights, expected):
    maps, mask = [draw(2, 5, 6, 1) for _ in range(4)], (draw(2, 5, 6, 1) > 0.5).astype(np.float32)
    literal = sum(w * mse(a, mask) for w, a in zip(expected, maps, strict=True))
    loss = attention_loss([jnp.asarray(a) for a in maps], mask, theta=weights.theta, last=weights.last)
    assert float(loss) == pytest.approx(literal, rel=1e-5)


def literal_pyramid(target):
    batch, height, width, channels = target.shape
    quarter, half = (np.zeros((batch, height // n, width // n, channels)) for n in (4, 2))
    for i in range(height // 2):
        for j in range(width // 2):
            half[:, i, j] = target[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(axis=(1, 2))
    for i in range(height // 4):
        for j in range(width // 4):
            quarter[:, i, j] = target[:, 4 * i + 1 : 4 * i + 3, 4 * j + 1 : 4 * j + 3].mean(axis=(1, 2))
    return quarter, half


def test_target_pyramid_is_bilinear_downsampling_without_a_filter():
    target = draw(2, 12, 16, 3)
    for level, expected in zip(target_pyramid(jnp.asarray(target)), literal_pyramid(target), strict=True):
        np.testing.assert_allclose(level, expected, rtol=1e-6)
    # Bilinear downsampling without a filter samples halfway between pixels.
    for level, factor in zip(target_pyramid(jnp.asarray(target)), (4, 2), strict=True):
        shape = (2, 12 // factor, 16 // factor, 3)
        np.testing.assert_allclose(level, jax.image.resize(target, shape, "linear", antialias=False), atol=1e-6)


def test_size_that_is_not_a_multiple_of_4_raises():
    with pytest.raises(UserError, match="10x9"):
        target_pyramid(jnp.zeros((1, 10, 9, 3)))


def test_multiscale_loss_is_the_weighted_sum_of_errors():
    target = draw(2, 8, 12, 3)
    images = draw(2, 2, 3, 3), draw(2, 4, 6, 3), draw(2, 8, 12, 3)
    targets = (*literal_pyramid(target), target)
    literal = sum(w * mse(s, t) for w, s, t in zip((0.6, 0.8, 1.0), images, targets, strict=True))
    for weights in (PAPER, RELEASED):
        loss = multiscale_loss([jnp.asarray(s) for s in images], jnp.asarray(target), scales=weights.scales)
        assert float(loss) == pytest.approx(literal, rel=1e-5)


def test_map_loss_equals_its_formula_and_has_no_gradient_for_the_drops():
    real, fake, drops = (jnp.asarray(draw(2, 5, 6, 1)) for _ in range(3))
    literal = mse(np.asarray(fake), np.asarray(drops)) + mse(np.asarray(real), np.zeros((2, 5, 6, 1)))
    assert float(map_loss(real, fake, drops)) == pytest.approx(literal, rel=1e-5)
    gradients = jax.grad(map_loss, argnums=(0, 1, 2))(real, fake, drops)
    assert [bool(jnp.any(g != 0)) for g in gradients] == [True, True, False]
    assert (PAPER.discriminator_map, RELEASED.discriminator_map) == (0.05, 0.0)
