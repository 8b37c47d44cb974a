"""The ADE20K parser: published keys, reference outputs of a PyTorch twin, training."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers import networks, published


def published_shapes():
    parts = ("encoder", "decoder")
    return {f"{part}.{key}": shape for part in parts for key, shape in published.shapes(f"ade20k_ppm {part}").items()}


@pytest.fixture(scope="module")
def state_dict():
    return published.fill_random(published_shapes())


@pytest.fixture(scope="module")
def trained():
    """A training step of the narrow network: gradients, statistics, outputs and outputs of the layers."""
    network = build("ade20k_ppm", width="tiny")
    image = networks.images(4, 2, 33, 40, 3) * 4 - 2
    state = published.fill_random(expected_shapes("ade20k_ppm", width="tiny"))
    variables = from_torch("ade20k_ppm", state, width="tiny")

    def loss(params, image, key):
        outputs, rest = network.apply(
            {**variables, "params": params},
            image,
            train=True,
            mutable=["batch_stats", "intermediates"],
            capture_intermediates=True,
            rngs={"dropout": key},
        )
        total = jnp.square(outputs["semantic_logits"]).mean() + jnp.square(outputs["semantic_logits_deepsup"]).mean()
        return total, rest

    key = jax.random.key(0)
    step = jax.jit(jax.grad(loss, has_aux=True)).lower(variables["params"], image, key)
    step = step.compile(compiler_options={"xla_backend_optimization_level": 0})
    gradients, rest = jax.device_get(step(variables["params"], image, key))
    return {"image": image, "variables": variables, "gradients": gradients, **rest}


def test_parameter_count():
    network = build("ade20k_ppm")
    params = networks.parameter_shapes(network, *network.example_shapes())
    assert networks.count(params["encoder"]) == 23_631_808
    assert networks.count(params["decoder"]) == 27_947_308


@pytest.mark.parametrize("train", [False, True])
def test_logits_shapes(train):
    network = build("ade20k_ppm", width="tiny", classes=5, dtype=jnp.bfloat16)
    params = networks.parameter_shapes(network, *network.example_shapes())

    def apply(params, image):
        rngs = {"dropout": jax.random.key(0)}
        return network.apply({"params": params}, image, train=train, mutable=["batch_stats"], rngs=rngs)[0]

    for size, expected in (((512, 683), (64, 86)), ((9, 1), (2, 1))):
        outputs = jax.eval_shape(apply, params, jax.ShapeDtypeStruct((2, *size, 3), jnp.float32))
        names = {"semantic_logits", "semantic_logits_deepsup"} if train else {"semantic_logits"}
        assert set(outputs) == names
        for leaf in outputs.values():
            assert (leaf.shape, leaf.dtype) == ((2, *expected, 5), jnp.float32)


def test_outputs_match_the_reference(state_dict):
    image = networks.images(3, 1, 41, 57, 3)
    image = (image - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    outputs = networks.run(build("ade20k_ppm"), from_torch("ade20k_ppm", state_dict), image)
    expected = published.golden("ade20k_ppm")
    assert list(outputs) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, rtol=0, atol=2e-6 * np.abs(value).max(), err_msg=name)


def test_state_dict_round_trip(state_dict):
    returned = to_torch("ade20k_ppm", from_torch("ade20k_ppm", state_dict))
    assert list(returned) == list(state_dict)
    for key, value in state_dict.items():
        assert np.array_equal(returned[key], value), key


def test_synchronized_batch_norm_state_dict_round_trip():
    state = {}
    for key, shape in expected_shapes("ade20k_ppm", width="tiny").items():
        state[key] = np.zeros(shape, np.float32)
        if key.endswith("running_var"):
            norm = key.removesuffix("running_var")
            state[f"{norm}_tmp_running_mean"] = np.full(shape, 2, np.float32)
            state[f"{norm}_tmp_running_var"] = np.full(shape, 3, np.float32)
            state[f"{norm}_running_iter"] = np.full(1, 4, np.float32)
    variables = from_torch("ade20k_ppm", state, width="tiny")
    returned = to_torch("ade20k_ppm", variables, width="tiny")
    assert list(returned) == list(state)
    assert all(np.array_equal(returned[key], value) for key, value in state.items())


@pytest.mark.parametrize("model_args", [{}, {"classes": 19}, {"width": "tiny"}, {"width": "tiny", "classes": 3}])
def test_model_args_are_inferred_from_state_dicts(model_args):
    shapes = expected_shapes("ade20k_ppm", **model_args)
    assert key_map("ade20k_ppm").infer_model_args(shapes) == model_args
    if not model_args:
        listed = published_shapes().items()
        assert list(shapes.items()) == [each for each in listed if not each[0].endswith("num_batches_tracked")]


@pytest.mark.parametrize(
    "change",
    [
        {"encoder.conv1.weight": (64, 3, 7, 7), "decoder.ppm.0.1.weight": (512, 512, 1, 1)},
        {"encoder.conv1.weight": (32, 3, 3, 3)},
        {"encoder.layer3.6.conv3.weight": (1024, 256, 1, 1)},
    ],
)
def test_state_dicts_of_other_networks_are_not_recognized(change):
    assert key_map("ade20k_ppm").infer_model_args({**published_shapes(), **change}) is None


def test_gradients_are_finite_and_nonzero(trained):
    for path, leaf in jax.tree_util.tree_leaves_with_path(trained["gradients"]):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf), path


def test_running_statistics_have_momentum_0_001(trained):
    padded = np.pad(trained["image"], ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
    kernel = trained["variables"]["params"]["encoder"]["stem1"]["conv"]["kernel"]
    stem = np.einsum("bhwcij,ijco->bhwo", windows, kernel, dtype=np.float64)
    before = trained["variables"]["batch_stats"]["encoder"]["stem1"]["norm"]
    after = trained["batch_stats"]["encoder"]["stem1"]["norm"]
    mean, variance = stem.mean(axis=(0, 1, 2)), stem.var(axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(after["mean"], 0.999 * before["mean"] + 0.001 * mean, atol=1e-6)
    np.testing.assert_allclose(after["var"], 0.999 * before["var"] + 0.001 * variance, rtol=1e-6)


@pytest.mark.parametrize(("head", "dropout"), [("fuse", "Dropout_0"), ("fuse_deepsup", "Dropout_1")])
def test_dropout_drops_whole_channels(trained, head, dropout):
    layers = trained["intermediates"]["decoder"]
    before, after = np.asarray(layers[head]["__call__"][0]), np.asarray(layers[dropout]["__call__"][0])
    retained = np.abs(after).max(axis=(1, 2), keepdims=True) > 0
    alive = np.abs(before).max(axis=(1, 2), keepdims=True) > 0
    assert 0 < (alive & ~retained).sum() < 0.3 * alive.sum()
    np.testing.assert_allclose(after, np.where(retained, before / np.float32(0.9), 0), rtol=1e-6)


def test_unknown_widths_are_rejected_by_build():
    with pytest.raises(UserError, match="no width 'wide'"):
        build("ade20k_ppm", width="wide")
