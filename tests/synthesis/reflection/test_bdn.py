from __future__ import annotations

import numpy as np

from tests.helpers.synthesis_layers import each, layers, literal_blur, make


def test_mixture_equals_the_published_steps():
    transmission, reflection = layers(0)
    mixtures = make("bdn", range(60), (transmission, reflection))
    assert set(mixtures.parameters["radius"]) == {1, 2, 3}
    assert mixtures.parameters["sigma"].min() < 0.2
    assert mixtures.parameters["sigma"].max() <= 2
    for mixture in each(mixtures):
        weight = float(mixture.parameters["reflectance"])
        assert 0.2 <= weight <= 0.4
        radius = mixture.parameters["radius"]
        residual = weight * literal_blur(reflection, mixture.parameters["sigma"], radius, mode="reflect")
        np.testing.assert_allclose(mixture.reflection, residual, atol=2e-6)
        unrounded = (1 - weight) * transmission.astype(np.float64) + residual
        assert np.abs(mixture.mixture - unrounded).max() <= 0.5 / 255 + 1e-6
        np.testing.assert_allclose(255 * mixture.mixture, np.round(255 * mixture.mixture), atol=1e-4)
