"""RmNet, SynNet and its discriminator against PyTorch networks with the published keys."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.models import build
from sirr_jax.weights.convert import from_torch, to_torch
from tests.helpers import published
from tests.helpers.networks import run

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

pytestmark = pytest.mark.torch

LEVELS = (0, 1, 2, 3, 4, "inner")
DECODERS = ("back", "refl", "W")


class Level(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class Removal(nn.Module):
    """The removal network; its leaky ReLUs are in place, as published."""

    def __init__(self, n):
        super().__init__()
        channels = [n, 2 * n, 4 * n, 8 * n, 8 * n, 8 * n]
        self.add_level("model_d_0", nn.Conv2d(3, n, 4, 2, 1))
        for i, level in enumerate(LEVELS[1:], start=1):
            layers = [nn.LeakyReLU(0.2, True), nn.Conv2d(channels[i - 1], channels[i], 4, 2, 1)]
            self.add_level(f"model_d_{level}", *layers, *([] if i == 5 else [nn.InstanceNorm2d(channels[i])]))
        for suffix in DECODERS:
            last = nn.Sigmoid() if suffix == "W" else nn.Tanh()
            self.add_level(f"model_u_0_{suffix}", nn.ReLU(), nn.ConvTranspose2d(2 * n, 3, 4, 2, 1), last)
            for i, level in enumerate(LEVELS[1:], start=1):
                inputs, outputs = channels[i] * (1 if i == 5 else 2), channels[i - 1]
                up = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
                self.add_level(f"model_u_{level}_{suffix}", nn.ReLU(), up, nn.InstanceNorm2d(outputs))

    def add_level(self, name, *layers):
        self.add_module(name, nn.Sequential(Level(*layers)))

    def forward(self, x):
        skips = []
        for level in LEVELS:
            x = getattr(self, f"model_d_{level}")(x)
            skips.append(x)
        return [self.decoded(list(skips), suffix) for suffix in DECODERS]

    def decoded(self, skips, suffix):
        x = skips.pop()
        for level in LEVELS[:0:-1]:
            x, skip = getattr(self, f"model_u_{level}_{suffix}")(x), skips.pop()
            x = F.pad(x, (skip.shape[3] - x.shape[3], 0, skip.shape[2] - x.shape[2], 0))
            x = torch.cat([skip, x], 1)
        return getattr(self, f"model_u_0_{suffix}")(x)


class ResnetBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv_block = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n), nn.ReLU(True)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n)),
        )

    def forward(self, x):
        return x + self.conv_block(x)


class Synthesis(nn.Module):
    def __init__(self, n):
        super().__init__()
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(6, n, 7), nn.InstanceNorm2d(n), nn.ReLU(True)]
        for channels in (n, 2 * n):
            layers.append(nn.Conv2d(channels, 2 * channels, 3, 2, 1))
            layers += [nn.InstanceNorm2d(2 * channels), nn.ReLU(True)]
        layers += [ResnetBlock(4 * n) for _ in range(9)]
        for channels in (2 * n, n):
            layers.append(nn.ConvTranspose2d(2 * channels, channels, 3, 2, 1, 1))
            layers += [nn.InstanceNorm2d(channels), nn.ReLU(True)]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(n, 3, 7), nn.Sigmoid())

    def forward(self, x):
        return [self.model(x)]


class Discriminator(nn.Module):
    def __init__(self, n):
        super().__init__()
        layers, before = [nn.Conv2d(3, n, 4, 2, 1), nn.LeakyReLU(0.2)], n
        for after, stride in ((2 * n, 2), (4 * n, 2), (8 * n, 1)):
            layers += [nn.Conv2d(before, after, 4, stride, 1), nn.InstanceNorm2d(after), nn.LeakyReLU(0.2)]
            before = after
        self.model = nn.Sequential(*layers, nn.Conv2d(before, 1, 4, 1, 1))

    def forward(self, x):
        return [self.model(x)]


TWINS = {
    "rmnet/generator": (Removal, ("restored", "reflection", "mask"), (66, 91, 3)),
    "rmnet/synnet": (Synthesis, ("mask",), (22, 33, 6)),
    "rmnet/synnet_discriminator": (Discriminator, ("logits",), (33, 46, 3)),
}


def filled(twin):
    """The twin with random parameters, and its state dict."""
    state = published.fill_random({key: tuple(value.shape) for key, value in twin.state_dict().items()})
    twin.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    return twin, state


def channels_first(x):
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def channels_last(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def close(actual, expected, tolerance):
    np.testing.assert_allclose(actual, expected, atol=tolerance * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("network", TWINS)
def test_the_twins_have_the_published_keys(network):
    with torch.device("meta"):
        state = TWINS[network][0](64).state_dict()
    assert [(key, tuple(value.shape)) for key, value in state.items()] == list(published.shapes(network).items())


@pytest.mark.parametrize("network", ["rmnet/synnet", "rmnet/synnet_discriminator"])
def test_outputs_at_full_width(network):
    make, (name,), shape = TWINS[network]
    twin, state = filled(make(64))
    x = np.random.default_rng(1).uniform(-1, 1, (2, *shape)).astype(np.float32)
    actual = run(build(network), from_torch(network, state), x)
    with torch.no_grad():
        close(actual[name], channels_last(twin(channels_first(x))[0]), 1e-5)


@pytest.mark.parametrize("network", TWINS)
def test_outputs_and_gradients(network):
    make, names, shape = TWINS[network]
    twin, state = filled(make(4))
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (2, *shape)).astype(np.float32)
    inputs = channels_first(x).requires_grad_()
    expected = dict(zip(names, twin(inputs), strict=True))
    marks = {
        name: rng.standard_normal(channels_last(value).shape).astype(np.float32) for name, value in expected.items()
    }
    sum((value * channels_first(marks[name])).sum() for name, value in expected.items()).backward()
    module = build(network, width="tiny")

    def loss(params, x):
        actual = module.apply({"params": params}, x)
        return sum((actual[name] * mark).sum() for name, mark in marks.items()), actual

    graded = jax.jit(jax.grad(loss, (0, 1), has_aux=True), compiler_options={"xla_backend_optimization_level": 0})
    (of_params, of_x), actual = graded(from_torch(network, state, width="tiny")["params"], x)
    # The innermost maps have few pixels: their normalization amplifies rounding, which varies with the load.
    for name in names:
        close(actual[name], channels_last(expected[name]), 1e-4)
    close(of_x, channels_last(inputs.grad), 1e-4)
    gradients = to_torch(network, {"params": of_params}, width="tiny")
    for key, parameter in twin.named_parameters():
        # A bias before instance normalization has no effect, and its gradient is only rounding error: compared relative
        # to the gradients of its layer.
        layer = twin.get_submodule(key.rsplit(".", 1)[0])
        scale = max(1.0, *(float(other.grad.abs().max()) for other in layer.parameters()))
        np.testing.assert_allclose(gradients[key], parameter.grad.numpy(), atol=1e-4 * scale)
