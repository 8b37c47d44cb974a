from __future__ import annotations

import math

import numpy as np
import pytest

from sirr_jax.synthesis.reflection import ZhangOptions
from sirr_jax.synthesis.reflection.vignette import vignette_profile
from tests.helpers.synthesis_layers import each, layers, literal_blur, make


def literal(transmission, reflection, parameters):
    """The published steps, in double precision, with the drawn parameters."""
    t, r = transmission.astype(np.float64) ** 2.2, reflection.astype(np.float64) ** 2.2
    # The drawn width is one of the published ones, known here only to single precision.
    sigma = np.linspace(1, 5, 80)
    sigma = sigma[np.argmin(np.abs(sigma - parameters["sigma"]))]
    r = literal_blur(r, sigma, math.ceil(2 * sigma), mode="reflect")
    for channel in range(3):
        blend = t[..., channel] + r[..., channel]
        over = blend > 1
        mean = max(1.0, blend[over].sum() / (over.sum() + 1e-6))
        r[..., channel] = np.clip(r[..., channel] - (mean - 1) * float(parameters["attenuation"]), 0, 1)
    height, width, _ = t.shape
    y, x = parameters["vignette_offset"]
    mask = np.outer(vignette_profile(), vignette_profile())[y : y + height, x : x + width]
    r *= mask[..., None]
    return np.clip((r + float(parameters["transmittance"]) * t) ** (1 / 2.2), 0, 1), r ** (1 / 2.2)


@pytest.mark.parametrize("brightness", [0.6, 1.0])
def test_mixture_equals_the_published_steps(brightness):
    pair = layers(0, brightness=brightness)
    mixtures = make("zhang", range(16), pair)
    for mixture in each(mixtures):
        mixed, residual = literal(*pair, mixture.parameters)
        np.testing.assert_allclose(mixture.mixture, mixed, atol=5e-6)
        # In linear light: the root is infinitely steep at black.
        np.testing.assert_allclose(mixture.reflection.astype(np.float64) ** 2.2, residual**2.2, atol=1e-6)
    sigma = mixtures.parameters["sigma"]
    assert np.abs(np.linspace(1, 5, 80)[:, None] - sigma).min(axis=0).max() < 1e-6
    assert np.ptp(sigma) > 1.5
    for name, low, high in (("attenuation", 1.08, 1.18), ("transmittance", 0.8, 1.0)):
        assert mixtures.parameters[name].min() >= np.float32(low)
        assert mixtures.parameters[name].max() <= high
    assert np.any(mixtures.parameters["subtracted"] > 0) == (brightness == 1.0)
    np.testing.assert_array_equal(mixtures.transmission[0], pair[0])


SMALL = ZhangOptions(sigma=(0.5, 0.5), sigma_count=1)


def kept_share(transmission, reflection, options=SMALL):
    pair = [np.full((8, 9, 3), value, np.float32) for value in (transmission, reflection)]
    return np.mean(make("zhang", range(64), pair, options).kept)


def test_rejected_pairs():
    assert kept_share(0.5, 0.26) > 0
    assert kept_share(0.5, 0.24) == 0, "mean(T) / 2 > mean(R)"
    assert kept_share(0.14, 0.3) == 0, "max(T) < 0.15"
    assert kept_share(0.16, 0.3) > 0
    assert kept_share(0.16, 0.14) == 0, "max of the reflection's target < 0.15"
    lax = ZhangOptions(sigma=(0.5, 0.5), sigma_count=1, least_target=0.0)
    assert kept_share(0.05, 0.05, lax) == 0, "max(I) < 0.1"
    assert kept_share(0.11, 0.11, lax) == 1


def test_reflection_darkened_by_the_vignette_is_rejected():
    share = kept_share(0.3, 0.2)
    assert 0 < share < 1, "the rule uses the maximum of the target, not of the photograph"


def test_large_images_need_a_stretched_vignette():
    options = ZhangOptions(sigma=(0.5, 0.5), sigma_count=1, vignette_side=256)
    mixtures = make("zhang", [0], layers(2, 40, 600), options)
    assert mixtures.mixture.shape == (1, 40, 600, 3)
