"""SGRRN against outputs of the published networks, and its parts in training."""

from __future__ import annotations

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.resnet import ResNet
from sirr_jax.models.sgrrn.encoder import BACKBONES
from sirr_jax.models.sgrrn.semantic import SemanticDecoder
from sirr_jax.models.sgrrn.separation import Guidance, SeparationDecoder
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.variables import variable_shapes
from tests.helpers import literal, published
from tests.helpers.networks import count, images, parameter_shapes, run

GENERATOR, DISCRIMINATOR = "sgrrn/generator", "sgrrn/discriminator"
PUBLISHED = {
    "sgrrn/generator": (GENERATOR, {}),
    "sgrrn/generator backbone=resnet50": (GENERATOR, {"backbone": "resnet50"}),
    "sgrrn/discriminator": (DISCRIMINATOR, {}),
}
MODES = {
    "Basic": {"restored", "reflection"},
    "Basic+Channel": {"restored", "reflection"},
    "Basic+Channel+Pyramid": {"restored", "reflection"},
    "Basic+Channel+Pyramid+Semantic": {"restored", "reflection", "semantic_logits"},
    "Basic+Channel+Pyramid+Guidance": {"restored", "reflection", "semantic_logits"},
    "OnlySemantic": {"semantic_logits"},
}


class Shallow(ResNet):
    """One block per stage, because gradients of deep networks take long to compile."""

    blocks = (1, 1, 1, 1)


@pytest.fixture
def shallow(monkeypatch):
    monkeypatch.setitem(BACKBONES, "resnet101", (Shallow, (2,)))


@functools.cache
def weights(name):
    network_id, model_args = PUBLISHED[name]
    state = published.fill_sgrrn(published.shapes(name))
    return state, from_torch(network_id, state, **model_args)


def network_outputs(name, seed, shape):
    network_id, model_args = PUBLISHED[name]
    variables = {key: value for key, value in weights(name)[1].items() if key != "passthrough"}
    image = np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32).transpose(0, 2, 3, 1)
    return run(build(network_id, **model_args), variables, image)


