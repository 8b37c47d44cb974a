"""AttentiveGAN against PyTorch networks with the published keys."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.models import build
from sirr_jax.models.width import scaled
from sirr_jax.weights.convert import from_torch, to_torch
from tests.helpers import layerwise, published

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

pytestmark = pytest.mark.torch

GENERATOR, DISCRIMINATOR = "attentive_gan/generator", "attentive_gan/discriminator"
OUTPUTS = ("restored_quarter", "restored_half", "restored")


def layer(inputs, outputs, kernel=3, stride=1, dilation=1, padding=None):
    pad = dilation * (kernel - 1) // 2 if padding is None else padding
    return nn.Conv2d(inputs, outputs, kernel, stride, pad, dilation)


def rectified(*sizes, **options):
    return nn.Sequential(layer(*sizes, **options), nn.ReLU())


def smoothed(inputs, outputs):
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.ReflectionPad2d((1, 0, 1, 0)), nn.AvgPool2d(2, 1), nn.ReLU()
    )


class TorchGenerator(nn.Module):
    """The generator of sections 2.1 and 2.2 of the specification, with the published names."""

    def __init__(self, width="base", attentive=True, steps=4):
        super().__init__()
        n32, n64, n128, n256 = (scaled(n, width) for n in (32, 64, 128, 256))
        self.attentive, self.steps, self.hidden = attentive, steps, n32
        self.det_conv0 = rectified(4, n32)
        for i in range(1, 6):
            setattr(self, f"det_conv{i}", nn.Sequential(layer(n32, n32), nn.ReLU(), layer(n32, n32), nn.ReLU()))
        for gate, activation in (("i", nn.Sigmoid), ("f", nn.Sigmoid), ("g", nn.Tanh), ("o", nn.Sigmoid)):
            setattr(self, f"conv_{gate}", nn.Sequential(layer(2 * n32, n32), activation()))
        self.det_conv_mask = nn.Sequential(layer(n32, 1))
        self.conv1 = rectified(4 if attentive else 3, n64, kernel=5)
        self.conv2, self.conv3 = rectified(n64, n128, stride=2), rectified(n128, n128)
        self.conv4 = rectified(n128, n256, stride=2)
        self.conv5, self.conv6 = rectified(n256, n256), rectified(n256, n256)
        for i in range(1, 5):
            setattr(self, f"diconv{i}", rectified(n256, n256, dilation=2**i))
        self.conv7, self.conv8 = rectified(n256, n256), rectified(n256, n256)
        self.deconv1, self.conv9 = smoothed(n256, n128), rectified(n128, n128)
        self.deconv2, self.conv10 = smoothed(n128, n64), rectified(n64, n32)
        self.outframe1, self.outframe2 = rectified(n256, 3), rectified(n128, 3)
        self.output = nn.Sequential(layer(n32, 3))

    def attend(self, image):
        maps, mask = [], torch.full_like(image[:, :1], 0.5)
        h = c = image.new_zeros(len(image), self.hidden, *image.shape[2:])
        for _ in range(self.steps):
            x = self.det_conv0(torch.cat((image, mask), 1))
            for i in range(1, 6):
                x = F.relu(x + getattr(self, f"det_conv{i}")(x))
            x = torch.cat((x, h), 1)
            c = self.conv_f(x) * c + self.conv_i(x) * self.conv_g(x)
            h = self.conv_o(x) * torch.tanh(c)
            mask = self.det_conv_mask(h)
            maps.append(mask)
        return maps

    def forward(self, image):
        maps = self.attend(image) if self.attentive else []
        r1 = self.conv1(torch.cat((image, *maps[-1:]), 1))
        r2 = self.conv3(self.conv2(r1))
        x = self.conv6(self.conv5(self.conv4(r2)))
        x = self.diconv4(self.diconv3(self.diconv2(self.diconv1(x))))
        x = self.conv8(self.conv7(x))
        frame1 = self.outframe1(x)
        x = self.conv9(self.deconv1(x) + r2)
        frame2 = self.outframe2(x)
        return maps, frame1, frame2, self.output(self.conv10(self.deconv2(x) + r1))


class TorchDiscriminator(nn.Module):
    """The discriminator of section 2.3, with the published names, one `conv7` and a multiplied map."""

    def __init__(self, width="base", attentive=True, head="dense"):
        super().__init__()
        self.head = head
        channels = [3, *(scaled(n, width) for n in (8, 16, 64, 128, 128, 128))]
        for i in range(1, 7):
            setattr(self, f"conv{i}", rectified(channels[i - 1], channels[i], kernel=5))
        if attentive:
            self.conv_mask = nn.Sequential(layer(channels[-1], 1, kernel=5))
        n32, n64, n1024 = (scaled(n, width) for n in (32, 64, 1024))
        self.conv7 = rectified(channels[-1], n64, kernel=5, stride=4, padding=1)
        self.conv8 = rectified(n64, n32, kernel=5, stride=4, padding=1)
        self.fc = nn.Sequential(nn.Linear(n32 * 14 * 14 if head == "dense" else n32, n1024), nn.Linear(n1024, 1))

    def forward(self, image):
        x = image
        for i in range(1, 7):
            x = getattr(self, f"conv{i}")(x)
        mask = self.conv_mask(x) if hasattr(self, "conv_mask") else None
        x = self.conv8(self.conv7(x if mask is None else x * mask))
        return mask, self.fc(x.reshape(len(x), -1) if self.head == "dense" else x.mean((2, 3)))


def filled(network):
    """Fills the network with random weights that keep activations near 1; returns its state dict."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = 0.1 if parameter.ndim == 1 else (2 / parameter[0].numel()) ** 0.5
            parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
    return {key: tensor.numpy().copy() for key, tensor in network.state_dict().items()}


