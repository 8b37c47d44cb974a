"""VGG-16 and VGG-19 up to any layer, the conventions of their inputs, and torchvision's keys."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.models.vgg import Vgg16, Vgg19, normalize
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers import literal, published
from tests.helpers.networks import compile_apply, count, images, parameter_shapes, random_parameters, run

# Positions of the convolutions in torchvision's `features`.
POSITIONS = {
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}
FIRST = ("conv1_1", "conv1_2", "conv2_1")


def features_by_definition(image, params, layers, pool=np.max):
    x, features, block = image.astype(np.float64), {}, "1"
    for name in layers:
        if name[4] != block:
            height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
            x = pool(np.stack([x[:, i:height:2, j:width:2] for i in range(2) for j in range(2)]), axis=0)
            block = name[4]
        features[name] = literal.conv2d(x, **params[name])
        x = features[name.replace("conv", "relu")] = literal.relu(features[name])
    return features


def published_shapes(network, width="base"):
    """torchvision's keys and shapes, with the full-width classifier."""
    shapes = expected_shapes(network, width=width)
    for layer, shape in ((0, (4096, 25088)), (3, (4096, 4096)), (6, (1000, 4096))):
        shapes |= {f"classifier.{layer}.weight": shape, f"classifier.{layer}.bias": shape[:1]}
    return shapes


@pytest.mark.parametrize(("pool", "mean"), [("max", np.max), ("average", np.mean)])
def test_prefix_of_vgg19_matches_its_definition_at_odd_sizes(pool, mean):
    module = Vgg19(layers=FIRST, pool=pool)
    params, image = random_parameters(module, (1, 8, 8, 3)), images(0, 2, 5, 7, 3)
    features = compile_apply(module, params, image)(params, image)
    expected = features_by_definition(image, params, FIRST, mean)
    assert list(features) == ["relu1_1", "relu1_2", "relu2_1"]
    assert features["relu2_1"].shape == (2, 2, 3, 128)
    for name, value in features.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-4)


def test_narrow_vgg16_matches_its_definition_before_and_after_each_relu():
    module = Vgg16(width="tiny", pre_activations=True)
    params, image = random_parameters(module, (1, 16, 16, 3)), images(0, 1, 18, 33, 3)
    features = run(module, {"params": params}, image)
    expected = features_by_definition(image, params, module.layers)
    assert features.keys() == expected.keys()
    assert features["conv5_2"].min() < 0.0
    for name, value in expected.items():
        np.testing.assert_allclose(features[name], value, atol=1e-4)


@pytest.mark.parametrize(
    ("module", "parameters", "last"),
    [(Vgg16(), 14_714_688, (2, 2, 3, 3, 3)), (Vgg19(), 20_024_384, (2, 2, 4, 4, 4))],
    ids=["vgg16", "vgg19"],
)
def test_layers_are_in_five_blocks(module, parameters, last):
    image = jax.ShapeDtypeStruct((1, 50, 33, 3), jnp.float32)
    params = parameter_shapes(module, image.shape)
    assert count(params) == parameters
    features = jax.eval_shape(module.apply, {"params": params}, image)
    assert len(features) == sum(last)
    shapes = [(50, 33, 64), (25, 16, 128), (12, 8, 256), (6, 4, 512), (3, 2, 512)]
    assert [features[f"relu{b}_{i}"].shape[1:] for b, i in enumerate(last, 1)] == shapes


def test_too_small_images_are_rejected():
    module = Vgg19(width="tiny")
    assert module.example_shapes() == ((1, 64, 64, 3),)
    assert module.example_shapes(size=(4, 40)) == ((1, 16, 40, 3),)
    assert Vgg19(layers=FIRST).example_shapes(size=(1, 1)) == ((1, 2, 2, 3),)
    params = parameter_shapes(module, (1, 16, 16, 3))
    with pytest.raises(UserError, match=r"image size 15x20 is too small for conv5_4; .* from 16 pixels a side"):
        jax.eval_shape(module.apply, {"params": params}, jnp.zeros((1, 15, 20, 3)))


