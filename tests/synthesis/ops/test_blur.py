from __future__ import annotations

import jax
import numpy as np
import pytest
import scipy.ndimage

from sirr_jax.synthesis.ops.blur import gaussian_blur, gaussian_kernel, ghost

IMAGE = np.random.default_rng(0).uniform(size=(24, 30, 3)).astype(np.float32)
TAPS = 21
kernel = jax.jit(lambda sigma, radius: gaussian_kernel(sigma, radius, taps=TAPS))
blur = jax.jit(lambda image, weights, reflect: gaussian_blur(image, weights, reflect=reflect))


@pytest.mark.parametrize(("sigma", "radius"), [(2.0, 5), (5.0, 5), (1.3, 3), (5.0, 10)])
def test_gaussian_kernel_is_normalized_and_truncated(sigma, radius):
    offset = np.arange(-radius, radius + 1)
    expected = np.exp(-(offset**2) / (2 * sigma**2))
    weights = np.asarray(kernel(sigma, float(radius)))
    np.testing.assert_allclose(weights[10 - radius : 11 + radius], expected / expected.sum(), rtol=1e-5)
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    assert np.count_nonzero(weights) == 2 * radius + 1


@pytest.mark.parametrize(("reflect", "mode"), [(True, "mirror"), (False, "constant")])
def test_gaussian_blur_matches_scipy_for_both_paddings(reflect, mode):
    weights = np.asarray(kernel(2.5, 7.0))
    expected = scipy.ndimage.correlate1d(IMAGE.astype(np.float64), weights, axis=0, mode=mode)
    expected = scipy.ndimage.correlate1d(expected, weights, axis=1, mode=mode)
    np.testing.assert_allclose(blur(IMAGE, weights, reflect), expected, atol=2e-6)


def test_radius_0_is_the_identity():
    np.testing.assert_array_equal(blur(IMAGE, kernel(0.1, 0.0), False), IMAGE)


@pytest.mark.parametrize("shift", [(3, -5), (-8, 0), (0, 8)])
def test_ghost_adds_a_shifted_image(shift):
    x, y = np.meshgrid(np.arange(30), np.arange(24))
    displaced = IMAGE[np.clip(y - shift[1], 0, 23), np.clip(x - shift[0], 0, 29)]
    doubled = jax.jit(lambda image, d, a: ghost(image, d, a, reach=8))(IMAGE, np.asarray(shift, np.int32), 0.7)
    np.testing.assert_allclose(doubled, 0.7 * IMAGE + 0.3 * displaced, atol=1e-6)
