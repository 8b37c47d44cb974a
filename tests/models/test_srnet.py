"""SR-Net's four networks: sizes, design in NumPy, labels, spectral normalization, names of weights."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers import literal
from tests.helpers.networks import count, images, parameter_shapes, run

NETWORKS = ("srnet/refiner", "srnet/restorer", "srnet/map_discriminator", "srnet/image_discriminator")


def parameters(network_id, **model_args):
    module = build(network_id, **model_args)
    return count(parameter_shapes(module, *module.example_shapes()))


def variables_of(module, *shapes, seed=0):
    """Random variables of a network; the power iteration's vectors have length 1 and fit their kernels."""
    rng = np.random.default_rng(seed)
    init = functools.partial(module.init, train=True)
    tree = jax.eval_shape(init, jax.random.key(0), *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))

    def fill(node):
        scale = 1.5 / np.sqrt(np.prod(node.shape[:-1])) if len(node.shape) > 1 else 0.1
        return (scale * rng.standard_normal(node.shape)).astype(np.float32)

    def estimate(kernels, stats):
        if "u" not in stats:
            return {name: estimate(kernels[name], part) for name, part in stats.items()}
        matrix = kernels["kernel"].transpose(3, 2, 0, 1).reshape(stats["u"].shape[0], -1)
        u, _, v = np.linalg.svd(matrix, full_matrices=False)
        mixed = u[:, 0] + 0.3 * u[:, 1] if u.shape[1] > 1 else u[:, 0]  # near the first singular vector, but not equal
        return {"u": (mixed / np.linalg.norm(mixed)).astype(np.float32), "v": v[0].astype(np.float32)}

    params = jax.tree.map(fill, tree["params"])
    if "batch_stats" not in tree:
        return {"params": params}
    return {"params": params, "batch_stats": estimate(params, tree["batch_stats"])}


def inputs(*size, channels, seed=0):
    """An image in [-1, 1] and a label map, one-hot or of colors."""
    image = 2.0 * images(seed, 2, *size, 3) - 1.0
    if channels == 3:
        return image, 2.0 * images(seed + 1, 2, *size, 3) - 1.0
    classes = np.random.default_rng(seed).integers(0, channels, (2, *size))
    return image, np.eye(channels, dtype=np.float32)[classes]


# --- sizes and shapes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network_id", "model_args", "expected"),
    [
        ("srnet/refiner", {"mode": "palette"}, 10_780_867),
        ("srnet/restorer", {"mode": "palette"}, 10_780_867),
        ("srnet/refiner", {}, 10_881_235),
        ("srnet/restorer", {}, 10_831_043),
        ("srnet/refiner", {"classes": 21}, 10_893_781),
        ("srnet/refiner", {"classes": 150}, 11_702_998),
        ("srnet/refiner", {"classes": 182}, 11_903_734),
        # Without the biases of the residual blocks.
        ("srnet/refiner", {"spectral_norm": True}, 10_881_235 - 16 * 256),
        ("srnet/image_discriminator", {}, 2_763_776),
        ("srnet/map_discriminator", {"mode": "palette"}, 2_763_776),
        ("srnet/map_discriminator", {}, 2_780_160),
        ("srnet/map_discriminator", {"classes": 21}, 2_782_208),
        ("srnet/map_discriminator", {"classes": 150}, 2_914_304),
        ("srnet/map_discriminator", {"classes": 182}, 2_947_072),
        ("srnet/map_discriminator", {"spectral_norm": False}, 2_780_160),
    ],
)
def test_parameter_counts_match_the_specification(network_id, model_args, expected):
    assert parameters(network_id, **model_args) == expected


@pytest.mark.parametrize("size", [(12, 16), (256, 256)])
@pytest.mark.parametrize("mode", ["logits", "palette"])
def test_generator_outputs_have_the_size_of_the_image(size, mode):
    def shapes(network_id, **model_args):
        module = build(network_id, width="tiny", mode=mode, **model_args)
        image = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
        labels = jax.ShapeDtypeStruct((2, *size, 19 if mode == "logits" else 3), jnp.float32)
        call = lambda *x: module.init_with_output(jax.random.key(0), *x)[0]  # noqa: E731
        outputs = jax.eval_shape(call, image, labels)
        assert {leaf.dtype for leaf in outputs.values()} == {jnp.dtype("float32")}
        return {name: leaf.shape for name, leaf in outputs.items()}

    refined = {"semantic_logits": (2, *size, 19)} if mode == "logits" else {"label_map": (2, *size, 3)}
    assert shapes("srnet/refiner") == shapes("srnet/refiner", spectral_norm=True) == refined
    for synthesis in ("transposed", "spade"):
        assert shapes("srnet/restorer", synthesis=synthesis) == {"restored": (2, *size, 3)}


