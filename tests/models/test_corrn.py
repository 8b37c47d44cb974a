"""CoRRN against its reference outputs and its published keys."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.corrn import ConvBlock, Generator
from sirr_jax.models.initialize import initialize
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.variables import variable_shapes
from tests.helpers import literal, published
from tests.helpers.networks import count, images, run

NETWORK = "corrn/generator"


def reference_input(height, width):
    """The NHWC input of the references."""
    c, i, j = np.meshgrid(np.arange(3), np.arange(height), np.arange(width), indexing="ij")
    x = 0.5 + 0.5 * np.sin(0.37 * c + 0.11 * i + 0.23 * j + 0.013 * i * j / (1 + c))
    return x.transpose(1, 2, 0)[None].astype(np.float32)


@pytest.fixture(scope="module")
def reference_state():
    transposed = {rule.key for rule in key_map(NETWORK).rules({}) if rule.layout == "conv_transpose"}
    return published.fill_baselines(published.shapes(NETWORK), transposed)


@pytest.fixture(scope="module")
def narrow():
    """A narrow network and its variables."""
    state = published.fill_random(expected_shapes(NETWORK, width="tiny"))
    return Generator(width="tiny"), from_torch(NETWORK, state, width="tiny")


def test_published_network_matches_the_reference_outputs(reference_state):
    variables = from_torch(NETWORK, reference_state)
    variables.pop("passthrough")
    image = reference_input(96, 128)
    actual = run(Generator(), variables, image)
    golden = {name: value.transpose(0, 2, 3, 1) for name, value in published.golden("corrn").items()}
    assert actual.keys() == {"restored", "reflection", "contour"}
    # The largest error is 4e-6; the largest value is 3.8.
    np.testing.assert_allclose(actual["restored"][:, ::2, ::2], golden["B_96x128"], atol=1e-5)
    np.testing.assert_allclose(actual["reflection"][:, ::2, ::2], golden["R_96x128"], atol=1e-5)
    np.testing.assert_allclose(actual["contour"], golden["contour_96x128"], atol=1e-5)
    np.testing.assert_array_equal(actual["reflection"], image - actual["restored"])


def test_keys_and_parameter_count_match_the_publication():
    assert count(variable_shapes(NETWORK)["params"]) == 59_512_039
    listed = published.shapes(NETWORK)
    counters = {key: () for key in listed if key.endswith("num_batches_tracked")}
    assert expected_shapes(NETWORK) | counters == listed
    assert [rule.key for rule in key_map(NETWORK).rules({})] == list(listed)
    assert key_map(NETWORK).infer_model_args(listed) == {}


def test_published_state_dict_round_trip(reference_state):
    back = to_torch(NETWORK, from_torch(NETWORK, reference_state))
    assert list(back) == list(reference_state)
    for key, value in reference_state.items():
        assert back[key].dtype == value.dtype
        assert np.array_equal(back[key], value)


def test_narrow_state_dict_round_trip_without_counters():
    # PyTorch 0.3.1, for which the network was written, has no counters.
    shapes = expected_shapes(NETWORK, width="tiny")
    assert key_map(NETWORK).infer_model_args(shapes) == {"width": "tiny"}
    state = published.fill_random(shapes)
    back = to_torch(NETWORK, from_torch(NETWORK, state, width="tiny"), width="tiny")
    assert list(back) == list(state)
    assert all(np.array_equal(back[key], value) for key, value in state.items())


def test_state_dicts_of_other_networks_are_not_recognized():
    infer = key_map(NETWORK).infer_model_args
    assert infer(published.shapes("bdn/generator")) is None
    assert infer(published.shapes(NETWORK) | {"convs1R.0.weight": (32, 3, 3, 3)}) is None
    assert infer(published.shapes(NETWORK) | {"pred1_contour.weight": (2, 64, 5, 5)}) is None


@pytest.mark.parametrize("size", [(32, 32), (224, 288)])
def test_outputs_have_the_size_of_the_image(size):
    module = Generator(width="tiny")
    variables = variable_shapes(NETWORK, width="tiny")
    actual = jax.eval_shape(module.apply, variables, jnp.zeros((2, *size, 3)))
    expected = {"restored": (2, *size, 3), "reflection": (2, *size, 3), "contour": (2, *size, 1)}
    assert {name: leaf.shape for name, leaf in actual.items()} == expected


def test_invalid_sizes_and_arguments_are_rejected():
    module = Generator(width="tiny")
    variables = variable_shapes(NETWORK, width="tiny")
    with pytest.raises(UserError, match=r"image size 96x100: CoRRN takes multiples of 32; pad or resize it"):
        jax.eval_shape(module.apply, variables, jnp.zeros((1, 96, 100, 3)))
    with pytest.raises(UserError, match="there is no width 'narrow'"):
        build(NETWORK, width="narrow")


def test_example_shapes_are_multiples_of_32():
    assert Generator().example_shapes() == ((1, 64, 64, 3),)
    assert Generator().example_shapes(size=(1, 65)) == ((1, 32, 96, 3),)


def test_brightness_scales_the_background_and_the_reflection_is_the_remainder(narrow):
    module, variables = narrow
    image = images(0, 1, 32, 64, 3)
    apply = jax.jit(
        lambda variables, factor: module.clone(brightness=factor).apply(variables, image),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    plain, bright = (apply(variables, np.float32(factor)) for factor in (1.0, 1.1))
    assert np.any(plain["restored"])
    np.testing.assert_allclose(bright["restored"], 1.1 * plain["restored"], rtol=1e-6)
    np.testing.assert_allclose(bright["reflection"], image - bright["restored"], atol=1e-6)
    np.testing.assert_array_equal(bright["contour"], plain["contour"])


@pytest.mark.parametrize(("kernel", "size"), [(7, (6, 9)), (7, (2, 3)), (5, (6, 4)), (3, (1, 1))])
def test_images_smaller_than_a_kernel_are_convolved_correctly(kernel, size):
    module = ConvBlock(5, kernel)
    x = images(1, 2, *size, 4) - 0.5
    variables = initialize(module, jax.random.key(0), x.shape)
    y = literal.conv2d(x, variables["params"]["conv"]["kernel"])
    np.testing.assert_allclose(run(module, variables, x), literal.relu(y / np.sqrt(1 + 1e-3)), atol=1e-5)


@pytest.fixture(scope="module")
def step():
    """`f(params, statistics) -> gradients, new statistics` of a narrow network in training; its first variables."""
    module = Generator(width="tiny")
    image = images(3, 2, 32, 32, 3)

    def loss(params, statistics):
        variables = {"params": params, "batch_stats": statistics}
        actual, updated = module.apply(variables, image, train=True, mutable=["batch_stats"])
        return jnp.square(actual["reflection"]).mean() + actual["contour"].mean(), updated["batch_stats"]

    graded = jax.jit(jax.grad(loss, has_aux=True), compiler_options={"xla_backend_optimization_level": 0})
    return graded, initialize(module, jax.random.key(0), image.shape)


def test_gradients_of_a_narrow_network_are_finite_and_nonzero(step):
    graded, variables = step
    gradients, _ = graded(variables["params"], variables["batch_stats"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert np.any(gradients["encoder"]["conv1_1"]["kernel"])
    assert np.any(gradients["gradient_branch"]["bottom1"]["conv"]["kernel"])


def test_stacked_copies_update_the_running_statistics_three_times_per_batch(step):
    graded, variables = step
    shifted = jax.tree.map(lambda x: x + 1, variables["batch_stats"])
    (_, a), (_, b) = (graded(variables["params"], statistics) for statistics in (variables["batch_stats"], shifted))
    # The contribution of the batch is equal in both; the remainder of the shift is the retained fraction.
    retained = jax.tree.map(lambda a, b: np.asarray(b - a), a, b)
    for name in ("up0", "up1", "up2", "up3", "up4"):
        np.testing.assert_allclose(retained["image_branch"].pop(name)["norm"]["mean"], 0.9**3, atol=1e-5)
    for leaf in jax.tree.leaves(retained):
        np.testing.assert_allclose(leaf, 0.9, atol=1e-5)


def test_bfloat16_computation_keeps_float32_parameters_and_outputs():
    module = Generator(width="tiny", dtype=jnp.bfloat16)
    variables = variable_shapes(NETWORK, width="tiny", dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    actual = jax.eval_shape(module.apply, variables, jnp.zeros((1, 32, 32, 3)))
    assert {leaf.dtype for leaf in jax.tree.leaves(actual)} == {jnp.dtype("float32")}
