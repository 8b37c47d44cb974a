"""L_VS and the flow error against literal formulas and at exact flows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.view_synthesis import flow_error, smoothness, synthesis_error, view_synthesis
from tests.helpers import literal

ONES = np.ones(2, np.float32)


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    flow = rng.standard_normal((2, 2, 3, 4, 2)).astype(np.float32)
    return flow, rng.random((2, 3, 12, 16, 3)).astype(np.float32)


def literal_synthesis_errors(flow, layer):
    """Mean over the two neighbors of mean(V abs(W(L_s, up4 flow) - L_t)), per sample."""
    errors = []
    for b in range(len(layer)):
        total = 0.0
        for k, s in enumerate((0, 2)):
            full = 4.0 * literal.upsample_bilinear(flow[b, k][None].astype(np.float64), 4)
            warped, valid = literal.warp(layer[b, s][None], full)
            total += np.mean(valid * np.abs(warped - layer[b, 1][None])) / 2
        errors.append(total)
    return np.array(errors)


def literal_smoothness(flow, layer):
    middle = literal.downsample_area(layer[:, 1].astype(np.float64), 4)
    total = 0.0
    for d_flow, d_layer in zip(literal.differences(flow), literal.differences(middle), strict=True):
        total += np.mean(np.abs(d_flow) * np.exp(-10.0 * np.abs(d_layer).mean(-1))[:, None, ..., None])
    return total


@pytest.mark.parametrize("weight", [[1.0, 1.0], [0.0, 1.0], [0.5, 2.0]])
def test_synthesis_error_equals_its_formula_and_weights_samples(sample, weight):
    expected = np.mean(literal_synthesis_errors(*sample) * weight)
    assert float(jax.jit(synthesis_error)(*sample, jnp.array(weight))) == pytest.approx(expected, rel=1e-4)


def test_pixels_outside_the_frame_have_no_error(sample):
    flow, layer = sample
    assert float(jax.jit(synthesis_error)(np.full_like(flow, 50.0), layer, ONES)) == 0.0


def test_smoothness_equals_its_formula_and_is_reduced_at_edges(sample):
    flow, layer = sample
    evaluate = jax.jit(smoothness)
    assert float(evaluate(flow, layer)) == pytest.approx(literal_smoothness(flow, layer), rel=1e-4)
    assert float(evaluate(np.ones_like(flow), layer)) == 0.0
    step, flat, edge = np.zeros_like(flow), np.zeros_like(layer), np.zeros_like(layer)
    step[..., 2:, :] = 1.0
    edge[..., 8:, :] = 1.0
    assert float(evaluate(step, edge)) == pytest.approx(np.exp(-10.0) * float(evaluate(step, flat)), rel=1e-3)


def test_view_synthesis_is_the_weighted_sum_over_both_layers(sample):
    flow, layer = sample
    flows, layers = (flow, flow[::-1] * 0.5), (layer, 1.0 - layer[:, ::-1])
    weights = (ONES, np.array([1.0, 0.5], np.float32))
    expected = 0.0
    for f, x, w in zip(flows, layers, weights, strict=True):
        # The mean over two layers and two neighbors is the sum over s and L in the specification, divided by 4.
        expected += np.mean(literal_synthesis_errors(f, x) * w) / 2 + 0.05 * literal_smoothness(f, x)
    assert float(jax.jit(view_synthesis)(flows, layers, weights)) == pytest.approx(expected, rel=1e-4)


def moving(linear, shift):
    """Layers [1, 3, 32, 32, 3] of a smooth texture, and their exact flows [1, 2, 32, 32, 2].

    The flow from the middle frame to neighbor s = -1, 1 is `s (linear p + shift)`.
    """
    grid = np.stack(np.meshgrid(np.arange(32.0), np.arange(32.0)), -1)

    def texture(p):
        x, y = p[..., 0], p[..., 1]
        return np.stack([np.sin(0.4 * x + 0.2 * y), np.cos(0.3 * y - 0.2 * x), np.sin(0.2 * (x + y))], -1)

    frames, flows = {0: texture(grid)}, []
    for s in (-1, 1):
        flows.append(s * (grid @ np.transpose(linear) + shift))
        back = (grid - s * np.array(shift)) @ np.linalg.inv(np.eye(2) + s * np.array(linear)).T
        frames[s] = texture(back)
    layer = np.stack([frames[-1], frames[0], frames[1]])[None]
    return np.stack(flows)[None].astype(np.float32), layer.astype(np.float32)


@pytest.mark.parametrize(
    ("linear", "shift"),
    [(((0.0, 0.0), (0.0, 0.0)), (3.3, -1.7)), (((0.02, 0.0), (-0.02, 0.03)), (2.0, 0.0))],
    ids=["shift", "affine"],
)
def test_synthesis_error_is_small_only_for_exact_flows(linear, shift):
    flow, layer = moving(linear, shift)
    quarter = (literal.downsample_area(flow[0].astype(np.float64), 4)[None] / 4.0).astype(np.float32)
    evaluate = jax.jit(synthesis_error)
    one = np.ones(1, np.float32)
    exact = float(evaluate(quarter, layer, one))
    assert exact < 0.02
    swapped = [quarter[..., ::-1].copy(), quarter[:, ::-1].copy()]
    for wrong in (0.0 * quarter, -quarter, 0.5 * quarter, 4.0 * quarter, *swapped):
        assert float(evaluate(wrong, layer, one)) > 4.0 * exact

    error, valid = jax.jit(flow_error), np.ones(flow.shape[:-1], np.float32)
    assert float(error(quarter, flow, valid, one)) < 1e-6
    expected = np.abs(quarter.astype(np.float64)).sum(-1).mean()
    assert float(error(np.zeros_like(quarter), flow, valid, one)) == pytest.approx(expected, rel=1e-4)


def downsample(flow, stride):
    batch, pair, height, width, _ = flow.shape
    return flow.reshape(batch, pair, height // stride, stride, width // stride, stride, 2).mean(axis=(3, 5))


def test_flow_error_ignores_hidden_pixels_and_unknown_flows():
    rng = np.random.default_rng(1)
    flow = rng.standard_normal((2, 2, 2, 3, 2)).astype(np.float32)
    target = rng.standard_normal((2, 2, 8, 12, 2)).astype(np.float32)
    valid = (rng.random((2, 2, 8, 12)) < 0.6).astype(np.float32)
    weight = np.array([1.0, 0.5], np.float32)
    expected = np.zeros(2)
    for b, k, i, j in np.ndindex(2, 2, 2, 3):
        block = (b, k, slice(4 * i, 4 * i + 4), slice(4 * j, 4 * j + 4))
        exact = target[block].reshape(16, 2).mean(axis=0) / 4.0
        expected[b] += np.abs(flow[b, k, i, j] - exact).sum() * valid[block].mean() / 12.0
    evaluate = jax.jit(flow_error)
    assert float(evaluate(flow, target, valid, weight)) == pytest.approx(np.mean(expected * weight), rel=1e-4)
    # A coarser grid has larger pixels.
    halved = downsample(target, 2).astype(np.float32) / 2
    assert float(evaluate(halved, target, np.ones_like(valid), weight)) < 1e-6
    shifted = halved + np.array([0.5, 0.0], np.float32)  # half a pixel of its grid, a quarter at quarter resolution
    assert float(evaluate(shifted, target, np.ones_like(valid), ONES)) == pytest.approx(0.25, rel=1e-4)
    assert float(evaluate(flow, target, valid, 0.0 * weight)) == 0.0
    assert float(evaluate(flow, target, 0.0 * valid, weight)) == 0.0
