"""Pixel losses against literal formulas and scikit-image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from sirr_jax.losses.pixel import (
    differences,
    gradient_l1,
    l1,
    multiscale_gradient_l1,
    psnr_loss,
    reconstruction,
    ssim_gaussian,
)
from tests.helpers import literal


def pair(seed, *shape):
    rng = np.random.default_rng(seed)
    target = rng.random(shape)
    estimate = np.clip(target + 0.2 * rng.standard_normal(shape), 0.0, 1.0)
    return estimate.astype(np.float32), target.astype(np.float32)


def literal_gradient_l1(a, b):
    (ax, ay), (bx, by) = (literal.differences(x.astype(np.float64)) for x in (a, b))
    return np.abs(ax - bx).mean() + np.abs(ay - by).mean()


def test_differences_are_forward_along_width_and_height():
    x, _ = pair(0, 2, 3, 4, 5, 2)
    along_width, along_height = differences(jnp.asarray(x))
    np.testing.assert_array_equal(along_width, x[:, :, :, 1:] - x[:, :, :, :-1])
    np.testing.assert_array_equal(along_height, x[:, :, 1:] - x[:, :, :-1])


def test_l1_and_gradient_l1_equal_their_formulas():
    a, b = pair(1, 2, 5, 6, 3)
    assert float(l1(a, b)) == pytest.approx(np.mean(np.abs(a - b)), rel=1e-6)
    assert float(jax.jit(gradient_l1)(a, b)) == pytest.approx(literal_gradient_l1(a, b), rel=1e-5)


def test_multiscale_gradient_l1_averages_octaves_and_crops_odd_borders():
    a, b = pair(2, 2, 13, 10, 3)
    expected, (x, y) = 0.0, (a, b)
    for scale in range(3):
        if scale:
            height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
            x, y = (literal.downsample_area(z[:, :height, :width].astype(np.float64), 2) for z in (x, y))
        expected += literal_gradient_l1(x, y) / 3
    assert float(jax.jit(multiscale_gradient_l1)(a, b)) == pytest.approx(expected, rel=1e-5)
    single_scale = jax.jit(lambda a, b: multiscale_gradient_l1(a, b, scales=1))(a, b)
    assert float(single_scale) == pytest.approx(literal_gradient_l1(a, b), rel=1e-5)


def test_ssim_matches_scikit_image_where_the_window_fits():
    estimates, targets = pair(3, 2, 17, 14, 3)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    maps = [
        structural_similarity(a, b, channel_axis=2, full=True, **options)[1][5:-5, 5:-5]
        for a, b in zip(estimates.astype(np.float64), targets.astype(np.float64), strict=True)
    ]
    assert float(jax.jit(ssim_gaussian)(estimates, targets)) == pytest.approx(np.mean(maps), abs=1e-5)


def test_ssim_of_a_small_image_uses_a_window_of_its_size():
    a, b = pair(4, 1, 4, 7, 1)
    taps = np.exp(-0.5 * ((np.arange(4) - 1.5) / 1.5) ** 2)
    weights = np.outer(taps, taps) / taps.sum() ** 2
    values = []
    for j in range(4):
        x, y = (z[0, :, j : j + 4, 0].astype(np.float64) for z in (a, b))
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
        cov = (weights * (x - mx) * (y - my)).sum()
        values.append((2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
    assert float(jax.jit(ssim_gaussian)(a, b)) == pytest.approx(np.mean(values), abs=1e-5)


def test_ssim_filters_at_highest_precision_whatever_the_default():
    # TF32 or bfloat16 keep 3 digits of E[x^2] and E[x]^2, so their difference would be noise as large as C2.
    a, b = pair(5, 1, 12, 12, 3)
    with jax.default_matmul_precision("default"):
        jaxpr = jax.make_jaxpr(ssim_gaussian)(a, b)
    products = [eqn for eqn in jax.tree.leaves(_equations(jaxpr.jaxpr)) if eqn.primitive.name == "dot_general"]
    assert len(products) >= 10
    highest = jax.lax.Precision.HIGHEST
    assert all(eqn.params["precision"] in (highest, (highest, highest)) for eqn in products)


def _equations(jaxpr):
    equations = []
    for eqn in jaxpr.eqns:
        equations.append(eqn)
        for value in eqn.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                equations += _equations(inner)
    return equations


def test_reconstruction_is_the_weighted_sum_and_0_for_the_target():
    a, b = pair(6, 2, 12, 13, 3)
    expected = np.mean(np.abs(a - b)) + 0.5 * literal_gradient_l1(a, b) + 0.2 * (1.0 - float(ssim_gaussian(a, b)))
    evaluate = jax.jit(reconstruction)
    assert float(evaluate(a, b)) == pytest.approx(expected, rel=1e-5)
    assert abs(float(evaluate(b, b))) < 1e-6


def test_psnr_loss_is_the_mean_of_the_log_mse_of_each_image():
    a, b = pair(7, 3, 8, 9, 3)
    a[0] = b[0] + 0.001  # 60 dB, and 0.03 ln(1.01)
    a[1] = b[1]
    mse = np.square(a[2] - b[2]).mean()
    expected = 0.01 * (np.log(1.01) + np.log(1 + 1e4 * mse))
    assert float(psnr_loss(a, b)) == pytest.approx(expected, rel=1e-4)
    assert float(psnr_loss(a, b)) == pytest.approx(float(psnr_loss(a[:, ::-1], b[:, ::-1])), rel=1e-5)
    gradient = jax.jit(jax.grad(lambda x: psnr_loss(x, jnp.asarray(b))))(jnp.asarray(a))
    np.testing.assert_array_equal(gradient[1], 0.0)  # not NaN where the images are equal
    by_l1, by_mse = (float(reconstruction(a, b, error=name)) for name in ("l1", "psnr"))
    assert by_mse - by_l1 == pytest.approx(expected - np.mean(np.abs(a - b)), abs=1e-5)
