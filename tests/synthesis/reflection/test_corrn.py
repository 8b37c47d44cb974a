from __future__ import annotations

import numpy as np

from sirr_jax.synthesis.reflection import CorrnOptions
from tests.helpers.synthesis_layers import each, layers, literal_blur, make


def test_mixture_equals_the_published_steps():
    transmission, reflection = layers(0)
    mixtures = make("corrn", range(60), (transmission, reflection))
    for mixture in each(mixtures):
        direct, reflected = (float(mixture.parameters[name]) for name in ("transmittance", "reflectance"))
        residual = reflected * literal_blur(reflection, 0.4, 1, mode="reflect")
        np.testing.assert_allclose(mixture.reflection, residual, atol=2e-6)
        np.testing.assert_allclose(mixture.mixture, np.clip(direct * transmission + residual, 0, 1), atol=2e-6)
    weights = np.stack([mixtures.parameters["transmittance"], mixtures.parameters["reflectance"]], axis=1)
    expected = np.array(CorrnOptions().weights, np.float32)
    assert {tuple(pair) for pair in weights} == {tuple(pair) for pair in expected}
