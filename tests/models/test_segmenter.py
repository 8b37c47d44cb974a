"""The segmenter of this project: size, design in NumPy, image sizes, names of its weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.weights import detect
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from tests.helpers import literal
from tests.helpers.networks import compile_apply, count, images, parameter_shapes, random_parameters, run

WIDTHS = {"base": (32, 48, 64, 96), "small": (8, 12, 16, 24), "tiny": (2, 3, 4, 6)}


def parameters(**model_args):
    module = build("segmenter", **model_args)
    return count(parameter_shapes(module, *module.example_shapes()))


def test_parameter_counts():
    a, b, c, d = WIDTHS["base"]
    convolutions = 9 * (3 * a + a * a + a * b + b * b + b * c + c * c + c * d + d * d + 4 * d * d)
    convolutions += 9 * (d * c + 2 * c * c + c * b + 2 * b * b + b * a + 2 * a * a)
    norms = 2 * (2 * a + 2 * b + 2 * c + 6 * d + c + b + a)
    enlargements = a + b + c
    assert parameters() == convolutions + norms + enlargements + (a + 1) * 7
    assert 300_000 < parameters() < 1_000_000
    assert parameters(classes=21) == parameters() + 14 * (a + 1)
    assert parameters(width="small") < 60_000


# --- the design in NumPy ------------------------------------------------------------------------------------------


def block(x, p, *, stride=1, dilation=1):
    x = literal.conv2d(x, **p["conv"], stride=stride, dilation=dilation)
    groups = np.gcd(x.shape[-1], 8)
    parts = x.reshape(*x.shape[:3], groups, -1)
    mean, variance = (f(parts, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
    return literal.relu(
        ((parts - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape) * p["norm"]["scale"] + p["norm"]["bias"]
    )


def segment(x, p):
    _, height, width, _ = x.shape
    x = np.pad(2 * x - 1, ((0, 0), (0, -height % 16), (0, -width % 16), (0, 0)), mode="reflect")
    skips = []
    for level in range(4):
        x = block(block(x, p[f"enter{level}"], stride=2), p[f"encode{level}"])
        skips.append(x)
    for i, dilation in enumerate((2, 4)):
        x = x + block(block(x, p[f"context{i}_1"], dilation=dilation), p[f"context{i}_2"])
    for level in (2, 1, 0):
        x = literal.conv2d(literal.upsample_nearest(x, 2), **p[f"enlarge{level}"])
        x = block(np.concatenate([x, skips[level]], axis=-1), p[f"decode{level}"])
    logits = literal.conv2d(x, **p["semantic_logits"])
    return literal.upsample_bilinear(logits, 2)[:, :height, :width]


def test_segmenter_matches_its_design():
    module = build("segmenter", width="tiny", classes=5)
    image = images(0, 2, 29, 36, 3)
    params = random_parameters(module, image.shape)
    actual = run(module, {"params": params}, image)
    assert actual.keys() == {"semantic_logits"}
    np.testing.assert_allclose(actual["semantic_logits"], segment(image, params), atol=2e-4)


def test_output_does_not_depend_on_the_other_images_of_the_batch():
    module = build("segmenter", width="tiny")
    image = images(1, 2, 32, 32, 3)
    params = random_parameters(module, image.shape)
    apply = compile_apply(module, params, image)
    first = apply(params, image)["semantic_logits"][0]
    other = apply(params, np.stack([image[0], 1 - image[1]]))["semantic_logits"][0]
    np.testing.assert_allclose(first, other, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (5, 30), (64, 64), (123, 77)])
def test_images_of_any_size(size):
    module = build("segmenter", width="tiny", dtype=jnp.bfloat16)
    call = lambda x: module.init_with_output(jax.random.key(0), x)  # noqa: E731
    outputs, variables = jax.eval_shape(call, jax.ShapeDtypeStruct((2, *size, 3), jnp.float32))
    assert outputs["semantic_logits"].shape == (2, *size, 7)
    assert {leaf.dtype for leaf in jax.tree.leaves((outputs, variables))} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("model_args", "message"),
    [
        ({"classes": 1}, "classes is 1; the segmenter needs at least 2 classes"),
        ({"width": "huge"}, "no width 'huge'"),
    ],
)
def test_invalid_model_args_are_rejected_by_build(model_args, message):
    with pytest.raises(UserError, match=message):
        build("segmenter", **model_args)


# --- names of weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model_args", [{}, {"width": "small", "classes": 21}, {"width": "tiny"}, {"classes": 2}], ids=str
)
def test_segmenter_is_detected_from_its_weights(model_args):
    shapes = expected_shapes("segmenter", **model_args)
    assert shapes["enter0.conv.weight"] == (WIDTHS[model_args.get("width", "base")][0], 3, 3, 3)
    assert detect({key: jax.ShapeDtypeStruct(shape, jnp.float32) for key, shape in shapes.items()}) == (
        "segmenter",
        model_args,
    )


def test_state_dict_round_trip():
    generator = np.random.default_rng(0)
    shapes = expected_shapes("segmenter", width="tiny")
    state = {key: generator.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}
    back = to_torch("segmenter", from_torch("segmenter", state, width="tiny"), width="tiny")
    assert list(back) == list(state)
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value)
