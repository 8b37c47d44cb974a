"""Gradients are finite at flat, black and equal inputs, where roots, ratios and norms are steepest."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.adversarial import (
    cross_entropy_discriminator,
    cross_entropy_generator,
    relativistic_discriminator,
    relativistic_generator,
)
from sirr_jax.losses.decoupling import feature_overlap
from sirr_jax.losses.distillation import transfer
from sirr_jax.losses.exclusion import exclusion
from sirr_jax.losses.ms_ssim import ms_ssim
from sirr_jax.losses.pixel import multiscale_gradient_l1, reconstruction
from sirr_jax.losses.view_synthesis import smoothness, synthesis_error

IMAGE = (1, 8, 8, 3)
ONE = jnp.ones(1)


def view(flow, layer):
    return synthesis_error(flow, layer, ONE) + smoothness(flow, layer)


CASES = {
    "reconstruction": (reconstruction, IMAGE, IMAGE),
    "multiscale": (multiscale_gradient_l1, IMAGE, IMAGE),
    "exclusion": (exclusion, IMAGE, IMAGE),
    "overlap": (feature_overlap, IMAGE, IMAGE),
    "transfer": (lambda a, b: transfer(a, b, jnp.zeros(3)), IMAGE, IMAGE),
    "discriminator": (relativistic_discriminator, IMAGE, IMAGE),
    "generator": (relativistic_generator, IMAGE, IMAGE),
    "cross-entropy discriminator": (cross_entropy_discriminator, IMAGE, IMAGE),
    "saturating generator": (lambda a, b: cross_entropy_generator(a - b, saturating=True), IMAGE, IMAGE),
    "ms-ssim": (lambda a, b: ms_ssim(a, b, max_value=1.0, scales=1).mean(), (1, 12, 12, 3), (1, 12, 12, 3)),
    "view": (view, (1, 2, 2, 2, 2), (1, 3, 8, 8, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_at_degenerate_inputs(name):
    loss, *shapes = CASES[name]
    evaluate = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    flat = [functools.partial(np.full, fill_value=value, dtype=np.float32) for value in (0.0, 0.5, 1.0)]
    noise = lambda shape: np.random.default_rng(0).random(shape).astype(np.float32)  # noqa: E731
    faint = lambda shape: 1e-7 * noise(shape)  # noqa: E731
    inputs = [*flat, noise, faint]
    for first in inputs:
        for second in inputs:
            value, gradients = evaluate(first(shapes[0]), second(shapes[1]))
            assert np.isfinite(value)
            assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
            # One faint image must not dominate the others when gradients are clipped by their global norm; the
            # exclusion loss, a ratio, is the steepest: 1e4 at amplitudes of 1e-7.
            assert max(np.abs(gradient).max() for gradient in gradients) < 2e4
