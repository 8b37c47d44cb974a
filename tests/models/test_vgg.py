"""VGG-19 up to any layer, and the inputs its weights expect."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import literal
import numpy as np
import pytest
from networks import compile_apply, count, images, parameter_shapes, random_parameters

from sirr_jax.models.vgg import Vgg19, normalise


def features_by_definition(image, params, layers):
    x, features, block = image.astype(np.float64), {}, "1"
    for name in layers:
        if name[4] != block:
            height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
            x = np.stack([x[:, i:height:2, j:width:2] for i in range(2) for j in range(2)]).max(axis=0)
            block = name[4]
        x = literal.relu(literal.conv2d(x, **params[name]))
        features[name.replace("conv", "relu")] = x
    return features


def test_a_prefix_equals_its_definition_at_odd_sizes():
    layers = ("conv1_1", "conv1_2", "conv2_1")
    module = Vgg19(layers=layers)
    params, image = random_parameters(module, (1, 8, 8, 3)), images(0, 2, 5, 7, 3)
    features = compile_apply(module, params, image)(params, image)
    expected = features_by_definition(image, params, layers)
    assert list(features) == list(expected)
    assert features["relu2_1"].shape == (2, 2, 3, 128)
    for name, value in expected.items():
        np.testing.assert_allclose(features[name], value, atol=1e-4)


def test_the_whole_network_has_sixteen_layers_in_five_blocks():
    module, image = Vgg19(), jax.ShapeDtypeStruct((1, 50, 33, 3), jnp.float32)
    params = parameter_shapes(module, image.shape)
    assert count(params) == 20_024_384
    features = jax.eval_shape(module.apply, {"params": params}, image)
    assert len(features) == 16
    names = ["relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4"]
    shapes = [(50, 33, 64), (25, 16, 128), (12, 8, 256), (6, 4, 512), (3, 2, 512)]
    assert [features[name].shape[1:] for name in names] == shapes


def test_bfloat16_concerns_the_computation_alone():
    module, image = Vgg19(layers=("conv1_1",), dtype=jnp.bfloat16), jax.ShapeDtypeStruct((1, 4, 4, 3), jnp.float32)
    params = parameter_shapes(module, image.shape)
    assert params["conv1_1"]["kernel"].dtype == jnp.float32
    assert jax.eval_shape(module.apply, {"params": params}, image)["relu1_1"].dtype == jnp.bfloat16


@pytest.mark.parametrize("convention", ["caffe", "torchvision"])
def test_inputs_are_brought_into_the_range_of_the_weights(convention):
    image = images(1, 2, 3, 4, 3)
    if convention == "caffe":
        expected = np.stack([255.0 * image[..., c] - m for c, m in ((2, 103.939), (1, 116.779), (0, 123.68))], -1)
    else:
        channels = enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True))
        expected = np.stack([(image[..., c] - m) / s for c, (m, s) in channels], -1)
    np.testing.assert_allclose(jax.jit(normalise, static_argnums=1)(image, convention), expected, atol=1e-4)
