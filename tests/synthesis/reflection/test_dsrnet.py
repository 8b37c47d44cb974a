from __future__ import annotations

import numpy as np

from tests.helpers.synthesis_layers import each, layers, literal_blur, make

COUNT = 400


def literal(transmission, reflection, parameters):
    """The published steps, in double precision, with the drawn parameters."""
    a, b = float(parameters["transmittance"]), float(parameters["reflectance"])
    direct = a * transmission.astype(np.float64)
    weighted = b * literal_blur(reflection, parameters["sigma"], parameters["radius"], mode="constant")
    if parameters["screen"]:
        return direct + weighted - direct * weighted, weighted
    mixed = direct + weighted
    if mixed.max() > 1:
        weighted = np.clip(weighted - 1.3 * (mixed[mixed > 1].mean() - 1), 0, 1)
        mixed = np.clip(direct + weighted, 0, 1)
    return mixed, weighted


def test_mixture_equals_the_published_steps_and_probabilities():
    pair = layers(0)
    mixtures = make("dsrnet", range(COUNT), pair)
    np.testing.assert_array_equal(mixtures.transmission[0], pair[0])
    parameters = mixtures.parameters
    for mixture in list(each(mixtures))[:24]:
        mixed, residual = literal(*pair, mixture.parameters)
        np.testing.assert_allclose(mixture.mixture, mixed, atol=2e-6)
        np.testing.assert_allclose(mixture.reflection, residual, atol=2e-6)
    assert 0 < parameters["screen"][:24].sum() < 24, "both blends were compared"
    assert abs(parameters["screen"].mean() - 0.7) < 5 * np.sqrt(0.21 / COUNT)
    shares = np.bincount(parameters["radius"].astype(int), minlength=6)[2:] / COUNT
    expected = np.array([0.1, 0.2, 0.3, 0.4])
    assert np.all(np.abs(shares - expected) < 5 * np.sqrt(expected * (1 - expected) / COUNT))
    for name, low, high in (("sigma", 2, 5), ("transmittance", 0.8, 1), ("reflectance", 0.4, 1)):
        assert parameters[name].min() >= low
        assert parameters[name].max() <= high
        assert np.ptp(parameters[name]) > 0.9 * (high - low)
