"""BDN against a PyTorch network with the published keys."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.models import build
from sirr_jax.weights.convert import from_torch, to_torch
from tests.helpers import published

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

pytestmark = pytest.mark.torch

NETWORK = "bdn/generator"


class Block(nn.Module):
    """A level of the U-Net around all deeper ones; its activations are in place, as published."""

    def __init__(self, outer, inner, inside=None, inputs=None):
        super().__init__()
        self.outermost = inputs is not None
        down = nn.Conv2d(inputs or outer, inner, 4, 2, 1)
        up = nn.ConvTranspose2d(2 * inner if inside else inner, outer, 4, 2, 1)
        if self.outermost:
            layers = [down, inside, nn.ReLU(True), up, nn.Tanh()]
        elif inside is None:
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, nn.BatchNorm2d(outer)]
        else:
            layers = [nn.LeakyReLU(0.2, True), down, nn.BatchNorm2d(inner), inside]
            layers += [nn.ReLU(True), up, nn.BatchNorm2d(outer)]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        y = self.model(x)
        y = F.pad(y, (0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2]))
        return y if self.outermost else torch.cat([y, x], 1)


class UNet(nn.Module):
    def __init__(self, inputs, levels, n):
        super().__init__()
        block = Block(8 * n, 8 * n)
        for _ in range(levels - 5):
            block = Block(8 * n, 8 * n, block)
        for factor in (4, 2, 1):
            block = Block(factor * n, 2 * factor * n, block)
        self.model = Block(3, n, block, inputs)

    def forward(self, x):
        return self.model(x)


class Twin(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.model1, self.model2, self.model3 = UNet(3, 7, n), UNet(6, 5, n), UNet(6, 5, n)

    def forward(self, image):
        first = self.model1(image)
        reflection = self.model2(torch.cat([first, image], 1))
        return first, reflection, self.model3(torch.cat([reflection, image], 1))


@pytest.fixture
def twin():
    """The narrow network with random parameters."""
    twin = Twin(4)
    state = published.fill_random({key: tuple(value.shape) for key, value in twin.state_dict().items()})
    twin.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    return twin


def channels_first(x):
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def channels_last(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def variables_of(twin):
    state = {key: value.numpy().copy() for key, value in twin.state_dict().items()}
    variables = from_torch(NETWORK, state, width="tiny")
    variables.pop("passthrough")
    return variables


def gradients_and_steps(variables, image, marks, *, train):
    """Gradients of a weighted sum of all steps, the steps, and the running statistics afterwards."""
    module = build(NETWORK, width="tiny")

    def loss(params, image):
        actual, updated = module.apply({**variables, "params": params}, image, train=train, mutable=["batch_stats"])
        return sum((step * mark).sum() for step, mark in zip(actual["steps"], marks, strict=True)), (actual, updated)

    graded = jax.jit(jax.grad(loss, (0, 1), has_aux=True), compiler_options={"xla_backend_optimization_level": 0})
    (of_params, of_image), (actual, updated) = graded(variables["params"], image)
    return of_params, of_image, actual["steps"], updated["batch_stats"]


def close(actual, expected, tolerance):
    np.testing.assert_allclose(actual, expected, atol=tolerance * max(1.0, np.abs(expected).max()))


def assert_gradients_close(actual, expected, *, train):
    """Compares gradients; they may differ where the input of a ReLU is zero within rounding.

    Batch normalization spreads such a difference over the whole image (a 500th of the gradient in one case), so that in
    training the norm of all differences is compared. A wrong formula gives a much larger difference.
    """
    if train:
        assert np.linalg.norm(actual - expected) <= 1e-2 * np.linalg.norm(expected)
    else:
        close(actual, expected, 1e-5)


def test_the_twin_has_the_published_keys():
    with torch.device("meta"):
        state = Twin(64).state_dict()
    assert [(key, tuple(value.shape)) for key, value in state.items()] == list(published.shapes(NETWORK).items())


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_outputs_gradients_and_running_statistics(twin, train):
    rng = np.random.default_rng(1)
    image = rng.uniform(-1, 1, (2, 150, 203, 3)).astype(np.float32)
    marks = [rng.standard_normal(image.shape).astype(np.float32) for _ in range(3)]
    variables = variables_of(twin)
    inputs = channels_first(image).requires_grad_()
    expected = twin.train(train)(inputs)
    sum((step * channels_first(mark)).sum() for step, mark in zip(expected, marks, strict=True)).backward()

    of_params, of_image, steps, statistics = gradients_and_steps(variables, image, marks, train=train)
    for actual, step in zip(steps, expected, strict=True):
        close(actual, channels_last(step), 1e-5)
    assert_gradients_close(of_image, channels_last(inputs.grad), train=train)
    actual = to_torch(NETWORK, {"params": of_params, "batch_stats": statistics}, width="tiny")
    for key, parameter in twin.named_parameters():
        # A bias before batch normalization has no effect, and its gradient is only rounding error: compared relative to
        # the gradients of its layer.
        layer = twin.get_submodule(key.rsplit(".", 1)[0])
        scale = max(1.0, *(float(other.grad.abs().max()) for other in layer.parameters()))
        gradient = parameter.grad.numpy()
        if train:
            size = max(scale, np.linalg.norm(gradient))
            assert np.linalg.norm(actual[key] - gradient) <= 1e-2 * size, key
        else:
            np.testing.assert_allclose(actual[key], gradient, atol=2e-5 * scale)
    for key, value in twin.named_buffers():
        if not key.endswith("num_batches_tracked"):
            close(actual[key], value.numpy(), 1e-6)
