"""Layers and their gradients against the PyTorch operations that their docstrings name."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.conv import conv
from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.cost_volume import cost_volume
from sirr_jax.layers.normalization import BatchNorm, instance_norm
from sirr_jax.layers.padding import reflect_pad, sides
from sirr_jax.layers.pooling import adaptive_average_pool, average_pool, max_pool
from sirr_jax.layers.resize import (
    downsample_area,
    resize_bilinear,
    resize_nearest,
    upsample_bilinear,
    upsample_nearest,
)
from sirr_jax.layers.upsample_conv import UpsampleConv
from sirr_jax.layers.warp import warp
from tests.helpers import literal

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def to_torch(x):
    """NHWC array -> NCHW tensor."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(x), -1, 1)))


def from_torch(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def assert_same(ours, theirs, x, weights=None, *, kernel_axes=(3, 2, 0, 1), atol=2e-5):
    """Compares values and gradients of `ours(weights, x)` and `theirs(x, **weights as tensors)`."""
    weights = {} if weights is None else weights
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(w.transpose(kernel_axes) if w.ndim == 4 else w)).requires_grad_()
        for name, w in weights.items()
    }
    image = to_torch(x).requires_grad_()
    expected = theirs(image, **tensors)
    slopes = np.random.default_rng(9).standard_normal(from_torch(expected).shape).astype(np.float32)
    (expected * to_torch(slopes)).sum().backward()

    def weighted(weights, x):
        y = ours(weights, x)
        return (y * slopes).sum(), y

    (of_weights, of_x), y = jax.jit(jax.grad(weighted, (0, 1), has_aux=True))(weights, x)
    np.testing.assert_allclose(y, from_torch(expected), atol=atol)
    np.testing.assert_allclose(of_x, from_torch(image.grad), atol=atol)
    for name, w in tensors.items():
        slope = w.grad.numpy()
        slope = slope.transpose(np.argsort(kernel_axes)) if slope.ndim == 4 else slope
        np.testing.assert_allclose(of_weights[name], slope, atol=10 * atol, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"kernel": 5},
        {"dilation": 4},
        {"kernel": 7, "stride": 2},
        {"kernel": 3, "stride": 2, "dilation": 2},
        {"kernel": 4, "stride": 2, "padding": 1},
        {"kernel": 4, "stride": 1, "padding": 1},
        {"kernel": 3, "stride": 2, "padding": ((0, 1), (0, 1))},
        {"kernel": 4, "padding": ((1, 2), (0, 3))},
        {"kernel": 1, "bias": False},
        {"kernel": 11, "stride": 4, "padding": 2},
        {"groups": 2, "dilation": 2},
        {"groups": 4, "stride": 2, "bias": False},
    ],
    ids=str,
)
def test_conv(options):
    layer = conv(8, **options)
    kernel, stride, dilation = options.get("kernel", 3), options.get("stride", 1), options.get("dilation", 1)
    groups = options.get("groups", 1)
    weights = {"kernel": draw(1, kernel, kernel, 4 // groups, 8)}
    if options.get("bias", True):
        weights["bias"] = draw(2, 8)
    (top, bottom), (left, right) = sides(options.get("padding", dilation * (kernel - 1) // 2))

    def theirs(x, kernel, bias=None):
        return F.conv2d(F.pad(x, (left, right, top, bottom)), kernel, bias, stride, 0, dilation, groups)

    assert_same(lambda w, x: layer.apply({"params": w}, x), theirs, draw(0, 2, 17, 14, 4), weights, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 4, "stride": 2, "padding": 1},
        {"kernel": 3, "stride": 2, "padding": 1, "output_padding": 1},
        {"kernel": 4, "stride": 2, "padding": 0},
        {"kernel": 4, "stride": 2, "padding": 1, "bias": False},
        {"kernel": 3, "stride": 2, "padding": 1, "bias": False},
        {"kernel": 2, "stride": 2, "padding": 0},
        {"kernel": 3, "stride": 1, "padding": 1},
        {"kernel": 8, "stride": 4, "padding": 2},
    ],
    ids=str,
)
def test_conv_transpose(options):
    layer = ConvTranspose(5, **options)
    kernel = options["kernel"]
    weights = {"kernel": draw(1, kernel, kernel, 3, 5)}
    if options.get("bias", True):
        weights["bias"] = draw(2, 5)

    def theirs(x, kernel, bias=None):
        rest = options.get("output_padding", 0)
        return F.conv_transpose2d(x, kernel, bias, options["stride"], options["padding"], rest)

    x = draw(0, 2, 5, 7, 3)
    assert_same(lambda w, x: layer.apply({"params": w}, x), theirs, x, weights, kernel_axes=(2, 3, 0, 1), atol=5e-5)


def test_upsample_conv():
    def theirs(x, kernel, bias):
        return F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), kernel, bias, padding=1)

    weights = {"kernel": draw(1, 3, 3, 3, 4), "bias": draw(2, 4)}
    assert_same(lambda w, x: UpsampleConv(4).apply({"params": w}, x), theirs, draw(0, 2, 5, 7, 3), weights, atol=5e-5)