def photo(*shape):
    image = np.random.default_rng(1).random(shape).astype(np.float32)
    return image, torch.from_numpy(image.transpose(0, 3, 1, 2).copy())


def weighted(outputs, weights):
    return sum((y * w).mean() for y, w in zip(outputs, weights, strict=True))


def compare_layers(network_id, model_args, activations, actual):
    for name, path in layerwise.pairs(network_id, model_args):
        # The gates of the LSTM are computed as one convolution; the layers after them are compared.
        if not name.startswith("conv_") or name == "conv_mask.0":
            assert len(activations[name]) == len(actual[path]), name
            for ours, theirs in zip(actual[path], activations[name], strict=True):
                assert layerwise.error(ours, theirs) < 1e-5, name


def compare_gradients(network_id, model_args, network, of_params, of_image, image):
    ours = to_torch(network_id, {"params": of_params}, **model_args)
    assert ours
    for key, parameter in network.named_parameters():
        if key in ours:
            assert layerwise.gradient_error(ours[key], parameter.grad) < 1e-4, key
        else:
            assert parameter.grad is None
    assert layerwise.gradient_error(of_image, layerwise.nhwc(image.grad)) < 1e-4


@pytest.mark.parametrize("attentive", [True, False])
def test_the_generator_layer_by_layer(attentive):
    network = TorchGenerator(attentive=attentive)
    state = filled(network)
    shapes = published.shapes(GENERATOR) | {"conv1.0.weight": (64, 4 if attentive else 3, 5, 5)}
    assert [(key, array.shape) for key, array in state.items()] == list(shapes.items())
    image, tensor = photo(2, 20, 28, 3)
    with layerwise.listening(network) as activations, torch.no_grad():
        maps, *frames = network(tensor)
    model_args = {} if attentive else {"attentive": False}
    variables = from_torch(GENERATOR, state, **model_args)
    outputs, actual = layerwise.answers(build(GENERATOR, **model_args), {"params": variables["params"]}, image)
    compare_layers(GENERATOR, model_args, activations, actual)
    for name, frame in zip(OUTPUTS, frames, strict=True):
        assert layerwise.error(outputs[name], layerwise.nhwc(frame)) < 1e-5, name
    assert len(maps) == (4 if attentive else 0)
    for ours, theirs in zip(outputs.get("attention", ()), maps, strict=True):
        assert layerwise.error(ours, layerwise.nhwc(theirs)) < 1e-5


@pytest.mark.parametrize("model_args", [{"width": "tiny"}, {"width": "tiny", "attentive": False}, {"steps": 2}])
def test_the_generators_gradients(model_args):
    network = TorchGenerator(**model_args)
    params = from_torch(GENERATOR, filled(network), **model_args)["params"]
    image, tensor = photo(1, 16, 20, 3)
    tensor.requires_grad_()
    maps, *frames = network(tensor)
    weights = [torch.randn(y.shape, generator=torch.Generator().manual_seed(i)) for i, y in enumerate((*maps, *frames))]
    weighted((*maps, *frames), weights).backward()
    targets = [layerwise.nhwc(w) for w in weights]
    module = build(GENERATOR, **model_args)

    def loss(params, image):
        outputs = module.apply({"params": params}, image)
        return weighted((*outputs.get("attention", ()), *(outputs[name] for name in OUTPUTS)), targets)

    compare_gradients(GENERATOR, model_args, network, *layerwise.gradients(loss, params, image), tensor)


@pytest.mark.parametrize("attentive", [True, False])
def test_the_discriminator_layer_by_layer_and_its_gradients(attentive):
    # The published size at the narrow width for the gradients, at full width for the layers.
    for width in ("base", "tiny"):
        network = TorchDiscriminator(width, attentive)
        state = filled(network)
        if attentive and width == "base":
            shapes = published.shapes(DISCRIMINATOR)
            assert [(key, array.shape) for key, array in state.items()] == list(shapes.items())
        model_args = {"width": width, "attentive": attentive}
        params = from_torch(DISCRIMINATOR, state, **model_args)["params"]
        image, tensor = photo(1, 224, 224, 3)
        tensor.requires_grad_(width == "tiny")
        with layerwise.listening(network) as activations:
            mask, logits = network(tensor)
        module = build(DISCRIMINATOR, **model_args)
        outputs, actual = layerwise.answers(module, {"params": params}, image)
        compare_layers(DISCRIMINATOR, model_args, activations, actual)
        assert layerwise.error(outputs["logits"], logits.detach()) < 1e-5
        assert layerwise.error(outputs["probability"], torch.sigmoid(logits.detach())) < 1e-5
        if attentive:
            assert layerwise.error(outputs["attention"], layerwise.nhwc(mask)) < 1e-5

    (logits.sum() + (mask.square().mean() if attentive else 0)).backward()

    def loss(params, image):
        outputs = module.apply({"params": params}, image)
        return outputs["logits"].sum() + ((outputs["attention"] ** 2).mean() if attentive else 0.0)

    compare_gradients(DISCRIMINATOR, model_args, network, *layerwise.gradients(loss, params, image), tensor)


def test_the_discriminators_mean_head():
    model_args = {"head": "gap"}
    network = TorchDiscriminator(**model_args)
    params = from_torch(DISCRIMINATOR, filled(network), **model_args)["params"]
    image, tensor = photo(2, 45, 60, 3)
    outputs = jax.jit(build(DISCRIMINATOR, **model_args).apply)({"params": params}, image)
    assert np.ptp(outputs["logits"]) > 1e-3
    assert layerwise.error(outputs["logits"], network(tensor)[1].detach()) < 1e-5