@pytest.mark.parametrize(("size", "scores"), [((256, 256), (30, 30)), ((24, 37), (1, 2)), ((63, 64), (5, 6))])
def test_discriminators_return_five_maps_and_scores(size, scores):
    module = build("srnet/image_discriminator")
    call = lambda x: module.init_with_output(jax.random.key(0), x)[0]  # noqa: E731
    outputs = jax.eval_shape(call, jax.ShapeDtypeStruct((2, *size, 3), jnp.float32))
    assert outputs.keys() == {"scores", "features"}
    assert outputs["scores"].shape == (2, *scores, 1)
    assert [leaf.shape[-1] for leaf in outputs["features"]] == [64, 128, 256, 512, 1]
    assert outputs["features"][0].shape[1:3] == (size[0] // 2, size[1] // 2)


@pytest.mark.parametrize("network_id", NETWORKS)
def test_example_shapes_are_valid_at_any_size(network_id):
    module = build(network_id, width="tiny")
    for size in ((1, 1), (30, 61), (64, 64)):
        shapes = module.example_shapes(size=size)
        assert all(0 <= n - m < 4 or n in (12, 24) for shape in shapes for n, m in zip(shape[1:3], size, strict=True))
        jax.eval_shape(module.init, jax.random.key(0), *(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))


# --- the design in NumPy ------------------------------------------------------------------------------------------


def reflect(x, pad):
    return np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")


def modulate(x, labels, p):
    step = labels.shape[1] // x.shape[1]
    hidden = literal.relu(literal.conv2d(labels[:, ::step, ::step], **p["hidden"]))
    return literal.instance_norm(x) * (1 + literal.conv2d(hidden, **p["gamma"])) + literal.conv2d(hidden, **p["beta"])


def trunk(x, p, labels=None):
    def norm(y, part, name):
        return literal.instance_norm(y) if labels is None else modulate(y, labels, part[name])

    full = literal.relu(literal.instance_norm(literal.conv2d(reflect(x, 3), **p["stem"], padding=0)))
    half = literal.relu(literal.instance_norm(literal.conv2d(full, **p["down1"], stride=2, padding=1)))
    x = literal.relu(literal.instance_norm(literal.conv2d(half, **p["down2"], stride=2, padding=1)))
    for i in range(8):
        part = p[f"residual{i}"]
        y = literal.conv2d(reflect(x, 2), **part["conv1"], dilation=2, padding=0)
        y = literal.relu(norm(y, part, "modulation1"))
        x = x + norm(literal.conv2d(reflect(y, 1), **part["conv2"], padding=0), part, "modulation2")
    for i, skip in ((1, half), (2, full)):
        if labels is None:
            x = literal.relu(literal.instance_norm(literal.conv_transpose2d(x, **p[f"up{i}"])))
        else:
            x = literal.conv2d(literal.upsample_nearest(x, 2), **p[f"enlarge{i}"])
            x = np.concatenate((literal.relu(modulate(x, labels, p[f"enlarge_modulation{i}"])), skip), axis=-1)
    return x


def head(x, p):
    return literal.conv2d(reflect(x, 3), **p, padding=0)


def test_refiner_matches_its_design():
    module = build("srnet/refiner", width="tiny", classes=5)
    image, labels = inputs(12, 16, channels=5)
    variables = variables_of(module, image.shape, labels.shape)
    actual = run(module, variables, image, labels)
    p = variables["params"]
    expected = head(trunk(np.concatenate((image, labels), axis=-1), p["trunk"]), p["semantic_logits"])
    assert np.std(expected) > 0.3
    np.testing.assert_allclose(actual["semantic_logits"], expected, atol=2e-4)


@pytest.mark.parametrize("synthesis", ["transposed", "spade"])
def test_restorer_matches_its_design(synthesis):
    module = build("srnet/restorer", width="tiny", mode="palette", synthesis=synthesis)
    image, labels = inputs(16, 12, channels=3)
    variables = variables_of(module, image.shape, labels.shape)
    actual = run(module, variables, image, labels)["restored"]
    p = variables["params"]
    if synthesis == "spade":
        x = trunk(image, p["palette_trunk"], labels)
    else:
        x = trunk(np.concatenate((image, labels), axis=-1), p["palette_trunk"])
    np.testing.assert_allclose(actual, np.tanh(head(x, p["restored"])), atol=2e-4)
    # The output depends on the labels.
    assert np.abs(run(module, variables, image, labels[:, ::-1].copy())["restored"] - actual).max() > 0.01


def test_correction_keeps_the_mean_color():
    """A constant that is added to the image changes only the sum, not the output after the normalization."""
    image, labels = inputs(12, 12, channels=3)
    image, shift = 0.5 * image, np.array([0.4, -0.2, 0.1], np.float32)
    actual = {}
    for correction, head in ((False, "restored"), (True, "correction_map")):
        module = build("srnet/restorer", width="tiny", mode="palette", correction=correction)
        if not correction:
            p = variables_of(module, image.shape, labels.shape)["params"]
        named = {"palette_trunk": p["palette_trunk"], head: p["restored"]}
        before, after = (run(module, {"params": named}, x, labels)["restored"] for x in (image, image + shift))
        np.testing.assert_allclose(after - before, np.broadcast_to(correction * shift, image.shape), atol=1e-4)
        actual[correction] = before
    np.testing.assert_allclose(actual[True], image + 2 * actual[False], atol=1e-5)


@pytest.mark.parametrize("mode", ["logits", "palette"])
def test_refiner_with_correction_adds_to_the_input_segmentation(mode):
    channels, head = (19, "semantic_logits") if mode == "logits" else (3, "label_map")
    image, labels = inputs(12, 12, channels=channels)
    plain = build("srnet/refiner", width="tiny", mode=mode)
    p = variables_of(plain, image.shape, labels.shape)["params"]
    trunk = next(name for name in p if name != head)
    corrected = build("srnet/refiner", width="tiny", mode=mode, correction=True)
    actual = run(corrected, {"params": {trunk: p[trunk], "label_correction": p[head]}}, image, labels)[head]
    plain_output = run(plain, {"params": p}, image, labels)[head]
    expected = 4 * labels + plain_output if mode == "logits" else labels + 2 * plain_output
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def discriminator_maps(x, p, sigma, name):
    maps = []
    for i, stride in enumerate((2, 2, 2, 1)):
        kernel = p[f"conv{i}"]["kernel"] / sigma[f"conv{i}"]
        x = literal.leaky_relu(literal.conv2d(x, kernel, stride=stride, padding=1), 0.2)
        maps.append(x)
    return [*maps, literal.conv2d(x, p[name]["kernel"] / sigma[name], padding=1)]


@pytest.mark.parametrize("spectral_norm", [True, False])
@pytest.mark.parametrize(("network_id", "name"), [(NETWORKS[2], "map_scores"), (NETWORKS[3], "image_scores")])
def test_discriminators_match_their_design(network_id, name, spectral_norm):
    module = build(network_id, width="tiny", spectral_norm=spectral_norm)
    x = inputs(25, 32, channels=19)[network_id == NETWORKS[2]]
    variables = variables_of(module, x.shape)
    p = variables["params"]
    assert all("bias" not in layer for layer in p.values())
    sigma = dict.fromkeys(p, 1.0)
    for layer, stats in variables.get("batch_stats", {}).items():
        matrix = p[layer]["kernel"].transpose(3, 2, 0, 1).reshape(len(stats["u"]), -1)
        sigma[layer] = stats["u"] @ matrix @ stats["v"]
    assert all(value != 1.0 for value in sigma.values()) == spectral_norm
    actual = run(module, variables, x)
    for ours, expected in zip(actual["features"], discriminator_maps(x, p, sigma, name), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-4)
    np.testing.assert_array_equal(actual["scores"], actual["features"][-1])


# --- training -----------------------------------------------------------------------------------------------------


def test_training_updates_all_power_iteration_vectors_and_evaluation_none():
    module = build("srnet/refiner", width="tiny", classes=4, spectral_norm=True)
    image, labels = inputs(12, 12, channels=4)
    variables = variables_of(module, image.shape, labels.shape)
    # Stem, two halvings, eight blocks of two, two doublings, head.
    assert len(jax.tree.leaves(variables["batch_stats"])) == 2 * (1 + 2 + 16 + 2 + 1)
    outputs, updates = run(module, variables, image, labels, train=True, mutable="batch_stats")
    for before, after in zip(*map(jax.tree.leaves, (variables["batch_stats"], updates["batch_stats"])), strict=True):
        assert before.shape == after.shape
        assert np.any(before != after)
    evaluated, unmoved = run(module, variables, image, labels, mutable="batch_stats")
    jax.tree.map(np.testing.assert_array_equal, unmoved["batch_stats"], variables["batch_stats"])
    assert np.any(outputs["semantic_logits"] != evaluated["semantic_logits"])


@pytest.mark.parametrize(
    ("network_id", "model_args"),
    [
        ("srnet/refiner", {"mode": "palette"}),
        pytest.param("srnet/restorer", {"synthesis": "spade"}, marks=pytest.mark.slow),
        ("srnet/map_discriminator", {}),
    ],
    ids=str,
)
def test_initial_outputs_and_gradients_are_finite(network_id, model_args):
    module = build(network_id, width="tiny", **model_args)
    arrays = [images(i, *shape) for i, shape in enumerate(module.example_shapes(size=(24, 24)))]

    def begin(key):
        variables = module.init(key, *arrays, train=True)

        def loss(params):
            outputs = module.apply(variables | {"params": params}, *arrays, train=True)
            return sum(jnp.square(leaf).mean() for leaf in jax.tree.leaves(outputs))

        return jax.value_and_grad(loss)(variables["params"])

    lowered = jax.jit(begin).lower(jax.random.key(0))
    value, slopes = lowered.compile(compiler_options={"xla_backend_optimization_level": 0})(jax.random.key(0))
    assert 1e-6 < value < 1e3
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.all(np.isfinite(slope)), path
        # Instance normalization removes the biases before it.
        assert np.any(slope != 0.0) or path[-1].key == "bias", path


def test_bfloat16_computation_keeps_float32_parameters_and_outputs():
    for network_id in NETWORKS:
        module = build(network_id, width="tiny", dtype=jnp.bfloat16)
        shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in module.example_shapes()]
        outputs, variables = jax.eval_shape(functools.partial(module.init_with_output, jax.random.key(0)), *shapes)
        assert {leaf.dtype for leaf in jax.tree.leaves((outputs, variables))} == {jnp.dtype("float32")}


