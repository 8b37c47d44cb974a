"""MS-SSIM against TensorFlow and a literal computation; gradients where TensorFlow's are NaN."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.losses.ms_ssim import ms_ssim

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

similarity = jax.jit(ms_ssim, static_argnames=("max_value", "scales"))


def pair(seed, *shape):
    """Images of blocks in [0, 1], with noise and without."""
    generator = np.random.default_rng(seed)
    target = generator.random((shape[0], shape[1] // 8 + 1, shape[2] // 8 + 1, shape[3]))
    target = target.repeat(8, axis=1).repeat(8, axis=2)[:, : shape[1], : shape[2]]
    estimate = np.clip(target + 0.2 * generator.standard_normal(shape), 0.0, 1.0)
    return estimate.astype(np.float32), target.astype(np.float32)


def tensorflow_ms_ssim(a, b, max_value, weights):
    tensorflow = pytest.importorskip("tensorflow")
    return tensorflow.image.ssim_multiscale(a, b, max_val=max_value, power_factors=weights).numpy()


@pytest.mark.parametrize(
    ("size", "scales", "max_value"),
    [((161, 176), 5, 1.0), ((178, 165), 5, 2.0), ((41, 47), 3, 2.0), ((11, 12), 1, 1.0)],
)
def test_ms_ssim_matches_tensorflow(size, scales, max_value):
    a, b = pair(0, 2, *size, 3)
    a, b = (x * np.float32(max_value) - np.float32(max_value - 1.0) for x in (a, b))
    weights = tuple(w / sum(WEIGHTS[:scales]) for w in WEIGHTS[:scales])
    values = similarity(a, b, max_value=max_value, scales=scales)
    assert values.shape == (2,)
    np.testing.assert_allclose(values, tensorflow_ms_ssim(a, b, max_value, weights), atol=2e-5)


def literal(a, b, max_value, scales):
    """MS-SSIM of one image [H, W, C], window by window, in float64."""
    taps = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    window = np.outer(taps, taps)[..., None] / taps.sum() ** 2
    c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
    result = 1.0
    for scale in range(scales):
        if scale:
            a, b = (np.pad(x, ((0, x.shape[0] % 2), (0, x.shape[1] % 2), (0, 0)), mode="edge") for x in (a, b))
            a, b = ((x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4 for x in (a, b))
        luminance, contrast = [], []
        for i in range(a.shape[0] - 10):
            for j in range(a.shape[1] - 10):
                x, y = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
                mx, my = (window * x).sum(axis=(0, 1)), (window * y).sum(axis=(0, 1))
                vx, vy = (window * (x - mx) ** 2).sum(axis=(0, 1)), (window * (y - my) ** 2).sum(axis=(0, 1))
                covariance = (window * (x - mx) * (y - my)).sum(axis=(0, 1))
                luminance.append((2 * mx * my + c1) / (mx**2 + my**2 + c1))
                contrast.append((2 * covariance + c2) / (vx + vy + c2))
        luminance, contrast = np.array(luminance), np.array(contrast)
        term = (luminance * contrast if scale == scales - 1 else contrast).mean(axis=0)
        result = result * np.maximum(term, 1e-6) ** (WEIGHTS[scale] / sum(WEIGHTS[:scales]))
    return result.mean()


def test_ms_ssim_equals_the_definition_image_by_image():
    a, b = pair(1, 2, 23, 26, 2)
    b[1] = 1.0 - b[1]  # below the floor in one image only
    expected = [literal(x, y, 1.0, 2) for x, y in zip(a.astype(np.float64), b.astype(np.float64), strict=True)]
    np.testing.assert_allclose(similarity(a, b, max_value=1.0, scales=2), expected, atol=1e-5)


def test_ms_ssim_of_equal_images_is_1():
    a, _ = pair(2, 1, 41, 41, 3)
    np.testing.assert_allclose(similarity(a, a, max_value=1.0, scales=3), 1.0, atol=1e-6)


# At these TensorFlow's gradients are NaN: the contrast terms are negative or exactly 0.
DEGENERATE = {
    "opposite": lambda a: (a, 1.0 - a),
    "flat against noise": lambda a: (np.full_like(a, 0.5), a),
    "black against white": lambda a: (np.zeros_like(a), np.ones_like(a)),
    "equal": lambda a: (a, a),
    "flat": lambda a: (np.full_like(a, 0.3), np.full_like(a, 0.3)),
}


@functools.cache
def gradient():
    return jax.jit(
        jax.value_and_grad(lambda a, b: (1.0 - ms_ssim(a, b, max_value=2.0, scales=2)).mean(), argnums=(0, 1))
    )


@pytest.mark.parametrize("name", DEGENERATE)
def test_gradients_are_finite_where_the_power_is_steepest(name):
    a, b = DEGENERATE[name](np.random.default_rng(3).random((1, 24, 24, 3)).astype(np.float32))
    value, gradients = gradient()(2.0 * a - 1.0, 2.0 * b - 1.0)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradients)
    assert (float(value) < 1e-5) == (name in ("equal", "flat"))


def test_gradient_descent_step_increases_ms_ssim():
    a, b = pair(4, 1, 24, 24, 3)
    value, (of_a, _) = gradient()(2.0 * a - 1.0, 2.0 * b - 1.0)
    better, _ = gradient()(2.0 * a - 1.0 - 0.05 * of_a / np.abs(of_a).max(), 2.0 * b - 1.0)
    assert better < value


@pytest.mark.parametrize(
    ("shapes", "scales", "message"),
    [
        (((1, 160, 400, 3),) * 2, 5, r"160x400 is too small for MS-SSIM of 5 scales, which needs 161 pixels a side"),
        (((1, 40, 41, 3),) * 2, 3, r"needs 41 pixels a side: use fewer scales or larger crops"),
        (((1, 41, 41, 3),) * 2, 6, r"scales is 6, expected 1 to 5"),
        (((1, 41, 41, 3), (1, 41, 42, 3)), 3, r"expected equal shapes"),
    ],
)
def test_invalid_arguments_raise(shapes, scales, message):
    with pytest.raises(UserError, match=message):
        ms_ssim(*map(jnp.zeros, shapes), max_value=1.0, scales=scales)
