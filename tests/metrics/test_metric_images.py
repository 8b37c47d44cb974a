"""Properties common to all metrics: precision, clipping of the estimate, rejected inputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.metrics import lmse, ncc, psnr, ssim

ALL = pytest.mark.parametrize("metric", [psnr, ssim, lmse, ncc])


def pair(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(sum(shape))
    target = rng.random(shape)
    return np.clip(target + 0.2 * rng.standard_normal(shape), 0.0, 1.0), target


@ALL
def test_numpy_image_gives_a_float_in_double_precision(metric):
    narrow = [image.astype(np.float32) for image in pair(21, 23, 3)]
    wide = [image.astype(np.float64) for image in narrow]
    assert type(metric(*narrow)) is float
    assert metric(*narrow) == metric(*wide)


@ALL
def test_batch_is_scored_image_by_image(metric):
    estimates, targets = pair(3, 21, 23, 2)
    scores = metric(estimates, targets)
    assert scores.dtype == np.float64
    alone = [metric(x, y) for x, y in zip(estimates, targets, strict=True)]
    np.testing.assert_allclose(scores, alone, rtol=1e-12)


@ALL
@pytest.mark.parametrize("on_device", ["estimate", "target", "both"])
def test_jax_array_on_either_side_selects_float32(metric, on_device):
    estimate, target = pair(20, 20, 1)
    x = estimate if on_device == "target" else jnp.asarray(estimate)
    y = target if on_device == "estimate" else jnp.asarray(target, jnp.bfloat16)
    score = metric(x, y)
    assert isinstance(score, jax.Array)
    assert score.shape == ()
    assert score.dtype == jnp.float32


@ALL
def test_values_up_to_255_raise(metric):
    estimate, target = pair(20, 20, 3)
    for role, images in (("target", (estimate, 255.0 * target)), ("estimate", (255.0 * estimate, target))):
        with pytest.raises(UserError, match=rf"the {role}'s values reach .*: divide 8-bit images by 255"):
            metric(*images)


@ALL
def test_only_the_estimate_is_clipped_and_nothing_is_rounded(metric):
    estimate, target = pair(20, 20, 3)
    unclipped = 3.0 * estimate - 1.0
    assert metric(unclipped, target) == metric(np.clip(unclipped, 0.0, 1.0), target)
    assert metric(estimate, target) != metric(np.floor(estimate * 255.0) / 255.0, target)
    assert metric(estimate, 3.0 * target - 1.0) != metric(estimate, np.clip(3.0 * target - 1.0, 0.0, 1.0))


@ALL
def test_nan_pixel_gives_a_nan_score(metric):
    estimate, target = pair(20, 20, 3)
    estimate[3, 4, 1] = np.nan
    assert np.isnan(metric(estimate, target))


@ALL
def test_invalid_pairs_raise(metric):
    image = np.zeros((20, 24, 3))
    with pytest.raises(UserError, match=r"\(20, 24, 3\) and the target \(24, 20, 3\)"):
        metric(image, np.zeros((24, 20, 3)))
    with pytest.raises(UserError, match="target has dtype uint8"):
        metric(image, image.astype(np.uint8))
    with pytest.raises(UserError, match="estimate has dtype int32"):
        metric(jnp.zeros((20, 24, 3), jnp.int32), image)
    with pytest.raises(UserError, match=r"shape \(20, 24\)"):
        metric(image[..., 0], image[..., 0])
    with pytest.raises(UserError, match="0x24 pixels"):
        metric(image[:0], image[:0])


@pytest.mark.parametrize(("metric", "smallest"), [(ssim, 7), (lmse, 20)])
def test_the_smallest_image_is_one_window(metric, smallest):
    assert np.isfinite(metric(*pair(smallest, smallest, 3)))
    for shape in [(smallest - 1, 40, 3), (40, smallest - 1, 3)]:
        with pytest.raises(UserError, match=rf"{shape[0]}x{shape[1]} pixels.*at least {smallest}x{smallest}"):
            metric(*pair(*shape))
