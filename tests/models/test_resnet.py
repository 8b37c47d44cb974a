"""ResNet-50 and ResNet-101: sizes, keys, statistics. tests/parity and the references of SGRRN compare values."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.layers.bottleneck import Bottleneck
from sirr_jax.models import build
from sirr_jax.models.resnet import ResNet
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers import literal, published
from tests.helpers.networks import count, images, parameter_shapes, run

NETWORKS = ("resnet50", "resnet101")
PREFIX = "encoder.backbone."


def torchvision_shapes(network_id):
    """Keys of torchvision's files: those of SGRRN's backbone and of the classifier."""
    name = "sgrrn/generator" + (" backbone=resnet50" if network_id == "resnet50" else "")
    keys = {k.removeprefix(PREFIX): s for k, s in published.shapes(name).items() if k.startswith(PREFIX)}
    return keys | {"fc.weight": (1000, 2048), "fc.bias": (1000,)}


class Shallow(ResNet):
    """One block per stage, because gradients of deep networks take long to compile."""

    blocks = (1, 1, 1, 1)


def variable_shapes(module, shape):
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), image)


def random_variables(module, shape):
    shapes, rng = variable_shapes(module, shape), np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: 1 + 0.5 * rng.standard_normal(leaf.shape, np.float32), shapes["params"])
    return {
        "params": params,
        "batch_stats": jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes["batch_stats"]),
    }


def output_shapes(module, shape):
    features = jax.eval_shape(module.apply, variable_shapes(module, shape), jax.ShapeDtypeStruct(shape, jnp.float32))
    return {name: (value.shape, value.dtype) for name, value in features.items()}


@pytest.mark.parametrize(("network_id", "expected"), [("resnet50", 23_508_032), ("resnet101", 42_500_160)])
def test_parameter_counts(network_id, expected):
    shapes = parameter_shapes(build(network_id, dtype=jnp.bfloat16), (1, 32, 32, 3))
    assert count(shapes) == expected
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(("output_stride", "strides"), [(32, (8, 16, 32)), (16, (8, 16, 16)), (8, (8, 8, 8))])
def test_feature_sizes_are_rounded_up_and_dilation_replaces_strides(output_stride, strides):
    module = build("resnet50", output_stride=output_stride, dtype=jnp.bfloat16)
    shapes = output_shapes(module, (2, 75, 130, 3))
    strides = dict(zip(("stem", "stage1", "stage2", "stage3", "stage4"), (4, 4, *strides), strict=True))
    channels = (64, 256, 512, 1024, 2048)
    assert shapes == {
        name: ((2, -(-75 // stride), -(-130 // stride), width), jnp.bfloat16)
        for (name, stride), width in zip(strides.items(), channels, strict=True)
    }


def test_images_of_any_size():
    shapes = output_shapes(Shallow(width="tiny"), (1, 1, 5, 3))
    columns = {name: shape[2] for name, (shape, _) in shapes.items()}
    assert columns == {"stem": 2, "stage1": 2, "stage2": 1, "stage3": 1, "stage4": 1}


@pytest.mark.parametrize(
    ("model_args", "message"),
    [
        ({"width": "wide"}, "width 'wide'"),
        ({"output_stride": 4}, "output_stride is 4"),
        ({"last_dilations": [2, 2]}, "3 numbers"),
    ],
)
def test_invalid_model_args_are_rejected(model_args, message):
    with pytest.raises(UserError, match=message):
        build("resnet50", **model_args)


def test_stride_is_in_the_reduce_or_spatial_convolution():
    with pytest.raises(UserError, match="'reduce' or 'spatial'"):
        Bottleneck(4, stride_on="middle")
    # In the first convolution, it makes the output independent of every second row and column.
    x = images(0, 1, 7, 6, 5)
    odd = x.copy()
    odd[:, 1::2] += 1.0
    for stride_on, hidden in (("reduce", True), ("spatial", False)):
        block = Bottleneck(2, stride=2, project=True, stride_on=stride_on)
        y = np.asarray(block.apply(random_variables(block, x.shape), np.concatenate((x, odd))))
        assert y.shape == (2, 4, 3, 8)
        assert np.allclose(y[0], y[1]) == hidden


@pytest.mark.parametrize("network_id", NETWORKS)
def test_torchvision_state_dict_round_trip(network_id):
    shapes = torchvision_shapes(network_id)
    state = {key: np.arange(math.prod(shape), dtype=np.float32).reshape(shape) for key, shape in shapes.items()}
    back = to_torch(network_id, from_torch(network_id, state))
    assert list(back) == list(state)
    assert all(back[key].dtype == value.dtype and np.array_equal(back[key], value) for key, value in state.items())
    # Files of old releases have no counters; files for features only have no classifier.
    needed = {key: shape for key, shape in shapes.items() if "num_batches" not in key and not key.startswith("fc.")}
    assert expected_shapes(network_id) == needed
    assert list(expected_shapes(network_id)) == list(needed)
    from_torch(network_id, {key: state[key] for key in needed})


@pytest.mark.parametrize("network_id", NETWORKS)
def test_model_args_are_inferred_from_state_dicts(network_id):
    base = torchvision_shapes(network_id)
    other = torchvision_shapes(next(name for name in NETWORKS if name != network_id))
    infer = key_map(network_id).infer_model_args
    assert infer(base) == {}
    assert infer(expected_shapes(network_id, width="tiny")) == {"width": "tiny"}
    assert infer(other) is None
    # Wide ResNets differ in the 3x3 convolutions.
    assert infer(base | {"layer1.0.conv2.weight": (128, 128, 3, 3)}) is None
    with pytest.raises(KeyError):
        infer(published.shapes("sgrrn/generator"))


@pytest.fixture(scope="module")
def training():
    """Forward pass and gradient of one training step."""
    module, image = Shallow(width="tiny", momentum=0.25), images(1, 2, 33, 40, 3)
    variables = random_variables(module, image.shape)

    def loss(params, image):
        current = {"params": params, "batch_stats": variables["batch_stats"]}
        features, updates = module.apply(current, image, train=True, mutable=["batch_stats"])
        return jnp.square(features["stage4"]).mean() + features["stage2"].mean(), (features, updates)

    lowered = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(variables["params"], image)
    compiled = lowered.compile(compiler_options={"xla_backend_optimization_level": 0})
    # Converted to NumPy, because each reduction of a JAX array would be compiled.
    (_, (features, updates)), gradients = jax.tree.map(np.asarray, compiled(variables["params"], image))
    return image, variables, features, updates["batch_stats"], gradients


def test_gradients_are_finite_and_nonzero(training):
    _, _, features, _, gradients = training
    assert all(np.isfinite(value).all() for value in jax.tree.leaves(features))
    assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients))


def test_running_statistics_are_updated_with_momentum_and_unbiased_variance(training):
    image, variables, _, updates, _ = training
    x = literal.conv2d(image, variables["params"]["stem_conv"]["kernel"], stride=2, padding=3).reshape(-1, 4)
    actual = updates["stem_norm"]
    np.testing.assert_allclose(actual["mean"], 0.75 + 0.25 * x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(actual["var"], 0.75 + 0.25 * x.var(axis=0, ddof=1), rtol=1e-4)
    changed = jax.tree.map(lambda a, b: np.any(np.asarray(a) != b), updates, variables["batch_stats"])
    assert all(jax.tree.leaves(changed))


def test_running_statistics_are_constant_in_evaluation(training):
    image, variables, *_ = training
    _, updates = run(Shallow(width="tiny"), variables, image, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], variables["batch_stats"])


def test_features_of_a_full_network_are_finite():
    module, image = build("resnet50", width="tiny"), images(2, 1, 32, 32, 3)
    state = published.fill_random(expected_shapes("resnet50", width="tiny"))
    features = run(module, from_torch("resnet50", state, width="tiny"), image)
    assert all(np.isfinite(value).all() and value.std() > 1e-3 for value in features.values())