# --- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network_id", "model_args", "message"),
    [
        ("srnet/refiner", {"mode": "colors"}, "no mode 'colors'; choose one of logits, palette"),
        ("srnet/map_discriminator", {"classes": 1}, "classes is 1; SR-Net needs at least 2 classes"),
        ("srnet/restorer", {"synthesis": "adain"}, "no synthesis 'adain'; choose one of transposed, spade"),
        *(
            (network_id, {"width": "huge"}, "no width 'huge'; choose one of base, small, tiny")
            for network_id in NETWORKS
        ),
    ],
)
def test_invalid_model_args_are_rejected_by_build(network_id, model_args, message):
    with pytest.raises(UserError, match=message):
        build(network_id, **model_args)


@pytest.mark.parametrize(
    ("network_id", "shapes", "message"),
    [
        ("srnet/refiner", [(1, 16, 18, 3), (1, 16, 18, 19)], "16x18 does not fit SR-Net; it takes multiples of 4"),
        ("srnet/restorer", [(1, 8, 16, 3), (1, 8, 16, 19)], "8x16 does not fit SR-Net; .* from 12 px a side"),
        ("srnet/refiner", [(1, 16, 16, 3), (1, 8, 16, 19)], "the label map is 8x16, the image 16x16"),
        ("srnet/refiner", [(1, 16, 16, 3), (1, 16, 16, 3)], "has 3 channels; in mode 'logits' .* each of 19 classes"),
        ("srnet/map_discriminator", [(1, 32, 32, 21)], "the label map has 21 channels"),
        ("srnet/image_discriminator", [(1, 32, 20, 3)], "32x20 is too small; .* take 24 px a side"),
    ],
)
def test_invalid_inputs_are_rejected(network_id, shapes, message):
    module = build(network_id, width="tiny")
    with pytest.raises(UserError, match=message):
        jax.eval_shape(module.init, jax.random.key(0), *(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))


