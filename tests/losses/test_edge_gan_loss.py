"""EdgeGAN's generator loss against the formulas of the specification."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.edge_gan import PRESETS, generator_terms
from sirr_jax.losses.ms_ssim import ms_ssim


@functools.cache
def inputs():
    generator = np.random.default_rng(0)
    target = generator.random((2, 24, 22, 3)).astype(np.float32)
    restored = np.clip(target + 0.1 * generator.standard_normal(target.shape), 0.0, 1.0).astype(np.float32)
    return restored, target, np.float32(7.0), generator.standard_normal((2, 1)).astype(np.float32)


def evaluate(preset):
    return jax.jit(functools.partial(generator_terms, PRESETS[preset], scales=2))(*inputs())


def literal_terms(preset):
    restored, target, perceptual, logits = (x.astype(np.float64) for x in inputs())
    adversarial = -np.log(1.0 / (1.0 + np.exp(-logits))).mean()
    if preset == "release":
        g, y = 2.0 * restored - 1.0, 2.0 * target - 1.0
        similarity = ms_ssim(*(jnp.asarray(x, jnp.float32) for x in (g, y)), max_value=2.0, scales=2)
        pixel = np.square((127.5 * y + 127.5) - (127.5 * g + 127.5)).mean()
        terms = 10.0 * (1.0 - float(np.mean(similarity))), 1.0 * pixel, 1.0 * perceptual, 10.0 * adversarial
    else:
        similarity = ms_ssim(*(jnp.asarray(x, jnp.float32) for x in (restored, target)), max_value=1.0, scales=2)
        pixel = np.abs(restored - target).mean()
        terms = 0.1 * (1.0 - float(np.mean(similarity))), pixel, 0.1 * perceptual, 0.01 * adversarial
    return dict(zip(("structure", "pixel", "perceptual", "adversarial"), terms, strict=True))


@pytest.mark.parametrize("preset", ["release", "balanced"])
def test_generator_terms_equal_the_specification(preset):
    terms, expected = evaluate(preset), literal_terms(preset)
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-4), name


def test_preset_names():
    assert PRESETS.keys() == {"release", "balanced"}
