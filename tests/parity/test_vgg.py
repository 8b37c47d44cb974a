"""VGG-16 and VGG-19 against PyTorch networks in torchvision's order, with its keys."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from sirr_jax.models import build
from sirr_jax.models.vgg import Vgg19, normalize
from sirr_jax.weights.convert import from_torch, to_torch
from sirr_jax.weights.pretrained_vgg import read_vgg

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

pytestmark = pytest.mark.torch

# torchvision's configurations D and E.
PLANS = {
    "vgg16": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


class Twin(nn.Module):
    def __init__(self, plan, divisor, pool=nn.MaxPool2d):
        super().__init__()
        layers, before = [], 3
        for step in plan:
            if step == "M":
                layers.append(pool(2, 2))
            else:
                layers += [nn.Conv2d(before, step // divisor, 3, padding=1), nn.ReLU()]
                before = step // divisor
        self.features = nn.Sequential(*layers)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        self.classifier = nn.Sequential(
            nn.Linear(4, 3), nn.ReLU(), nn.Dropout(), nn.Linear(3, 3), nn.ReLU(), nn.Dropout(), nn.Linear(3, 2)
        )

    def forward(self, x):
        outputs, block, i = {}, 1, 0
        for layer in self.features:
            x = layer(x)
            match layer:
                case nn.Conv2d():
                    i += 1
                    outputs[f"conv{block}_{i}"] = x
                case nn.ReLU():
                    outputs[f"relu{block}_{i}"] = x
                case _:
                    block, i = block + 1, 0
        return outputs


def numpy_state(module):
    return {key: value.detach().numpy().copy() for key, value in module.state_dict().items()}


def channels_last(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


@pytest.mark.parametrize(("network", "pool"), [("vgg16", "max"), ("vgg19", "max"), ("vgg19", "average")])
def test_features_and_gradients(network, pool):
    torch.manual_seed(0)
    twin = Twin(PLANS[network], 16, {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[pool])
    state = numpy_state(twin)
    variables = from_torch(network, state, width="tiny")
    back = to_torch(network, variables, width="tiny")
    assert list(back) == list(state)
    assert all(np.array_equal(back[key], value) for key, value in state.items())

    module = build(network, width="tiny", pool=pool, pre_activations=True)
    image = np.random.default_rng(0).standard_normal((2, 35, 34, 3)).astype(np.float32)
    marks = {
        name: np.random.default_rng(i).standard_normal() for i, name in enumerate(("conv5_2", "relu3_1", "relu5_3"))
    }

    def loss(params, image):
        outputs = module.apply({"params": params}, image)
        return sum(weight * jnp.square(outputs[name]).mean() for name, weight in marks.items()), outputs

    graded = jax.value_and_grad(loss, (0, 1), has_aux=True)
    compiled = jax.jit(graded, compiler_options={"xla_backend_optimization_level": 0})
    (value, outputs), (of_params, of_image) = compiled(variables["params"], image)

    x = torch.from_numpy(np.moveaxis(image, -1, 1).copy()).requires_grad_()
    expected = twin(x)
    total = sum(weight * expected[name].square().mean() for name, weight in marks.items())
    total.backward()
    assert outputs.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(outputs[name], channels_last(expected[name]), atol=1e-5)
    np.testing.assert_allclose(value, total.item(), rtol=1e-5)
    np.testing.assert_allclose(of_image, channels_last(x.grad), atol=1e-6)
    actual = to_torch(network, {"params": of_params}, width="tiny")
    for name, parameter in twin.features.named_parameters():
        gradient = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        np.testing.assert_allclose(actual[f"features.{name}"], gradient, atol=1e-5 * max(1.0, np.abs(gradient).max()))


@pytest.mark.parametrize("extension", ["safetensors", "pth"])
def test_files_with_torchvision_keys(tmp_path, extension):
    """Reads a prefix of full width from a file and applies it to an image in [0, 1]."""
    twin = Twin(PLANS["vgg19"][:7], 1)
    path = tmp_path / f"vgg.{extension}"
    if extension == "pth":
        torch.save(twin.state_dict(), path)
    else:
        save_file(numpy_state(twin), path)
    weights = read_vgg(path, "vgg19")
    assert weights.convention == "torchvision"
    assert weights.layers == ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
    image = np.random.default_rng(0).random((1, 16, 20, 3), np.float32)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (torch.from_numpy(np.moveaxis(image, -1, 1)) - mean[:, None, None]) / deviation[:, None, None]
    network = Vgg19(layers=weights.layers)
    actual = network.apply({"params": weights.params}, normalize(jnp.asarray(image), "torchvision"))
    np.testing.assert_allclose(actual["relu3_1"], channels_last(twin(x)["relu3_1"]), atol=1e-5)