def random_variables(shapes, seed=0):
    """Random variables: kernels keep activations near 1, statistics differ from those of the data."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        z, name = rng.standard_normal(leaf.shape), path[-1].key
        match name:
            case "scale":
                z = 1 + 0.1 * z
            case "var":
                z = 1 + 0.1 * np.abs(z)
            case "bias" | "mean":
                z = 0.1 * z
            case _:
                z = z / np.sqrt(np.prod(leaf.shape[:-1]))
        return z.astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def compiled(function, *inputs):
    """`function`, compiled without optimization; returns NumPy arrays, whose reductions need no compilation."""
    fast = jax.jit(function).lower(*inputs).compile(compiler_options={"xla_backend_optimization_level": 0})
    return lambda *inputs: jax.tree.map(np.asarray, fast(*inputs))


def initial_shapes(module, *inputs):
    return jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), *inputs)


# ---------------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(("backbone", "expected"), [("resnet101", 62_491_603), ("resnet50", 43_499_475)])
def test_parameter_counts_of_the_generator(backbone, expected):
    shapes = parameter_shapes(build(GENERATOR, backbone=backbone), (1, 32, 32, 3))
    assert count(shapes) == expected
    assert count(shapes["encoder"]["backbone"]) == expected - 19_991_443
    assert count(shapes["encoder"]["aspp"]) == 15_534_080
    semantic, separation = shapes["semantic"], shapes["separation"]
    assert [count(semantic[name]) for name in ("shortcut", "classify")] == [12_432, 5_397]
    assert count(semantic["mix1"]) + count(semantic["mix2"]) == 1_291_776
    assert [count(separation[name]) for name in ("fusion", "pyramid", "guidance")] == [2_629_904, 12_352, 242_432]
    assert sum(count(separation[f"attention{i}"]) for i in range(3)) == 225_624
    assert count(separation["hidden"]) + count(separation["layers"]) == 37_446


def test_parameter_count_of_the_discriminator():
    shapes = parameter_shapes(build(DISCRIMINATOR, dtype=jnp.bfloat16), (1, 32, 32, 3))
    assert count(shapes) == 403_395
    assert {name: count(part) for name, part in shapes.items()} == {f"scale{i}": 134_465 for i in range(3)}
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}


def test_encoder_contains_an_unchanged_resnet():
    ours = variable_shapes(GENERATOR, width="tiny")
    theirs = variable_shapes("resnet101", width="tiny")
    assert ours.keys() == theirs.keys()
    for collection, tree in theirs.items():
        assert ours[collection]["encoder"]["backbone"] == tree


# ---------------------------------------------------------------------------------------------------------- references


@pytest.fixture(scope="module")
def reference():
    return published.golden("sgrrn")


@pytest.fixture(scope="module")
def deep_answer():
    return network_outputs("sgrrn/generator", 12, (2, 3, 70, 93))


def assert_close(actual, expected):
    np.testing.assert_allclose(actual.transpose(0, 3, 1, 2), expected, rtol=0, atol=1e-5)


def test_resnet101_generator_matches_the_reference_outputs(deep_answer, reference):
    assert_close(deep_answer["restored"][:, ::3, ::3], reference["resnet101/b/bg"])
    assert_close(deep_answer["reflection"][:, ::3, ::3], reference["resnet101/b/rf"])
    assert_close(deep_answer["semantic_logits"][:, ::12, ::12], reference["resnet101/b/sem"])


@pytest.mark.parametrize(
    ("name", "theirs", "space", "channels"),
    [
        ("shallow", "shallow", 2, 32),
        ("low", "low", 2, 32),
        ("mid", "mid", 2, 64),
        ("deep", "deep", 2, 64),
        ("out", "out", 2, 64),
        ("semantic", "sem_feature", 2, 64),
        ("fusion", "fusion", 8, 32),
        ("channel", "chattn", 8, 32),
        ("pyramid", "pyramid", 8, 32),
        ("guided_1", "guided_1", 8, 32),
        ("guided_2", "guided_2", 8, 32),
    ],
)
def test_resnet101_features_match_the_reference(deep_answer, reference, name, theirs, space, channels):
    assert_close(deep_answer["features"][name][:, ::space, ::space, ::channels], reference[f"resnet101/b/{theirs}"])


def test_resnet50_generator_matches_the_reference_outputs(reference):
    actual = network_outputs("sgrrn/generator backbone=resnet50", 11, (1, 3, 64, 64))
    assert_close(actual["restored"][:, ::3, ::3], reference["resnet50/a/bg"])
    assert_close(actual["reflection"][:, ::3, ::3], reference["resnet50/a/rf"])


@pytest.mark.parametrize(("case", "seed", "size"), [("a", 21, (64, 64)), ("b", 22, (70, 93))])
def test_discriminator_matches_the_reference_outputs(reference, case, seed, size):
    actual = network_outputs("sgrrn/discriminator", seed, (2, 3, *size))
    assert actual.keys() == {"probability", "logits"}
    assert_close(actual["probability"], reference[f"disc/{case}/out"])
    np.testing.assert_allclose(1 / (1 + np.exp(-actual["logits"])), actual["probability"], atol=1e-6)


# -------------------------------------------------------------------------------------------------------- weight files


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_state_dict_round_trip(name):
    network_id, model_args = PUBLISHED[name]
    state, variables = weights(name)
    back = to_torch(network_id, variables, **model_args)
    assert list(back) == list(state) == list(published.shapes(name))
    assert all(back[key].dtype == value.dtype and np.array_equal(back[key], value) for key, value in state.items())
    # Files of old releases have no counters.
    needed = [(key, shape) for key, shape in published.shapes(name).items() if "num_batches" not in key]
    assert list(expected_shapes(network_id, **model_args).items()) == needed


def test_model_args_are_inferred_from_state_dicts():
    for name, (network_id, model_args) in PUBLISHED.items():
        assert key_map(network_id).infer_model_args(published.shapes(name)) == model_args
    for network_id, model_args in (
        (GENERATOR, {"backbone": "resnet50", "width": "tiny", "classes": 5}),
        (DISCRIMINATOR, {"width": "tiny"}),
    ):
        assert key_map(network_id).infer_model_args(expected_shapes(network_id, **model_args)) == model_args


def test_state_dicts_of_other_networks_are_not_recognized():
    assert key_map(GENERATOR).infer_model_args(published.shapes("bisenet")) is None
    for name in ("sgrrn/generator", "ibcln/discriminator", "bisenet"):
        with pytest.raises(KeyError):
            key_map(DISCRIMINATOR).infer_model_args(published.shapes(name))
    other = published.shapes(DISCRIMINATOR) | {"models.2.0.conv.weight": (64, 6, 4, 4)}
    assert key_map(DISCRIMINATOR).infer_model_args(other) is None


def test_resnet_weights_initialize_the_encoder():
    prefix = "encoder.backbone."
    state, variables = weights("sgrrn/generator backbone=resnet50")
    resnet = from_torch(
        "resnet50", {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    )
    for collection in ("params", "batch_stats"):
        jax.tree.map(np.testing.assert_array_equal, resnet[collection], variables[collection]["encoder"]["backbone"])


# --------------------------------------------------------------------------------------------------- sizes and options


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((256, 256), {"shallow": (64, 64), "low": (64, 64), "mid": (32, 32), "deep": (16, 16), "out": (64, 64)}),
        ((70, 93), {"shallow": (18, 24), "low": (18, 24), "mid": (9, 12), "deep": (5, 6), "out": (20, 24)}),
    ],
)
@pytest.mark.usefixtures("shallow")
def test_output_and_feature_sizes(size, sizes):
    module, image = build(GENERATOR, dtype=jnp.bfloat16), jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    outputs = jax.eval_shape(module.apply, initial_shapes(module, image), image)
    features = outputs.pop("features")
    assert outputs == {
        "restored": jax.ShapeDtypeStruct((2, *size, 3), jnp.float32),
        "reflection": jax.ShapeDtypeStruct((2, *size, 3), jnp.float32),
        "semantic_logits": jax.ShapeDtypeStruct((2, *size, 21), jnp.float32),
    }
    channels = {"shallow": 64, "low": 256, "mid": 512, "deep": 1024, "out": 256, "semantic": 256, "input": 3}
    sizes = sizes | {"semantic": sizes["out"], "input": size}
    for name in ("fusion", "channel", "pyramid", "guided_1", "guided_2"):
        channels[name], sizes[name] = 64, size
    assert {name: value.shape for name, value in features.items()} == {
        name: (2, *sizes[name], width) for name, width in channels.items()
    }


@pytest.mark.usefixtures("shallow")
def test_modes_differ_in_outputs_but_not_in_parameters():
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    trees = []
    for mode, names in MODES.items():
        module = build(GENERATOR, width="tiny", mode=mode)
        trees.append(initial_shapes(module, image))
        outputs = jax.eval_shape(module.apply, trees[-1], image)
        assert outputs.keys() == names | {"features"}
        # The encoder's features are returned in each mode.
        assert {"input", "shallow", "low", "mid", "deep", "out"} <= outputs["features"].keys()
    assert all(tree == trees[0] for tree in trees)


def test_unused_parts_are_skipped():
    sizes = {"input": (32, 40, 3), "shallow": (8, 10, 4), "low": (8, 10, 16), "mid": (4, 5, 8), "deep": (2, 3, 8)}
    features = {
        name: images(i, 1, *shape)
        for i, (name, shape) in enumerate({**sizes, "out": (8, 12, 16), "semantic": (8, 12, 16)}.items())
    }
    logits = images(9, 1, 32, 40, 5)
    parts = ("Channel", "Pyramid", "Guidance")
    variables = random_variables(initial_shapes(SeparationDecoder("tiny", parts), features, logits))
    results = [run(SeparationDecoder("tiny", parts[:n]), variables, features, logits) for n in (0, 2, 3)]
    states = ["fusion", "channel", "pyramid", "guided_1", "guided_2"]
    for (layers, actual), names in zip(results, (states[:1], states[:3], states), strict=True):
        assert set(actual) == set(names)
        for name in names:
            np.testing.assert_allclose(actual[name], results[-1][1][name], atol=1e-6)
        np.testing.assert_allclose(
            layers, head(variables["params"], variables["batch_stats"], actual[names[-1]]), atol=1e-5
        )


def head(params, statistics, x):
    """The last two layers by their definition."""
    x = literal.conv2d(x, **params["hidden"]["conv"])
    x = literal.relu(literal.batch_norm(x, **params["hidden"]["norm"], **statistics["hidden"]["norm"]))
    return literal.conv2d(x, **params["layers"])


@pytest.mark.parametrize(
    ("network_id", "model_args", "message"),
    [
        (GENERATOR, {"width": "wide"}, "width 'wide'"),
        (GENERATOR, {"backbone": "vgg19"}, "no backbone 'vgg19'; choose resnet101 or resnet50"),
        (GENERATOR, {"mode": "Basic+Chanel"}, "no mode 'Basic+Chanel'"),
        (GENERATOR, {"mode": "Channel"}, "no mode 'Channel'"),
        (GENERATOR, {"mode": "OnlySemantic+Channel"}, "no mode 'OnlySemantic+Channel'"),
        (DISCRIMINATOR, {"width": "wide"}, "width 'wide'"),
    ],
)
def test_invalid_model_args_are_rejected(network_id, model_args, message):
    with pytest.raises(UserError, match=re.escape(message)):
        build(network_id, **model_args)


@pytest.mark.parametrize(("network_id", "smallest"), [(GENERATOR, 32), (DISCRIMINATOR, 13)])
@pytest.mark.usefixtures("shallow")
def test_small_images_are_rejected(network_id, smallest):
    module = build(network_id, width="tiny")
    assert module.example_shapes(size=(1, 1)) == ((1, smallest, smallest, 3),)
    assert module.example_shapes(size=(40, 70)) == ((1, 40, 70, 3),)
    initial_shapes(module, jnp.zeros((1, smallest, smallest, 3)))
    with pytest.raises(UserError, match=f"at least {smallest}x{smallest}, not {smallest}x{smallest - 1}"):
        initial_shapes(module, jnp.zeros((1, smallest, smallest - 1, 3)))


# ------------------------------------------------------------------------------------------------------------ training


@pytest.fixture(scope="module")
def training():
    """Training passes with two dropout keys and their gradients, at width "tiny"."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "resnet101", (Shallow, (2,)))
        module, image = build(GENERATOR, width="tiny"), 2 * images(0, 2, 33, 40, 3) - 1
        variables = random_variables(initial_shapes(module, image))

        def loss(params, key):
            current = {"params": params, "batch_stats": variables["batch_stats"]}
            outputs, updates = module.apply(current, image, train=True, mutable=["batch_stats"], rngs={"dropout": key})
            total = sum(jnp.square(outputs[name]).mean() for name in MODES["Basic+Channel+Pyramid+Guidance"])
            return total, (outputs, updates["batch_stats"])

        results = compiled(jax.grad(loss, has_aux=True), variables["params"], jax.random.key(0))
        return variables, [results(variables["params"], jax.random.key(seed)) for seed in (1, 2)]


