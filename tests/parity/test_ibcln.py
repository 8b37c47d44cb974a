"""IBCLN against PyTorch networks with the published keys."""

from __future__ import annotations

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

CASCADE, DISCRIMINATOR = "ibcln/cascade", "ibcln/discriminator"


def rectified(inputs, outputs, kernel=3, stride=1, dilation=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel - 1) // 2, dilation), nn.ReLU())


def gate(channels, activation):
    return nn.Sequential(nn.Conv2d(2 * channels, channels, 3, 1, 1), activation)


class TorchRefiner(nn.Module):
    """The refiner of section 5.2 of the specification, with the published names and without dropout."""

    def __init__(self, width):
        super().__init__()
        a, b, c, last = (scaled(n, width) for n in (64, 128, 256, 32))
        self.conv1, self.conv2, self.conv3 = rectified(9, a, 5), rectified(a, b, stride=2), rectified(b, b)
        self.conv4, self.conv5, self.conv6 = rectified(b, c, stride=2), rectified(c, c), rectified(c, c)
        self.diconv1, self.diconv2 = rectified(c, c, dilation=2), rectified(c, c, dilation=4)
        self.diconv3, self.diconv4 = rectified(c, c, dilation=8), rectified(c, c, dilation=16)
        self.conv7 = rectified(c, c)
        self.conv_i, self.conv_f = gate(c, nn.Sigmoid()), gate(c, nn.Sigmoid())
        self.conv_g, self.conv_o = gate(c, nn.Tanh()), gate(c, nn.Sigmoid())
        self.conv8 = rectified(c, c)
        self.deconv1 = nn.Sequential(nn.ConvTranspose2d(c, b, 4, 2, 1))
        self.conv9 = rectified(b, b)
        self.deconv2 = nn.Sequential(nn.ConvTranspose2d(b, a, 4, 2, 1))
        self.conv10 = rectified(a, last)
        self.outframe1, self.outframe2, self.output = rectified(c, 3), rectified(b, 3), rectified(last, 3)

    def forward(self, x, h, c):
        res1 = self.conv1(x)
        res2 = self.conv3(self.conv2(res1))
        x = self.conv6(self.conv5(self.conv4(res2)))
        x = self.conv7(self.diconv4(self.diconv3(self.diconv2(self.diconv1(x)))))
        z = torch.cat((x, h), 1)
        c = self.conv_f(z) * c + self.conv_i(z) * self.conv_g(z)
        h = self.conv_o(z) * torch.tanh(c)
        x = self.conv8(h)
        quarter = self.outframe1(x)
        x = self.conv9(self.smooth(self.deconv1(x)) + res2)
        half = self.outframe2(x)
        x = self.conv10(self.smooth(self.deconv2(x)) + res1)
        return self.output(x), half, quarter, h, c

    @staticmethod
    def smooth(x):
        return F.relu(F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="reflect"), 2, 1))


