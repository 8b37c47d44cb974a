"""The exclusion loss against its formula, image by image."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.losses.exclusion import exclusion
from tests.helpers import literal

jit_exclusion = jax.jit(exclusion, static_argnames="levels")


def layers(seed, *shape):
    rng = np.random.default_rng(seed)
    return [(scale * rng.random(shape)).astype(np.float32) for scale in (1.0, 0.3)]


def formula(a, b, levels=3):
    """Zhang et al.'s code for one image [H, W, C]: baselines specification, section 6.4."""
    a, b, total = a[None].astype(np.float64), b[None].astype(np.float64), 0.0
    for _ in range(levels):
        for da, db in zip(literal.differences(a), literal.differences(b), strict=True):
            alpha = 2.0 * np.abs(da).mean() / np.abs(db).mean()
            sa, sb = 2.0 * literal.sigmoid(da) - 1.0, 2.0 * literal.sigmoid(alpha * db) - 1.0
            total += np.mean(sa**2 * sb**2) ** 0.25
        height, width = a.shape[1] // 2 * 2, a.shape[2] // 2 * 2
        a, b = (literal.downsample_area(x[:, :height, :width], 2) for x in (a, b))
    return total / levels / 2


@pytest.mark.parametrize(("size", "levels"), [((8, 8), 3), ((9, 14), 3), ((3, 2), 1)])
def test_exclusion_equals_the_released_formula(size, levels):
    a, b = layers(0, 1, *size, 3)
    assert float(jit_exclusion(a, b, levels=levels)) == pytest.approx(formula(a[0], b[0], levels), rel=1e-4)


def test_loss_of_a_batch_is_the_mean_over_its_images():
    # Also for very different images, so the loss is the same on one device and on many.
    a, b = layers(1, 3, 8, 8, 3)
    a, b = a * np.array([1.0, 0.1, 3.0], np.float32).reshape(3, 1, 1, 1), b[::-1].copy()
    expected = np.mean([formula(x, y) for x, y in zip(a, b, strict=True)])
    assert float(jit_exclusion(a, b)) == pytest.approx(expected, rel=1e-4)


def test_exclusion_is_small_only_if_edges_do_not_coincide():
    a, b = np.zeros((2, 1, 8, 8, 1), np.float32)
    a[:, :, 2:] = 1.0
    b[:, 5:] = 1.0
    apart = float(jit_exclusion(a, b, levels=1))
    together = float(jit_exclusion(a, a, levels=1))
    assert apart < 2e-3  # the root of 1e-12, which keeps its slope finite
    assert together > 50 * apart