def test_gradients_are_finite_and_nonzero_for_all_used_parameters(training):
    _, [(gradients, (outputs, _)), _] = training
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((gradients, outputs)))
    unused = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if not np.any(leaf)
    }
    assert unused == {"encoder/aspp/unused_norm/bias", "encoder/aspp/unused_norm/scale"}


def test_only_the_semantic_branch_has_dropout(training):
    _, [(_, (first, _)), (_, (second, _))] = training
    same = {name for name, value in first["features"].items() if np.array_equal(value, second["features"][name])}
    assert first["features"].keys() - same == {"semantic", "guided_1", "guided_2"}


def test_dropout_depends_on_the_sample_and_not_on_its_position():
    features = {"out": images(0, 3, 4, 4, 16), "low": images(1, 3, 4, 4, 16), "input": images(2, 3, 16, 16, 3)}
    module = SemanticDecoder("tiny", 5)
    variables = random_variables(initial_shapes(module, features))
    samples, order = np.array([7, 2**32 - 1, 9], np.uint32), np.array([2, 0, 1])

    def forward(features, samples):
        rngs = {"dropout": jax.random.key(0)}
        return module.apply(variables, features, samples=samples, train=True, mutable=["batch_stats"], rngs=rngs)[0]

    forward = compiled(forward, features, samples)
    original = forward(features, samples)
    permuted = forward({name: x[order] for name, x in features.items()}, samples[order])
    others = forward(features, samples + np.uint32(1))
    for a, b, c in zip(original, permuted, others, strict=True):
        np.testing.assert_allclose(a[order], b, atol=1e-5)
        assert not np.allclose(a, c, atol=1e-2)
    # A tenth of the second layer is dropped, in addition to the zeros of its ReLU.
    assert 0.1 < np.mean(original[0] == 0) < 0.8