def batch_norms(momentum, epsilon):
    """Our layer, its random variables, and PyTorch's layer with the same variables."""
    theirs = torch.nn.BatchNorm2d(3, epsilon, momentum)
    state = {
        "weight": 1 + 0.1 * draw(1, 3),
        "bias": draw(2, 3),
        "running_mean": draw(3, 3),
        "running_var": 1 + draw(4, 3) ** 2,
    }
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    variables = {
        "params": {"scale": state["weight"], "bias": state["bias"]},
        "batch_stats": {"mean": state["running_mean"], "var": state["running_var"]},
    }
    return BatchNorm(momentum=momentum, epsilon=epsilon), jax.tree.map(np.copy, variables), theirs


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("momentum", "epsilon"), [(0.1, 1e-5), (0.01, 1e-3)])
def test_batch_norm(train, momentum, epsilon):
    layer, variables, module = batch_norms(momentum, epsilon)
    stats = variables["batch_stats"]

    def ours(params, x):
        return layer.apply({"params": params, "batch_stats": stats}, x, train=train)

    def theirs(x, scale, bias):
        mean, var = (torch.from_numpy(stats[name].copy()) for name in ("mean", "var"))
        return F.batch_norm(x, mean, var, scale, bias, training=train, momentum=momentum, eps=epsilon)

    x = 2.0 + 3.0 * draw(0, 4, 5, 6, 3)
    assert_same(ours, theirs, x, variables["params"])
    module.train(train)
    actual = layer.apply(variables, x, train=train)
    np.testing.assert_allclose(actual, from_torch(module(to_torch(x))), atol=1e-5)


