"""The student against its specification in NumPy: switch, initialization, precision, padding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.models import build
from tests.helpers import literal_dynamics
from tests.helpers.networks import compile_apply, images, parameter_shapes, random_parameters

IMAGE = (1, 16, 16, 3)


def assert_all_close(outputs, expected, atol=2e-5):
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, atol=atol, rtol=1e-4, err_msg=name)


def test_student_matches_the_specification(student):
    expected = literal_dynamics.student(student.padded, student.params)
    expected["restored"] = expected["restored"][:, :18, :21]
    assert 0.2 < np.mean(np.abs(expected["restored"] - student.inputs)) < 20.0
    assert_all_close(student.outputs, expected)


def test_internal_padding_matches_explicit_padding(student):
    outputs = compile_apply(student.module, student.params, student.padded)(student.params, student.padded)
    outputs["restored"] = outputs["restored"][:, :18, :21]
    assert_all_close(outputs, student.outputs, atol=1e-5)


def test_initial_student_is_the_identity(student, initial_student):
    outputs = student.apply(initial_student, student.inputs)
    np.testing.assert_array_equal(outputs["restored"], student.inputs)
    assert np.all(np.std(outputs["knowledge"], axis=(0, 1, 2)) > 0.0)


def test_student_without_hallucination_decodes_the_features(student):
    module = build("dynamics/student", width="tiny", hallucination=False)
    whole, tree = (jax.tree.map(lambda x: x.shape, parameter_shapes(m, IMAGE)) for m in (student.module, module))
    assert tree == {name: part for name, part in whole.items() if name != "hallucination"}
    params, image = random_parameters(module, IMAGE), images(2, *IMAGE)
    outputs = compile_apply(module, params, image)(params, image)
    np.testing.assert_array_equal(outputs["knowledge"], outputs["features"])
    assert_all_close(outputs, literal_dynamics.student(image, params, hallucination=False))


def test_bfloat16_is_close_to_float32_and_keeps_float32_parameters_and_images(student):
    module = build("dynamics/student", width="tiny", dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(parameter_shapes(module, IMAGE))} == {jnp.dtype("float32")}
    outputs = compile_apply(module, student.params, student.inputs)(student.params, student.inputs)
    assert {name: x.dtype for name, x in outputs.items()} == {
        "restored": jnp.float32,
        "knowledge": jnp.bfloat16,
        "features": jnp.bfloat16,
    }
    for name, expected in student.outputs.items():
        error = np.asarray(outputs[name], np.float32) - expected
        assert 0.0 < np.sqrt(np.mean(error**2)) < 0.03 * np.std(expected), name


@pytest.mark.parametrize("width", ["base", "small", "tiny"])
def test_encoder_and_decoder_have_the_shapes_of_the_teacher(width):
    trees = [
        jax.tree.map(lambda x: x.shape, parameter_shapes(build(f"dynamics/{name}", width=width), shape))
        for name, shape in (("teacher", (1, 3, 16, 16, 3)), ("student", IMAGE))
    ]
    for part in ("encoder", "decoder"):
        assert trees[0][part] == trees[1][part]
