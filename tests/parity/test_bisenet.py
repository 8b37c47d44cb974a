"""BiSeNet against PyTorch: its three heads, a training step, and the golden array."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.models.bisenet import BiSeNet
from sirr_jax.weights.convert import from_torch, to_torch
from tests.helpers.networks import images, run
from tests.helpers.published import fill_random, golden, shapes

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.torch


class ConvBatchNormReLU(nn.Module):
    def __init__(self, into, outof, kernel=3):
        super().__init__()
        self.conv = nn.Conv2d(into, outof, kernel, 1, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outof)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    def __init__(self, into, outof, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(into, outof, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outof)
        self.conv2 = nn.Conv2d(outof, outof, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outof)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(into, outof, 1, stride, bias=False), nn.BatchNorm2d(outof))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1 = nn.Conv2d(3, n, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(n)
        self.layer1 = nn.Sequential(Block(n, n, 1), Block(n, n, 1))
        self.layer2 = nn.Sequential(Block(n, 2 * n, 2), Block(2 * n, 2 * n, 1))
        self.layer3 = nn.Sequential(Block(2 * n, 4 * n, 2), Block(4 * n, 4 * n, 1))
        self.layer4 = nn.Sequential(Block(4 * n, 8 * n, 2), Block(8 * n, 8 * n, 1))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        spatial = self.layer2(self.layer1(x))
        middle = self.layer3(spatial)
        return spatial, middle, self.layer4(middle)


class Attention(nn.Module):
    def __init__(self, into, outof):
        super().__init__()
        self.conv = ConvBatchNormReLU(into, outof)
        self.conv_atten = nn.Conv2d(outof, outof, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outof)

    def forward(self, x):
        x = self.conv(x)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(F.avg_pool2d(x, x.shape[2:]))))


class ContextPath(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.resnet = ResNet18(n)
        self.arm16, self.arm32 = Attention(4 * n, 2 * n), Attention(8 * n, 2 * n)
        self.conv_head32, self.conv_head16 = ConvBatchNormReLU(2 * n, 2 * n), ConvBatchNormReLU(2 * n, 2 * n)
        self.conv_avg = ConvBatchNormReLU(8 * n, 2 * n, 1)

    def forward(self, x):
        spatial, middle, coarse = self.resnet(x)
        mean = self.conv_avg(F.avg_pool2d(coarse, coarse.shape[2:]))
        coarse = self.arm32(coarse) + F.interpolate(mean, coarse.shape[2:], mode="nearest")
        coarse = self.conv_head32(F.interpolate(coarse, middle.shape[2:], mode="nearest"))
        middle = self.arm16(middle) + coarse
        return spatial, self.conv_head16(F.interpolate(middle, spatial.shape[2:], mode="nearest")), coarse


class Fusion(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.convblk = ConvBatchNormReLU(4 * n, 4 * n, 1)
        self.conv1 = nn.Conv2d(4 * n, n, 1, bias=False)
        self.conv2 = nn.Conv2d(n, 4 * n, 1, bias=False)

    def forward(self, spatial, context):
        x = self.convblk(torch.cat([spatial, context], 1))
        return x * torch.sigmoid(self.conv2(F.relu(self.conv1(F.avg_pool2d(x, x.shape[2:]))))) + x


class Output(nn.Module):
    def __init__(self, into, hidden, classes):
        super().__init__()
        self.conv = ConvBatchNormReLU(into, hidden)
        self.conv_out = nn.Conv2d(hidden, classes, 1, bias=False)

    def forward(self, x, size):
        return F.interpolate(self.conv_out(self.conv(x)), size, mode="bilinear", align_corners=True)


class Twin(nn.Module):
    """The whole network with the published keys; `n` channels after the first convolution."""

    def __init__(self, n=64, classes=19):
        super().__init__()
        self.cp, self.ffm = ContextPath(n), Fusion(n)
        self.conv_out = Output(4 * n, 4 * n, classes)
        self.conv_out16 = Output(2 * n, n, classes)
        self.conv_out32 = Output(2 * n, n, classes)

    def forward(self, image):
        size = image.shape[2:]
        spatial, middle, coarse = self.cp(image)
        fused = self.ffm(spatial, middle)
        return self.conv_out(fused, size), self.conv_out16(middle, size), self.conv_out32(coarse, size)


def filled(twin):
    """`twin` with synthetic weights, and its state dict."""
    state = fill_random({key: tuple(value.shape) for key, value in twin.state_dict().items()})
    twin.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
    return twin, state


def tensor(x):
    """NHWC array -> NCHW tensor."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def array(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def close(actual, expected, relative, name=""):
    scale = max(float(np.abs(expected).max()), 1.0)
    np.testing.assert_allclose(actual, expected, atol=relative * scale, rtol=0, err_msg=name)


def test_the_twin_has_the_published_keys():
    state = Twin().state_dict()
    assert [(key, tuple(value.shape)) for key, value in state.items()] == list(shapes("bisenet").items())


def test_golden_array_matches_the_twin():
    twin, _ = filled(Twin())
    with torch.no_grad():
        logits, _, _ = twin.eval()(tensor(4 * images(0, 1, 45, 70, 3) - 2))
    close(array(logits)[:, ::3, ::3], golden("bisenet")["semantic_logits"], 1e-5)


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 97)])
def test_logits_at_several_sizes(size):
    twin, state = filled(Twin(4, classes=5))
    model_args, image = {"width": "tiny", "classes": 5}, draw(1, 2, *size, 3)
    variables = from_torch("bisenet", state, **model_args)
    del variables["passthrough"]
    with torch.no_grad():
        expected, _, _ = twin.eval()(tensor(image))
    close(run(BiSeNet(**model_args), variables, image)["semantic_logits"], array(expected), 1e-5)


def test_a_training_step():
    twin, state = filled(Twin(4))
    module, variables = BiSeNet(width="tiny"), from_torch("bisenet", state, width="tiny")
    passthrough = variables.pop("passthrough")
    image, targets = draw(1, 4, 77, 94, 3), [draw(2 + i, 4, 77, 94, 19) for i in range(3)]

    def loss(params, image, targets):
        y, updates = module.apply({**variables, "params": params}, image, train=True, mutable=["batch_stats"])
        total = sum((logits * target).sum() for logits, target in zip(y.values(), targets, strict=True))
        return total, (y, updates["batch_stats"])

    arguments = variables["params"], image, targets
    lowered = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)).lower(*arguments)
    (_, (y, stats)), (of_params, of_image) = lowered.compile({"xla_backend_optimization_level": 0})(*arguments)

    pixels = tensor(image).requires_grad_()
    expected = twin.train()(pixels)
    sum((logits * tensor(target)).sum() for logits, target in zip(expected, targets, strict=True)).backward()
    names = ("semantic_logits", "semantic_logits_16", "semantic_logits_32")
    for name, logits in zip(names, expected, strict=True):
        close(y[name], array(logits), 2e-5, name)
    close(of_image, array(pixels.grad), 1e-4)
    actual = to_torch("bisenet", {"params": of_params, "batch_stats": stats, "passthrough": passthrough}, width="tiny")
    gradients = {key: parameter.grad for key, parameter in twin.named_parameters()}
    updates = twin.state_dict()
    for key, value in actual.items():
        if key in gradients:
            close(value, gradients[key].numpy(), 1e-4, key)
        elif key.endswith(("running_mean", "running_var")):
            close(value, updates[key].numpy(), 1e-5, key)
