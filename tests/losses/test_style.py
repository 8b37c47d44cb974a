"""Style loss, feature matching and SR-Net's losses against literal formulas."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.feature_matching import feature_matching
from sirr_jax.losses.pixel import total_variation
from sirr_jax.losses.srnet import WEIGHTS, discriminator_loss, refiner_terms, restorer_terms
from sirr_jax.losses.style import STYLE_LAYERS, gram, style


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def literal_gram(x):
    batch, height, width, channels = x.shape
    out = np.zeros((batch, channels, channels))
    for b, c, d in itertools.product(range(batch), range(channels), range(channels)):
        for i, j in itertools.product(range(height), range(width)):
            out[b, c, d] += float(x[b, i, j, c]) * float(x[b, i, j, d])
    return out / (channels * height * width)


def test_gram_equals_a_literal_loop():
    x = draw(0, 2, 3, 4, 5)
    matrix = gram(x)
    np.testing.assert_allclose(matrix, literal_gram(x), rtol=1e-5, atol=1e-7)
    # Positions do not matter.
    np.testing.assert_allclose(gram(x[:, ::-1, ::-1]), matrix, rtol=1e-5, atol=1e-7)
    assert gram(jnp.asarray(x, jnp.bfloat16)).dtype == jnp.float32


def test_style_sums_the_present_layers_in_squared_units():
    assert STYLE_LAYERS == ("relu2_2", "relu3_4", "relu4_4", "relu5_2")
    names = ("relu1_1", "relu2_2", "relu3_4")
    estimate, target = ({n: draw(10 * k + i, 2, 3, 3, 4) for i, n in enumerate(names)} for k in range(2))
    expected = sum(np.abs(literal_gram(estimate[n]) - literal_gram(target[n])).mean() for n in names[1:])
    assert float(style(estimate, target)) == pytest.approx(expected, rel=1e-5)
    assert float(style(estimate, target, unit=0.1)) == pytest.approx(0.01 * expected, rel=1e-5)
    assert float(style(estimate, target, layers=("relu5_2",))) == 0.0
    assert float(style(target, target)) == 0.0


def test_feature_matching_sums_the_maps_without_gradients_for_real_ones():
    real, fake = ([draw(10 * k + i, 2, 4 - i, 4, 3) for i in range(3)] for k in range(2))
    expected = sum(np.abs(a - b).mean() for a, b in zip(real, fake, strict=True))
    value, (of_real, of_fake) = jax.value_and_grad(feature_matching, argnums=(0, 1))(real, fake)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert not any(np.any(slope) for slope in of_real)
    for slope, a, b in zip(of_fake, real, fake, strict=True):
        np.testing.assert_allclose(slope, np.sign(b - a) / a.size, rtol=1e-5)


def test_total_variation_sums_both_directions():
    x = draw(0, 2, 4, 5, 3)
    along, down = np.abs(x[:, :, 1:] - x[:, :, :-1]), np.abs(x[:, 1:] - x[:, :-1])
    assert float(total_variation(jnp.asarray(x))) == pytest.approx(along.mean() + down.mean(), rel=1e-5)
    assert float(total_variation(jnp.ones((1, 4, 4, 3)))) == 0.0


def test_srnet_losses_equal_the_specification():
    scores = draw(0, 6, 2, 3, 1)
    features = (draw(1, 6, 4, 4, 2), scores)
    outputs = {"scores": jnp.asarray(scores), "features": tuple(map(jnp.asarray, features))}
    real, fake = scores[:3], scores[3:]
    expected = 0.5 * (np.mean((real - 1) ** 2) + np.mean(fake**2))
    assert float(discriminator_loss(outputs)) == pytest.approx(expected, rel=1e-5)

    terms = refiner_terms(outputs, jnp.float32(0.7), weights=WEIGHTS["refiner"])
    expected = {
        "adversarial": 0.5 * np.mean((fake - 1) ** 2),
        "feature_matching": 10 * sum(np.abs(x[:3] - x[3:]).mean() for x in features),
        "supervised": 10 * 0.7,
    }
    assert {name: float(x) for name, x in terms.items()} == pytest.approx(expected, rel=1e-5)

    restored, target = (np.abs(draw(i, 2, 4, 5, 3)) for i in (2, 3))
    terms = restorer_terms(restored, target, outputs["scores"], 0.3, 0.002, weights=WEIGHTS["restorer"])
    variation = np.abs(np.diff(restored, axis=1)).mean() + np.abs(np.diff(restored, axis=2)).mean()
    expected = {
        "l1": np.abs(restored - target).mean(),
        "adversarial": 0.1 * 0.5 * np.mean((scores - 1) ** 2),
        "perceptual": 0.1 * 0.3,
        "style": 250 * 0.002,
        "total_variation": 0.01 * variation,
    }
    assert {name: float(x) for name, x in terms.items()} == pytest.approx(expected, rel=1e-5)
