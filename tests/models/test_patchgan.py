"""The patch discriminator against its specification in NumPy."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models.patchgan import PatchDiscriminator
from tests.helpers import literal
from tests.helpers.networks import compile_apply, count, images, parameter_shapes, random_parameters


def test_patch_discriminator_matches_the_specification():
    module = PatchDiscriminator(features=(4, 6, 8, 5))
    params, image = random_parameters(module, (1, 32, 32, 3)), images(0, 2, 33, 40, 3)
    outputs = compile_apply(module, params, image)(params, image)
    x = 2.0 * image.astype(np.float64) - 1.0
    x = literal.leaky_relu(literal.conv2d(x, **params["conv0"], stride=2, padding=1), 0.2)
    for i, stride in ((1, 2), (2, 2), (3, 1)):
        x = literal.instance_norm(literal.conv2d(x, **params[f"conv{i}"], stride=stride, padding=1))
        x = literal.leaky_relu(x, 0.2)
    assert outputs.keys() == {"logits"}
    np.testing.assert_allclose(outputs["logits"], literal.conv2d(x, **params["logits"], padding=1), atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 39), (256, 256)])
def test_one_logit_for_each_patch(size):
    shape = jax.eval_shape(
        lambda x: PatchDiscriminator().init_with_output(jax.random.key(0), x)[0]["logits"], jnp.zeros((2, *size, 3))
    ).shape
    # Three halvings, rounded down, then two 4x4 convolutions, each of which removes one pixel.
    assert shape == (2, size[0] // 2 // 2 // 2 - 2, size[1] // 2 // 2 // 2 - 2, 1)


def test_layers_match_the_specification_in_float32():
    shapes = parameter_shapes(PatchDiscriminator(dtype=jnp.bfloat16), (1, 32, 32, 3))
    kernels = [shapes[f"conv{i}"]["kernel"].shape for i in range(4)] + [shapes["logits"]["kernel"].shape]
    channels = (3, 64, 128, 256, 512, 1)
    assert kernels == [(4, 4, *pair) for pair in itertools.pairwise(channels)]
    assert count(shapes) == sum(16 * a * b + b for a, b in itertools.pairwise(channels))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}


def test_logits_are_float32_with_bfloat16_computation():
    module = PatchDiscriminator(dtype=jnp.bfloat16)
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params = parameter_shapes(module, image.shape)
    assert jax.eval_shape(module.apply, {"params": params}, image)["logits"].dtype == jnp.float32


def test_width_tiny_has_a_sixteenth_of_the_channels():
    shapes = parameter_shapes(PatchDiscriminator(width="tiny"), (1, 32, 32, 3))
    assert [shapes[f"conv{i}"]["bias"].shape for i in range(4)] == [(4,), (8,), (16,), (32,)]
    with pytest.raises(UserError, match="no width 'wide'"):
        PatchDiscriminator(width="wide")


@pytest.mark.parametrize(("features", "side"), [((4, 4), 6), ((4, 4, 4, 4), 24)])
def test_smallest_image_has_one_patch(features, side):
    module = PatchDiscriminator(features=features)
    assert module.example_shapes(size=(1, 40)) == ((1, side, 40, 3),)
    apply = lambda x: module.init_with_output(jax.random.key(0), x)[0]["logits"]  # noqa: E731
    assert jax.eval_shape(apply, jnp.zeros((1, side, side, 3))).shape == (1, 1, 1, 1)
    with pytest.raises(UserError, match=f"{side - 1}x40 is too small .*; it takes images from {side} px a side"):
        jax.eval_shape(apply, jnp.zeros((1, side - 1, 40, 3)))