# --- names of weights ---------------------------------------------------------------------------------------------

VARIANTS = [
    ("srnet/refiner", {}),
    ("srnet/refiner", {"classes": 21}),
    ("srnet/refiner", {"classes": 3, "spectral_norm": True}),
    ("srnet/refiner", {"mode": "palette"}),
    ("srnet/refiner", {"mode": "palette", "spectral_norm": True, "width": "tiny"}),
    ("srnet/refiner", {"classes": 7, "correction": True}),
    ("srnet/refiner", {"mode": "palette", "spectral_norm": True, "correction": True}),
    ("srnet/restorer", {}),
    ("srnet/restorer", {"classes": 3}),
    ("srnet/restorer", {"mode": "palette", "width": "tiny"}),
    ("srnet/restorer", {"classes": 150, "synthesis": "spade", "width": "tiny"}),
    ("srnet/restorer", {"mode": "palette", "synthesis": "spade"}),
    ("srnet/restorer", {"width": "small", "correction": True}),
    ("srnet/restorer", {"classes": 7, "synthesis": "spade", "correction": True}),
    ("srnet/refiner", {"width": "small"}),
    ("srnet/map_discriminator", {}),
    ("srnet/map_discriminator", {"classes": 3, "width": "tiny"}),
    ("srnet/map_discriminator", {"mode": "palette", "spectral_norm": False}),
    ("srnet/image_discriminator", {}),
    ("srnet/image_discriminator", {"width": "tiny", "spectral_norm": False}),
]


