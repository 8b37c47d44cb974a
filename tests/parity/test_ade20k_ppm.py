"""The ADE20K parser against a PyTorch twin with the published keys.

`PYTHONPATH=. python tests/parity/test_ade20k_ppm.py` regenerates tests/golden/ade20k_ppm.npz.
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
from flax import linen  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import interpolate, relu  # noqa: E402

pytestmark = pytest.mark.torch

# Planes, blocks, stride, and dilation of the first block and of the others.
STAGES = ((64, 3, 1, 1, 1), (128, 4, 2, 1, 1), (256, 6, 1, 1, 2), (512, 3, 1, 2, 4))
MOMENTUM = 1e-3


def conv(inputs, outputs, kernel=3, stride=1, dilation=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False)


def norm(features):
    return nn.BatchNorm2d(features, eps=1e-5, momentum=MOMENTUM)


class Block(nn.Module):
    def __init__(self, inputs, planes, stride, dilation, project):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, planes, 1), norm(planes)
        self.conv2, self.bn2 = conv(planes, planes, 3, stride, dilation), norm(planes)
        self.conv3, self.bn3 = conv(planes, 4 * planes, 1), norm(4 * planes)
        if project:
            self.downsample = nn.Sequential(conv(inputs, 4 * planes, 1, stride), norm(4 * planes))

    def forward(self, x):
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Encoder(nn.Module):
    def __init__(self, divisor):
        super().__init__()
        stem = 64 // divisor
        self.conv1, self.bn1 = conv(3, stem, 3, 2), norm(stem)
        self.conv2, self.bn2 = conv(stem, stem), norm(stem)
        self.conv3, self.bn3 = conv(stem, 2 * stem), norm(2 * stem)
        self.pool = nn.MaxPool2d(3, 2, 1)
        inputs = 2 * stem
        for i, (planes, blocks, stride, first_dilation, dilation) in enumerate(STAGES, start=1):
            planes //= divisor
            layer = [Block(inputs, planes, stride, first_dilation, project=True)]
            layer += [Block(4 * planes, planes, 1, dilation, project=False) for _ in range(blocks - 1)]
            setattr(self, f"layer{i}", nn.Sequential(*layer))
            inputs = 4 * planes

    def forward(self, x):
        for i in (1, 2, 3):
            x = relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
        before = self.layer3(self.layer2(self.layer1(self.pool(x))))
        return before, self.layer4(before)


class Decoder(nn.Module):
    """The decoder without dropout, which no test compares."""

    def __init__(self, divisor, classes):
        super().__init__()
        inputs, features = 2048 // divisor, 512 // divisor

        def pooled(bins):
            return nn.Sequential(nn.AdaptiveAvgPool2d(bins), conv(inputs, features, 1), norm(features), nn.ReLU())

        self.ppm = nn.ModuleList([pooled(bins) for bins in (1, 2, 3, 6)])
        self.cbr_deepsup = nn.Sequential(conv(inputs // 2, features), norm(features), nn.ReLU())
        self.conv_last = nn.Sequential(
            conv(inputs + 4 * features, features),
            norm(features),
            nn.ReLU(),
            nn.Identity(),
            nn.Conv2d(features, classes, 1),
        )
        self.conv_last_deepsup = nn.Conv2d(features, classes, 1)

    def forward(self, before, last):
        size = last.shape[2:]
        pyramid = [interpolate(each(last), size=size, mode="bilinear", align_corners=False) for each in self.ppm]
        logits = self.conv_last(torch.cat([last, *pyramid], dim=1))
        return logits, self.conv_last_deepsup(self.cbr_deepsup(before))


class Twin(nn.Module):
    """Returns the logits of both heads, in both modes."""

    def __init__(self, divisor=1, classes=150):
        super().__init__()
        self.encoder = Encoder(divisor)
        self.decoder = Decoder(divisor, classes)

    def forward(self, x):
        return self.decoder(*self.encoder(x))


def shapes_of(twin):
    return {key: tuple(value.shape) for key, value in twin.state_dict().items()}


def smooth(state):
    """Weights for comparing gradients, which in a deep network change if a single ReLU rounds to its other side.

    The weights of the branches are smaller than those of the trunk, and most of their ReLUs are active.
    """
    branch = {key: 0.2 * value for key, value in state.items() if ".bn3.weight" in key and ".layer" in key}
    on = {
        key: value + 2 for key, value in state.items() if key.endswith((".bn1.bias", ".bn2.bias")) and ".layer" in key
    }
    return {key: np.asarray(value, state[key].dtype) for key, value in {**state, **branch, **on}.items()}


def filled(twin, seed=0, change=lambda state: state):
    """The twin in float64 with random weights, and its state dict."""
    state = change(published.fill_random(shapes_of(twin), seed))
    twin.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
    return twin.double(), state


def picture(height, width, batch=1):
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return (networks.images(3, batch, height, width, 3) - mean) / deviation


def nchw(array):
    return torch.tensor(np.moveaxis(array, -1, 1), dtype=torch.float64)


def nhwc(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def golden_outputs():
    twin, _ = filled(Twin())
    with torch.no_grad():
        logits, _ = twin.eval()(nchw(picture(41, 57)))
    return {"semantic_logits": nhwc(logits).astype(np.float32)}


def errors(ours, theirs):
    """Largest error of each array, relative to its largest entry."""
    return jax.tree.map(lambda a, b: float(np.abs(np.float64(a) - b).max() / np.abs(b).max()), ours, theirs)


def assert_close(ours, theirs, tolerance):
    assert max(jax.tree.leaves(errors(ours, theirs))) < tolerance, errors(ours, theirs)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_the_twin_has_the_published_keys(part):
    with torch.device("meta"):
        twin = getattr(Twin(), part)
    assert list(shapes_of(twin).items()) == list(published.shapes(f"ade20k_ppm {part}").items())


def test_golden_outputs_match_the_twin():
    stored, expected = published.golden("ade20k_ppm"), golden_outputs()
    assert list(stored) == list(expected)
    assert_close(stored, expected, 1e-6)


def test_forward_at_an_odd_size():
    twin, state = filled(Twin(), seed=1)
    image = picture(50, 23)
    with torch.no_grad():
        logits, _ = twin.eval()(nchw(image))
    outputs = networks.run(build("ade20k_ppm"), from_torch("ade20k_ppm", state), image)
    assert_close(outputs, {"semantic_logits": nhwc(logits)}, 2e-6)


def without_dropout(method, args, keywords, context):
    return args[0] if isinstance(context.module, linen.Dropout) else method(*args, **keywords)


@pytest.fixture(scope="module")
def training():
    """Outputs, gradients and statistics of the narrow network and its twin in training: `(ours, theirs)` of each."""
    twin, state = filled(Twin(divisor=16), seed=2, change=smooth)
    image = picture(66, 49, batch=3)
    tensor = nchw(image).requires_grad_()
    logits = twin.train()(tensor)
    rng = np.random.default_rng(5)
    # Random weights, because a plain sum after a normalized layer has no gradient.
    weights = [rng.standard_normal(nhwc(each).shape).astype(np.float32) for each in logits]
    sum((nchw(w) * each).sum() for w, each in zip(weights, logits, strict=True)).backward()
    gradients = {name: value.grad.numpy() for name, value in twin.named_parameters()}
    updates = {name: value.numpy() for name, value in twin.named_buffers()}

    network = build("ade20k_ppm", width="tiny")
    variables = from_torch("ade20k_ppm", state, width="tiny")

    def loss(params, image):
        with linen.intercept_methods(without_dropout):
            outputs, updated = network.apply(
                {**variables, "params": params}, image, train=True, mutable=["batch_stats"]
            )
        total = (weights[0] * outputs["semantic_logits"]).sum()
        return total + (weights[1] * outputs["semantic_logits_deepsup"]).sum(), (outputs, updated)

    step = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    step = step.lower(variables["params"], image).compile(compiler_options={"xla_backend_optimization_level": 0})
    (ours, image_gradient), (outputs, updated) = step(variables["params"], jnp.asarray(image))
    theirs = from_torch("ade20k_ppm", {**state, **updates, **gradients}, width="tiny")
    names = ("semantic_logits", "semantic_logits_deepsup")
    return {
        "outputs": (outputs, {name: nhwc(each) for name, each in zip(names, logits, strict=True)}),
        "gradients": (ours, theirs["params"]),
        "image": (image_gradient, nhwc(tensor.grad)),
        "before": state,
        "statistics": (to_torch("ade20k_ppm", {"params": ours, **updated}, width="tiny"), updates),
    }


def test_outputs_in_training(training):
    assert_close(*training["outputs"], 1e-5)


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
    np.savez_compressed(published.GOLDEN / "ade20k_ppm.npz", **golden_outputs())
