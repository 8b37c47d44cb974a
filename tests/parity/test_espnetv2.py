"""ESPNetv2 against PyTorch: its units, a training step, and the golden array."""

from __future__ import annotations

import gzip
import json
import math

import jax
import numpy as np
import pytest

from sirr_jax.models.espnetv2 import EespUnit, EspNetV2, Reduction
from sirr_jax.weights.convert import from_torch, to_torch
from sirr_jax.weights.key_maps.base import to_flax
from sirr_jax.weights.key_maps.base import to_torch as reorder
from sirr_jax.weights.key_maps.espnetv2 import ESPNETV2
from tests.helpers.networks import images
from tests.helpers.published import GOLDEN, fill_random, golden

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.torch

WIDE, NARROW = (1, 2, 3, 4), (1, 1, 2, 3)


class Named(nn.Module):
    """Convolution, batch norm, PReLU with the names of the encoder."""

    def __init__(self, into, outof, kernel=1, stride=1, groups=1, dilation=1, *, norm=True, act=True):
        super().__init__()
        pad = dilation * (kernel // 2)
        self.conv = nn.Conv2d(into, outof, kernel, stride, pad, dilation, groups, bias=False)
        if norm:
            self.bn = nn.BatchNorm2d(outof)
        if act:
            self.act = nn.PReLU(outof)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


class NormAct(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn, self.act = nn.BatchNorm2d(channels), nn.PReLU(channels)

    def forward(self, x):
        return self.act(self.bn(x))


class Unit(nn.Module):
    def __init__(self, into, outof, dilations, stride=1):
        super().__init__()
        n, self.stride = outof // 4, stride
        self.proj_1x1 = Named(into, n, groups=4)
        self.spp_dw = nn.ModuleList(Named(n, n, 3, stride, n, d, norm=False, act=False) for d in dilations)
        self.conv_1x1_exp = Named(outof, outof, groups=4, act=False)
        self.br_after_cat = NormAct(outof)
        self.module_act = nn.PReLU(outof)

    def forward(self, x):
        low = self.proj_1x1(x)
        sums = [self.spp_dw[0](low)]
        for branch in self.spp_dw[1:]:
            sums.append(branch(low) + sums[-1])
        y = self.conv_1x1_exp(self.br_after_cat(torch.cat(sums, 1)))
        return y if self.stride == 2 else self.module_act(y + x)


class Down(nn.Module):
    def __init__(self, into, outof):
        super().__init__()
        self.eesp = Unit(into, outof - into, WIDE, 2)
        self.inp_reinf = nn.Sequential(Named(3, 3, 3), Named(3, outof, act=False))
        self.act = nn.PReLU(outof)

    def forward(self, x, image):
        means = F.avg_pool2d(x, 3, 2, 1)
        while image.shape[2] != means.shape[2]:
            image = F.avg_pool2d(image, 3, 2, 1)
        return self.act(torch.cat([means, self.eesp(x)], 1) + self.inp_reinf(image))


class Encoder(nn.Module):
    def __init__(self, channels, units):
        super().__init__()
        a, b, c, d = channels
        self.level1 = Named(3, a, 3, 2)
        self.level2_0 = Down(a, b)
        self.level3_0 = Down(b, c)
        self.level3 = nn.ModuleList(Unit(c, c, WIDE) for _ in range(units[0]))
        self.level4_0 = Down(c, d)
        self.level4 = nn.ModuleList(Unit(d, d, NARROW) for _ in range(units[1]))

    def forward(self, image):
        level1 = self.level1(image)
        level2 = self.level2_0(level1, image)
        level3 = self.level3_0(level2, image)
        for unit in self.level3:
            level3 = unit(level3)
        level4 = self.level4_0(level3, image)
        for unit in self.level4:
            level4 = unit(level4)
        return level1, level2, level3, level4


class Numbered(nn.Module):
    """Convolution, batch norm, PReLU with the names of the decoder."""

    def __init__(self, into, outof, kernel=1, groups=1):
        super().__init__()
        layer = nn.Conv2d(into, outof, kernel, 1, kernel // 2, groups=groups, bias=False)
        self.cbr = nn.Sequential(layer, nn.BatchNorm2d(outof), nn.PReLU(outof))

    def forward(self, x):
        return self.cbr(x)


class NumberedNormAct(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.br = nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))

    def forward(self, x):
        return self.br(x)


class Pyramid(nn.Module):
    def __init__(self, into, n, outof, *, last=False):
        super().__init__()
        self.stages = nn.ModuleList(nn.Conv2d(n, n, 3, 1, 1, groups=n, bias=False) for _ in range(5))
        self.projection_layer = Numbered(into, n)
        self.merge_layer = nn.Sequential(
            NumberedNormAct(5 * n),
            nn.ChannelShuffle(5),
            Numbered(5 * n, n, 3, n),
            nn.Conv2d(n, outof, 1, bias=last),
        )
        if not last:
            self.br = NumberedNormAct(outof)

    def forward(self, x):
        x = self.projection_layer(x)
        size, maps = x.shape[2:], []
        for scale, stage in zip((2.0, 1.5, 1.0, 0.5, 0.1), self.stages, strict=True):
            other = [max(math.ceil(n * scale), 5) for n in size]
            if scale > 1:
                y = F.interpolate(x, other, mode="bilinear", align_corners=True)
                y = F.adaptive_avg_pool2d(stage(y), size)
            elif scale < 1:
                y = stage(F.adaptive_avg_pool2d(x, other))
                y = F.interpolate(y, size, mode="bilinear", align_corners=True)
            else:
                y = stage(x)
            maps.append(y)
        y = self.merge_layer(torch.cat(maps, 1))
        return self.br(y) if hasattr(self, "br") else y


class Merge(nn.Module):
    def __init__(self, into, outof):
        super().__init__()
        self.wt_layer = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(into, outof, 1, bias=False), nn.Sigmoid())
        self.expansion_layer = Numbered(into, outof, 3, math.gcd(into, outof))

    def forward(self, x):
        return self.expansion_layer(x) * self.wt_layer(x)


class EspNet(nn.Module):
    """The whole network with the published keys; with the published s=2.0 weights it gives the published logits."""

    def __init__(self, encoder, units, decoder, pyramid, classes=21):
        super().__init__()
        self.base_net = Encoder(encoder, units)
        n = min(classes // 2, pyramid)
        planes = (encoder[3], *decoder, classes)
        for i in range(1, 5):
            setattr(self, f"bu_dec_l{i}", Pyramid(planes[i - 1], n, planes[i], last=i == 4))
        for i in range(2, 5):
            setattr(self, f"merge_enc_dec_l{i}", Merge(encoder[4 - i], planes[i - 1]))
        for i in range(2, 5):
            setattr(self, f"bu_br_l{i}", nn.Sequential(nn.BatchNorm2d(planes[i - 1]), nn.PReLU(planes[i - 1])))

    def forward(self, image):
        maps = self.base_net(image)
        y = self.bu_dec_l1(maps[3])
        for i in range(2, 5):
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
            y = getattr(self, f"bu_br_l{i}")(getattr(self, f"merge_enc_dec_l{i}")(maps[4 - i]) + y)
            y = getattr(self, f"bu_dec_l{i}")(y)
        return F.interpolate(y, image.shape[2:], mode="bilinear", align_corners=True)


PUBLISHED = {
    "0.5": {"encoder": (16, 32, 64, 128), "units": (3, 7), "decoder": (64, 48, 32), "pyramid": 16},
    "2.0": {"encoder": (32, 128, 256, 512), "units": (3, 7), "decoder": (64, 48, 32), "pyramid": 16},
}
NARROWEST = {"encoder": (16, 32, 48, 64), "units": (1, 1), "decoder": (8, 6, 4), "pyramid": 2}


def key_list(scale):
    lists = json.loads(gzip.decompress((GOLDEN / "espnetv2_keys.json.gz").read_bytes()))
    return {key: tuple(shape) for key, shape in lists[scale]}


def fill(shapes):
    """`fill_random`, but with PReLU slopes about 0.25 and norm scales about 1.25.

    Slopes near 1 have no effect; with scales near 1 the signal fades.
    """
    state = fill_random(shapes)
    for key, value in state.items():
        if value.ndim == 1 and key.endswith("weight"):
            norm = key.removesuffix("weight") + "bias" in shapes
            state[key] = np.float32(1.25 if norm else 0.25) * value
    return state


def filled(twin):
    """`twin` with synthetic weights, and its state dict."""
    state = fill({key: tuple(value.shape) for key, value in twin.state_dict().items()})
    twin.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
    return twin, state


def tensor(x):
    """NHWC array -> NCHW tensor."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def array(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def step(module, variables, inputs, target):
    """Output, gradients of parameters and inputs, and running statistics of one training step."""

    def loss(params, inputs, target):
        y, updates = module.apply({**variables, "params": params}, *inputs, train=True, mutable=["batch_stats"])
        y = y["semantic_logits"] if isinstance(y, dict) else y
        return (y * target).sum(), (y, updates["batch_stats"])

    arguments = variables["params"], inputs, target
    lowered = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)).lower(*arguments)
    (_, (y, stats)), (of_params, of_inputs) = lowered.compile({"xla_backend_optimization_level": 0})(*arguments)
    return y, of_params, of_inputs, stats


def close(actual, expected, relative, name=""):
    scale = max(float(np.abs(expected).max()), 1.0)
    np.testing.assert_allclose(actual, expected, atol=relative * scale, rtol=0, err_msg=name)


@pytest.mark.parametrize("scale", ["0.5", "2.0"])
def test_the_twin_has_the_published_keys(scale):
    state = EspNet(**PUBLISHED[scale]).state_dict()
    assert [(key, tuple(value.shape)) for key, value in state.items()] == list(key_list(scale).items())


def test_golden_array_matches_the_twin():
    twin, _ = filled(EspNet(**PUBLISHED["2.0"]))
    with torch.no_grad():
        logits = twin.eval()(tensor(4 * images(0, 1, 47, 64, 3) - 2))
    close(array(logits)[:, ::3, ::3], golden("espnetv2")["semantic_logits"], 1e-5)


@pytest.mark.parametrize("prefix", ["base_net.level3.0.", "base_net.level4.0.", "base_net.level3_0."])
def test_units_in_a_training_step(prefix):
    twin, _ = filled(EspNet(**NARROWEST))
    part = twin.get_submodule(prefix[:-1])
    rules = [rule for rule in ESPNETV2.rules({"width": "tiny"}) if rule.key.startswith(prefix)]
    rules = [rule for rule in rules if rule.path[0] != "passthrough"]
    state = {key: value.numpy().copy() for key, value in part.state_dict().items()}
    variables = {"params": {}, "batch_stats": {}}
    for rule in rules:
        node = variables[rule.path[0]]
        for name in rule.path[2:-1]:
            node = node.setdefault(name, {})
        node[rule.path[-1]] = to_flax(state[rule.key.removeprefix(prefix)], rule.layout)
    if prefix == "base_net.level3_0.":
        module, inputs = Reduction(48), (draw(1, 2, 12, 9, 32), draw(2, 2, 6, 5, 3))
        target = draw(3, 2, 6, 5, 48)
    else:
        channels, dilations = (48, WIDE) if "level3" in prefix else (64, NARROW)
        module, inputs = EespUnit(channels, dilations), (draw(1, 2, 7, 9, channels),)
        target = draw(3, 2, 7, 9, channels)
    y, of_params, of_inputs, stats = step(module, variables, inputs, target)

    tensors = [tensor(x).requires_grad_() for x in inputs]
    expected = part.train()(*tensors)
    (expected * tensor(target)).sum().backward()
    close(y, array(expected), 1e-5)
    for actual, leaf in zip(of_inputs, tensors, strict=True):
        close(actual, array(leaf.grad), 2e-5)
    gradients = {key: parameter.grad for key, parameter in part.named_parameters()}
    updates = part.state_dict()
    for rule in rules:
        key = rule.key.removeprefix(prefix)
        node = {"params": of_params, "batch_stats": stats}[rule.path[0]]
        for name in rule.path[2:]:
            node = node[name]
        desired = gradients[key] if rule.path[0] == "params" else updates[key]
        close(reorder(np.asarray(node), rule.layout), desired.numpy(), 2e-5, rule.key)


def test_a_training_step_of_the_network():
    twin, state = filled(EspNet(**NARROWEST))
    module, variables = EspNetV2(width="tiny"), from_torch("espnetv2", state, width="tiny")
    passthrough = variables.pop("passthrough")
    image, target = draw(1, 2, 64, 79, 3), draw(2, 2, 64, 79, 21)
    y, of_params, (of_image,), stats = step(module, variables, (image,), target)

    pixels = tensor(image).requires_grad_()
    expected = twin.train()(pixels)
    (expected * tensor(target)).sum().backward()
    close(y, array(expected), 2e-5)
    close(of_image, array(pixels.grad), 1e-4)
    actual = to_torch("espnetv2", {"params": of_params, "batch_stats": stats, "passthrough": passthrough}, width="tiny")
    gradients = {key: parameter.grad for key, parameter in twin.named_parameters()}
    updates = twin.state_dict()
    for key, value in actual.items():
        if key.endswith(("running_mean", "running_var")):
            close(value, updates[key].numpy(), 1e-5, key)
        elif key in gradients and gradients[key] is not None:
            close(value, gradients[key].numpy(), 3e-4, key)