def test_momentum_is_smaller_in_the_semantic_branch(training):
    variables, [(_, (outputs, updates)), _] = training
    features, before = outputs["features"], variables["batch_stats"]
    for path, momentum, x in (
        (("semantic", "shortcut"), 0.0003, features["low"]),
        (("separation", "fusion", "out"), 0.1, features["out"]),
    ):
        layer, old, new = variables["params"], before, updates
        for name in path:
            layer, old, new = layer[name], old[name], new[name]
        y = literal.conv2d(x, **layer["conv"])
        y = y.reshape(-1, y.shape[-1])
        for actual, start, batch in (("mean", old, y.mean(axis=0)), ("var", old, y.var(axis=0, ddof=1))):
            np.testing.assert_allclose(
                np.asarray(new["norm"][actual], np.float64) - start["norm"][actual],
                momentum * (batch - start["norm"][actual]),
                atol=2e-7,
            )
    stem = {name: np.asarray(updates["encoder"]["backbone"]["stem_norm"][name]) for name in ("mean", "var")}
    for name, value in stem.items():
        change = np.abs(value - before["encoder"]["backbone"]["stem_norm"][name])
        assert 0 < change.max() < 0.0003 * 2
    jax.tree.map(
        np.testing.assert_array_equal,
        updates["encoder"]["aspp"]["unused_norm"],
        before["encoder"]["aspp"]["unused_norm"],
    )


