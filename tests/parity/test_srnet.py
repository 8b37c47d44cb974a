"""SR-Net against twins in PyTorch, whose weights are converted with the key maps."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.layers.spectral import SpectralConv
from sirr_jax.models import build
from sirr_jax.weights.convert import from_torch, to_torch
from tests.helpers.networks import run

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.torch
spectral = torch.nn.utils.spectral_norm


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def nchw(x):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(x), -1, 1)))


def nhwc(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def normal(x):
    return F.instance_norm(x)


class Modulation(nn.Module):
    def __init__(self, channels, labels, hidden):
        super().__init__()
        self.hidden = nn.Conv2d(labels, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x, labels):
        hidden = F.relu(self.hidden(F.interpolate(labels, size=x.shape[2:], mode="nearest")))
        return normal(x) * (1 + self.gamma(hidden)) + self.beta(hidden)


class Block(nn.Module):
    def __init__(self, channels, labels, hidden, wrap):
        super().__init__()
        bias = wrap is not spectral
        self.conv1 = wrap(nn.Conv2d(channels, channels, 3, dilation=2, bias=bias))
        self.conv2 = wrap(nn.Conv2d(channels, channels, 3, bias=bias))
        if labels:
            self.modulation1, self.modulation2 = (Modulation(channels, labels, hidden) for _ in range(2))

    def forward(self, x, labels):
        y = self.conv1(F.pad(x, (2,) * 4, mode="reflect"))
        y = F.relu(normal(y) if labels is None else self.modulation1(y, labels))
        y = self.conv2(F.pad(y, (1,) * 4, mode="reflect"))
        return x + (normal(y) if labels is None else self.modulation2(y, labels))


class Trunk(nn.Module):
    def __init__(self, into, base, labels=0, wrap=lambda layer: layer):
        super().__init__()
        hidden = 2 * base
        self.stem = wrap(nn.Conv2d(into, base, 7))
        self.down1 = wrap(nn.Conv2d(base, 2 * base, 4, 2, 1))
        self.down2 = wrap(nn.Conv2d(2 * base, 4 * base, 4, 2, 1))
        for i in range(8):
            self.add_module(f"residual{i}", Block(4 * base, labels, hidden, wrap))
        if labels:
            self.enlarge1 = nn.Conv2d(4 * base, 2 * base, 3, padding=1)
            self.enlarge2 = nn.Conv2d(4 * base, base, 3, padding=1)
            self.enlarge_modulation1 = Modulation(2 * base, labels, hidden)
            self.enlarge_modulation2 = Modulation(base, labels, hidden)
        else:
            self.up1 = wrap(nn.ConvTranspose2d(4 * base, 2 * base, 4, 2, 1))
            self.up2 = wrap(nn.ConvTranspose2d(2 * base, base, 4, 2, 1))

    def forward(self, x, labels=None):
        full = F.relu(normal(self.stem(F.pad(x, (3,) * 4, mode="reflect"))))
        half = F.relu(normal(self.down1(full)))
        x = F.relu(normal(self.down2(half)))
        for i in range(8):
            x = getattr(self, f"residual{i}")(x, labels)
        if labels is None:
            x = F.relu(normal(self.up1(x)))
            return F.relu(normal(self.up2(x)))
        for enlarge, modulation, skip in (
            (self.enlarge1, self.enlarge_modulation1, half),
            (self.enlarge2, self.enlarge_modulation2, full),
        ):
            x = modulation(enlarge(F.interpolate(x, scale_factor=2, mode="nearest")), labels)
            x = torch.cat((F.relu(x), skip), 1)
        return x


class LabelRefiner(nn.Module):
    def __init__(self, classes, base, wrap):
        super().__init__()
        self.trunk = Trunk(3 + classes, base, wrap=wrap)
        self.semantic_logits = wrap(nn.Conv2d(base, classes, 7))

    def forward(self, image, labels):
        x = self.trunk(torch.cat((image, labels), 1))
        return [self.semantic_logits(F.pad(x, (3,) * 4, mode="reflect"))]


class LabelGuidedRestorer(nn.Module):
    def __init__(self, base, spade):
        super().__init__()
        self.spade = spade
        self.palette_trunk = Trunk(3, base, labels=3) if spade else Trunk(6, base)
        self.restored = nn.Conv2d(2 * base if spade else base, 3, 7)

    def forward(self, image, labels):
        x = self.palette_trunk(image, labels) if self.spade else self.palette_trunk(torch.cat((image, labels), 1))
        return [torch.tanh(self.restored(F.pad(x, (3,) * 4, mode="reflect")))]


class Discriminator(nn.Module):
    def __init__(self, into, base, head):
        super().__init__()
        self.head = head
        channels = (into, base, 2 * base, 4 * base, 8 * base)
        for i, stride in enumerate((2, 2, 2, 1)):
            layer = nn.Conv2d(channels[i], channels[i + 1], 4, stride, 1, bias=False)
            self.add_module(f"conv{i}", spectral(layer))
        self.add_module(head, spectral(nn.Conv2d(8 * base, 1, 4, 1, 1, bias=False)))

    def forward(self, x):
        maps = []
        for i in range(4):
            x = F.leaky_relu(getattr(self, f"conv{i}")(x), 0.2)
            maps.append(x)
        return [*maps, getattr(self, self.head)(x)]


def warmed_up(twin, *inputs):
    """The twin after a few training passes, because its initial estimates of sigma are random."""
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(3):
            twin.train()(*map(nchw, inputs))
    return twin


def state(twin):
    return {key: value.detach().clone() for key, value in twin.state_dict().items()}


def compare(network_id, model_args, twin, inputs, pick, *, atol):
    """Compares evaluation, then one training pass, its gradients, and the state afterwards."""
    warmed_up(twin, *inputs)
    module = build(network_id, **model_args)
    variables = from_torch(network_id, state(twin), **model_args)
    with torch.no_grad():
        expected = twin.eval()(*map(nchw, inputs))
    for ours, theirs in zip(pick(run(module, variables, *inputs)), expected, strict=True):
        np.testing.assert_allclose(ours, nhwc(theirs), atol=atol)

    tensors = [nchw(x).requires_grad_() for x in inputs]
    expected = twin.train()(*tensors)
    slopes = [draw(40 + i, *nhwc(y).shape) / np.float32(np.sqrt(y.numel())) for i, y in enumerate(expected)]
    sum((y * nchw(s)).sum() for y, s in zip(expected, slopes, strict=True)).backward()

    def loss(params, inputs):
        outputs, updates = module.apply(variables | {"params": params}, *inputs, train=True, mutable=["batch_stats"])
        actual = pick(outputs)
        return sum((y * s).sum() for y, s in zip(actual, slopes, strict=True)), (actual, updates)

    lowered = jax.jit(jax.grad(loss, (0, 1), has_aux=True)).lower(variables["params"], inputs)
    differentiate = lowered.compile(compiler_options={"xla_backend_optimization_level": 0})
    (of_params, of_inputs), (actual, updates) = differentiate(variables["params"], inputs)
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, nhwc(theirs), atol=atol)
    for ours, theirs in zip(of_inputs, tensors, strict=True):
        np.testing.assert_allclose(ours, nhwc(theirs.grad), atol=atol)
    # The gradients are converted like weights, to compare them by PyTorch's names.
    named = to_torch(network_id, {"params": of_params, **updates}, **model_args)
    gradients = {key: p.grad.numpy() for key, p in twin.named_parameters()}
    vectors = {key: value.numpy() for key, value in twin.named_buffers()}
    assert named.keys() == gradients.keys() | vectors.keys()
    for key, gradient in gradients.items():
        np.testing.assert_allclose(named[key], gradient, atol=10 * atol, rtol=1e-3, err_msg=key)
    for key, vector in vectors.items():
        np.testing.assert_allclose(named[key], vector, atol=1e-5, err_msg=key)


def one_hot(seed, classes, *size):
    return np.eye(classes, dtype=np.float32)[np.random.default_rng(seed).integers(0, classes, (2, *size))]


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_refiner(spectral_norm):
    torch.manual_seed(1)
    twin = LabelRefiner(5, 4, spectral if spectral_norm else lambda layer: layer)
    model_args = {"width": "tiny", "classes": 5, "spectral_norm": spectral_norm}
    inputs = [draw(0, 2, 16, 20, 3), one_hot(1, 5, 16, 20)]
    compare("srnet/refiner", model_args, twin, inputs, lambda outputs: [outputs["semantic_logits"]], atol=2e-4)


@pytest.mark.parametrize("synthesis", ["transposed", "spade"])
def test_restorer(synthesis):
    torch.manual_seed(2)
    twin = LabelGuidedRestorer(4, synthesis == "spade")
    model_args = {"width": "tiny", "mode": "palette", "synthesis": synthesis}
    inputs = [draw(0, 2, 16, 20, 3), draw(1, 2, 16, 20, 3)]
    compare("srnet/restorer", model_args, twin, inputs, lambda outputs: [outputs["restored"]], atol=2e-4)


@pytest.mark.parametrize(
    ("network_id", "model_args", "into", "head"),
    [
        ("srnet/map_discriminator", {"classes": 6}, 6, "map_scores"),
        ("srnet/map_discriminator", {"mode": "palette"}, 3, "palette_scores"),
        ("srnet/image_discriminator", {}, 3, "image_scores"),
    ],
    ids=str,
)
def test_discriminators(network_id, model_args, into, head):
    torch.manual_seed(3)
    inputs = [draw(0, 2, 40, 33, into)]
    twin = Discriminator(into, 4, head)
    compare(network_id, {"width": "tiny"} | model_args, twin, inputs, lambda outputs: outputs["features"], atol=5e-5)


@pytest.mark.parametrize("width", ["base", "tiny"])
def test_whole_discriminator_in_evaluation(width):
    torch.manual_seed(4)
    x = draw(0, 1, 64, 64, 3)
    twin = warmed_up(Discriminator(3, 64 if width == "base" else 4, "image_scores"), x).eval()
    variables = from_torch("srnet/image_discriminator", state(twin), width=width)
    scores = jax.jit(build("srnet/image_discriminator", width=width).apply)(variables, x)["scores"]
    np.testing.assert_allclose(scores, nhwc(twin(nchw(x))[-1]), atol=2e-5)


@pytest.mark.parametrize(
    ("transposed", "kernel", "stride", "padding", "dilation"),
    [(False, 4, 2, 1, 1), (False, 3, 1, 2, 2), (False, 3, 2, 0, 1), (True, 4, 2, 1, 1), (True, 3, 2, 0, 1)],
)
def test_spectral_layers_over_three_steps(transposed, kernel, stride, padding, dilation):
    layer = nn.ConvTranspose2d if transposed else nn.Conv2d
    theirs = layer(3, 5, kernel, stride, padding, dilation=dilation)
    theirs = spectral(theirs)
    ours = SpectralConv(5, kernel, stride, dilation, padding, transposed)
    axes = (2, 3, 0, 1) if transposed else (2, 3, 1, 0)
    variables = {
        "params": {
            "kernel": theirs.weight_orig.detach().numpy().transpose(axes),
            "bias": theirs.bias.detach().numpy(),
        },
        "batch_stats": {"u": theirs.weight_u.numpy().copy(), "v": theirs.weight_v.numpy().copy()},
    }
    x = draw(0, 2, 7, 8, 3)
    step = jax.jit(lambda w: ours.apply(w, x, train=True, mutable=["batch_stats"]))
    for _ in range(3):
        y, updates = step(variables)
        np.testing.assert_allclose(y, nhwc(theirs(nchw(x))), atol=1e-5)
        variables = variables | updates
        np.testing.assert_allclose(variables["batch_stats"]["u"], theirs.weight_u.numpy(), atol=1e-6)
        np.testing.assert_allclose(variables["batch_stats"]["v"], theirs.weight_v.numpy(), atol=1e-6)
    np.testing.assert_allclose(ours.apply(variables, x), nhwc(theirs.eval()(nchw(x))), atol=1e-5)
