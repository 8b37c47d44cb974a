"""ERRNet against its reference outputs, its discriminator against its definition, and their published keys."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.errnet import Discriminator, Generator, hypercolumn
from sirr_jax.models.initialize import initialize
from sirr_jax.models.vgg import Vgg19
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers import literal, published
from tests.helpers.networks import count, images, parameter_shapes, random_parameters, run

NETWORKS = [
    ("errnet/generator", {}, "errnet/generator", 18_953_379),
    ("errnet/generator", {"hypercolumn": False}, "errnet/generator hyper=False", 18_576_547),
    ("errnet/generator", {"hypercolumn": False, "base": True}, "errnet/generator base", 18_162_947),
    ("errnet/discriminator", {}, "errnet/discriminator", 9_937_089),
]
IDS = ["hypercolumn", "plain", "base", "discriminator"]


def reference_input(channels, height, width):
    """The NHWC input of the references."""
    c, i, j = np.meshgrid(np.arange(channels), np.arange(height), np.arange(width), indexing="ij")
    x = 0.5 + 0.5 * np.sin(0.37 * c + 0.11 * i + 0.23 * j + 0.013 * i * j / (1 + c))
    return x.transpose(1, 2, 0)[None].astype(np.float32)


@pytest.fixture(scope="module")
def reference_state():
    return published.fill_baselines(published.shapes("errnet/generator"), transposed={"deconv1.conv2d.weight"})


def test_published_network_matches_the_reference_outputs(reference_state):
    variables = from_torch("errnet/generator", reference_state)
    actual = run(Generator(), variables, reference_input(1475, 52, 74))
    expected = published.golden("errnet")["hyper_52x74"].transpose(0, 2, 3, 1)
    assert actual.keys() == {"restored"}
    # The largest error is 2e-6.
    np.testing.assert_allclose(actual["restored"], expected, atol=1e-5)


@pytest.mark.parametrize(("network", "model_args", "listed", "parameters"), NETWORKS, ids=IDS)
def test_keys_and_parameter_counts_match_the_publication(network, model_args, listed, parameters):
    module = build(network, **model_args)
    assert count(parameter_shapes(module, *module.example_shapes())) == parameters
    shapes = expected_shapes(network, **model_args)
    assert list(shapes.items()) == list(published.shapes(listed).items())
    assert key_map(network).infer_model_args(shapes) == model_args


@pytest.mark.parametrize(("network", "model_args", "listed", "parameters"), NETWORKS, ids=IDS)
def test_narrow_state_dict_round_trip(network, model_args, listed, parameters):
    model_args = {**model_args, "width": "tiny"}
    state = published.fill_random(expected_shapes(network, **model_args))
    assert list(state) == list(published.shapes(listed))
    back = to_torch(network, from_torch(network, state, **model_args), **model_args)
    assert list(back) == list(state)
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value)
    assert key_map(network).infer_model_args({key: value.shape for key, value in state.items()}) == model_args


def test_published_state_dict_round_trip(reference_state):
    back = to_torch("errnet/generator", from_torch("errnet/generator", reference_state))
    assert list(back) == list(reference_state)
    assert all(np.array_equal(back[key], value) for key, value in reference_state.items())


def test_generator_and_discriminator_are_distinguished():
    generator, discriminator = (key_map(name).infer_model_args for name in ("errnet/generator", "errnet/discriminator"))
    assert generator(published.shapes("errnet/discriminator")) is None
    assert generator(published.shapes("errnet/generator") | {"conv1.conv2d.weight": (256, 4, 1, 1)}) is None
    assert discriminator(published.shapes("errnet/discriminator") | {"body.0.weight": (64, 6, 3, 3)}) is None
    with pytest.raises(KeyError):
        discriminator(published.shapes("errnet/generator"))


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(("size", "restored"), [((32, 40), (32, 40)), ((33, 47), (34, 48)), ((50, 35), (50, 36))])
def test_odd_sizes_become_one_pixel_larger(size, restored, base):
    module = Generator(width="tiny", hypercolumn=False, base=base)
    params = parameter_shapes(module, *module.example_shapes())
    actual = jax.eval_shape(module.apply, {"params": params}, jnp.zeros((2, *size, 3)))
    assert {name: value.shape for name, value in actual.items()} == {"restored": (2, *restored, 3)}


def test_invalid_inputs_are_rejected():
    module = Generator(hypercolumn=False)
    params = parameter_shapes(module, *module.example_shapes())

    def output_shapes(module, *shape):
        return jax.eval_shape(module.apply, {"params": params}, jnp.zeros(shape))

    with pytest.raises(UserError, match=r"image size 31x64 is too small for ERRNet.* from 32 pixels a side"):
        output_shapes(module, 1, 31, 64, 3)
    with pytest.raises(UserError, match="input has 4 channels, expected 3;"):
        output_shapes(module, 1, 32, 32, 4)
    with pytest.raises(UserError, match="input has 3 channels, expected 1475; with hypercolumn=True"):
        output_shapes(Generator(), 1, 32, 32, 3)
    for name in ("errnet/generator", "errnet/discriminator"):
        with pytest.raises(UserError, match="there is no width 'narrow'"):
            build(name, width="narrow")


def test_baseline_takes_images_of_any_size():
    module = Generator(width="tiny", hypercolumn=False, base=True)
    params = parameter_shapes(module, (1, 8, 8, 3))
    actual = jax.eval_shape(module.apply, {"params": params}, jnp.zeros((1, 1, 3, 3)))
    assert actual["restored"].shape == (1, 2, 4, 3)


def test_example_shapes_are_even_and_large_enough():
    assert Generator().example_shapes() == ((1, 64, 64, 1475),)
    assert Generator(width="tiny").example_shapes(size=(15, 47)) == ((1, 32, 48, 95),)
    assert Generator(hypercolumn=False).example_shapes(size=(100, 33)) == ((1, 100, 34, 3),)
    assert Discriminator().example_shapes(size=(33, 40)) == ((1, 33, 40, 3),)


def test_hypercolumn_is_the_image_and_five_upsampled_maps():
    image = images(0, 2, 32, 48, 3)
    features = {
        f"relu{b}_{i}": images(10 * b + i, 2, 32 >> b - 1, 48 >> b - 1, c)
        for b, (c, layers) in enumerate(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)), 1)
        for i in range(1, layers + 1)
    }
    compiled = jax.jit(hypercolumn, compiler_options={"xla_backend_optimization_level": 0})
    actual = np.asarray(compiled(image, features))
    assert actual.shape == (2, 32, 48, 1475)
    np.testing.assert_array_equal(actual[..., :3], image)
    np.testing.assert_array_equal(actual[..., 3:67], features["relu1_1"])
    for name, start, factor in (("relu2_1", 67, 2), ("relu3_1", 195, 4), ("relu4_1", 451, 8), ("relu5_1", 963, 16)):
        enlarged = literal.upsample_bilinear(features[name][..., :20], factor)
        np.testing.assert_allclose(actual[..., start : start + 20], enlarged, atol=1e-5)


def test_narrow_vgg_features_fit_the_narrow_generator():
    vgg, generator = Vgg19(width="tiny"), Generator(width="tiny")
    vgg_params, params = (parameter_shapes(module, *module.example_shapes()) for module in (vgg, generator))

    def apply(vgg_params, params, image):
        return generator.apply({"params": params}, hypercolumn(image, vgg.apply({"params": vgg_params}, image)))

    assert jax.eval_shape(apply, vgg_params, params, jnp.zeros((2, 34, 47, 3)))["restored"].shape == (2, 34, 48, 3)


@pytest.mark.slow
def test_gradients_reach_the_image_but_not_the_vgg_features():
    module = Generator(width="tiny")
    image = images(3, 1, 32, 34, 3)
    widths = {"relu1_1": 4, "relu2_1": 8, "relu3_1": 16, "relu4_1": 32, "relu5_1": 32}
    features = {name: images(i, 1, 32 >> i, 34 >> i, c) for i, (name, c) in enumerate(widths.items())}
    params = initialize(module, jax.random.key(0), *module.example_shapes(size=(32, 32)))["params"]
    params["out"]["bias"] = jnp.ones(3)  # above the threshold of the last ReLU

    def loss(params, features, image):
        restored = module.apply({"params": params}, hypercolumn(image, features))["restored"]
        return jnp.square(restored).mean()

    compiled = jax.jit(jax.grad(loss, (0, 1, 2)), compiler_options={"xla_backend_optimization_level": 0})
    of_params, of_features, of_image = compiled(params, features, image)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(of_params))
    assert np.any(of_params["stem"]["kernel"])
    assert np.any(of_params["pyramid"]["pool32"]["kernel"])
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(of_features))
    assert np.any(of_image)


def literal_group_norm(x, groups, scale, bias):
    batch, height, width, channels = x.shape
    y = x.reshape(batch, height, width, groups, channels // groups)
    centered = y - y.mean(axis=(1, 2, 4), keepdims=True)
    y = centered / np.sqrt(np.square(centered).mean(axis=(1, 2, 4), keepdims=True) + 1e-5)
    return y.reshape(x.shape) * scale + bias


def test_discriminator_matches_its_definition():
    module = Discriminator(width="tiny")
    params, image = random_parameters(module, (1, 8, 8, 3)), images(0, 2, 33, 26, 3)
    actual = run(module, {"params": params}, image)
    x = image.astype(np.float64)
    for i, stride in enumerate((1, 2) * 5):
        x = literal.conv2d(x, **params[f"conv{i}"], stride=stride, padding=1)
        if i:
            x = literal_group_norm(x, 2, **params[f"norm{i}"])
        x = literal.leaky_relu(x, 0.2)
    assert x.shape[1:] == (2, 1, 32)
    hidden, logits = (params[name] for name in ("hidden", "logits"))
    x = literal.leaky_relu(x.mean(axis=(1, 2)) @ hidden["kernel"][0, 0] + hidden["bias"], 0.2)
    assert actual.keys() == {"logits"}
    np.testing.assert_allclose(actual["logits"], x @ logits["kernel"][0, 0] + logits["bias"], atol=1e-4)


def test_gradients_of_a_narrow_discriminator_are_finite_and_nonzero():
    module, image = Discriminator(width="tiny"), images(4, 2, 16, 9, 3)
    params = initialize(module, jax.random.key(1), image.shape)["params"]

    def loss(params):
        return module.apply({"params": params}, image)["logits"].sum()

    gradient = jax.jit(jax.grad(loss), compiler_options={"xla_backend_optimization_level": 0})(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.any(gradient["conv0"]["kernel"])


def test_discriminator_layers_at_full_width():
    shapes = parameter_shapes(Discriminator(), (1, 32, 32, 3))
    widths = (3, 64, 64, 128, 128, 256, 256, 512, 512, 512, 512)
    kernels = [shapes[f"conv{i}"]["kernel"].shape for i in range(10)]
    assert kernels == [(3, 3, *pair) for pair in itertools.pairwise(widths)]
    assert "norm0" not in shapes


def test_bfloat16_computation_keeps_float32_parameters_and_outputs():
    for module in (Generator(width="tiny", dtype=jnp.bfloat16), Discriminator(width="tiny", dtype=jnp.bfloat16)):
        params = parameter_shapes(module, *module.example_shapes())
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
        (shape,) = module.example_shapes()
        (output,) = jax.eval_shape(module.apply, {"params": params}, jnp.zeros(shape)).values()
        assert output.dtype == jnp.float32
