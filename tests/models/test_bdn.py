"""BDN against its reference outputs and its published keys."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.bdn import Generator
from sirr_jax.models.initialize import initialize
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.variables import variable_shapes
from tests.helpers import literal, published
from tests.helpers.networks import compile_variables, count, images, run

NETWORK = "bdn/generator"
SMALL = {"width": "tiny", "levels": (3, 2, 2)}


def reference_input(height, width):
    """The NHWC input of the references, in [-1, 1]."""
    c, i, j = np.meshgrid(np.arange(3), np.arange(height), np.arange(width), indexing="ij")
    x = np.sin(0.37 * c + 0.11 * i + 0.23 * j + 0.013 * i * j / (1 + c))
    return x.transpose(1, 2, 0)[None].astype(np.float32)


@pytest.fixture(scope="module")
def reference_state():
    transposed = {rule.key for rule in key_map(NETWORK).rules({}) if rule.layout == "conv_transpose"}
    return published.fill_baselines(published.shapes(NETWORK), transposed)


@pytest.fixture(scope="module")
def drawn():
    module = build(NETWORK, **SMALL)
    return module, initialize(module, jax.random.key(0), *module.example_shapes(size=(32, 32)))


def test_published_network_matches_the_reference_outputs(reference_state):
    variables = from_torch(NETWORK, reference_state)
    variables.pop("passthrough")
    actual = run(Generator(), variables, reference_input(150, 203))
    golden = published.golden("bdn")
    assert actual.keys() == {"restored", "reflection", "steps"}
    for i, step in enumerate(actual["steps"]):
        expected = golden[f"out{i}_150x203"].transpose(0, 2, 3, 1)
        # The largest error is 3e-6.
        np.testing.assert_allclose(step[:, ::3, 1::3], expected, atol=1e-5)
        assert not np.any(step[:, :, 202])
        assert np.all(np.any(step[:, 149], axis=1))
    np.testing.assert_array_equal(actual["restored"], actual["steps"][2])
    np.testing.assert_array_equal(actual["reflection"], actual["steps"][1])


def test_keys_and_parameter_count_match_the_publication():
    assert count(variable_shapes(NETWORK)["params"]) == 75_162_633
    shapes = expected_shapes(NETWORK)
    listed = published.shapes(NETWORK)
    counters = {key: () for key in listed if key.endswith("num_batches_tracked")}
    assert shapes | counters == listed
    assert [rule.key for rule in key_map(NETWORK).rules({})] == list(listed)
    assert key_map(NETWORK).infer_model_args(listed) == {}


def test_published_state_dict_round_trip(reference_state):
    back = to_torch(NETWORK, from_torch(NETWORK, reference_state))
    assert list(back) == list(reference_state)
    for key, value in reference_state.items():
        assert back[key].dtype == value.dtype
        assert np.array_equal(back[key], value)


@pytest.mark.parametrize("model_args", [{"width": "tiny"}, {"levels": (7, 5)}, SMALL])
def test_model_args_are_inferred_from_state_dicts(model_args):
    shapes = expected_shapes(NETWORK, **model_args)
    assert key_map(NETWORK).infer_model_args(shapes) == model_args
    if "width" in model_args:
        state = published.fill_random(shapes)
        back = to_torch(NETWORK, from_torch(NETWORK, state, **model_args), **model_args)
        assert list(back) == list(state)
        assert all(np.array_equal(back[key], value) for key, value in state.items())


def test_state_dicts_of_other_networks_are_not_recognized():
    infer = key_map(NETWORK).infer_model_args
    shapes = published.shapes(NETWORK)
    assert infer(shapes | {"model2.model.model.0.weight": (64, 3, 4, 4)}) is None
    assert (
        infer({key: (32, 3, 4, 4) if key == "model1.model.model.0.weight" else s for key, s in shapes.items()}) is None
    )
    with pytest.raises(KeyError):
        infer(published.shapes("rmnet/generator"))


@pytest.mark.parametrize("size", [(128, 128), (129, 131), (255, 190)])
def test_outputs_have_the_size_of_the_image(size):
    module = Generator(width="tiny")
    variables = variable_shapes(NETWORK, width="tiny")
    actual = jax.eval_shape(module.apply, variables, jnp.zeros((2, *size, 3)))
    assert {leaf.shape for leaf in jax.tree.leaves(actual)} == {(2, *size, 3)}
    assert len(actual["steps"]) == 3


def test_invalid_sizes_and_arguments_are_rejected():
    module = Generator(width="tiny")
    variables = variable_shapes(NETWORK, width="tiny")
    with pytest.raises(UserError, match=r"image size 127x200 is too small; BDN takes images from 128 px a side"):
        jax.eval_shape(module.apply, variables, jnp.zeros((1, 127, 200, 3)))
    with pytest.raises(UserError, match="there is no width 'narrow'"):
        build(NETWORK, width="narrow")
    for levels in ((7,), (7, 1), ()):
        with pytest.raises(UserError, match="BDN needs two or more U-Nets of two or more levels"):
            build(NETWORK, levels=levels)


def test_example_shapes_are_large_enough():
    assert Generator().example_shapes() == ((1, 128, 128, 3),)
    assert Generator().example_shapes(size=(200, 90)) == ((1, 200, 128, 3),)
    assert Generator(levels=(3, 2)).example_shapes(size=(5, 33)) == ((1, 8, 33, 3),)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_backgrounds_and_reflections_alternate(count):
    model_args = {"width": "tiny", "levels": (2,) * count}
    module = build(NETWORK, **model_args)
    variables = from_torch(NETWORK, published.fill_random(expected_shapes(NETWORK, **model_args)), **model_args)
    actual = run(module, variables, images(0, 1, 8, 8, 3))
    background, reflection = {2: (0, 1), 3: (2, 1), 4: (2, 3)}[count]
    np.testing.assert_array_equal(actual["restored"], actual["steps"][background])
    np.testing.assert_array_equal(actual["reflection"], actual["steps"][reflection])
    assert np.any(actual["restored"] != actual["reflection"])


def test_training_updates_the_running_statistics(drawn):
    module, variables = drawn
    image = 2 * images(1, 2, 33, 34, 3) - 1
    forward = compile_variables(module, variables, image, train=True, mutable=["batch_stats"])
    _, updated = forward(variables, image)
    for old, new in zip(
        jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(updated["batch_stats"]), strict=True
    ):
        assert np.any(old != new)
    net = variables["params"]["unet1"]
    x = literal.conv2d(image, **net["down1"], stride=2, padding=1)
    x = literal.conv2d(literal.leaky_relu(x, 0.2), **net["down2"], stride=2, padding=1)
    updates = updated["batch_stats"]["unet1"]["down2_norm"]
    np.testing.assert_allclose(updates["mean"], 0.1 * x.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(updates["var"], 0.9 + 0.1 * x.var(axis=(0, 1, 2), ddof=1), atol=1e-5)


def test_gradients_of_a_narrow_network_are_finite_and_nonzero(drawn):
    module, variables = drawn
    image = 2 * images(2, 2, 32, 35, 3) - 1

    def loss(params):
        actual, _ = module.apply({**variables, "params": params}, image, train=True, mutable=["batch_stats"])
        return sum(jnp.square(step).mean() for step in actual["steps"])

    compiled = jax.jit(jax.grad(loss), compiler_options={"xla_backend_optimization_level": 0})
    gradients = compiled(variables["params"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert all(np.any(gradients[f"unet{i}"]["down1"]["kernel"]) for i in (1, 2, 3))


def test_bfloat16_computation_keeps_float32_parameters_and_outputs():
    module = Generator(dtype=jnp.bfloat16, **SMALL)
    variables = variable_shapes(NETWORK, **SMALL, dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    actual = jax.eval_shape(module.apply, variables, jnp.zeros((1, 32, 35, 3)))
    assert {leaf.dtype for leaf in jax.tree.leaves(actual)} == {jnp.dtype("float32")}
