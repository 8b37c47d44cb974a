"""DeepLabV2 against a PyTorch twin with the published keys.

`PYTHONPATH=. python tests/parity/test_deeplabv2.py` regenerates tests/golden/deeplabv2.npz.
"""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.models import build
from sirr_jax.weights.convert import from_torch, to_torch
from tests.helpers import networks, published

torch = pytest.importorskip("torch")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import interpolate, relu  # noqa: E402

pytestmark = pytest.mark.torch

STAGES = ((256, 3, 1, 1), (512, 4, 2, 1), (1024, 23, 1, 2), (2048, 3, 1, 4))
MOMENTUM = 1e-3


class ConvNorm(nn.Sequential):
    def __init__(self, inputs, outputs, kernel, stride=1, dilation=1):
        super().__init__()
        padding = dilation * (kernel // 2)
        self.add_module("conv", nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False))
        self.add_module("bn", nn.BatchNorm2d(outputs, eps=1e-5, momentum=MOMENTUM))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, dilation, project):
        super().__init__()
        self.reduce = ConvNorm(inputs, outputs // 4, 1, stride)
        self.conv3x3 = ConvNorm(outputs // 4, outputs // 4, 3, 1, dilation)
        self.increase = ConvNorm(outputs // 4, outputs, 1)
        self.shortcut = ConvNorm(inputs, outputs, 1, stride) if project else nn.Identity()

    def forward(self, x):
        return relu(self.increase(relu(self.conv3x3(relu(self.reduce(x))))) + self.shortcut(x))


class Pyramid(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        for i, rate in enumerate((6, 12, 18, 24)):
            self.add_module(f"c{i}", nn.Conv2d(inputs, classes, 3, 1, padding=rate, dilation=rate))

    def forward(self, x):
        return sum(branch(x) for branch in self.children())


class SingleScale(nn.Sequential):
    def __init__(self, divisor, classes):
        super().__init__()
        inputs = 64 // divisor
        stem = nn.Sequential()
        stem.add_module("conv1", ConvNorm(3, inputs, 7, 2))
        stem.add_module("relu", nn.ReLU())
        stem.add_module("pool", nn.MaxPool2d(3, 2, 1, ceil_mode=True))
        self.add_module("layer1", stem)
        for i, (outputs, blocks, stride, dilation) in enumerate(STAGES, start=2):
            outputs //= divisor
            layer = nn.Sequential()
            layer.add_module("block1", Block(inputs, outputs, stride, dilation, project=True))
            for j in range(2, blocks + 1):
                layer.add_module(f"block{j}", Block(outputs, outputs, 1, dilation, project=False))
            self.add_module(f"layer{i}", layer)
            inputs = outputs
        self.add_module("aspp", Pyramid(inputs, classes))


class Twin(nn.Module):
    """Returns the largest logits and those of each scale."""

    def __init__(self, divisor=1, classes=21, scales=(0.5, 0.75)):
        super().__init__()
        self.base = SingleScale(divisor, classes)
        self.scales = scales

    def forward(self, x):
        scaled = [interpolate(x, scale_factor=s, mode="bilinear", align_corners=False) for s in self.scales]
        logits = [self.base(each) for each in (x, *scaled)]
        size = logits[0].shape[2:]
        resized = [interpolate(each, size=size, mode="bilinear", align_corners=False) for each in logits[1:]]
        return torch.stack([logits[0], *resized]).max(dim=0)[0], logits


def shapes_of(twin):
    return {key: tuple(value.shape) for key, value in twin.state_dict().items()}


def smooth(state):
    """Weights for comparing gradients, which in a deep network change if a single ReLU rounds to its other side.

    The weights of the branches are smaller than those of the trunk, and most of their ReLUs are active.
    """
    branch = {key: 0.2 * value for key, value in state.items() if key.endswith("increase.bn.weight")}
    on = {key: value + 2 for key, value in state.items() if key.endswith(("reduce.bn.bias", "conv3x3.bn.bias"))}
    return {key: np.asarray(value, state[key].dtype) for key, value in {**state, **branch, **on}.items()}


def filled(twin, seed=0, change=lambda state: state):
    """The twin in float64 with random weights, and its state dict."""
    state = change(published.fill_random(shapes_of(twin), seed))
    twin.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
    return twin.double(), state


def picture(height, width, batch=1):
    return networks.images(3, batch, height, width, 3) * 255 - np.float32([104.008, 116.669, 122.675])


def nchw(array):
    return torch.tensor(np.moveaxis(array, -1, 1), dtype=torch.float64)


def nhwc(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def named(largest, scales):
    return {"semantic_logits": largest} | {f"scale{i}": logits for i, logits in enumerate(scales)}


def golden_outputs():
    twin, _ = filled(Twin())
    with torch.no_grad():
        outputs = named(*twin.eval()(nchw(picture(41, 57))))
    return {name: nhwc(value).astype(np.float32) for name, value in outputs.items()}


def errors(ours, theirs):
    """Largest error of each array, relative to its largest entry."""
    return jax.tree.map(lambda a, b: float(np.abs(np.float64(a) - b).max() / np.abs(b).max()), ours, theirs)


def assert_close(ours, theirs, tolerance):
    assert max(jax.tree.leaves(errors(ours, theirs))) < tolerance, errors(ours, theirs)


@pytest.mark.parametrize("classes", [21, 182])
def test_the_twin_has_the_published_keys(classes):
    name = "deeplabv2" if classes == 21 else f"deeplabv2 classes={classes}"
    with torch.device("meta"):
        assert list(shapes_of(Twin(classes=classes)).items()) == list(published.shapes(name).items())


def test_golden_outputs_match_the_twin():
    stored = published.golden("deeplabv2")
    expected = golden_outputs()
    assert list(stored) == list(expected)
    assert_close(stored, expected, 1e-6)


def test_forward_at_an_odd_size():
    twin, state = filled(Twin(), seed=1)
    image = picture(50, 23)
    with torch.no_grad():
        expected = named(*twin.eval()(nchw(image)))
    outputs = networks.run(build("deeplabv2"), from_torch("deeplabv2", state), image)
    outputs = named(outputs["semantic_logits"], outputs["semantic_logits_scales"])
    assert_close(outputs, {name: nhwc(value) for name, value in expected.items()}, 2e-6)


@pytest.fixture(scope="module", params=[False, True], ids=["frozen", "train"])
def training(request):
    """Gradients and statistics of the narrow network and its twin: `(ours, theirs)` of each."""
    train = request.param
    twin, state = filled(Twin(divisor=16, scales=(0.75,)), seed=2, change=smooth)
    image = picture(66, 49, batch=2)
    tensor = nchw(image).requires_grad_()
    largest, scales = twin.train(train)(tensor)
    rng = np.random.default_rng(5)
    # Random weights, because a plain sum after a normalized layer has no gradient.
    weights = [rng.standard_normal(nhwc(each).shape).astype(np.float32) for each in (largest, *scales)]
    sum((nchw(w) * each).sum() for w, each in zip(weights, (largest, *scales), strict=True)).backward()
    gradients = {name: value.grad.numpy() for name, value in twin.named_parameters()}
    updates = {name: value.numpy() for name, value in twin.named_buffers()}

    network = build("deeplabv2", width="tiny", scales=(0.75,))
    variables = from_torch("deeplabv2", state, width="tiny")

    def loss(params, image):
        outputs, updated = network.apply({**variables, "params": params}, image, train=train, mutable=["batch_stats"])
        logits = (outputs["semantic_logits"], *outputs["semantic_logits_scales"])
        return sum((w * each).sum() for w, each in zip(weights, logits, strict=True)), updated

    step = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    step = step.lower(variables["params"], image).compile(compiler_options={"xla_backend_optimization_level": 0})
    (ours, image_gradient), updated = step(variables["params"], jnp.asarray(image))
    theirs = from_torch("deeplabv2", {**state, **updates, **gradients}, width="tiny")
    return {
        "gradients": (ours, theirs["params"]),
        "image": (image_gradient, nhwc(tensor.grad)),
        "before": state,
        "statistics": (to_torch("deeplabv2", {"params": ours, **updated}, width="tiny"), updates),
    }


def test_gradients(training):
    error = jax.tree.leaves(errors(*training["gradients"]))
    # The usual error is 2e-5. One ReLU that rounds to its other side changes a few arrays by some percent.
    assert max(error) < 0.05
    assert np.median(error) < 1e-3
    assert_close(*training["image"], 0.05)


def test_running_statistics(training):
    ours, theirs = training["statistics"]
    for name, value in theirs.items():
        if not name.endswith("num_batches_tracked"):
            # In units of one step: float32 has four digits for an update with momentum 0.001.
            np.testing.assert_allclose(
                (ours[name] - training["before"][name]) / MOMENTUM,
                (value - training["before"][name]) / MOMENTUM,
                rtol=1e-3,
                atol=1e-3,
                err_msg=name,
            )


if __name__ == "__main__":
    np.savez_compressed(published.GOLDEN / "deeplabv2.npz", **golden_outputs())
