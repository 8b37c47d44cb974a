"""RmNet against its reference outputs, SynNet against its definition, and their published keys."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.models.patchgan import PatchDiscriminator
from sirr_jax.models.rmnet import Generator, SynNet, SynNetDiscriminator
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers import literal, published
from tests.helpers.networks import count, images, parameter_shapes, random_parameters, run

NETWORKS = {"rmnet/generator": 65_432_841, "rmnet/synnet": 11_387_587, "rmnet/synnet_discriminator": 2_764_737}


def reference_input(height, width):
    """The NHWC input of the references, in [-1, 1]."""
    c, i, j = np.meshgrid(np.arange(3), np.arange(height), np.arange(width), indexing="ij")
    x = np.sin(0.37 * c + 0.11 * i + 0.23 * j + 0.013 * i * j / (1 + c))
    return x.transpose(1, 2, 0)[None].astype(np.float32)


@pytest.fixture(scope="module")
def reference_state():
    transposed = {rule.key for rule in key_map("rmnet/generator").rules({}) if rule.layout == "conv_transpose"}
    return published.fill_baselines(published.shapes("rmnet/generator"), transposed)


def test_published_network_matches_the_reference_outputs(reference_state):
    actual = run(Generator(), from_torch("rmnet/generator", reference_state), reference_input(150, 203))
    golden = published.golden("rmnet")
    assert actual.keys() == {"restored", "reflection", "mask"}
    for name, letter in (("restored", "T"), ("reflection", "R"), ("mask", "W")):
        expected = golden[f"{letter}_150x203"].transpose(0, 2, 3, 1)
        assert actual[name].shape == (1, 150, 202, 3)
        # The largest error is 4e-6.
        np.testing.assert_allclose(actual[name][:, ::3, ::3], expected, atol=1e-5)


def test_published_state_dict_round_trip(reference_state):
    back = to_torch("rmnet/generator", from_torch("rmnet/generator", reference_state))
    assert list(back) == list(reference_state)
    assert all(np.array_equal(back[key], value) for key, value in reference_state.items())


@pytest.mark.parametrize("network", NETWORKS)
def test_keys_and_parameter_counts_match_the_publication(network):
    module = build(network)
    assert count(parameter_shapes(module, *module.example_shapes())) == NETWORKS[network]
    assert list(expected_shapes(network).items()) == list(published.shapes(network).items())
    assert key_map(network).infer_model_args(published.shapes(network)) == {}


@pytest.mark.parametrize("network", NETWORKS)
def test_narrow_state_dict_round_trip(network):
    state = published.fill_random(expected_shapes(network, width="tiny"))
    assert list(state) == list(published.shapes(network))
    assert key_map(network).infer_model_args({key: value.shape for key, value in state.items()}) == {"width": "tiny"}
    back = to_torch(network, from_torch(network, state, width="tiny"), width="tiny")
    assert list(back) == list(state)
    assert all(np.array_equal(back[key], value) for key, value in state.items())


def test_state_dicts_of_other_networks_are_not_recognized():
    for network in NETWORKS:
        for other in {"errnet/generator", "bdn/generator", "sgrrn/discriminator", *NETWORKS} - {network}:
            try:
                actual = key_map(network).infer_model_args(published.shapes(other))
            except (KeyError, IndexError):
                actual = None
            assert actual is None
    infer = key_map("rmnet/synnet").infer_model_args
    assert infer(published.shapes("rmnet/synnet") | {"model.1.weight": (64, 3, 7, 7)}) is None
    assert infer(published.shapes("rmnet/synnet") | {"model.26.weight": (1, 64, 7, 7)}) is None
    infer = key_map("rmnet/generator").infer_model_args
    assert infer(published.shapes("rmnet/generator") | {"model_d_0.0.model.0.weight": (64, 4, 4, 4)}) is None
    assert infer(published.shapes("rmnet/generator") | {"model_u_0_W.0.model.1.weight": (128, 1, 4, 4)}) is None


@pytest.mark.parametrize(
    ("size", "restored"), [((64, 64), (64, 64)), ((65, 90), (64, 90)), ((96, 127), (96, 126)), ((151, 203), (150, 202))]
)
def test_odd_sizes_become_one_pixel_smaller(size, restored):
    module = Generator(width="tiny")
    params = parameter_shapes(module, *module.example_shapes())
    actual = jax.eval_shape(module.apply, {"params": params}, jnp.zeros((2, *size, 3)))
    assert {name: leaf.shape for name, leaf in actual.items()} == dict.fromkeys(
        ("restored", "reflection", "mask"), (2, *restored, 3)
    )


def test_invalid_sizes_and_arguments_are_rejected():
    module = Generator(width="tiny")
    params = parameter_shapes(module, *module.example_shapes())
    with pytest.raises(UserError, match=r"image size 200x63 is too small; RmNet takes images from 64 px a side"):
        jax.eval_shape(module.apply, {"params": params}, jnp.zeros((1, 200, 63, 3)))
    module = SynNet(width="tiny")
    params = parameter_shapes(module, *module.example_shapes())
    with pytest.raises(UserError, match=r"image size 4x9 is too small; SynNet takes images from 5 px a side"):
        jax.eval_shape(module.apply, {"params": params}, jnp.zeros((1, 4, 9, 6)))
    with pytest.raises(UserError, match=r"input has 3 channels, expected 6"):
        jax.eval_shape(module.apply, {"params": params}, jnp.zeros((1, 8, 8, 3)))
    for network in NETWORKS:
        with pytest.raises(UserError, match="there is no width 'narrow'"):
            build(network, width="narrow")


def test_example_shapes_are_large_enough():
    assert Generator().example_shapes() == ((1, 64, 64, 3),)
    assert Generator().example_shapes(size=(32, 90)) == ((1, 64, 90, 3),)
    assert SynNet().example_shapes() == ((1, 64, 64, 6),)
    assert SynNet().example_shapes(size=(3, 9)) == ((1, 5, 9, 6),)


def test_layers_are_in_minus_1_to_1_and_the_mask_is_in_0_to_1():
    module = Generator(width="tiny")
    params = random_parameters(module, *module.example_shapes())
    params["restored_decoder"]["up0"]["bias"] += np.array([-90, 0, 90], np.float32)
    params["mask_decoder"]["up0"]["bias"] += np.array([-90, 0, 90], np.float32)
    actual = run(module, {"params": params}, 2 * images(0, 1, 64, 67, 3) - 1)
    np.testing.assert_allclose(actual["restored"][..., ::2].mean(axis=(0, 1, 2)), (-1, 1), atol=1e-6)
    np.testing.assert_allclose(actual["mask"][..., ::2].mean(axis=(0, 1, 2)), (0, 1), atol=1e-6)
    assert np.abs(actual["reflection"]).max() < 1


def test_gradients_of_a_narrow_network_are_finite_and_nonzero():
    module = Generator(width="tiny")
    image = 2 * images(1, 1, 64, 64, 3) - 1
    params = initialize(module, jax.random.key(0), image.shape)["params"]

    def loss(params):
        return sum(jnp.square(leaf - 0.3).mean() for leaf in module.apply({"params": params}, image).values())

    gradients = jax.jit(jax.grad(loss), compiler_options={"xla_backend_optimization_level": 0})(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert np.any(gradients["down0"]["kernel"])
    assert all(np.any(gradients[f"{name}_decoder"]["up5"]["kernel"]) for name in ("restored", "reflection", "mask"))


def literal_synnet(x, p):
    """RmNet specification, section 2.3."""

    def mirrored(x, width):
        return np.pad(x, ((0, 0), (width, width), (width, width), (0, 0)), mode="reflect")

    def normalized(x):
        return literal.relu(literal.instance_norm(x))

    x = normalized(literal.conv2d(mirrored(x.astype(np.float64), 3), **p["stem"], padding=0))
    for i in (1, 2):
        x = normalized(literal.conv2d(x, **p[f"down{i}"], stride=2, padding=1))
    for i in range(9):
        y = normalized(literal.conv2d(mirrored(x, 1), **p[f"residual{i}"]["conv1"], padding=0))
        x = x + literal.instance_norm(literal.conv2d(mirrored(y, 1), **p[f"residual{i}"]["conv2"], padding=0))
    for i in (2, 1):
        x = normalized(literal.conv_transpose2d(x, **p[f"up{i}"], output_padding=1))
    return literal.sigmoid(literal.conv2d(mirrored(x, 3), **p["mask"], padding=0))


def test_synnet_matches_its_definition_at_a_size_that_is_not_a_multiple_of_4():
    module = SynNet(width="tiny")
    params, layers = random_parameters(module, *module.example_shapes()), 2 * images(2, 2, 18, 15, 6) - 1
    actual = run(module, {"params": params}, layers)
    assert actual.keys() == {"mask"}
    assert actual["mask"].shape == (2, 20, 16, 3)
    np.testing.assert_allclose(actual["mask"], literal_synnet(layers, params), atol=1e-5)


def test_gradients_of_synnet_are_finite_and_nonzero():
    module = SynNet(width="tiny")
    layers = 2 * images(3, 1, 8, 8, 6) - 1
    params = initialize(module, jax.random.key(0), layers.shape)["params"]

    def loss(params):
        return jnp.square(module.apply({"params": params}, layers)["mask"]).mean()

    gradients = jax.jit(jax.grad(loss), compiler_options={"xla_backend_optimization_level": 0})(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert np.any(gradients["stem"]["kernel"])


def test_discriminator_does_not_rescale_the_image():
    ours, usual = SynNetDiscriminator(width="tiny"), PatchDiscriminator(width="tiny")
    variables = {"params": random_parameters(ours, (1, 32, 32, 3))}
    image = images(4, 1, 32, 35, 3)
    actual, expected = run(ours, variables, 2 * image - 1), run(usual, variables, image)
    assert actual.keys() == {"logits"}
    np.testing.assert_allclose(actual["logits"], expected["logits"], atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_bfloat16_computation_keeps_float32_parameters_and_outputs(network):
    module = build(network, width="tiny", dtype=jnp.bfloat16)
    (shape,) = module.example_shapes()
    params = parameter_shapes(module, shape)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    actual = jax.eval_shape(module.apply, {"params": params}, jnp.zeros(shape))
    assert {leaf.dtype for leaf in jax.tree.leaves(actual)} == {jnp.dtype("float32")}
