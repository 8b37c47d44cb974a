"""IBCLN against its reference outputs, its published keys and its specification."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.ibcln import Cascade, Discriminator, Refiner
from sirr_jax.models.initialize import initialize
from sirr_jax.models.patchgan import PatchDiscriminator
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers import published
from tests.helpers.networks import count, images, parameter_shapes, random_parameters, run

CASCADE, DISCRIMINATOR = "ibcln/cascade", "ibcln/discriminator"
TINY = (1, 12, 16, 3)
PARTS = {"G_T.": "ibcln/G_T", "G_R.": "ibcln/G_R"}


def published_shapes(network_id):
    if network_id == DISCRIMINATOR:
        return published.shapes(network_id)
    return {prefix + key: shape for prefix, name in PARTS.items() for key, shape in published.shapes(name).items()}


def reference_weights():
    """Reference weights; both parts are filled by the same rule and so have equal values."""
    transposed = ("deconv1.0.weight", "deconv2.0.weight")
    part = published.fill_baselines(published.shapes("ibcln/G_T"), transposed=transposed)
    return {prefix + key: array for prefix in PARTS for key, array in part.items()}


def pattern(height, width):
    """The input image of the references."""
    i, j, c = np.mgrid[:height, :width, :3]
    return (0.5 + 0.5 * np.sin(0.37 * c + 0.11 * i + 0.23 * j + 0.013 * i * j / (1 + c))).astype(np.float32)[None]


@functools.cache
def tiny_cascade():
    """Variables of the narrow cascade, with different refiners, an image and the outputs."""
    variables = {"params": random_parameters(Cascade(width="tiny"), TINY)}
    image = images(1, *TINY)
    return variables, image, run(Cascade(width="tiny"), variables, image)


def outputs_of(module, *shapes):
    """Names and shapes of the outputs, by tracing."""
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.eval_shape(module.apply, {"params": parameter_shapes(module, *shapes)}, *inputs)


def compiled(function, *inputs):
    return jax.jit(function).lower(*inputs).compile(compiler_options={"xla_backend_optimization_level": 0})


# Reference outputs ---------------------------------------------------------------------------------------------------


def test_cascade_matches_the_reference_outputs():
    actual = run(build(CASCADE), from_torch(CASCADE, reference_weights()), pattern(64, 96))
    nchw = {name: np.moveaxis(np.asarray(leaf), -1, -3) for name, leaf in actual.items()}
    golden = published.golden("ibcln")
    # The references are float64; their largest value is 3.5.
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    for step in range(3):
        close(nchw["restored_steps"][step][..., ::3, ::3], golden[f"T{step + 1}"])
        close(nchw["reflection_steps"][step][..., ::3, ::3], golden[f"R{step + 1}"])
    for letter, name in (("T", "restored"), ("R", "reflection")):
        np.testing.assert_array_equal(actual[name], actual[f"{name}_steps"][-1])
        close(nchw[f"{name}_half"][..., ::2, ::2], golden[f"{letter}_half"])
        close(nchw[f"{name}_quarter"], golden[f"{letter}_quarter"])


# Keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network_id", [CASCADE, DISCRIMINATOR])
def test_published_state_dict_round_trip(network_id):
    shapes = published_shapes(network_id)
    state = published.fill_random(shapes)
    back = to_torch(network_id, from_torch(network_id, state))
    assert list(back) == list(shapes)
    assert {key: array.shape for key, array in back.items()} == shapes
    for key, array in back.items():
        np.testing.assert_array_equal(array, state[key])
        assert array.dtype == np.float32


@pytest.mark.parametrize("model_args", [{}, {"width": "tiny"}])
@pytest.mark.parametrize("network_id", [CASCADE, DISCRIMINATOR])
def test_model_args_are_inferred_from_state_dicts(network_id, model_args):
    infer = key_map(network_id).infer_model_args
    shapes = expected_shapes(network_id, **model_args)
    assert infer(shapes) == model_args
    for part in key_map(network_id).parts:
        assert infer({key: shape for key, shape in shapes.items() if key.startswith(part)}) == model_args


def test_parts_of_different_widths_are_not_recognized():
    assert key_map(CASCADE).parts == tuple(PARTS)
    base, narrow = expected_shapes(CASCADE), expected_shapes(CASCADE, width="tiny")
    mixed = {key: (base if key.startswith("G_T.") else narrow)[key] for key in base}
    assert key_map(CASCADE).infer_model_args(mixed) is None


def test_features_of_the_discriminator_are_inferred():
    shapes = expected_shapes(DISCRIMINATOR, features=(4, 6, 8, 10))
    assert key_map(DISCRIMINATOR).infer_model_args(shapes) == {"features": (4, 6, 8, 10)}


@pytest.mark.parametrize("network_id", [CASCADE, DISCRIMINATOR])
def test_state_dicts_of_other_networks_are_not_recognized(network_id):
    # RmNet's discriminator is the same network.
    twins = {DISCRIMINATOR: {"rmnet/synnet_discriminator"}, CASCADE: set(PARTS.values())}
    for name in published.key_lists().keys() - twins[network_id] - {network_id}:
        for prefix in ("", *key_map(network_id).parts):
            shapes = {prefix + key: shape for key, shape in published.shapes(name).items()}
            try:
                assert key_map(network_id).infer_model_args(shapes) is None, name
            except (KeyError, IndexError):
                continue


# Sizes ---------------------------------------------------------------------------------------------------------------


def test_parameter_counts():
    cascade = parameter_shapes(Cascade(), *Cascade().example_shapes())
    assert count(cascade["transmission"]) == count(cascade["reflection"]) == 10_804_169
    assert count(cascade) == 2 * 10_804_169
    assert count(parameter_shapes(Discriminator(), *Discriminator().example_shapes())) == 2_764_737


@pytest.mark.parametrize("size", [(4, 4), (20, 36)])
@pytest.mark.parametrize("model_args", [{}, {"steps": 1}, {"dtype": jnp.bfloat16}])
def test_cascade_outputs(size, model_args):
    actual = outputs_of(Cascade(width="tiny", **model_args), (2, *size, 3))
    shapes = {
        scale: (2, size[0] // factor, size[1] // factor, 3)
        for scale, factor in (("", 1), ("_half", 2), ("_quarter", 4))
    }
    expected = {layer + scale: shape for layer in ("restored", "reflection") for scale, shape in shapes.items()}
    steps = [[leaf.shape for leaf in actual[f"{layer}_steps"]] for layer in ("restored", "reflection")]
    assert steps == [[shapes[""]] * model_args.get("steps", 3)] * 2
    assert {name: leaf.shape for name, leaf in actual.items() if not name.endswith("steps")} == expected
    assert {leaf.dtype for leaf in jax.tree.leaves(actual)} == {jnp.dtype("float32")}


def test_example_shapes_are_valid():
    assert Cascade().example_shapes() == ((1, 64, 64, 3),)
    assert Cascade().example_shapes(size=(3, 50)) == ((1, 4, 48, 3),)
    assert Discriminator().example_shapes(size=(16, 50)) == ((1, 24, 50, 3),)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: Cascade(width="tiny"), (1, 66, 98, 3), "66x98 is not a multiple of 4; crop or pad"),
        (lambda: Discriminator(width="tiny"), (1, 64, 23, 3), "64x23 is too small .* from 24 px a side"),
        (lambda: Cascade(steps=0), (), "steps is 0"),
        (lambda: Cascade(width="wide"), (), "no width 'wide'"),
        (lambda: Discriminator(width="wide"), (), "no width 'wide'"),
    ],
)
def test_invalid_arguments_are_rejected(make, shape, message):
    with pytest.raises(UserError, match=message):
        parameter_shapes(make(), shape)


# Behavior -----------------------------------------------------------------------------------------------------------


def test_each_reflection_is_estimated_with_the_new_transmission():
    variables, image, actual = tiny_cascade()
    refiner = Refiner(width="tiny")
    memory = np.zeros((1, TINY[1] // 4, TINY[2] // 4, 16), np.float32)
    t, r, of_t, of_r = image, np.full_like(image, 0.1), (memory, memory), (memory, memory)

    def step(params, image, t, r, state):
        return refiner.apply({"params": params}, image, t, r, state, train=False)

    once = compiled(step, variables["params"]["transmission"], image, t, r, of_t)
    for i in range(3):
        at, of_t = once(variables["params"]["transmission"], image, t, r, of_t)
        t = at.full
        ar, of_r = once(variables["params"]["reflection"], image, t, r, of_r)
        r = ar.full
        np.testing.assert_allclose(actual["restored_steps"][i], t, atol=1e-5)
        np.testing.assert_allclose(actual["reflection_steps"][i], r, atol=1e-5)
    for name, images_ in (("restored", at), ("reflection", ar)):
        np.testing.assert_allclose(actual[f"{name}_half"], images_.half, atol=1e-5)
        np.testing.assert_allclose(actual[f"{name}_quarter"], images_.quarter, atol=1e-5)
    assert np.abs(actual["restored_steps"][0] - actual["restored_steps"][2]).max() > 1e-3


def test_outputs_are_not_negative_and_not_clipped():
    variables, image, actual = tiny_cascade()
    assert min(leaf.min() for leaf in jax.tree.leaves(actual)) == 0.0
    variables = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf + 3.0 if [key.key for key in path][-2:] == ["image", "bias"] else leaf, variables
    )
    lifted = run(Cascade(width="tiny", steps=1), variables, image)
    assert min(lifted["restored"].max(), lifted["reflection"].max()) > 2.0


def test_dropout_rate_is_0_3_in_training_only():
    module, shape = Cascade(width="tiny", steps=1), (1, 64, 64, 3)
    variables, image = {"params": random_parameters(module, shape, seed=2)}, images(2, *shape)

    def apply(variables, image, key):
        return module.apply(
            variables,
            image,
            train=True,
            rngs={"dropout": key},
            capture_intermediates=lambda layer, _: layer.name in ("half", "dropout"),
        )

    train = compiled(apply, variables, image, jax.random.key(0))
    (first, state), (second, _) = (train(variables, image, jax.random.key(seed)) for seed in (0, 1))
    assert np.abs(first["restored"] - second["restored"]).max() > 1e-3
    evaluated = run(module, variables, image)
    # Only the outputs before the dropout equal those of evaluation.
    np.testing.assert_allclose(first["restored_quarter"], evaluated["restored_quarter"], atol=1e-5)
    assert np.abs(first["restored_half"] - evaluated["restored_half"]).max() > 1e-3

    layers = state["intermediates"]["transmission"]["decoder"]
    before = np.maximum(np.asarray(layers["half"]["__call__"][0]), 0.0)
    after = np.asarray(layers["dropout"]["__call__"][0])
    dropped = after[before > 0] == 0.0
    assert abs(dropped.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / dropped.size)
    np.testing.assert_allclose(after[after > 0], (before / 0.7)[after > 0], rtol=1e-5)


def test_discriminator_does_not_rescale_the_image():
    shape = (2, 24, 29, 3)
    params, image = {"params": random_parameters(Discriminator(width="tiny"), shape)}, images(3, *shape)
    actual = run(Discriminator(width="tiny"), params, 2.0 * image - 1.0)
    np.testing.assert_allclose(
        actual["logits"], run(PatchDiscriminator(width="tiny"), params, image)["logits"], atol=1e-4
    )
    assert build("dynamics/discriminator").rescale


def test_initial_network_is_finite_and_has_gradients():
    module = Cascade(width="tiny", steps=2)
    params, image = initialize(module, jax.random.key(1), TINY)["params"], images(4, *TINY)

    def loss(params):
        outputs = module.apply({"params": params}, image, train=True, rngs={"dropout": jax.random.key(2)})
        return sum(jnp.square(leaf - 0.5).mean() for leaf in jax.tree.leaves(outputs))

    value, gradient = compiled(jax.value_and_grad(loss), params)(params)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    # Each layer has gradients, if not each channel of these narrow layers.
    for part in gradient.values():
        assert all(any(np.any(leaf) for leaf in jax.tree.leaves(layers)) for layers in part.values())
