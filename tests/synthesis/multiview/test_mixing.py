from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sirr_jax.synthesis.multiview import MIXING_MODELS, MultiviewOptions
from sirr_jax.synthesis.multiview.mixing import (
    compose,
    draw_mixing,
    mask_weight,
    model_light,
    residual_reflection,
    vignette_weight,
)
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS

OPTIONS = MultiviewOptions(size=(20, 24), model_probabilities=(0.3, 0.25, 0.15, 0.15, 0.15))
COUNT = 3000
RNG = np.random.default_rng(0)
BRIGHT = RNG.uniform(0.3, 1, size=(20, 24, 3)).astype(np.float32)


@functools.partial(jax.jit, static_argnames="options")
def draw_many(transmission, reflection, *, options=OPTIONS):
    homographies = jnp.broadcast_to(jnp.diag(jnp.asarray([1 / 24, 1 / 20, 1.0]))[None], (3, 3, 3))
    keys = jax.random.split(jax.random.key(0), COUNT)
    return jax.vmap(lambda key: draw_mixing(key, transmission, reflection, homographies, options=options))(keys)


@pytest.fixture(scope="module")
def draws():
    """Parameters drawn for a reflection as bright as the transmission."""
    return jax.tree.map(np.asarray, draw_many(BRIGHT, BRIGHT))


@pytest.fixture(scope="module")
def mix():
    @jax.jit
    def run(transmission, reflection, params):
        blurred = model_light(reflection, params.model)
        residual, params = residual_reflection(transmission, blurred, params)
        return compose(transmission, residual, params), residual, params, mask_weight(params, 20, 24)

    return run


def literal_vignette(offset):
    """A frame of 20 x 24 whose longer side covers 256 pixels of Zhang's mask of 560 x 560 pixels."""

    def at(pixel, start):
        position = ((pixel + 0.5) / 24 + start) * 256
        return np.exp(-((6 * position / 560 - 3) ** 2) / 4)

    return np.array([[at(j, offset[0]) * at(i, offset[1]) for j in range(24)] for i in range(20)])


def literal_mixture(model, t, r, params, weight):
    """The formulas of the five models, written one by one. t, r: [3, H, W, 3]; weight: the mask of wen."""
    if model == "ceilnet":
        m = t[1] + r[1]
        if m.max() > 1:
            r = r - 1.3 * (m[m > 1].mean() - 1)
        r = np.clip(r, 0, 1)
        return np.clip(t + r, 0, 1), r
    if model == "zhang":
        t, r = t**2.2, r**2.2
        for channel in range(3):
            blend = t[1, ..., channel] + r[1, ..., channel]
            over = blend[blend > 1]
            mean = max(1.0, over.sum() / (len(over) + 1e-6))
            r[..., channel] -= (mean - 1) * params.attenuation
        r = np.clip(r, 0, 1) * literal_vignette(params.vignette_offset)[None, :, :, None]
        return np.clip(r + params.transmittance * t, 0, 1) ** (1 / 2.2), r ** (1 / 2.2)
    if model == "dsrnet":
        t, r = params.transmittance * t, np.clip(params.reflectance * r, 0, 1)
        return t + r - t * r, r
    if model == "glass":
        r = np.clip(params.reflectance * r**2.2, 0, 1)
        return np.clip(params.transmittance * t**2.2 + r, 0, 1) ** (1 / 2.2), r ** (1 / 2.2)
    r = np.clip(weight * r, 0, 1)
    return np.clip((1 - weight) * t + r, 0, 1), r


@pytest.mark.parametrize("brightness", [0.4, 1.0])
@pytest.mark.parametrize("model", range(5))
def test_mixing_equals_the_formula_of_each_model(draws, mix, model, brightness):
    index = np.flatnonzero(draws.model == model)[0]
    params = jax.tree.map(lambda leaf: leaf[index], draws)
    rng = np.random.default_rng(model)
    transmission = rng.uniform(0, brightness, size=(3, 20, 24, 3)).astype(np.float32)
    reflection = rng.uniform(0, brightness, size=(3, 20, 24, 3)).astype(np.float32)
    mixture, residual, _, weight = mix(transmission, reflection, params)
    expected, expected_residual = literal_mixture(
        MIXING_MODELS[model],
        transmission.astype(np.float64),
        reflection.astype(np.float64),
        params,
        np.asarray(weight, np.float64),
    )
    np.testing.assert_allclose(residual, expected_residual, atol=2e-3 if model in (1, 4) else 2e-6)
    np.testing.assert_allclose(mixture, expected, atol=2e-5)


def test_subtracted_excess_is_measured_on_the_middle_frame_only(draws, mix):
    for model in (0, 1):
        params = jax.tree.map(lambda leaf, m=model: leaf[np.flatnonzero(draws.model == m)[0]], draws)
        layer = np.full((3, 20, 24, 3), 0.4, np.float32)
        layer[[0, 2]] = 1.0
        np.testing.assert_array_equal(mix(layer, layer, params)[2].subtracted, 0)
        layer[1] = 1.0
        assert np.all(mix(layer, layer, params)[2].subtracted > 0.5)


def test_lamps_are_weighted_before_clipping_by_dsrnet_wen_and_glass(draws, mix):
    lamp = np.full((3, 20, 24, 3), 1.6, np.float32)
    dark = np.zeros_like(lamp)
    for model in (2, 3, 4):
        params = jax.tree.map(lambda leaf, m=model: leaf[np.flatnonzero(draws.model == m)[0]], draws)
        _, residual, _, weight = mix(dark, lamp, params)
        factor = np.asarray(weight) if model == 3 else params.reflectance
        light = 1.6**2.2 if model == 4 else 1.6
        expected = np.minimum(light * factor * np.ones_like(lamp), 1) ** (1 / 2.2 if model == 4 else 1)
        np.testing.assert_allclose(residual, expected, atol=1e-5)