class TorchCascade(nn.Module):
    """The cascade of section 5.1 of the specification."""

    def __init__(self, width="base", steps=3):
        super().__init__()
        self.G_T, self.G_R, self.steps, self.memory = (
            TorchRefiner(width),
            TorchRefiner(width),
            steps,
            scaled(256, width),
        )

    def forward(self, image):
        size, transmissions, reflections = image.shape, [], []
        t, r = image, torch.full_like(image, 0.1)
        ht = ct = hr = cr = image.new_zeros(size[0], self.memory, size[2] // 4, size[3] // 4)
        for _ in range(self.steps):
            t, t_half, t_quarter, ht, ct = self.G_T(torch.cat((image, t, r), 1), ht, ct)
            r, r_half, r_quarter, hr, cr = self.G_R(torch.cat((image, t, r), 1), hr, cr)
            transmissions.append(t)
            reflections.append(r)
        return {
            "restored": t,
            "reflection": r,
            "restored_steps": tuple(transmissions),
            "reflection_steps": tuple(reflections),
            "restored_half": t_half,
            "restored_quarter": t_quarter,
            "reflection_half": r_half,
            "reflection_quarter": r_quarter,
        }


class TorchDiscriminator(nn.Module):
    """The patch discriminator with pix2pix's names."""

    def __init__(self, width="base"):
        super().__init__()
        a, b, c, d = (scaled(n, width) for n in (64, 128, 256, 512))
        self.model = nn.Sequential(
            nn.Conv2d(3, a, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(a, b, 4, 2, 1),
            nn.InstanceNorm2d(b),
            nn.LeakyReLU(0.2),
            nn.Conv2d(b, c, 4, 2, 1),
            nn.InstanceNorm2d(c),
            nn.LeakyReLU(0.2),
            nn.Conv2d(c, d, 4, 1, 1),
            nn.InstanceNorm2d(d),
            nn.LeakyReLU(0.2),
            nn.Conv2d(d, 1, 4, 1, 1),
        )

    def forward(self, image):
        return self.model(image)


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


def flat(outputs):
    """Returns `{name or name/step: array}`, sorted by name."""
    named = {}
    for name in sorted(outputs):
        leaf = outputs[name]
        named |= {f"{name}/{i}": y for i, y in enumerate(leaf)} if isinstance(leaf, tuple) else {name: leaf}
    return named


def test_the_cascade_layer_by_layer():
    network = TorchCascade()
    state = filled(network)
    shapes = {f"{part}.{key}": s for part in ("G_T", "G_R") for key, s in published.shapes(f"ibcln/{part}").items()}
    assert [(key, array.shape) for key, array in state.items()] == list(shapes.items())
    image, tensor = photo(2, 20, 28, 3)
    with layerwise.listening(network) as activations, torch.no_grad():
        expected = flat(network(tensor))
    outputs, actual = layerwise.answers(build(CASCADE), from_torch(CASCADE, state), image)
    for name, path in layerwise.pairs(CASCADE, {}):
        # The gates of the LSTM are computed as one convolution; the layers after them are compared.
        if ".conv_" not in name:
            assert len(activations[name]) == len(actual[path]) == 3, name
            for ours, theirs in zip(actual[path], activations[name], strict=True):
                assert layerwise.error(ours, theirs) < 1e-5, name
    outputs = flat(outputs)
    assert outputs.keys() == expected.keys()
    for name, theirs in expected.items():
        assert layerwise.error(outputs[name], layerwise.nhwc(theirs)) < 1e-5, name


@pytest.mark.parametrize("model_args", [{"width": "tiny"}, {"steps": 2}])
def test_the_cascades_gradients(model_args):
    network = TorchCascade(**model_args)
    params = from_torch(CASCADE, filled(network), **model_args)["params"]
    image, tensor = photo(1, 16, 20, 3)
    tensor.requires_grad_()
    expected = flat(network(tensor))
    weights = {
        name: torch.randn(y.shape, generator=torch.Generator().manual_seed(i))
        for i, (name, y) in enumerate(expected.items())
    }
    sum((y * weights[name]).mean() for name, y in expected.items()).backward()
    targets = {name: layerwise.nhwc(w) for name, w in weights.items()}
    module = build(CASCADE, **model_args)

    def loss(params, image):
        outputs = flat(module.apply({"params": params}, image))
        return sum((y * targets[name]).mean() for name, y in outputs.items())

    of_params, of_image = layerwise.gradients(loss, params, image)
    ours = to_torch(CASCADE, {"params": of_params}, **model_args)
    for key, parameter in network.named_parameters():
        assert layerwise.gradient_error(ours[key], parameter.grad) < 1e-4, key
    assert layerwise.gradient_error(of_image, layerwise.nhwc(tensor.grad)) < 1e-4


def test_the_discriminator_layer_by_layer_and_its_gradients():
    network = TorchDiscriminator()
    state = filled(network)
    assert [(key, array.shape) for key, array in state.items()] == list(published.shapes(DISCRIMINATOR).items())
    params = from_torch(DISCRIMINATOR, state)["params"]
    image, tensor = photo(2, 40, 53, 3)
    tensor.requires_grad_()
    with layerwise.listening(network) as activations:
        logits = network(tensor)
    module = build(DISCRIMINATOR)
    outputs, actual = layerwise.answers(module, {"params": params}, image)
    for name, path in layerwise.pairs(DISCRIMINATOR, {}):
        assert layerwise.error(actual[path][0], activations[name][0]) < 1e-5, name
    assert layerwise.error(outputs["logits"], layerwise.nhwc(logits)) < 1e-5

    logits.square().mean().backward()
    of_params, of_image = layerwise.gradients(
        lambda params, image: (module.apply({"params": params}, image)["logits"] ** 2).mean(), params, image
    )
    ours = to_torch(DISCRIMINATOR, {"params": of_params})
    for key, parameter in network.named_parameters():
        # A bias before instance normalization has no effect, and its gradient is only rounding error.
        if key.endswith("weight") or key in ("model.0.bias", "model.11.bias"):
            assert layerwise.gradient_error(ours[key], parameter.grad) < 1e-4, key
        else:
            assert max(np.abs(ours[key]).max(), parameter.grad.abs().max()) < 1e-5, key
    assert layerwise.gradient_error(of_image, layerwise.nhwc(tensor.grad)) < 1e-4
