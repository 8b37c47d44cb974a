"""Our layers against the PyTorch operations that their docstrings name. Needs torch: `make test-torch`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from sirr_jax.layers.conv import conv
from sirr_jax.layers.cost_volume import cost_volume
from sirr_jax.layers.resize import downsample_area, upsample_bilinear, upsample_nearest
from sirr_jax.layers.upsample_conv import UpsampleConv
from sirr_jax.layers.warp import warp
from sirr_jax.losses.adversarial import relativistic_discriminator, relativistic_generator
from sirr_jax.models.patchgan import PatchDiscriminator
from sirr_jax.models.vgg import Vgg19, normalise
from sirr_jax.weights.vgg import read_vgg19

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


def kernel_to_torch(kernel):
    return torch.from_numpy(np.ascontiguousarray(np.asarray(kernel).transpose(3, 2, 0, 1)))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 1, 1), (3, 1, 4), (4, 2, 1)])
def test_conv(kernel, stride, dilation):
    x, padding = draw(0, 2, 17, 14, 3), 1 if kernel == 4 else None
    layer = conv(5, kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    weights = {"kernel": draw(1, kernel, kernel, 3, 5), "bias": draw(2, 5)}
    pad = dilation * (kernel - 1) // 2 if padding is None else padding
    expected = F.conv2d(
        to_torch(x), kernel_to_torch(weights["kernel"]), torch.from_numpy(weights["bias"]), stride, pad, dilation
    )
    np.testing.assert_allclose(layer.apply({"params": weights}, x), from_torch(expected), atol=2e-5)


def test_upsample_conv_and_its_gradients():
    x, weights = draw(0, 2, 5, 7, 3), {"kernel": draw(1, 3, 3, 3, 4), "bias": draw(2, 4)}
    target = draw(3, 2, 10, 14, 4)

    def loss(weights, x):
        return (UpsampleConv(4).apply({"params": weights}, x) * target).sum()

    made = UpsampleConv(4).apply({"params": weights}, x)
    of_weights, of_x = jax.grad(loss, (0, 1))(weights, x)

    tx = to_torch(x).requires_grad_()
    kernel = kernel_to_torch(weights["kernel"]).requires_grad_()
    bias = torch.from_numpy(weights["bias"]).requires_grad_()
    expected = F.conv2d(F.interpolate(tx, scale_factor=2, mode="nearest"), kernel, bias, padding=1)
    (expected * to_torch(target)).sum().backward()
    np.testing.assert_allclose(made, from_torch(expected), atol=2e-5)
    np.testing.assert_allclose(of_x, from_torch(tx.grad), atol=5e-5)
    np.testing.assert_allclose(of_weights["kernel"], kernel.grad.numpy().transpose(2, 3, 1, 0), atol=2e-4)
    np.testing.assert_allclose(of_weights["bias"], bias.grad.numpy(), atol=1e-4)


@pytest.mark.parametrize("factor", [2, 4])
def test_resizes(factor):
    x = draw(0, 2, 8, 12, 3)
    up = F.interpolate(to_torch(x), scale_factor=factor, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(upsample_bilinear(x, factor), from_torch(up), atol=1e-6)
    nearest = F.interpolate(to_torch(x), scale_factor=factor, mode="nearest")
    np.testing.assert_array_equal(upsample_nearest(x, factor), from_torch(nearest))
    np.testing.assert_allclose(downsample_area(x, factor), from_torch(F.avg_pool2d(to_torch(x), factor)), atol=1e-6)


def test_warp_is_grid_sample():
    x, flow = draw(0, 2, 9, 11, 4), 3 * draw(1, 2, 9, 11, 2)
    column = np.arange(11)[None, None] + flow[..., 0]
    row = np.arange(9)[None, :, None] + flow[..., 1]
    grid = torch.from_numpy(np.stack((2 * column / 10 - 1, 2 * row / 8 - 1), -1).astype(np.float32))
    expected = F.grid_sample(to_torch(x), grid, "bilinear", "border", align_corners=True)
    warped, valid = warp(x, jnp.asarray(flow))
    inside = np.asarray(valid)[..., 0] > 0
    # Beyond the border grid_sample clamps the point, we clamp its neighbours: the same inside.
    np.testing.assert_allclose(np.asarray(warped)[inside], from_torch(expected)[inside], atol=2e-5)
    assert 0.2 < inside.mean() < 0.9


def test_cost_volume():
    a, b = draw(0, 2, 6, 21, 5), draw(1, 2, 6, 21, 5)
    patches = F.unfold(to_torch(b), 9, padding=4).reshape(2, 5, 81, 6, 21)
    expected = (to_torch(a)[:, :, None] * patches).mean(1)
    np.testing.assert_allclose(cost_volume(a, b, radius=4), from_torch(expected), atol=2e-6)


def test_patch_discriminator():
    image = np.random.default_rng(0).random((2, 32, 40, 3), np.float32)
    features = (4, 6, 8, 10)
    names = ["conv0", "conv1", "conv2", "conv3", "logits"]
    channels = (3, *features, 1)
    params = {
        name: {"kernel": 0.2 * draw(i, 4, 4, channels[i], channels[i + 1]), "bias": draw(10 + i, channels[i + 1])}
        for i, name in enumerate(names)
    }
    x = to_torch(image) * 2 - 1
    for i, name in enumerate(names):
        weights = params[name]
        stride = 2 if i < 3 else 1
        x = F.conv2d(x, kernel_to_torch(weights["kernel"]), torch.from_numpy(weights["bias"]), stride, 1)
        if 0 < i < 4:
            x = F.instance_norm(x)
        if i < 4:
            x = F.leaky_relu(x, 0.2)
    logits = PatchDiscriminator(features=features).apply({"params": params}, image)["logits"]
    np.testing.assert_allclose(logits, from_torch(x), atol=2e-4)


def test_vgg19_from_torchvision_keys(tmp_path):
    """A prefix with torchvision's keys, run by torch in torchvision's order."""
    plan = [64, 64, "M", 128, 128, "M", 256]
    layers, state, before = [], {}, 3
    for step in plan:
        if step == "M":
            layers.append(torch.nn.MaxPool2d(2, 2))
            continue
        layer = torch.nn.Conv2d(before, step, 3, padding=1)
        state[f"features.{len(layers)}.weight"] = layer.weight.detach().numpy()
        state[f"features.{len(layers)}.bias"] = layer.bias.detach().numpy()
        layers += [layer, torch.nn.ReLU()]
        before = step
    save_file(state, tmp_path / "vgg.safetensors")
    weights = read_vgg19(tmp_path / "vgg.safetensors")
    assert weights.convention == "torchvision"
    image = np.random.default_rng(0).random((1, 16, 20, 3), np.float32)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (to_torch(image) - mean[:, None, None]) / deviation[:, None, None]
    expected = torch.nn.Sequential(*layers)(x)
    network = Vgg19(layers=weights.layers)
    found = network.apply({"params": weights.params}, normalise(jnp.asarray(image), "torchvision"))
    np.testing.assert_allclose(found["relu3_1"], from_torch(expected), atol=1e-5)


def test_relativistic_losses():
    real, fake = draw(0, 3, 4, 4, 1), draw(1, 3, 4, 4, 1)
    a, b = torch.from_numpy(real), torch.from_numpy(fake)
    bce = F.binary_cross_entropy_with_logits
    one, zero = torch.ones_like(a), torch.zeros_like(a)
    judge = 0.5 * (bce(a - b.mean(), one) + bce(b - a.mean(), zero))
    fool = 0.5 * (bce(a - b.mean(), zero) + bce(b - a.mean(), one))
    np.testing.assert_allclose(relativistic_discriminator(real, fake), judge.item(), rtol=1e-5)
    np.testing.assert_allclose(relativistic_generator(jnp.asarray(real), jnp.asarray(fake)), fool.item(), rtol=1e-5)