def test_vignette_is_a_crop_of_the_published_mask(draws):
    """The published mask, from Gaussian bin masses, cropped as whole pixels."""
    bins = np.diff(scipy.stats.norm.cdf(np.linspace(-3, 3, 561)))
    mask = np.sqrt(np.outer(bins, bins))
    mask /= mask.max()
    params = jax.tree.map(lambda leaf: leaf[0], draws)
    params = params._replace(vignette_offset=jnp.asarray([100 / 256, 200 / 256]))
    weight = jax.jit(vignette_weight, static_argnums=(1, 2))(params, 192, 256)
    np.testing.assert_allclose(weight, mask[200:392, 100:356], atol=1e-3)


def test_vignette_offset_stays_within_the_mask(draws):
    offset = draws.vignette_offset
    assert offset.min() >= 0
    assert np.all(256 * offset + 256 * np.array([1, 20 / 24]) <= 550 + 1e-3)
    assert np.all(256 * offset.max(axis=0) > 0.95 * (550 - 256))


def test_model_probabilities(draws):
    shares = np.bincount(draws.model, minlength=5) / COUNT
    expected = np.array(OPTIONS.model_probabilities)
    assert np.all(np.abs(shares - expected) < 5 * np.sqrt(expected * (1 - expected) / COUNT))


def test_dim_reflections_are_never_mixed_by_zhang():
    params = draw_many(BRIGHT, 0.4 * BRIGHT)
    shares = np.bincount(np.asarray(params.model), minlength=5) / COUNT
    expected = np.array([0.3, 0, 0.15, 0.15, 0.15]) / 0.75
    assert np.all(np.abs(shares - expected) <= 5 * np.sqrt(expected * (1 - expected) / COUNT))


def test_zhang_is_kept_if_all_other_probabilities_are_0():
    only = MultiviewOptions(size=(20, 24), model_probabilities=(0.0, 1.0, 0.0, 0.0, 0.0))
    assert np.all(np.asarray(draw_many(BRIGHT, 0.1 * BRIGHT, options=only).model) == 1)


def test_blur_probabilities_and_ranges(draws):
    none = draws.blur_sigma == 0
    assert abs(none.mean() - 0.2) < 5 * np.sqrt(0.2 * 0.8 / COUNT)
    assert np.all(draws.blur_radius[none] == 0)
    weak = np.zeros(COUNT, bool)
    for model, (low, high) in enumerate(OPTIONS.blur_own):
        sigma = draws.blur_sigma[(draws.model == model) & ~none]
        assert sigma.min() >= 0.5
        assert high - 0.3 < sigma.max() <= high
        weak |= (draws.model == model) & (draws.blur_sigma < low) & ~none
    assert 0.2 < weak.mean() < 0.35
    strong = draws.blur_sigma > 2
    assert np.all(draws.blur_radius[strong & (draws.model == 0)] == 5), "CEILNet: 11 x 11"
    assert set(draws.blur_radius[strong & (draws.model == 2)]) == {2, 3, 4, 5}, "DSRNet: 5 to 11"
    by_sigma = strong & np.isin(draws.model, (1, 3, 4))
    np.testing.assert_array_equal(draws.blur_radius[by_sigma], np.ceil(2 * draws.blur_sigma[by_sigma]))


def test_ghosting_and_gain_ranges(draws):
    doubled = draws.ghost_strength < 1
    assert abs(doubled.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / COUNT)
    assert draws.ghost_strength.min() >= 0.5
    length = np.linalg.norm(draws.ghost_shift, axis=1)
    assert length.min() > 2
    assert length.max() < 13
    assert abs(np.corrcoef(draws.ghost_strength[doubled], length[doubled])[0, 1]) < 0.2, "independent draws"
    attenuated = np.isin(draws.model, (1, 2, 4))
    assert np.all(draws.transmittance[~attenuated] == 1)
    assert 0.8 <= draws.transmittance[attenuated].min() < draws.transmittance[attenuated].max() < 1
    assert np.all(draws.reflectance[~np.isin(draws.model, (2, 4))] == 1)
    assert 0.05 <= draws.reflectance[draws.model == 4].min() < draws.reflectance[draws.model == 4].max() < 0.6
    assert 0.4 <= draws.reflectance[draws.model == 2].min() < 0.5


def test_mask_is_smooth_within_its_limits_and_follows_the_homographies(draws):
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), draws)
    shift = jnp.asarray([[1.0, 0.0, 5.0], [0.0, 1.0, 3.0], [0.0, 0.0, 1.0]])
    shifted = params.mask_homographies.at[2].set(params.mask_homographies[2] @ shift)
    weight = np.asarray(jax.jit(lambda p: mask_weight(p, 20, 24))(params._replace(mask_homographies=shifted)))
    assert weight.min() >= 0.05
    assert weight.max() <= 0.6
    np.testing.assert_allclose(weight[2, :-3, :-5], weight[0, 3:, 5:], atol=1e-5)
    assert np.abs(np.diff(weight, axis=1)).max() < 0.25
    assert params.mask_coefficients.shape == (FIELD_TERMS, FIELD_TERMS, 3)
    assert np.ptp(weight, axis=-1).max() > 0.005, "three channels"
