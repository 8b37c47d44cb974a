"""ERRNet and its discriminator against PyTorch networks with the published keys."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.normalization import GroupNorm
from sirr_jax.models import build
from sirr_jax.models.errnet import hypercolumn
from sirr_jax.weights.convert import from_torch, to_torch
from tests.helpers import published
from tests.helpers.networks import run

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

pytestmark = pytest.mark.torch


class ConvLayer(nn.Module):
    def __init__(self, layer, act=None):
        super().__init__()
        self.conv2d, self.act = layer, act

    def forward(self, x):
        x = self.conv2d(x)
        return F.relu(x) if self.act else x


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 8), nn.ReLU(), nn.Linear(channels // 8, channels), nn.Sigmoid()
        )

    def forward(self, x):
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class Block(nn.Module):
    def __init__(self, channels, gated):
        super().__init__()
        self.conv1 = ConvLayer(nn.Conv2d(channels, channels, 3, padding=1), act=True)
        self.conv2 = ConvLayer(nn.Conv2d(channels, channels, 3, padding=1))
        if gated:
            self.se_layer = Gate(channels)

    def forward(self, x):
        y = self.conv2(self.conv1(x))
        return x + 0.1 * (self.se_layer(y) if hasattr(self, "se_layer") else y)


class Pyramid(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AvgPool2d(side), nn.Conv2d(channels, channels // 4, 1, bias=False), nn.LeakyReLU(0.2))
            for side in (4, 8, 16, 32)
        )
        self.bottleneck = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x):
        means = [F.interpolate(stage(x), x.shape[2:], mode="nearest") for stage in self.stages]
        return F.leaky_relu(self.bottleneck(torch.cat([*means, x], 1)), 0.2)


class Twin(nn.Module):
    def __init__(self, inputs, n, base=False):
        super().__init__()
        self.conv1 = ConvLayer(nn.Conv2d(inputs, n, 1), act=True)
        self.conv2 = ConvLayer(nn.Conv2d(n, n, 3, padding=1), act=True)
        self.conv3 = ConvLayer(nn.Conv2d(n, n, 3, 2, padding=1), act=True)
        self.res_module = nn.Sequential(*(Block(n, not base) for _ in range(13)))
        self.deconv1 = ConvLayer(nn.ConvTranspose2d(n, n, 4, 2, padding=1), act=True)
        self.deconv2 = ConvLayer(nn.Conv2d(n, n, 3, padding=1), act=True)
        self.pyramid_module = nn.Identity() if base else Pyramid(n)
        self.deconv3 = ConvLayer(nn.Conv2d(n, 3, 1), act=True)

    def forward(self, x):
        x = self.conv3(self.conv2(self.conv1(x)))
        return self.deconv3(self.pyramid_module(self.deconv2(self.deconv1(self.res_module(x)))))


class Discriminator(nn.Module):
    def __init__(self, divisor=1):
        super().__init__()
        layers, before = [], 3
        for i, channels in enumerate((64, 64, 128, 128, 256, 256, 512, 512, 512, 512)):
            after = channels // divisor
            layers.append(nn.Conv2d(before, after, 3, 1 + i % 2, padding=1))
            layers += [nn.GroupNorm(32 // divisor, after)] if i else []
            layers.append(nn.LeakyReLU(0.2))
            before = after
        self.body = nn.Sequential(*layers)
        self.tail = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(before, 1024 // divisor, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(1024 // divisor, 1, 1),
        )

    def forward(self, x):
        return self.tail(self.body(x))


def filled(twin, seed=0):
    """The twin with random parameters, and its state dict."""
    state = published.fill_random({key: tuple(value.shape) for key, value in twin.state_dict().items()}, seed)
    twin.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    return twin, state


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def channels_first(x):
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def channels_last(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


@pytest.mark.parametrize(
    ("make", "listed"),
    [
        (lambda: Twin(1475, 256), "errnet/generator"),
        (lambda: Twin(3, 256), "errnet/generator hyper=False"),
        (lambda: Twin(3, 256, base=True), "errnet/generator base"),
        (Discriminator, "errnet/discriminator"),
    ],
)
def test_the_twins_have_the_published_keys(make, listed):
    with torch.device("meta"):
        state = make().state_dict()
    assert [(key, tuple(value.shape)) for key, value in state.items()] == list(published.shapes(listed).items())


def assert_equal_with_gradients(network, model_args, twin, state, x, output):
    """Outputs, and the gradients of a weighted sum of them with respect to the input and to every parameter."""
    module = build(network, **model_args)
    variables = from_torch(network, state, **model_args)
    inputs = channels_first(x).requires_grad_()
    expected = twin(inputs)
    marks = draw(9, *channels_last(expected).shape)
    (expected * channels_first(marks)).sum().backward()

    def loss(params, x):
        actual = module.apply({"params": params}, x)[output]
        return (actual.reshape(marks.shape) * marks).sum(), actual

    graded = jax.value_and_grad(loss, (0, 1), has_aux=True)
    compiled = jax.jit(graded, compiler_options={"xla_backend_optimization_level": 0})
    (_, actual), (of_params, of_x) = compiled(variables["params"], x)
    close(actual.reshape(marks.shape), channels_last(expected), 1e-5)
    close(of_x, channels_last(inputs.grad), 2e-5)
    gradients = to_torch(network, {"params": of_params}, **model_args)
    for key, parameter in twin.named_parameters():
        close(gradients[key], parameter.grad.numpy(), 2e-5)


def close(actual, expected, tolerance):
    np.testing.assert_allclose(actual, expected, atol=tolerance * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize(
    ("model_args", "channels", "size"),
    [
        ({}, 95, (40, 75)),
        ({"hypercolumn": False, "base": True}, 3, (11, 18)),
    ],
    ids=["model_args", "base"],
)
def test_the_generator_and_its_gradients(model_args, channels, size):
    twin, state = filled(Twin(channels, 16, base="base" in model_args))
    twin.deconv3.conv2d.bias.data += 1.0  # most pixels are above the threshold of the last ReLU
    state["deconv3.conv2d.bias"] = state["deconv3.conv2d.bias"] + np.float32(1.0)
    x = np.random.default_rng(1).random((2, *size, channels), np.float32)
    assert_equal_with_gradients("errnet/generator", {"width": "tiny", **model_args}, twin, state, x, "restored")


def test_the_discriminator_and_its_gradients():
    twin, state = filled(Discriminator(16))
    x = np.random.default_rng(2).random((2, 35, 32, 3), np.float32)
    assert_equal_with_gradients("errnet/discriminator", {"width": "tiny"}, twin, state, x, "logits")


def test_the_discriminator_at_full_width():
    twin, state = filled(Discriminator())
    x = np.random.default_rng(3).random((1, 48, 37, 3), np.float32)
    actual = run(build("errnet/discriminator"), from_torch("errnet/discriminator", state), x)["logits"]
    with torch.no_grad():
        close(actual, twin(channels_first(x))[:, :, 0, 0].numpy(), 1e-5)


def test_group_norm():
    x, scale, bias = 5.0 + draw(0, 2, 5, 3, 12), draw(1, 12), draw(2, 12)
    actual = GroupNorm(4).apply({"params": {"scale": scale, "bias": bias}}, jnp.asarray(x))
    expected = F.group_norm(channels_first(x), 4, torch.from_numpy(scale), torch.from_numpy(bias))
    close(actual, channels_last(expected), 1e-5)


def test_hypercolumn_at_sizes_that_are_not_multiples():
    image = np.random.default_rng(4).random((1, 37, 50, 3), np.float32)
    widths = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}
    features = {name: draw(i, 1, 37 >> i, 50 >> i, channels) for i, (name, channels) in enumerate(widths.items())}
    enlarged = [
        F.interpolate(channels_first(x), (37, 50), mode="bilinear", align_corners=False) for x in features.values()
    ]
    expected = torch.cat([channels_first(image), *enlarged], 1)
    assert expected.shape[1] == 1475
    compiled = jax.jit(hypercolumn, compiler_options={"xla_backend_optimization_level": 0})
    close(compiled(image, features), channels_last(expected), 1e-6)
