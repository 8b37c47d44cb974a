"""DeepLabV2: published keys, reference outputs of a PyTorch twin, scales, training."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.layers.resize import resize_bilinear
from sirr_jax.models import build
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers import networks, published

MEAN_BGR = np.float32([104.008, 116.669, 122.675])


@pytest.fixture(scope="module")
def state_dict():
    return published.fill_random(published.shapes("deeplabv2"))


@pytest.fixture(scope="module")
def outputs(state_dict):
    image = networks.images(3, 1, 41, 57, 3) * 255 - MEAN_BGR
    return networks.run(build("deeplabv2"), from_torch("deeplabv2", state_dict), image)


@pytest.fixture(scope="module")
def trained():
    """A training step of the narrow network at one scale."""
    network = build("deeplabv2", width="tiny", scales=())
    image = networks.images(4, 2, 33, 40, 3) * 255 - MEAN_BGR
    state = published.fill_random(expected_shapes("deeplabv2", scales=(), width="tiny"))
    variables = from_torch("deeplabv2", state, scales=(), width="tiny")

    def loss(params, image):
        logits, updated = network.apply({**variables, "params": params}, image, train=True, mutable=["batch_stats"])
        return jnp.square(logits["semantic_logits"]).mean(), updated["batch_stats"]

    step = jax.jit(jax.grad(loss, has_aux=True)).lower(variables["params"], image)
    step = step.compile(compiler_options={"xla_backend_optimization_level": 0})
    return image, variables, *jax.device_get(step(variables["params"], image))


@pytest.mark.parametrize(("classes", "expected"), [(21, 44_048_532), (182, 55_919_384)])
def test_parameter_count(classes, expected):
    network = build("deeplabv2", classes=classes, scales=())
    assert networks.count(networks.parameter_shapes(network, *network.example_shapes())) == expected


def test_logits_shapes():
    network = build("deeplabv2", width="tiny", classes=5, scales=(0.5,), dtype=jnp.bfloat16)
    params = networks.parameter_shapes(build("deeplabv2", width="tiny", classes=5, scales=()), (1, 64, 64, 3))

    def sizes(height, width):
        image = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
        logits = jax.eval_shape(lambda p, x: network.apply({"params": p}, x, mutable=["batch_stats"])[0], params, image)
        assert {leaf.dtype for leaf in jax.tree.leaves(logits)} == {jnp.dtype("float32")}
        assert logits["semantic_logits"].shape == logits["semantic_logits_scales"][0].shape
        return [leaf.shape for leaf in logits["semantic_logits_scales"]]

    # The published crops of 513 pixels give 65, because the max pooling rounds up.
    assert sizes(513, 321) == [(2, 65, 41, 5), (2, 33, 21, 5)]
    assert sizes(2, 16) == [(2, 1, 3, 5), (2, 1, 2, 5)]


def test_outputs_match_the_reference(outputs):
    expected = published.golden("deeplabv2")
    actual = {"semantic_logits": outputs["semantic_logits"]}
    actual |= {f"scale{i}": logits for i, logits in enumerate(outputs["semantic_logits_scales"])}
    assert list(actual) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=0, atol=2e-6 * np.abs(value).max(), err_msg=name)


def test_output_is_the_maximum_over_scales(outputs):
    full, *others = outputs["semantic_logits_scales"]
    resized = [np.asarray(resize_bilinear(jnp.asarray(each), full.shape[1:3])) for each in others]
    stacked = np.stack([full, *resized])
    np.testing.assert_allclose(outputs["semantic_logits"], stacked.max(axis=0), atol=1e-4)
    assert set(np.unique(stacked.argmax(axis=0))) == {0, 1, 2}


def test_state_dict_round_trip(state_dict):
    returned = to_torch("deeplabv2", from_torch("deeplabv2", state_dict))
    assert list(returned) == list(state_dict)
    for key, value in state_dict.items():
        assert np.array_equal(returned[key], value), key


@pytest.mark.parametrize("model_args", [{}, {"classes": 182}, {"width": "tiny"}, {"width": "tiny", "classes": 3}])
def test_model_args_are_inferred_from_state_dicts(model_args):
    shapes = expected_shapes("deeplabv2", scales=(), **model_args)
    assert key_map("deeplabv2").infer_model_args(shapes) == model_args
    if "width" not in model_args:
        name = "deeplabv2 classes=182" if model_args else "deeplabv2"
        listed = published.shapes(name).items()
        assert list(shapes.items()) == [each for each in listed if not each[0].endswith("num_batches_tracked")]


@pytest.mark.parametrize(
    "change",
    [
        {"base.layer1.conv1.conv.weight": (32, 3, 7, 7)},
        {"base.aspp.c3.weight": (21, 512, 3, 3)},
        {"base.layer4.block23.increase.conv.weight": None},
    ],
)
def test_state_dicts_of_other_networks_are_not_recognized(change):
    shapes = {**published.shapes("deeplabv2"), **change}
    shapes = {key: shape for key, shape in shapes.items() if shape is not None}
    assert key_map("deeplabv2").infer_model_args(shapes) is None


@pytest.mark.slow
def test_gradients_are_finite_and_nonzero(trained):
    _, _, gradients, _ = trained
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf), path


@pytest.mark.slow
def test_running_statistics_have_momentum_0_001(trained):
    image, variables, _, statistics = trained
    padded = np.pad(image, ((0, 0), (3, 3), (3, 3), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2))[:, ::2, ::2]
    stem = np.einsum("bhwcij,ijco->bhwo", windows, variables["params"]["base"]["stem"]["kernel"], dtype=np.float64)
    before, after = variables["batch_stats"]["base"]["stem_norm"], statistics["base"]["stem_norm"]
    mean, variance = stem.mean(axis=(0, 1, 2)), stem.var(axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(after["mean"], 0.999 * before["mean"] + 0.001 * mean, atol=1e-5)
    np.testing.assert_allclose(after["var"], 0.999 * before["var"] + 0.001 * variance, rtol=1e-5)


def test_images_without_pixels_at_a_scale_are_rejected():
    network = build("deeplabv2", width="tiny")
    with pytest.raises(UserError, match=r"1x9 shrinks to nothing at scale 0\.5"):
        jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 1, 9, 3), jnp.float32))


def test_unknown_widths_are_rejected_by_build():
    with pytest.raises(UserError, match="no width 'wide'"):
        build("deeplabv2", width="wide")
