"""The teacher against its specification in NumPy: switches, initialization, precision, padding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.models import build
from tests.helpers import literal_dynamics
from tests.helpers.networks import compile_apply, images, parameter_shapes, random_parameters

FRAMES = (1, 3, 16, 16, 3)
SWITCHES = ("mkl", "decouple_net", "flow_net", "fusion_net")


def assert_all_close(outputs, expected, atol=2e-5):
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, atol=atol, rtol=1e-4, err_msg=name)


def test_teacher_matches_the_specification(teacher):
    expected = literal_dynamics.teacher(teacher.padded, teacher.params)
    expected["restored"] = expected["restored"][:, :18, :21]
    # Random flows, neither zero nor far out of the frame: otherwise the comparison would not test the warps.
    assert 0.3 < np.abs(expected["flow_t"]).mean() < 5.0
    assert 0.2 < np.mean(np.abs(expected["restored"] - teacher.inputs[:, 1])) < 20.0
    assert_all_close(teacher.outputs, expected)


def test_internal_padding_matches_explicit_padding(teacher):
    apply = compile_apply(teacher.module, teacher.params, teacher.padded, train=True)
    outputs = apply(teacher.params, teacher.padded)
    outputs["restored"] = outputs["restored"][:, :18, :21]
    assert_all_close(outputs, teacher.outputs, atol=1e-5)


def test_initial_teacher_is_the_identity_with_zero_flow(teacher, initial_teacher):
    outputs = teacher.apply(initial_teacher, teacher.inputs)
    np.testing.assert_array_equal(outputs["restored"], teacher.inputs[:, 1])
    assert not np.any(outputs["flow_t"])
    assert not np.any(outputs["flow_r"])
    assert np.all(np.std(outputs["knowledge"], axis=(0, 1, 2)) > 0.0)
    assert np.all(np.isfinite(outputs["knowledge"]))


def test_only_last_layers_are_initially_zero(initial_teacher):
    zero = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(initial_teacher)
        if leaf.ndim > 1 and not np.any(leaf)
    }
    heads = {f"flow/{name}/flow/kernel" for name in ("estimator16", "estimator8", "estimator4", "context")}
    assert zero == heads | {"decoder/out/kernel"}


def test_outputs_for_losses_are_returned_only_in_training(teacher):
    outputs = jax.eval_shape(teacher.module.apply, {"params": teacher.params}, teacher.inputs)
    shapes = {name: x.shape for name, x in outputs.items()}
    assert shapes == {"restored": (2, 18, 21, 3), "knowledge": (2, 8, 8, 16), "features": (2, 8, 8, 16)}


def test_bfloat16_is_close_to_float32_and_keeps_float32_parameters_flows_and_images(teacher):
    module = build("dynamics/teacher", width="tiny", dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(parameter_shapes(module, FRAMES))} == {jnp.dtype("float32")}
    outputs = compile_apply(module, teacher.params, teacher.inputs, train=True)(teacher.params, teacher.inputs)
    features = {"knowledge", "features", "psi_t", "psi_r"}
    for name, expected in teacher.outputs.items():
        assert outputs[name].dtype == (jnp.bfloat16 if name in features else jnp.float32), name
        error = np.asarray(outputs[name], np.float32) - expected
        assert 0.0 < np.sqrt(np.mean(error**2)) < 0.05 * np.std(expected), name


@pytest.fixture(scope="module")
def whole_tree(teacher):
    return jax.tree.map(lambda x: x.shape, parameter_shapes(teacher.module, FRAMES))


@pytest.mark.parametrize("switch", SWITCHES)
def test_switches_change_parameters_and_computation_as_specified(switch, whole_tree):
    module = build("dynamics/teacher", width="tiny", **{switch: False})
    tree = jax.tree.map(lambda x: x.shape, parameter_shapes(module, FRAMES))
    shared = {name: part for name, part in whole_tree.items() if name in tree and name != "fusion"}
    assert shared == {name: part for name, part in tree.items() if name not in ("fusion", "knowledge")}
    gone = {
        "mkl": {"decouple", "flow", "fusion", "head_t", "head_r"},
        "decouple_net": {"decouple", "head_t", "head_r"},
        "flow_net": {"flow"},
        "fusion_net": set(),
    }[switch]
    assert whole_tree.keys() - tree.keys() == gone
    if switch == "mkl":
        assert tree["knowledge"] == {"kernel": (1, 1, 16, 16), "bias": (16,)}
    elif switch == "fusion_net":
        assert tree["fusion"] == {"merge": {"kernel": (1, 1, 64, 16), "bias": (16,)}}
    else:
        assert tree["fusion"] == whole_tree["fusion"]

    params, frames = random_parameters(module, FRAMES), images(2, *FRAMES)
    outputs = compile_apply(module, params, frames, train=True)(params, frames)
    renamed = {switch if switch == "mkl" else f"{switch}_on": False}
    assert_all_close(outputs, literal_dynamics.teacher(frames, params, **renamed))
