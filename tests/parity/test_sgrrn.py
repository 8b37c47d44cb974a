"""SGRRN's guidance, whose shared layers are applied twice per pass, against PyTorch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.models.sgrrn.separation import Guidance
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.key_maps.base import to_flax
from tests.helpers import published
from tests.helpers.networks import images, run

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.torch

PREFIX, PATH = "decoder_sep.guidance_block.", ("separation", "guidance")


class ConvLayer(nn.Module):
    def __init__(self, channels, features, kernel, relu):
        super().__init__()
        self.conv2d = nn.Conv2d(channels, features, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(features)
        self.relu = relu

    def forward(self, x):
        x = self.norm(self.conv2d(x))
        return x.relu() if self.relu else x


class Block(nn.Module):
    def __init__(self, channels, features, classes):
        super().__init__()
        self.conv_fea = ConvLayer(features, channels, 3, True)
        self.conv_sem = ConvLayer(classes, channels, 3, True)
        self.conv1 = ConvLayer(channels, channels, 3, True)
        self.conv2 = ConvLayer(channels, channels, 3, False)
        self.fuse_conv = ConvLayer(2 * channels, channels, 1, False)

    def forward(self, x, guidance, read):
        guidance = nn.functional.interpolate(guidance, size=x.shape[2:], mode="bilinear", align_corners=True)
        query = read(guidance)
        return x + self.conv2(self.conv1(self.fuse_conv(torch.cat((x, query), 1)))) * query


def nchw(x):
    return torch.from_numpy(np.asarray(x, np.float64).transpose(0, 3, 1, 2).copy())


def as_variables(state):
    """The state dict of the block alone, by the rules of the whole network."""
    variables = {}
    for rule in key_map("sgrrn/generator").rules({}):
        if rule.key.startswith(PREFIX) and rule.path[0] != "passthrough":
            assert rule.path[1:3] == PATH
            node = variables.setdefault(rule.path[0], {})
            for name in rule.path[3:-1]:
                node = node.setdefault(name, {})
            node[rule.path[-1]] = to_flax(state[rule.key.removeprefix(PREFIX)].astype(np.float32), rule.layout)
    return variables


@pytest.mark.parametrize("train", [False, True])
def test_guidance_in_two_rounds(train):
    block = Block(4, 6, 3)
    state = published.fill_sgrrn({key: tuple(value.shape) for key, value in block.state_dict().items()})
    block.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in state.items()})
    block.double().train(train)
    x, features, logits = images(0, 2, 13, 10, 4), images(1, 2, 5, 4, 6), images(2, 2, 13, 10, 3)
    variables = as_variables(state)
    (first, second), updates = run(Guidance(), variables, x, features, logits, train=train, mutable=["batch_stats"])

    def loss(params):
        current = {"params": params, "batch_stats": variables["batch_stats"]}
        states, _ = Guidance().apply(current, x, features, logits, train=train, mutable=["batch_stats"])
        return jnp.square(states[1]).sum()

    gradients = jax.jit(jax.grad(loss))(variables["params"])

    expected_first = block(nchw(x), nchw(features), block.conv_fea)
    expected_second = block(expected_first, nchw(logits), block.conv_sem)
    expected_second.square().sum().backward()
    for actual, expected in ((first, expected_first), (second, expected_second)):
        np.testing.assert_allclose(actual.transpose(0, 3, 1, 2), expected.detach().numpy(), atol=1e-5)

    if train:
        counts = {name: int(layer.norm.num_batches_tracked) for name, layer in block.named_children()}
        assert counts == {"conv_fea": 1, "conv_sem": 1, "conv1": 2, "conv2": 2, "fuse_conv": 2}
    expected = as_variables({key: value.numpy() for key, value in block.state_dict().items()})
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        updates["batch_stats"],
        expected["batch_stats"],
    )
    # Gradients of biases before batch normalization are only rounding errors: hence the absolute bound.
    slopes = {key: value.grad.numpy() for key, value in block.named_parameters()}
    expected = as_variables(state | slopes)["params"]
    bound = 1e-5 * max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=bound), gradients, expected)
