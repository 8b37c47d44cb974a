"""Losses against the corresponding PyTorch functions."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.adversarial import relativistic_discriminator, relativistic_generator

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_relativistic_losses():
    real, fake = draw(0, 3, 4, 4, 1), draw(1, 3, 4, 4, 1)
    a, b = torch.from_numpy(real), torch.from_numpy(fake)
    bce = F.binary_cross_entropy_with_logits
    one, zero = torch.ones_like(a), torch.zeros_like(a)
    discriminator_loss = 0.5 * (bce(a - b.mean(), one) + bce(b - a.mean(), zero))
    generator_loss = 0.5 * (bce(a - b.mean(), zero) + bce(b - a.mean(), one))
    np.testing.assert_allclose(relativistic_discriminator(real, fake), discriminator_loss.item(), rtol=1e-5)
    np.testing.assert_allclose(
        relativistic_generator(jnp.asarray(real), jnp.asarray(fake)), generator_loss.item(), rtol=1e-5
    )
