from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.fog import airlight
from sirr_jax.synthesis.degradations.rain import RAIN_STRENGTHS, RainStrength, rain, streak_pattern


def photograph(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.mark.parametrize("strength", RAIN_STRENGTHS)
def test_rain_equals_its_formula_pixel_by_pixel(strength):
    image, light = photograph(), airlight(photograph())
    rng = np.random.default_rng(1)
    depth, pattern = rng.uniform(2.0, 80.0, (40, 60)), rng.uniform(size=(40, 60))
    rainy = rain(image, np.random.default_rng(0), depth=depth, strengths=(strength,), focal=1000.0, pattern=pattern)
    near = 2.0 * 1000.0 * strength.drop_size
    for y, x in ((0, 0), (13, 50), (39, 59), (20, 7)):
        streak = pattern[y, x] * np.exp(-strength.alpha * max(near, depth[y, x]))
        haze = 1.0 - np.exp(-strength.beta * depth[y, x])
        value = image[y, x] / 255.0 * (1.0 - streak - haze) + streak + light / 255.0 * haze
        np.testing.assert_array_equal(rainy[y, x], np.rint(255.0 * np.clip(value, 0.0, 1.0)))


def test_no_streaks_and_no_haze_is_the_identity():
    image = photograph()
    none = rain(image, np.random.default_rng(0), strengths=(RainStrength(0.01, 0.0, 0.01),), pattern=np.zeros((40, 60)))
    np.testing.assert_array_equal(none, image)


def test_seed_determines_the_rain():
    image = photograph()
    rainy = [rain(image, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert rainy[0].dtype == np.uint8
    np.testing.assert_array_equal(rainy[0], rainy[1])
    assert (rainy[0] != rainy[2]).any()


def test_streaks_are_sparse_bright_and_nearly_vertical():
    along, across = [], []
    for seed in range(8):
        pattern = streak_pattern(np.random.default_rng(seed), 120, 160)
        assert pattern.shape == (120, 160)
        assert pattern.min() >= 0
        assert pattern.max() <= 1
        assert 0.005 < pattern.mean() < 0.25
        along.append(np.abs(np.diff(pattern, axis=0)).mean())
        across.append(np.abs(np.diff(pattern, axis=1)).mean())
    assert np.mean(across) > 1.5 * np.mean(along)


def test_invalid_arguments_raise():
    image = photograph()
    for name, wrong in (
        ("strengths", {"strengths": ()}),
        ("strengths", {"strengths": (RainStrength(-0.1, 0.0, 0.0),)}),
        ("pattern", {"pattern": np.zeros((3, 3))}),
        ("depth", {"depth": np.ones((3, 3))}),
    ):
        with pytest.raises(UserError, match=name):
            rain(image, np.random.default_rng(0), **wrong)