@pytest.mark.parametrize(
    ("model_args", "message"),
    [
        (
            {"layers": ("conv1_1", "conv2_1")},
            "layers conv1_1, conv2_1 are not the first convolutions of Vgg16; give the first few",
        ),
        ({"layers": ()}, r"layers \(\) are not the first convolutions"),
        (
            {"layers": ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_4")},
            "conv3_4 are not the first convolutions",
        ),
        ({"pool": "mean"}, "there is no pooling 'mean'; choose one of max, average"),
        ({"width": "huge"}, "there is no width 'huge'"),
    ],
)
def test_invalid_model_args_are_rejected_by_build(model_args, message):
    with pytest.raises(UserError, match=message):
        build("vgg16", **model_args)


def test_bfloat16_computation_keeps_float32_parameters():
    module, image = Vgg19(layers=("conv1_1",), dtype=jnp.bfloat16), jax.ShapeDtypeStruct((1, 4, 4, 3), jnp.float32)
    params = parameter_shapes(module, image.shape)
    assert params["conv1_1"]["kernel"].dtype == jnp.float32
    assert jax.eval_shape(module.apply, {"params": params}, image)["relu1_1"].dtype == jnp.bfloat16


def test_gradient_of_an_initial_narrow_network_is_finite_and_nonzero():
    module, image = Vgg19(width="tiny"), images(1, 1, 16, 17, 3)
    params = initialize(module, jax.random.key(0), image.shape)["params"]

    def loss(image):
        return jnp.square(module.apply({"params": params}, image)["relu5_4"]).mean()

    gradient = jax.jit(jax.grad(loss), compiler_options={"xla_backend_optimization_level": 0})(image)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0.0


@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
def test_keys_match_torchvision(network):
    keys = [f"features.{position}.{part}" for position in POSITIONS[network] for part in ("weight", "bias")]
    shapes = expected_shapes(network)
    assert list(shapes) == keys
    assert shapes[keys[0]] == (64, 3, 3, 3)
    assert shapes[keys[-2]] == (512, 512, 3, 3)
    if network == "vgg19":
        errnets = published.shapes("vgg19")
        assert {key.removeprefix("vgg_pretrained_"): shape for key, shape in errnets.items()} == shapes


@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
@pytest.mark.parametrize("classifier", [False, True])
def test_state_dict_round_trip(network, classifier):
    shapes = expected_shapes(network, width="tiny")
    if classifier:
        shapes |= {
            f"classifier.{i}.{part}": (5, 2)[: 2 - j] for i in (0, 3, 6) for j, part in enumerate(("weight", "bias"))
        }
    state = published.fill_random(shapes)
    variables = from_torch(network, state, width="tiny")
    kernel = variables["params"]["conv2_1"]["kernel"]
    np.testing.assert_array_equal(kernel[0, 2, 3, 5], state["features.5.weight"][5, 3, 0, 2])
    back = to_torch(network, variables, width="tiny")
    assert list(back) == list(state)
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value)


def test_unused_layers_of_a_state_dict_are_kept():
    state = published.fill_random(expected_shapes("vgg16", width="tiny"))
    variables = from_torch("vgg16", state, width="tiny", layers=FIRST)
    assert variables["params"].keys() == set(FIRST)
    back = to_torch("vgg16", variables, width="tiny", layers=FIRST)
    assert list(back) == list(state)
    np.testing.assert_array_equal(back["features.28.bias"], state["features.28.bias"])


def cut(shapes, keys):
    return dict(list(shapes.items())[:keys])


@pytest.mark.parametrize(("network", "other"), [("vgg16", "vgg19"), ("vgg19", "vgg16")])
def test_model_args_are_inferred_from_state_dicts(network, other):
    infer, infer_other = key_map(network).infer_model_args, key_map(other).infer_model_args
    for width, model_args in (("base", {}), ("tiny", {"width": "tiny"})):
        shapes = published_shapes(network, width)
        assert infer(shapes) == model_args
        assert infer_other(shapes) is None
        # Up to the third convolution of the third block, the two networks are equal.
        expected = {"layers": build(network).layers[:7]} | model_args
        assert infer(cut(shapes, 14)) == infer_other(cut(shapes, 14)) == expected
        assert infer(cut(shapes, 16)) == {"layers": build(network).layers[:8]} | model_args
        assert infer_other(cut(shapes, 16)) is None
        # A convolution without its bias is not used.
        assert infer(cut(shapes, 13)) == {"layers": build(network).layers[:6]} | model_args


@pytest.mark.parametrize(
    "shapes",
    [
        {"features.0.weight": (64, 3, 11, 11), "features.0.bias": (64,)},
        {"features.0.weight": (64, 3, 3, 3)},
        {"features.0.weight": (64, 3, 3, 3), "features.0.bias": (64,), "features.1.weight": (64,)},
        {"features.0.weight": (32, 3, 3, 3), "features.0.bias": (32,)},
    ],
    ids=["alexnet", "half", "batch norm", "narrower"],
)
def test_state_dicts_of_other_networks_are_not_recognized(shapes):
    assert key_map("vgg16").infer_model_args(shapes) is None
    assert key_map("vgg19").infer_model_args(shapes) is None


@pytest.mark.parametrize("convention", ["caffe", "torchvision"])
def test_normalize_matches_both_conventions(convention):
    image = images(1, 2, 3, 4, 3)
    if convention == "caffe":
        expected = np.stack([255.0 * image[..., c] - m for c, m in ((2, 103.939), (1, 116.779), (0, 123.68))], -1)
    else:
        channels = enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True))
        expected = np.stack([(image[..., c] - m) / s for c, (m, s) in channels], -1)
    actual = jax.jit(functools.partial(normalize, convention=convention))(image)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