def test_guidance_updates_the_statistics_of_shared_layers_twice():
    x, features, logits = images(0, 2, 9, 7, 4), images(1, 2, 4, 3, 6), images(2, 2, 9, 7, 3)
    variables = random_variables(initial_shapes(Guidance(), x, features, logits))
    params, before = variables["params"], variables["batch_stats"]
    batches = {name: [] for name in params}

    def layer(name, x, relu):
        y = literal.conv2d(x, **params[name]["conv"])
        flat = y.reshape(-1, y.shape[-1])
        batches[name].append((flat.mean(axis=0), flat.var(axis=0, ddof=1)))
        y = literal.batch_norm(y, **params[name]["norm"], mean=flat.mean(axis=0), var=flat.var(axis=0))
        return literal.relu(y) if relu else y

    state = x
    for name, guidance in (("read_features", features), ("read_logits", logits)):
        query = layer(name, literal.resize_bilinear(guidance, (9, 7), align_corners=True), True)
        y = layer("merge", np.concatenate((state, query), axis=-1), False)
        state = state + layer("conv2", layer("conv1", y, True), False) * query

    (_, guided), updated = run(Guidance(), variables, x, features, logits, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(guided, state, atol=1e-4)
    assert {name: len(passes) for name, passes in batches.items()} == {
        "read_features": 1, "read_logits": 1, "merge": 2, "conv1": 2, "conv2": 2
    }  # fmt: skip
    for name, passes in batches.items():
        mean, var = (np.asarray(before[name]["norm"][key], np.float64) for key in ("mean", "var"))
        for batch_mean, batch_var in passes:
            mean, var = 0.9 * mean + 0.1 * batch_mean, 0.9 * var + 0.1 * batch_var
        actual = updated["batch_stats"][name]["norm"]
        np.testing.assert_allclose(actual["mean"], mean, atol=1e-5)
        np.testing.assert_allclose(actual["var"], var, atol=1e-5)


def test_the_discriminator_has_no_state_and_finite_gradients():
    module, image = build(DISCRIMINATOR, width="tiny"), 2 * images(0, 2, 33, 41, 3) - 1
    variables = random_variables(initial_shapes(module, image))
    assert variables.keys() == {"params"}
    gradient = compiled(jax.grad(lambda v: jnp.square(module.apply(v, image)["probability"]).mean()), variables)
    gradients = gradient(variables)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(gradients))
