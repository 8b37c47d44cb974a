from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sirr_jax.synthesis.reflection import GlassOptions
from sirr_jax.synthesis.reflection.pane import fresnel_reflectance, incidence_cosine, pane_weights
from tests.helpers.synthesis_layers import each, layers, make

INDEX = 1.474


def literal_reflectance(angle):
    """Fresnel's equations in the angles of incidence and refraction."""
    inside = np.arcsin(np.sin(angle) / INDEX)
    crossed = np.sin(angle - inside) ** 2 / np.sin(angle + inside) ** 2
    parallel = np.tan(angle - inside) ** 2 / np.tan(angle + inside) ** 2
    return 0.5 * (crossed + parallel), inside


def test_fresnel_reflectance_at_known_angles():
    at = {name: float(fresnel_reflectance(np.float32(c), index=INDEX)) for name, c in (("normal", 1), ("grazing", 0))}
    assert abs(at["normal"] - ((INDEX - 1) / (INDEX + 1)) ** 2) < 1e-7
    assert abs(at["grazing"] - 1) < 1e-6
    brewster = np.cos(np.arctan(INDEX))
    crossed_only = 0.5 * ((INDEX**2 - 1) / (INDEX**2 + 1)) ** 2
    assert abs(float(fresnel_reflectance(np.float32(brewster), index=INDEX)) - crossed_only) < 1e-6
    angle = np.linspace(0.05, 1.5, 100)
    got = fresnel_reflectance(np.cos(angle).astype(np.float32), index=INDEX)
    np.testing.assert_allclose(got, literal_reflectance(angle)[0], atol=2e-6)


def test_pane_weights_equal_the_sum_of_inner_reflections():
    angle = np.linspace(0.05, 1.4, 50)
    surface, inside = literal_reflectance(angle)
    passed = np.exp(-0.2 / np.cos(inside))
    through, back, light = 0.0, 0.0, (1 - surface) * passed
    for _ in range(200):
        through, light = through + (1 - surface) * light, light * surface * passed
        back, light = back + (1 - surface) * light, light * surface * passed
    got = pane_weights(np.cos(angle).astype(np.float32), np.float32(0.2), index=INDEX)
    np.testing.assert_allclose(got.transmitted, through, atol=3e-6)
    np.testing.assert_allclose(got.front, surface, atol=3e-6)
    np.testing.assert_allclose(got.back, back, atol=3e-6)


@given(st.floats(0, 1, width=32), st.floats(0, 5, width=32), st.floats(1.125, 3, width=32))
def test_pane_weights_sum_to_at_most_1(cosine, depth, index):
    with jax.disable_jit():
        weights = [float(w) for w in pane_weights(np.float32(cosine), np.float32(depth), index=index)]
    assert min(weights) >= 0
    assert sum(weights) <= 1 + 1e-5
    if depth == 0:
        assert abs(sum(weights) - 1) < 1e-4


def test_incidence_cosine():
    straight = np.asarray(incidence_cosine(31, 41, np.float32(np.radians(60)), np.zeros(2, np.float32)))
    assert abs(straight[15, 20] - 1) < 1e-6
    edge = np.arctan(np.tan(np.radians(30)) * 40 / 41)
    np.testing.assert_allclose(straight[15, [0, 40]], np.cos(edge), atol=1e-6)
    turned = np.asarray(incidence_cosine(31, 41, np.float32(np.radians(60)), np.radians([10, 0]).astype(np.float32)))
    assert abs(turned[15, 20] - np.cos(np.radians(10))) < 1e-6
    np.testing.assert_allclose(turned[15, [0, 40]], np.cos(np.radians(10) + edge * np.array([1, -1])), atol=1e-6)
    leaning = np.asarray(incidence_cosine(31, 41, np.float32(np.radians(60)), np.radians([0, 10]).astype(np.float32)))
    assert leaning[30, 20] > leaning[0, 20]
    np.testing.assert_allclose(leaning[:, 0], leaning[:, 40], atol=1e-6)


def test_mixture_equals_fresnel_and_absorption():
    transmission, reflection = layers(0)
    mixtures = make("glass", range(40), (transmission, reflection))
    for mixture in each(mixtures):
        parameters = mixture.parameters
        cosine = np.asarray(incidence_cosine(24, 30, parameters["field_of_view"], parameters["tilt"]), np.float64)
        surface, inside = literal_reflectance(np.maximum(np.arccos(cosine), 1e-4))
        passed = np.exp(-float(parameters["absorption"]) * float(parameters["thickness"]) / np.cos(inside))
        inner = 1 - surface**2 * passed**2
        direct = (1 - surface) ** 2 * passed / inner
        reflected = surface + surface * (1 - surface) ** 2 * passed**2 / inner
        np.testing.assert_allclose(parameters["transmittance"], direct, atol=1e-5)
        np.testing.assert_allclose(parameters["reflectance"], reflected, atol=1e-5)
        assert np.all(parameters["transmittance"] + parameters["reflectance"] <= 1)
        light = direct[..., None] * transmission**2.2 + reflected[..., None] * reflection**2.2
        np.testing.assert_allclose(mixture.mixture, light ** (1 / 2.2), atol=2e-5)
        np.testing.assert_allclose(mixture.reflection**2.2, reflected[..., None] * reflection**2.2, atol=1e-5)
    assert 4 <= mixtures.parameters["absorption"].min() < mixtures.parameters["absorption"].max() <= 32
    assert 0.003 <= mixtures.parameters["thickness"].min() < mixtures.parameters["thickness"].max() <= 0.0100001
    assert np.radians(19) <= mixtures.parameters["field_of_view"].min()
    assert mixtures.parameters["field_of_view"].max() <= np.radians(74.001)
    assert np.all(mixtures.parameters["shift"] == 0)
    turn, lean = np.degrees(mixtures.parameters["tilt"]).std(axis=0)
    assert 6 < turn < 14
    assert 2.4 < lean < 5.6


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_constant_reflectance_and_double_image(gamma):
    transmission, reflection = layers(1, 20, 22)
    options = GlassOptions(reflectance=(0.1, 0.6), double_shift=(2.0, 5.0), gamma=gamma)
    mixtures = make("glass", range(20), (np.zeros_like(transmission), reflection), options)
    for mixture in each(mixtures):
        weight = mixture.parameters["reflectance"]
        assert np.ptp(weight) < 1e-6
        assert 0.1 <= weight.mean() <= 0.6
        x, y = mixture.parameters["shift"]
        assert 1.2 < np.hypot(x, y) < 5.8
        rows, columns = np.clip(np.arange(20) - y, 0, 19), np.clip(np.arange(22) - x, 0, 21)
        light = reflection.astype(np.float64) ** gamma
        behind = light[rows][:, columns]
        reflected = mixture.reflection.astype(np.float64) ** gamma / weight[..., None]
        # The share of the front surface is between those of no and of full absorption in the pane.
        share = np.sum((reflected - behind) * (light - behind)) / np.sum((light - behind) ** 2)
        assert 0.5 < share < 0.75
        # It varies slightly over the image, with the angle.
        np.testing.assert_allclose(reflected, share * light + (1 - share) * behind, atol=0.03)
