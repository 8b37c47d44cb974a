"""AttentiveGAN against its reference outputs, its published keys and its specification."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.attentive_gan import Discriminator, Generator, RectifiedResidual
from sirr_jax.models.initialize import initialize
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers import literal, published
from tests.helpers.networks import compile_variables, count, images, parameter_shapes, random_parameters, run

GENERATOR, DISCRIMINATOR = "attentive_gan/generator", "attentive_gan/discriminator"
TINY = (1, 12, 16, 3)


def pattern(height, width):
    """The input image of the references."""
    y, x, c = np.mgrid[:height, :width, :3]
    return (0.5 + 0.5 * np.sin(0.21 * y + 0.13 * x * (1 + c) + 0.7 * c)).astype(np.float32)[None]


@functools.cache
def reference_weights(network_id):
    return published.fill_attentive_gan(published.shapes(network_id))


@functools.cache
def reference_outputs(network_id, *size):
    """Outputs of the full network with the reference weights."""
    return run(build(network_id), from_torch(network_id, reference_weights(network_id)), pattern(*size))


@functools.cache
def tiny_generator():
    """Variables, `f(variables, image)` and `f(variables, image, mask)`."""
    module, image = Generator(width="tiny"), images(0, *TINY)
    variables = from_torch(GENERATOR, published.fill_random(expected_shapes(GENERATOR, width="tiny")), width="tiny")
    plain = compile_variables(module, variables, image)
    masked = jax.jit(lambda variables, image, mask: module.apply(variables, image, mask=mask))
    return variables, plain, masked


def changed(variables, path, change):
    """A copy of the variables with one parameter replaced by `change(parameter)`."""
    return jax.tree_util.tree_map_with_path(
        lambda keys, leaf: change(leaf) if "/".join(key.key for key in keys) == f"params/{path}" else leaf, variables
    )


def outputs_of(module, *shapes):
    """Names and shapes of the outputs, by tracing."""
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.eval_shape(module.apply, {"params": parameter_shapes(module, *shapes)}, *inputs)


# Reference outputs ---------------------------------------------------------------------------------------------------


def test_generator_matches_the_reference_outputs():
    actual, golden = reference_outputs(GENERATOR, 48, 64), published.golden("attentive_gan")
    # The references are rounded themselves: the network in float64 differs from them by 2.8e-5 too.
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=4e-5)
    close(np.concatenate(actual["attention"])[:, ::3, ::3], golden["attention"])
    close(actual["restored"][0, ::3, ::3], golden["restored"])
    close(actual["restored_half"][0, ::2, ::2], golden["restored_half"])
    close(actual["restored_quarter"][0], golden["restored_quarter"])


def test_discriminator_matches_the_reference_outputs():
    actual, golden = reference_outputs(DISCRIMINATOR, 224, 224), published.golden("attentive_gan")
    attention = actual["attention"].astype(np.float64)
    statistics = [attention.min(), attention.max(), attention.mean(), attention.std(ddof=1)]
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
    close(actual["attention"][0, :16, :16], golden["discriminator_attention"])
    close(statistics, golden["discriminator_attention_statistics"])
    close(actual["probability"], golden["discriminator_probability"])
    close(actual["probability"], literal.sigmoid(actual["logits"]))


# Keys ----------------------------------------------------------------------------------------------------------------


def published_shapes(network_id, **model_args):
    """The published list, or that of the ablation."""
    shapes = published.shapes(network_id)
    if model_args.get("attentive", True):
        return shapes
    if network_id == GENERATOR:
        return shapes | {"conv1.0.weight": (64, 3, 5, 5)}
    return {key: shape for key, shape in shapes.items() if not key.startswith("conv_mask")}


@pytest.mark.parametrize("attentive", [True, False])
@pytest.mark.parametrize("network_id", [GENERATOR, DISCRIMINATOR])
def test_published_state_dict_round_trip(network_id, attentive):
    shapes = published_shapes(network_id, attentive=attentive)
    state = published.fill_random(shapes)
    back = to_torch(network_id, from_torch(network_id, state, attentive=attentive), attentive=attentive)
    assert list(back) == list(shapes)
    assert {key: array.shape for key, array in back.items()} == shapes
    for key, array in back.items():
        np.testing.assert_array_equal(array, state[key])
        assert array.dtype == np.float32


@pytest.mark.parametrize(
    ("network_id", "model_args"),
    [
        (GENERATOR, {}),
        (GENERATOR, {"attentive": False}),
        (DISCRIMINATOR, {}),
        (DISCRIMINATOR, {"attentive": False}),
        (DISCRIMINATOR, {"head": "gap"}),
    ],
)
@pytest.mark.parametrize("width", [{}, {"width": "tiny"}])
def test_model_args_are_inferred_from_state_dicts(network_id, model_args, width):
    model_args = model_args | width
    assert key_map(network_id).infer_model_args(expected_shapes(network_id, **model_args)) == model_args


def test_published_ablation_is_recognized():
    shapes = published_shapes(GENERATOR, attentive=False)
    assert key_map(GENERATOR).infer_model_args(shapes) == {"attentive": False}


@pytest.mark.parametrize("network_id", [GENERATOR, DISCRIMINATOR])
def test_state_dicts_of_other_networks_are_not_recognized(network_id):
    for name in published.key_lists():
        if name == network_id:
            continue
        try:
            assert key_map(network_id).infer_model_args(published.shapes(name)) is None, name
        except (KeyError, IndexError):
            continue


def test_ablation_of_this_project_has_no_unused_keys():
    module = Generator(width="tiny", attentive=False)
    params = random_parameters(module, TINY)
    state = to_torch(GENERATOR, {"params": params}, width="tiny", attentive=False)
    assert not any(key.startswith("det_") for key in state)
    back = from_torch(GENERATOR, state, width="tiny", attentive=False)
    jax.tree.map(np.testing.assert_array_equal, back["params"], params)


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network_id", "model_args", "parameters"),
    [
        (GENERATOR, {}, 6_244_362),
        (GENERATOR, {"attentive": False}, 6_242_762 - 167_809),
        (DISCRIMINATOR, {}, 7_737_746),
        (DISCRIMINATOR, {"attentive": False}, 7_734_545),
    ],
)
def test_parameter_counts(network_id, model_args, parameters):
    module = build(network_id, **model_args)
    assert count(parameter_shapes(module, *module.example_shapes())) == parameters
    total = sum(math.prod(shape) for shape in published_shapes(network_id, **model_args).values())
    # The published ablation of the generator has the parameters of the attention too.
    assert total == parameters + (167_809 if (network_id, model_args) == (GENERATOR, {"attentive": False}) else 0)


@pytest.mark.parametrize("size", [(4, 4), (20, 36)])
@pytest.mark.parametrize("model_args", [{}, {"steps": 2}, {"attentive": False}, {"dtype": jnp.bfloat16}])
def test_generator_outputs(size, model_args):
    height, width = size
    actual = outputs_of(Generator(width="tiny", **model_args), (2, height, width, 3))
    maps = actual.pop("attention", ())
    assert [a.shape for a in maps] == [(2, height, width, 1)] * (
        model_args.get("steps", 4) if "attentive" not in model_args else 0
    )
    assert {name: leaf.shape for name, leaf in actual.items()} == {
        "restored_quarter": (2, height // 4, width // 4, 3),
        "restored_half": (2, height // 2, width // 2, 3),
        "restored": (2, height, width, 3),
    }
    assert {leaf.dtype for leaf in jax.tree.leaves((actual, maps))} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("model_args", "size"),
    [({}, (224, 224)), ({"head": "gap"}, (11, 11)), ({"head": "gap", "dtype": jnp.bfloat16}, (33, 50))],
)
@pytest.mark.parametrize("attentive", [True, False])
def test_discriminator_outputs(model_args, size, attentive):
    actual = outputs_of(Discriminator(width="tiny", attentive=attentive, **model_args), (2, *size, 3))
    expected = {"attention": (2, *size, 1)} if attentive else {}
    assert {name: leaf.shape for name, leaf in actual.items()} == expected | {"logits": (2, 1), "probability": (2, 1)}
    assert {leaf.dtype for leaf in actual.values()} == {jnp.dtype("float32")}


def test_example_shapes_are_valid():
    assert Generator().example_shapes() == ((1, 64, 64, 3),)
    assert Generator().example_shapes(size=(3, 50)) == ((1, 4, 48, 3),)
    assert Discriminator().example_shapes(size=(64, 64)) == ((1, 224, 224, 3),)
    assert Discriminator(head="gap").example_shapes(size=(5, 50)) == ((1, 11, 50, 3),)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: Generator(width="tiny"), (1, 66, 98, 3), "66x98 is not a multiple of 4; crop or pad"),
        (lambda: Discriminator(width="tiny"), (1, 224, 220, 3), "takes 224x224 only; crop, or build with head='gap'"),
        (lambda: Discriminator(width="tiny", head="gap"), (1, 10, 64, 3), "10x64 is too small; .* from 11 px"),
        (lambda: Discriminator(head="pool"), (), "no head 'pool'; choose one of dense, gap"),
        (lambda: Generator(steps=0), (), "steps is 0"),
        (lambda: Generator(width="wide"), (), "no width 'wide'"),
        (lambda: Discriminator(width="wide"), (), "no width 'wide'"),
    ],
)
def test_invalid_arguments_are_rejected(make, shape, message):
    with pytest.raises(UserError, match=message):
        parameter_shapes(make(), shape)


def test_masks_that_do_not_fit_are_rejected():
    image = jnp.zeros(TINY)
    apply = lambda mask, **model_args: jax.eval_shape(  # noqa: E731
        lambda: Generator(width="tiny", **model_args).init_with_output(jax.random.key(0), image, mask=mask)
    )
    with pytest.raises(UserError, match=r"shape \(1, 12, 16, 3\), expected \(1, 12, 16, 1\)"):
        apply(image)
    with pytest.raises(UserError, match="attentive=False takes no mask"):
        apply(image[..., :1], attentive=False)


# Behavior -----------------------------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_mask_equal_to_the_last_attention_map_changes_nothing(seed):
    variables, plain, masked = tiny_generator()
    image = images(seed, *TINY)
    actual = plain(variables, image)
    again = masked(variables, image, actual["attention"][-1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), again, actual)


def test_edited_mask_changes_the_images_and_not_the_attention_maps():
    variables, plain, masked = tiny_generator()
    image = images(0, *TINY)
    actual = plain(variables, image)
    edited = masked(variables, image, actual["attention"][-1] + 1.0)
    np.testing.assert_allclose(edited["attention"][-1], actual["attention"][-1], atol=1e-5)
    assert np.abs(edited["restored"] - actual["restored"]).max() > 1e-3


def test_attention_maps_and_image_are_linear_and_side_outputs_have_a_relu():
    variables, plain, _ = tiny_generator()
    image = images(1, *TINY)
    actual = plain(variables, image)
    lifted = plain(changed(variables, "attention/map/bias", lambda b: b + 5.0), image)
    np.testing.assert_allclose(lifted["attention"][0], actual["attention"][0] + 5.0, atol=1e-4)
    lowered = plain(changed(variables, "decoder/image/bias", lambda b: b - 9.0), image)
    np.testing.assert_allclose(lowered["restored"], actual["restored"] - 9.0, atol=1e-4)
    for name in ("half", "quarter"):
        lowered = plain(changed(variables, f"decoder/{name}_image/bias", lambda b: b - 99.0), image)
        np.testing.assert_array_equal(lowered[f"restored_{name}"], 0.0)


def test_attention_map_is_the_fourth_input_channel_of_the_autoencoder():
    variables, plain, _ = tiny_generator()
    image = images(2, *TINY)
    blind = changed(variables, "encoder/full/kernel", lambda k: np.where(np.arange(4)[:, None] < 3, k, 0.0))
    params = {name: blind["params"][name] for name in ("encoder", "decoder")}
    params = changed({"params": params}, "encoder/full/kernel", lambda k: k[:, :, :3])
    actual = run(Generator(width="tiny", attentive=False), params, image)
    np.testing.assert_allclose(actual["restored"], plain(blind, image)["restored"], atol=1e-5)


def test_residual_block_has_a_relu_on_branch_and_sum():
    block, x = RectifiedResidual(), images(3, 2, 5, 6, 4) - 0.5
    shapes = jax.eval_shape(block.init, jax.random.key(0), x)["params"]
    rng = np.random.default_rng(3)
    params = jax.tree.map(lambda leaf: 0.3 * rng.standard_normal(leaf.shape).astype(np.float32), shapes)
    y = literal.relu(literal.conv2d(literal.relu(literal.conv2d(x, **params["conv1"])), **params["conv2"]))
    np.testing.assert_allclose(jax.jit(block.apply)({"params": params}, x), literal.relu(x + y), atol=1e-5)


def test_discriminator_multiplies_features_by_the_attention_map():
    module, shape = Discriminator(width="tiny", head="gap"), (2, 24, 20, 3)
    params, image = random_parameters(module, shape), images(4, *shape)
    params["map"] = {"kernel": np.zeros_like(params["map"]["kernel"]), "bias": np.full(1, 2.0, np.float32)}
    actual = run(module, {"params": params}, image)
    np.testing.assert_array_equal(actual["attention"], 2.0)
    # A constant map of 2 equals doubling the next kernel without a map.
    plain = {name: arrays for name, arrays in params.items() if name != "map"}
    plain["conv7"] = plain["conv7"] | {"kernel": 2 * plain["conv7"]["kernel"]}
    without = run(module.clone(attentive=False), {"params": plain}, image)
    np.testing.assert_allclose(actual["logits"], without["logits"], atol=1e-5)


def test_dense_head_flattens_channels_first():
    module, image = Discriminator(width="tiny", attentive=False), images(5, 1, 224, 224, 3)
    state = published.fill_random(expected_shapes(DISCRIMINATOR, width="tiny", attentive=False))
    variables = from_torch(DISCRIMINATOR, state, width="tiny", attentive=False)

    def apply(variables, image):
        return module.apply(variables, image, capture_intermediates=lambda layer, _: layer.name == "conv8")

    compiled = jax.jit(apply).lower(variables, image).compile(compiler_options={"xla_backend_optimization_level": 0})
    outputs, captured = compiled(variables, image)
    features = literal.relu(np.asarray(captured["intermediates"]["conv8"]["__call__"][0], np.float64))
    flat = features[0].transpose(2, 0, 1).reshape(-1)
    hidden = state["fc.0.weight"] @ flat + state["fc.0.bias"]
    np.testing.assert_allclose(outputs["logits"][0], state["fc.1.weight"] @ hidden + state["fc.1.bias"], atol=1e-5)


@pytest.mark.parametrize("module", [Generator(width="tiny", steps=2), Discriminator(width="tiny", head="gap")])
def test_initial_networks_are_finite_and_have_gradients(module):
    shape = module.example_shapes(size=(32, 32))[0]
    params, image = initialize(module, jax.random.key(3), shape)["params"], images(6, *shape)

    def loss(params):
        outputs = module.apply({"params": params}, image, train=True)
        return sum(jnp.square(leaf).mean() for leaf in jax.tree.leaves(outputs))

    step = jax.jit(jax.value_and_grad(loss)).lower(params)
    value, gradient = step.compile(compiler_options={"xla_backend_optimization_level": 0})(params)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    # Each layer has gradients, if not each channel of these narrow layers.
    assert all(any(np.any(leaf) for leaf in jax.tree.leaves(part)) for part in gradient.values())