@pytest.mark.parametrize(("network_id", "model_args"), VARIANTS, ids=str)
def test_each_variant_is_recognized_only_by_its_network(network_id, model_args):
    shapes = expected_shapes(network_id, **model_args)
    for other in NETWORKS:
        try:
            actual = key_map(other).infer_model_args(shapes)
        except (KeyError, IndexError):
            actual = None
        assert actual == (model_args if other == network_id else None), other


def test_state_dicts_have_torch_names_and_layouts():
    shapes = expected_shapes("srnet/refiner", spectral_norm=True)
    # Transposed convolutions: (in, out, k, k), and sigma's matrix has a row per output channel.
    assert shapes["trunk.up1.weight_orig"] == (256, 128, 4, 4)
    assert shapes["trunk.up1.weight_u"] == (128,)
    assert shapes["trunk.up1.weight_v"] == (256 * 16,)
    assert shapes["trunk.residual7.conv2.weight_orig"] == (256, 256, 3, 3)
    assert shapes["semantic_logits.bias"] == (19,)
    assert "trunk.residual7.conv2.bias" not in shapes
    assert expected_shapes("srnet/restorer")["trunk.up2.weight"] == (128, 64, 4, 4)
    assert expected_shapes("srnet/restorer", synthesis="spade")["trunk.enlarge2.weight"] == (64, 256, 3, 3)


@pytest.mark.parametrize(
    ("network_id", "model_args"), [(n, h) for n, h in VARIANTS if h.get("width") == "tiny"], ids=str
)
def test_state_dict_round_trip(network_id, model_args):
    rng = np.random.default_rng(0)
    state = {
        key: rng.standard_normal(shape).astype(np.float32)
        for key, shape in expected_shapes(network_id, **model_args).items()
    }
    back = to_torch(network_id, from_torch(network_id, state, **model_args), **model_args)
    assert list(back) == list(state)
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value)
    # The network accepts them.
    module = build(network_id, **model_args)
    arrays = [images(i, *shape) for i, shape in enumerate(module.example_shapes(size=(24, 24)))]
    variables = from_torch(network_id, state, **model_args)
    jax.eval_shape(module.apply, variables, *arrays)
