"""ResNets against a PyTorch network with torchvision's keys."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.models import build
from sirr_jax.weights.convert import from_torch, to_torch
from tests.helpers import published
from tests.helpers.networks import images

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.torch

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}


class Block(nn.Module):
    def __init__(self, channels, planes, stride, dilation, project, momentum):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes, momentum=momentum)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes, momentum=momentum)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes, momentum=momentum)
        if project:
            norm = nn.BatchNorm2d(4 * planes, momentum=momentum)
            self.downsample = nn.Sequential(nn.Conv2d(channels, 4 * planes, 1, stride, bias=False), norm)

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn3(self.conv3(self.bn2(self.conv2(y)).relu()))
        return (y + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()


class Network(nn.Module):
    """Full depth, a sixteenth of the channels; strides and dilations as torchvision derives them."""

    def __init__(self, blocks, dilate=(False, False, False), last_dilations=None, momentum=0.1):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4, momentum=momentum)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels, dilation = 4, 1
        for stage, count in enumerate(blocks, start=1):
            planes, stride, previous = 4 * 2 ** (stage - 1), 1 if stage == 1 else 2, dilation
            if stage > 1 and dilate[stage - 2]:
                dilation, stride = dilation * stride, 1
            dilations = [previous, *[dilation] * (count - 1)]
            if stage == 4 and last_dilations is not None:
                dilations = last_dilations
            blocks_of_stage = []
            for i, spacing in enumerate(dilations):
                blocks_of_stage.append(Block(channels, planes, 1 if i else stride, spacing, i == 0, momentum))
                channels = 4 * planes
            setattr(self, f"layer{stage}", nn.Sequential(*blocks_of_stage))

    def forward(self, x):
        features = {"stem": self.maxpool(self.bn1(self.conv1(x)).relu())}
        x = features["stem"]
        for stage in range(1, 5):
            features[f"stage{stage}"] = x = getattr(self, f"layer{stage}")(x)
        return features


CASES = [
    ("resnet50", {}, {}),
    ("resnet50", {"output_stride": 8}, {"dilate": (False, True, True)}),
    (
        "resnet50",
        {"output_stride": 16, "last_dilations": (1, 2, 1)},
        {"dilate": (False, False, True), "last_dilations": (1, 2, 1)},
    ),
    ("resnet101", {"output_stride": 16}, {"dilate": (False, False, True)}),
]


def make(network_id, options, torch_options, momentum=0.1):
    reference = Network(BLOCKS[network_id], momentum=momentum, **torch_options)
    state = published.fill_sgrrn({key: tuple(value.shape) for key, value in reference.state_dict().items()})
    reference.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in state.items()})
    module = build(network_id, width="tiny", momentum=momentum, **options)
    variables = from_torch(network_id, reference.state_dict(), width="tiny", **options)
    # The reference is in double precision, so that the differences are our rounding errors.
    return reference.double(), module, {name: variables[name] for name in ("params", "batch_stats")}


def compiled(function, *inputs):
    fast = jax.jit(function).lower(*inputs).compile(compiler_options={"xla_backend_optimization_level": 0})
    return jax.tree.map(np.asarray, fast(*inputs))


def nchw(x):
    return torch.from_numpy(np.asarray(x, np.float64).transpose(0, 3, 1, 2).copy())


@pytest.mark.parametrize(("network_id", "options", "torch_options"), CASES)
def test_features(network_id, options, torch_options):
    reference, module, variables = make(network_id, options, torch_options)
    image = 2 * images(0, 2, 75, 98, 3) - 1
    actual = compiled(module.apply, variables, image)
    with torch.no_grad():
        expected = reference.eval()(nchw(image))
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name].transpose(0, 3, 1, 2), value.numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("train", [False, True])
def test_gradients_and_statistics(train):
    reference, module, variables = make(*CASES[2], momentum=0.3)
    image = 2 * images(1, 3, 61, 80, 3) - 1
    names = ("stem", "stage2", "stage4")

    def loss(params, image):
        current = {"params": params, "batch_stats": variables["batch_stats"]}
        features, updates = module.apply(current, image, train=train, mutable=["batch_stats"])
        return sum(jnp.square(features[name]).mean() for name in names), updates["batch_stats"]

    (value, updates), (of_params, of_image) = compiled(
        jax.value_and_grad(loss, (0, 1), has_aux=True), variables["params"], image
    )
    pixels = nchw(image).requires_grad_()
    features = reference.train(train)(pixels)
    total = sum(features[name].square().mean() for name in names)
    total.backward()
    np.testing.assert_allclose(value, total.item(), rtol=1e-5)

    actual = to_torch("resnet50", {"params": of_params, "batch_stats": updates}, width="tiny")
    arrays = dict(reference.named_parameters())
    assert {key for key in actual if "running" not in key} == arrays.keys()
    errors = {"": relative_error(of_image.transpose(0, 3, 1, 2), pixels.grad)}
    errors |= {key: relative_error(actual[key], array.grad) for key, array in arrays.items()}
    assert max(errors.values()) < 2e-4, max(errors.items(), key=lambda pair: pair[1])

    for key, buffer in reference.named_buffers():
        if "running" in key:
            np.testing.assert_allclose(actual[key], buffer.numpy(), rtol=1e-5, atol=1e-6)


def relative_error(actual, expected):
    return np.abs(actual - expected.numpy()).max() / np.abs(expected.numpy()).max()
