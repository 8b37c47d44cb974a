"""GAN losses of logits against binary cross-entropies of probabilities."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from sirr_jax.losses.adversarial import (
    cross_entropy,
    cross_entropy_discriminator,
    cross_entropy_generator,
    least_squares_discriminator,
    least_squares_generator,
    logit_margin,
    relativistic_discriminator,
    relativistic_generator,
)


def logits(seed, shift=0.0):
    return (2.0 * np.random.default_rng(seed).standard_normal((3, 4, 5, 1)) + shift).astype(np.float32)


def binary_cross_entropy(logit, label):
    probability = 1.0 / (1.0 + np.exp(-logit.astype(np.float64)))
    return -np.mean(label * np.log(probability) + (1 - label) * np.log(1.0 - probability))


def test_relativistic_losses_equal_their_cross_entropies():
    real, fake = logits(0, 1.0), logits(1, -0.5)
    above, below = real - fake.mean(), fake - real.mean()
    discriminator = 0.5 * (binary_cross_entropy(above, 1) + binary_cross_entropy(below, 0))
    generator = 0.5 * (binary_cross_entropy(above, 0) + binary_cross_entropy(below, 1))
    assert float(relativistic_discriminator(real, fake)) == pytest.approx(discriminator, rel=1e-5)
    assert float(relativistic_generator(real, fake)) == pytest.approx(generator, rel=1e-5)
    assert discriminator < generator


def test_relativistic_generator_gradient_raises_fake_logits_only():
    real, fake = logits(2), logits(3)
    of_real, of_fake = jax.jit(jax.grad(relativistic_generator, argnums=(0, 1)))(real, fake)
    assert not np.any(of_real)
    assert np.all(np.asarray(of_fake) < 0.0)


def test_relativistic_discriminator_gradient_separates_real_and_fake():
    real, fake = logits(4), logits(5)
    of_real, of_fake = jax.jit(jax.grad(relativistic_discriminator, argnums=(0, 1)))(real, fake)
    assert np.all(np.asarray(of_real) < 0.0)
    assert np.all(np.asarray(of_fake) > 0.0)
    assert float(np.sum(of_real) + np.sum(of_fake)) == pytest.approx(0.0, abs=1e-6)


def test_losses_of_extreme_logits_are_finite():
    loss, gradient = jax.jit(jax.value_and_grad(relativistic_discriminator))(logits(6, -1e4), logits(7, 1e4))
    assert float(loss) == pytest.approx(2e4, rel=1e-2)
    assert np.all(np.isfinite(gradient))


def test_logit_margin_is_the_difference_of_means():
    real, fake = logits(8, 3.0), logits(9)
    assert float(logit_margin(real, fake)) == pytest.approx(real.mean() - fake.mean(), rel=1e-5)


# Cross-entropies -----------------------------------------------------------------------------------------------------


def test_cross_entropies_equal_those_of_probabilities():
    real, fake = logits(10, 1.0), logits(11, -0.5)
    losses = cross_entropy(real, real=True), cross_entropy(fake, real=False)
    assert float(losses[0]) == pytest.approx(binary_cross_entropy(real, 1), rel=1e-5)
    assert float(losses[1]) == pytest.approx(binary_cross_entropy(fake, 0), rel=1e-5)
    assert float(cross_entropy_discriminator(real, fake)) == pytest.approx(float(sum(losses)), rel=1e-6)
    assert float(cross_entropy_generator(fake)) == pytest.approx(binary_cross_entropy(fake, 1), rel=1e-5)
    literal = np.mean(np.log(1.0 - 1.0 / (1.0 + np.exp(-fake.astype(np.float64)))))
    assert float(cross_entropy_generator(fake, saturating=True)) == pytest.approx(literal, rel=1e-5)


@pytest.mark.parametrize("saturating", [False, True])
def test_generator_cross_entropy_gradient_raises_fake_logits(saturating):
    loss = functools.partial(cross_entropy_generator, saturating=saturating)
    assert np.all(np.asarray(jax.jit(jax.grad(loss))(logits(12))) < 0.0)


def test_only_the_saturating_loss_has_a_vanishing_gradient():
    extreme = np.full((2, 1), -1e4, np.float32)
    for saturating, slope in ((False, -0.5), (True, 0.0)):
        loss = functools.partial(cross_entropy_generator, saturating=saturating)
        value, gradient = jax.jit(jax.value_and_grad(loss))(extreme)
        assert np.isfinite(value)
        np.testing.assert_allclose(gradient, slope, atol=1e-6)


def test_least_squares_losses_equal_their_formulas():
    real, fake = logits(3), logits(4)
    expected = np.mean((real.astype(np.float64) - 1.0) ** 2) + np.mean(fake.astype(np.float64) ** 2)
    assert float(least_squares_discriminator(real, fake)) == pytest.approx(expected, rel=1e-5)
    assert float(least_squares_generator(fake)) == pytest.approx(np.mean((fake - 1.0) ** 2), rel=1e-5)
    assert float(least_squares_generator(np.ones(3, np.float32))) == 0.0
