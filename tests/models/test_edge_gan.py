"""EdgeGAN's networks against their reference outputs and their specification."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.edge_gan.maps import scale_maps
from sirr_jax.models.edge_gan.same import same_padding
from sirr_jax.models.initialize import initialize
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.keras.convert import from_keras
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.variables import variable_shapes
from tests.helpers import keras_files, literal, published
from tests.helpers.keras_files import ATTENTION_NET, DISCRIMINATOR, EDGE_NET, GENERATOR
from tests.helpers.networks import count, images, run

NETWORKS = (EDGE_NET, ATTENTION_NET, GENERATOR, DISCRIMINATOR)
CHANNELS = {EDGE_NET: 1, ATTENTION_NET: 4, GENERATOR: 5, DISCRIMINATOR: 3}
SHAPES = [
    (EDGE_NET, {}),
    (ATTENTION_NET, {}),
    (ATTENTION_NET, {"variant": "corrected"}),
    (GENERATOR, {}),
    (DISCRIMINATOR, {}),
    (DISCRIMINATOR, {"head": "gap"}),
]


def pattern(network_id, height, width):
    """The input of the references."""
    y, x, c = np.mgrid[:height, :width, : CHANNELS[network_id]]
    waves = np.sin(0.21 * y + 0.13 * x * (1 + c) + 0.7 * c)
    return (127.5 + 127.5 * waves if network_id == EDGE_NET else waves).astype(np.float32)[None]


def random_variables(network_id, **model_args):
    return from_torch(network_id, published.fill_random(expected_shapes(network_id, **model_args)), **model_args)


def outputs_of(network_id, *size, **model_args):
    """Names, shapes and dtypes of the outputs, by tracing."""
    module = build(network_id, **model_args)
    image = jax.ShapeDtypeStruct((2, *size, CHANNELS[network_id]), jnp.float32)
    actual = jax.eval_shape(module.apply, variable_shapes(network_id, **model_args), image)
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype.name), actual)


# Reference outputs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    # The references are rounded themselves: they differ from float64 by 2.1e-5, 1.1e-5, 1.1e-5 and 1e-8.
    ("network_id", "output", "size", "tolerance"),
    [
        (EDGE_NET, "edge", 80, 4e-5),
        (ATTENTION_NET, "attention", 80, 2e-5),
        (GENERATOR, "restored", 80, 2e-5),
        (DISCRIMINATOR, "probability", 400, 1e-6),
    ],
)
def test_networks_match_the_reference_outputs(tmp_path, network_id, output, size, tolerance):
    save = keras_files.save_weights if network_id in (EDGE_NET, ATTENTION_NET) else keras_files.save_model
    path = save(tmp_path / "w.h5", keras_files.layers(network_id, keras_files.reference_arrays(network_id)))
    actual = run(build(network_id), from_keras(network_id, path), pattern(network_id, size, size))
    expected = published.golden("edge_gan")[output]
    output_values = actual[output] if output == "probability" else actual[output][:, ::2, ::2]
    np.testing.assert_allclose(output_values, expected, rtol=0, atol=tolerance)
    if output == "probability":
        np.testing.assert_allclose(output_values, literal.sigmoid(actual["logits"]), atol=1e-6)
    if output == "attention":
        np.testing.assert_array_equal(actual["attention_steps"][1], actual["attention"])


# Sizes and counts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network_id", "model_args", "parameters", "statistics"),
    [
        (EDGE_NET, {}, 1_141_697, 3_968),
        (ATTENTION_NET, {}, 659_394, 0),
        (ATTENTION_NET, {"variant": "corrected"}, 1_472 + 5 * 18_496 + 4 * 18_464 + 289, 0),
        (GENERATOR, {}, 2_855_619, 0),
        (DISCRIMINATOR, {}, 499_507, 0),
        (DISCRIMINATOR, {"head": "gap"}, 499_507 - 48 * 128, 0),
    ],
)
def test_parameter_counts_match_the_publication(network_id, model_args, parameters, statistics):
    variables = variable_shapes(network_id, **model_args)
    assert count(variables["params"]) == parameters
    assert count(variables.get("batch_stats", {})) == statistics
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}


def test_parameter_counts_of_attention_steps_match_the_publication():
    steps = variable_shapes(ATTENTION_NET)["params"]
    counts = [count(steps[f"step{i}"]) + count(steps.get(f"mask{i}", {})) for i in range(1, 5)]
    assert counts == [121_697, 167_808, 184_800, 185_089]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("size", [(34, 22), (400, 400)])
def test_edge_net_output_has_the_size_of_the_input(size, dtype):
    assert outputs_of(EDGE_NET, *size, width="tiny", dtype=dtype) == {"edge": ((2, *size, 1), "float32")}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(("variant", "maps"), [("released", 2), ("corrected", 4)])
def test_attention_net_takes_any_size(variant, maps, dtype):
    for size in ((1, 1), (17, 30)):
        each = ((2, *size, 1), "float32")
        actual = outputs_of(ATTENTION_NET, *size, width="tiny", variant=variant, dtype=dtype)
        assert actual == {"attention": each, "attention_steps": (each,) * maps}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("size", [(4, 8), (44, 20)])
def test_generator_output_has_the_size_of_the_input(size, dtype):
    assert outputs_of(GENERATOR, *size, width="tiny", dtype=dtype) == {"restored": ((2, *size, 3), "float32")}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_discriminator_output_shapes(dtype):
    shapes = {"probability": ((2, 1), "float32"), "logits": ((2, 1), "float32")}
    assert outputs_of(DISCRIMINATOR, 400, 400, width="tiny", dtype=dtype) == shapes
    for size in ((1, 1), (37, 90)):
        assert outputs_of(DISCRIMINATOR, *size, width="tiny", head="gap", dtype=dtype) == shapes


@pytest.mark.parametrize(
    ("network_id", "size", "message"),
    [
        (EDGE_NET, (32, 33), r"image size 32x33 .* pad height and width to even numbers"),
        (GENERATOR, (34, 32), r"image size 34x32 .* pad height and width to multiples of 4"),
        (DISCRIMINATOR, (224, 400), r"image size 224x400 .* takes 400x400; .* head='gap'"),
    ],
)
def test_invalid_sizes_are_rejected(network_id, size, message):
    with pytest.raises(UserError, match=message):
        outputs_of(network_id, *size, width="tiny")


@pytest.mark.parametrize(
    ("network_id", "model_args", "message"),
    [
        *((network_id, {"width": "huge"}, "no width 'huge'") for network_id in NETWORKS),
        (ATTENTION_NET, {"variant": "fixed"}, "no variant 'fixed'; choose one of released, corrected"),
        (ATTENTION_NET, {"aux_scale": 0.0}, "aux_scale is 0.0; give a positive number"),
        (GENERATOR, {"aux_scale": "1/255"}, "aux_scale is '1/255'; give a positive number"),
        (GENERATOR, {"aux_scale": float("nan")}, "aux_scale is nan; give a positive number"),
        (DISCRIMINATOR, {"head": "mlp"}, "no head 'mlp'; choose one of dense, gap"),
    ],
)
def test_invalid_model_args_are_rejected_by_build(network_id, model_args, message):
    with pytest.raises(UserError, match=message):
        build(network_id, **model_args)


@pytest.mark.parametrize(("network_id", "model_args"), SHAPES)
@pytest.mark.parametrize("size", [(1, 3), (64, 64), (65, 97)])
def test_example_shapes_are_valid(network_id, model_args, size):
    ((batch, *actual, channels),) = build(network_id, width="tiny", **model_args).example_shapes(size=size)
    assert (batch, channels) == (1, CHANNELS[network_id])
    multiple = {EDGE_NET: 2, GENERATOR: 4}.get(network_id, 1)
    fixed = network_id == DISCRIMINATOR and not model_args
    assert actual == ([400, 400] if fixed else [-(-n // multiple) * multiple for n in size])


# Padding -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "options", "sides"),
    [
        (400, {"kernel": 3}, (1, 1)),
        (400, {"kernel": 3, "stride": 2}, (0, 1)),
        (25, {"kernel": 3, "stride": 2}, (1, 1)),
        (400, {"kernel": 5, "stride": 4}, (0, 1)),
        (100, {"kernel": 5, "stride": 4}, (0, 1)),
        (25, {"kernel": 5, "stride": 4}, (2, 2)),
        (7, {"kernel": 5, "stride": 4}, (1, 1)),
        (6, {"kernel": 5, "stride": 4}, (1, 2)),
        (100, {"kernel": 3, "dilation": 16}, (16, 16)),
        (200, {"kernel": 2}, (0, 1)),
        (8, {"kernel": 1, "stride": 4}, (0, 0)),
    ],
    ids=str,
)
def test_same_padding_matches_tensorflow(size, options, sides):
    assert same_padding((size, 400), **options)[0] == sides
    assert same_padding((400, size), **options)[1] == sides


def keras_conv(x, weights, *, stride=1):
    """A convolution with padding "same": equal padding on both sides, an odd pixel at the end."""
    side = weights["kernel"].shape[0]
    pads = []
    for n in x.shape[1:3]:
        total = max((-(-n // stride) - 1) * stride + side - n, 0)
        pads.append((total // 2, -(-total // 2)))
    return literal.conv2d(x, weights["kernel"], weights["bias"], stride=stride, padding=tuple(pads))


@pytest.mark.parametrize("size", [(9, 14), (16, 7)])
def test_discriminator_with_gap_head_matches_the_specification_at_odd_sizes(size):
    model_args = {"width": "tiny", "head": "gap"}
    variables, image = random_variables(DISCRIMINATOR, **model_args), images(0, 2, *size, 3)
    p, x = variables["params"], image.astype(np.float64)
    for i in range(1, 7):
        x = literal.leaky_relu(keras_conv(x, p[f"conv{i}"]), 0.2)
    x = x * keras_conv(x, p["mask"])
    for i in (7, 8, 9):
        x = literal.leaky_relu(keras_conv(x, p[f"conv{i}_s4"], stride=4), 0.2)
    x = literal.leaky_relu(x.mean(axis=(1, 2)) @ p["fc1"]["kernel"] + p["fc1"]["bias"], 0.2)
    actual = run(build(DISCRIMINATOR, **model_args), variables, image)
    np.testing.assert_allclose(actual["logits"], x @ p["fc2"]["kernel"] + p["fc2"]["bias"], atol=1e-5)


# Variants of the attention net ---------------------------------------------------------------------------------------


def literal_trunk(x, weights):
    x = literal.relu(keras_conv(x, weights["stem"]))
    for i in range(1, 6):
        block = weights[f"block{i}"]
        x = literal.relu(x + keras_conv(literal.relu(keras_conv(x, block["conv1"])), block["conv2"]))
    return x


def test_corrected_variant_matches_the_recurrence_of_attentive_gan():
    model_args, scale = {"width": "tiny", "variant": "corrected"}, 1 / 255
    variables, x = random_variables(ATTENTION_NET, **model_args), images(1, 2, 5, 6, 4)
    x[..., 3] *= 255.0
    step = variables["params"]["step"]
    u = np.concatenate((x[..., :3], x[..., 3:] / 255.0), axis=-1).astype(np.float64)
    attention, h, c = np.full((2, 5, 6, 1), 0.5), np.zeros((2, 5, 6, 2)), np.zeros((2, 5, 6, 2))
    maps = []
    for _ in range(4):
        z = np.concatenate((literal_trunk(np.concatenate((u, attention), axis=-1), step), h), axis=-1)
        i, f, g, o = (keras_conv(z, step["lstm"][gate]) for gate in "ifgo")
        c = literal.sigmoid(f) * c + literal.sigmoid(i) * np.tanh(g)
        h = literal.sigmoid(o) * np.tanh(c)
        attention = keras_conv(h, step["mask"])
        maps.append(255.0 * attention)
    actual = run(build(ATTENTION_NET, aux_scale=scale, **model_args), variables, x)
    np.testing.assert_allclose(np.stack(actual["attention_steps"]), np.stack(maps), atol=1e-3)
    np.testing.assert_array_equal(actual["attention"], actual["attention_steps"][-1])


def test_released_variant_matches_the_published_graph():
    variables, x = random_variables(ATTENTION_NET, width="tiny"), images(2, 1, 5, 6, 4)
    # The scale is not published: inside the network it scales the maps, the outputs have the unit of the input.
    u = x * np.array([1.0, 1.0, 1.0, 0.25])
    p, state, step_input, maps = variables["params"], None, u, {}
    for t in range(1, 5):
        step = p[f"step{t}"]
        assert ("gate_f" in step) == (t > 1)
        z = literal_trunk(step_input, step)
        if state is not None:
            z = np.concatenate((z, state[0]), axis=-1)
        gates = {g: literal.sigmoid(keras_conv(z, step[f"gate_{g}"])) for g in "ifgo" if f"gate_{g}" in step}
        c = gates["i"] * gates["g"] + (gates["f"] * state[1] if state is not None else 0.0)
        state, step_input = (gates["o"] * np.tanh(c), c), z
        if t in (1, 4):
            maps[t] = keras_conv(state[0], p[f"mask{t}"])
        if t == 1:
            step_input = np.concatenate((u, maps[1]), axis=-1)
    actual = run(build(ATTENTION_NET, width="tiny", aux_scale=0.25), variables, x)
    np.testing.assert_allclose(actual["attention_steps"][0], 4.0 * maps[1], atol=1e-5)
    np.testing.assert_allclose(actual["attention"], 4.0 * maps[4], atol=1e-5)


# The scale of the maps -----------------------------------------------------------------------------------------------


def test_scale_maps_scales_maps_and_not_colors():
    x = images(3, 2, 3, 4, 5)
    expected = np.concatenate((x[..., :3], x[..., 3:] * np.float32(0.25)), axis=-1)
    np.testing.assert_array_equal(scale_maps(jnp.asarray(x), 0.25), expected)
    np.testing.assert_array_equal(scale_maps(jnp.asarray(x), 1.0), x)


def test_generator_scales_maps_by_aux_scale():
    variables, x = random_variables(GENERATOR, width="tiny"), images(4, 1, 8, 8, 5)
    x[..., 3:] *= 255.0
    scaled_outside = np.array(scale_maps(jnp.asarray(x), 1 / 255))
    inside = run(build(GENERATOR, width="tiny", aux_scale=1 / 255), variables, x)["restored"]
    outside = run(build(GENERATOR, width="tiny"), variables, scaled_outside)["restored"]
    np.testing.assert_allclose(inside, outside, atol=1e-6)


# Training ------------------------------------------------------------------------------------------------------------


@functools.cache
def trained(network_id, size, **model_args):
    """Variables and input; gradient, outputs and running statistics of one training step."""
    module, x = build(network_id, width="tiny", **model_args), images(5, 2, *size, CHANNELS[network_id])
    variables = random_variables(network_id, width="tiny", **model_args)

    def loss(params):
        outputs, updates = module.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.square(jax.tree.leaves(outputs)[0] - 0.3).mean(), (outputs, updates.get("batch_stats"))

    lowered = jax.jit(jax.grad(loss, has_aux=True)).lower(variables["params"])
    step = lowered.compile(compiler_options={"xla_backend_optimization_level": 0})
    return variables, x, *step(variables["params"])


def test_running_statistics_match_keras():
    variables, x, _, (_, updates) = trained(EDGE_NET, (4, 6))
    p, old = variables["params"], variables["batch_stats"]
    for name in ("stem1", "stem2"):
        y = keras_conv(x, p[name])
        mean, variance = y.mean(axis=(0, 1, 2)), y.var(axis=(0, 1, 2))
        unbiased = variance * 48 / 47  # as in TensorFlow's fused kernel
        before, after = old[f"{name}_norm"], updates[f"{name}_norm"]
        np.testing.assert_allclose(after["mean"], 0.99 * before["mean"] + 0.01 * mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(after["var"], 0.99 * before["var"] + 0.01 * unbiased, rtol=1e-4)
        norm = p[f"{name}_norm"]
        x = literal.relu(literal.batch_norm(y, norm["scale"], norm["bias"], mean, variance, epsilon=1e-3))


def test_training_updates_all_running_statistics():
    variables, _, _, (outputs, updates) = trained(EDGE_NET, (4, 6))
    assert np.isfinite(outputs["edge"]).all()
    assert jax.tree.structure(updates) == jax.tree.structure(variables["batch_stats"])
    for before, after in zip(jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(updates), strict=True):
        assert (before != after).any()
        assert np.isfinite(after).all()


def test_synchronized_batch_norm_on_two_devices_matches_the_whole_batch():
    variables, x, _, (outputs, updates) = trained(EDGE_NET, (4, 6))
    module = build(EDGE_NET, width="tiny", axis_name="devices")
    assert expected_shapes(EDGE_NET, width="tiny", axis_name="devices") == expected_shapes(EDGE_NET, width="tiny")

    def forward(variables, x):
        return module.apply(variables, x, train=True, mutable=["batch_stats"])

    halves = x[:, None]
    axes = {"axis_name": "devices", "in_axes": (None, 0), "out_axes": (0, None)}
    actual, together = jax.pmap(forward, **axes)(variables, halves)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    close(actual["edge"][:, 0], outputs["edge"])
    jax.tree.map(close, together["batch_stats"], updates)
    # Networks are initialized outside of pmap.
    jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), x)


@pytest.mark.parametrize(
    ("network_id", "size", "model_args"),
    [
        (EDGE_NET, (4, 6), {}),
        (ATTENTION_NET, (4, 4), {}),
        (GENERATOR, (8, 8), {}),
        (DISCRIMINATOR, (8, 8), {"head": "gap"}),
    ],
)
def test_gradients_are_finite_and_nonzero(network_id, size, model_args):
    _, _, gradient, _ = trained(network_id, size, **model_args)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    # A bias before batch normalization has no effect; the ReLU of a narrow layer can be zero everywhere.
    reached = [bool((leaf != 0).any()) for leaf in jax.tree.leaves(gradient)]
    assert np.mean(reached) > 0.8


@pytest.mark.parametrize(
    ("network_id", "model_args"),
    [(EDGE_NET, {}), (ATTENTION_NET, {"variant": "corrected"}), (GENERATOR, {}), (DISCRIMINATOR, {"head": "gap"})],
)
def test_initial_parameters_are_finite(network_id, model_args):
    module = build(network_id, width="tiny", **model_args)
    (shape,) = module.example_shapes(size=(4, 8))
    variables = initialize(module, jax.random.key(0), shape)
    assert jax.tree.structure(variables) == jax.tree.structure(variable_shapes(network_id, width="tiny", **model_args))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables))


# The torch layout ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("network_id", "model_args"), SHAPES)
@pytest.mark.parametrize("width", [{}, {"width": "tiny"}])
def test_state_dict_round_trip(network_id, model_args, width):
    model_args = model_args | width
    shapes = expected_shapes(network_id, **model_args)
    state = published.fill_random(shapes)
    back = to_torch(network_id, from_torch(network_id, state, **model_args), **model_args)
    assert list(back) == list(shapes)
    for key, array in back.items():
        assert (array.shape, array.dtype) == (shapes[key], np.float32)
        np.testing.assert_array_equal(array, state[key])
    assert key_map(network_id).infer_model_args(shapes) == model_args


def test_state_dicts_have_torch_layouts():
    shapes = expected_shapes(GENERATOR)
    assert shapes["conv1.weight"] == (64, 5, 5, 5)
    assert shapes["deconv2.weight"] == (128, 64, 4, 4)
    assert expected_shapes(DISCRIMINATOR)["fc1.weight"] == (128, 49)
    assert {"stem1_norm.weight", "stem1_norm.running_var"} <= expected_shapes(EDGE_NET).keys()
    # The shape does not distinguish inputs and outputs where their channels are equal.
    state = published.fill_random(expected_shapes(EDGE_NET))
    kernel = from_torch(EDGE_NET, state)["params"]["up"]["kernel"]
    np.testing.assert_array_equal(kernel, state["up.weight"].transpose(2, 3, 0, 1))


@pytest.mark.parametrize("network_id", NETWORKS)
def test_state_dicts_of_other_networks_are_not_recognized(network_id):
    for name in published.key_lists():
        try:
            assert key_map(network_id).infer_model_args(published.shapes(name)) is None, name
        except (KeyError, IndexError):
            continue
