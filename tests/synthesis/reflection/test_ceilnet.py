from __future__ import annotations

import numpy as np

from sirr_jax.synthesis.reflection import CeilnetOptions
from tests.helpers.synthesis_layers import each, layers, literal_blur, make

SEEDS = range(12)


def literal(transmission, reflection, parameters):
    """The published steps, in double precision, with the drawn sigma and gain."""
    transmission = transmission.astype(np.float64)
    blurred = literal_blur(reflection, parameters["sigma"], 5, mode="constant")
    mixed = transmission + blurred
    if mixed.max() > 1:
        m = float(parameters["excess_gain"]) * (mixed[mixed > 1].mean() - 1)
        blurred = np.clip(blurred - m, 0, 1)
        mixed = np.clip(transmission + blurred, 0, 1)
    return mixed, blurred


def test_mixture_equals_the_published_steps():
    pair = layers(0)
    mixtures = make("ceilnet", SEEDS, pair)
    for mixture in each(mixtures):
        mixed, residual = literal(*pair, mixture.parameters)
        assert mixture.parameters["subtracted"] > 0.05
        np.testing.assert_allclose(mixture.mixture, mixed, atol=2e-6)
        np.testing.assert_allclose(mixture.reflection, residual, atol=2e-6)
    sigma = mixtures.parameters["sigma"]
    assert sigma.min() >= 2
    assert sigma.max() <= 5
    assert np.ptp(sigma) > 1
    np.testing.assert_allclose(mixtures.parameters["excess_gain"], 1.3, rtol=1e-6)


def test_nothing_is_subtracted_below_white_and_the_gain_is_drawn():
    pair = layers(1, brightness=0.45)
    mixtures = make("ceilnet", SEEDS, pair, CeilnetOptions(excess_gain=(1.0, 1.5)))
    np.testing.assert_array_equal(mixtures.parameters["subtracted"], 0)
    for mixture in each(mixtures):
        np.testing.assert_allclose(mixture.mixture, literal(*pair, mixture.parameters)[0], atol=2e-6)
    assert np.ptp(mixtures.parameters["excess_gain"]) > 0.2
    border = mixtures.reflection[:, 0].mean() / mixtures.reflection[:, 12].mean()
    assert border < 0.75, "zero padding darkens the border"