@pytest.mark.parametrize(("momentum", "epsilon"), [(0.1, 1e-5), (0.01, 1e-3)])
def test_running_statistics_over_two_steps(momentum, epsilon):
    layer, variables, module = batch_norms(momentum, epsilon)
    for step in range(2):
        x = step + 2.0 * draw(5 + step, 2, 4, 3, 3)
        module.train()(to_torch(x))
        _, updates = layer.apply(variables, x, train=True, mutable=["batch_stats"])
        variables = variables | updates
        np.testing.assert_allclose(variables["batch_stats"]["mean"], module.running_mean.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(variables["batch_stats"]["var"], module.running_var.numpy(), rtol=1e-5)
    x = draw(8, 2, 4, 3, 3)
    np.testing.assert_allclose(layer.apply(variables, x), from_torch(module.eval()(to_torch(x))), atol=1e-5)


@pytest.mark.parametrize("train", [False, True])
def test_batch_norm_of_bfloat16(train):
    layer, variables, module = batch_norms(0.1, 1e-5)
    x = jnp.asarray(draw(0, 2, 6, 5, 3), jnp.bfloat16)
    actual, updates = layer.apply(variables, x, train=train, mutable=["batch_stats"])
    theirs = module.train(train)(to_torch(x.astype(jnp.float32)).bfloat16())
    assert actual.dtype == jnp.bfloat16
    assert theirs.dtype == torch.bfloat16
    # The last of 8 digits may be rounded differently.
    np.testing.assert_allclose(actual.astype(jnp.float32), from_torch(theirs.float()), rtol=2**-7, atol=2**-8)
    np.testing.assert_allclose(updates["batch_stats"]["var"], module.running_var.numpy(), rtol=1e-4)


@pytest.mark.parametrize("size", [(6, 7), (1, 2)])
def test_instance_norm(size):
    x = 2.0 + 3.0 * draw(0, 2, *size, 4)
    assert_same(lambda _, x: instance_norm(x), F.instance_norm, x, atol=1e-4)


@pytest.mark.parametrize("padding", [1, 3, ((0, 1), (2, 3)), ((4, 0), (0, 5))], ids=str)
def test_reflect_pad(padding):
    (top, bottom), (left, right) = sides(padding)

    def theirs(x):
        return F.pad(x, (left, right, top, bottom), mode="reflect")

    assert_same(lambda _, x: reflect_pad(x, padding), theirs, draw(0, 2, 5, 6, 3))


POOLS = [(2, 2, 0), (3, 2, 1), (3, 2, 0), (3, 1, 1), (2, 1, 0), (2, 2, 1), (5, 3, 2), (1, 2, 0)]


@pytest.mark.parametrize(("window", "stride", "padding"), POOLS)
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("size", [(9, 12), (5, 8)])
def test_max_pool(size, window, stride, padding, ceil_mode):
    def ours(_, x):
        return max_pool(x, window, stride=stride, padding=padding, ceil_mode=ceil_mode)

    x = draw(0, 2, *size, 3) - 3.0
    assert_same(ours, lambda x: F.max_pool2d(x, window, stride, padding, ceil_mode=ceil_mode), x, atol=1e-6)


def test_max_pool_sizes():
    for size in range(1, 24):
        for window, stride, padding in POOLS:
            for ceil_mode in (False, True):
                if size + 2 * padding < window:
                    continue
                options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
                expected = F.max_pool2d(torch.zeros(1, 1, size, 23), window, **options).shape
                actual = jax.eval_shape(lambda x, w=window, o=options: max_pool(x, w, **o), jnp.zeros((1, size, 23, 1)))
                assert actual.shape[1:3] == expected[2:], (size, window, options)


def test_max_pool_gradient_of_equal_values_is_that_of_the_first():
    # After a ReLU, many windows contain only zeros.
    x = np.maximum(draw(0, 2, 8, 9, 3) - 1.0, 0.0)
    assert_same(lambda _, x: max_pool(x, 2, stride=2), lambda x: F.max_pool2d(x, 2, 2), x)
    assert_same(lambda _, x: max_pool(x, 3, stride=2, padding=1), lambda x: F.max_pool2d(x, 3, 2, 1), x)


@pytest.mark.parametrize(("window", "stride", "padding"), POOLS)
@pytest.mark.parametrize("count_padding", [False, True])
def test_average_pool(window, stride, padding, count_padding):
    def ours(_, x):
        return average_pool(x, window, stride=stride, padding=padding, count_padding=count_padding)

    def theirs(x):
        return F.avg_pool2d(x, window, stride, padding, count_include_pad=count_padding)

    assert_same(ours, theirs, draw(0, 2, 9, 12, 3), atol=1e-6)


@pytest.mark.parametrize("bins", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("size", [(6, 12), (7, 13), (5, 11), (3, 2)])
def test_adaptive_average_pool(size, bins):
    x = draw(0, 2, *size, 3)
    assert_same(lambda _, x: adaptive_average_pool(x, bins), lambda x: F.adaptive_avg_pool2d(x, bins), x, atol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_resizes_by_whole_factors(factor):
    x = draw(0, 2, 8, 12, 3)
    up = F.interpolate(to_torch(x), scale_factor=factor, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(upsample_bilinear(x, factor), from_torch(up), atol=1e-6)
    nearest = F.interpolate(to_torch(x), scale_factor=factor, mode="nearest")
    np.testing.assert_array_equal(upsample_nearest(x, factor), from_torch(nearest))
    np.testing.assert_array_equal(resize_nearest(x, (8 * factor, 12 * factor)), from_torch(nearest))
    smaller = F.interpolate(to_torch(x), scale_factor=1 / factor, mode="nearest")
    np.testing.assert_array_equal(resize_nearest(x, (8 // factor, 12 // factor)), from_torch(smaller))
    np.testing.assert_allclose(downsample_area(x, factor), from_torch(F.avg_pool2d(to_torch(x), factor)), atol=1e-6)


def size_pairs(seed, count, largest):
    """Old and new sizes: a few critical ones, then random ones."""
    rng = np.random.default_rng(seed)
    yield from [((87, 350), (350, 87)), ((119, 5), (391, 5)), ((1, 5), (7, 1)), ((64, 64), (63, 65))]
    for _ in range(count):
        old, new = rng.integers(1, largest, 2), rng.integers(1, largest, 2)
        yield tuple(map(int, old)), tuple(map(int, new))


def numbered(size):
    """An image whose pixels contain their coordinates."""
    return np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1).astype(np.float32)[None]


def test_resize_nearest_at_several_sizes():
    for old, new in size_pairs(0, 15, 600):
        expected = F.interpolate(to_torch(numbered(old)), size=new, mode="nearest")
        actual = resize_nearest(numbered(old), new)
        np.testing.assert_array_equal(actual, from_torch(expected), err_msg=f"{old} -> {new}")


def test_literal_resize_nearest_at_hundreds_of_sizes():
    for old, new in size_pairs(1, 300, 500):
        line, end = numbered((old[0], 1)), (new[0], 1)
        expected = F.interpolate(to_torch(line), size=end, mode="nearest")
        actual = literal.resize_nearest(line, end)
        np.testing.assert_array_equal(actual, from_torch(expected), err_msg=f"{old[0]} -> {new[0]}")


@pytest.mark.parametrize("align_corners", [False, True])
def test_resize_bilinear_to_any_size(align_corners):
    for old, new in size_pairs(2, 10, 300):
        x = draw(0, 1, *old, 2)
        expected = F.interpolate(to_torch(x), size=new, mode="bilinear", align_corners=align_corners)
        actual = resize_bilinear(x, new, align_corners=align_corners)
        np.testing.assert_allclose(actual, from_torch(expected), atol=2e-6, err_msg=f"{old} -> {new}")


@pytest.mark.parametrize("align_corners", [False, True])
def test_resize_bilinear_by_any_scale(align_corners):
    rng = np.random.default_rng(3)
    # The factor 1.02 changes no size.
    for scale in (2, 0.5, 0.75, 1 / 3, 1.02, *rng.uniform(0.2, 3.0, 5)):
        height, width = (int(n) for n in rng.integers(6, 49, 2))
        x = draw(0, 1, height, width, 2)
        options = {"align_corners": align_corners, "mode": "bilinear"}
        expected = from_torch(F.interpolate(to_torch(x), scale_factor=float(scale), **options))
        actual = resize_bilinear(x, expected.shape[1:3], align_corners=align_corners, scale=float(scale))
        np.testing.assert_allclose(actual, expected, atol=2e-6, err_msg=f"{height}x{width} times {scale}")


@pytest.mark.parametrize("new", [(13, 4), (3, 11), (5, 7)])
def test_gradients_of_resizes(new):
    x = draw(0, 2, 5, 7, 3)
    assert_same(lambda _, x: resize_nearest(x, new), lambda x: F.interpolate(x, size=new, mode="nearest"), x)
    for align_corners in (False, True):
        options = {"align_corners": align_corners}
        assert_same(
            lambda _, x, o=options: resize_bilinear(x, new, **o),
            lambda x, o=options: F.interpolate(x, size=new, mode="bilinear", **o),
            x,
        )


def test_warp_matches_grid_sample():
    x, flow = draw(0, 2, 9, 11, 4), 3 * draw(1, 2, 9, 11, 2)
    column = np.arange(11)[None, None] + flow[..., 0]
    row = np.arange(9)[None, :, None] + flow[..., 1]
    grid = torch.from_numpy(np.stack((2 * column / 10 - 1, 2 * row / 8 - 1), -1).astype(np.float32))
    expected = F.grid_sample(to_torch(x), grid, "bilinear", "border", align_corners=True)
    warped, valid = warp(x, jnp.asarray(flow))
    inside = np.asarray(valid)[..., 0] > 0
    # Beyond the border grid_sample clamps the point, `warp` clamps its neighbors: they are equal inside.
    np.testing.assert_allclose(np.asarray(warped)[inside], from_torch(expected)[inside], atol=2e-5)
    assert 0.2 < inside.mean() < 0.9


def test_cost_volume():
    a, b = draw(0, 2, 6, 21, 5), draw(1, 2, 6, 21, 5)
    patches = F.unfold(to_torch(b), 9, padding=4).reshape(2, 5, 81, 6, 21)
    expected = (to_torch(a)[:, :, None] * patches).mean(1)
    np.testing.assert_allclose(cost_volume(a, b, radius=4), from_torch(expected), atol=2e-6)
