"""Key maps of networks without published weights: names, layouts, round trips, inferred arguments."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.variables import flatten, variable_shapes

TEACHER, STUDENT, DISCRIMINATOR = (f"dynamics/{name}" for name in ("teacher", "student", "discriminator"))
VARIANTS = [
    (TEACHER, {}),
    (TEACHER, {"width": "small"}),
    (TEACHER, {"width": "tiny"}),
    (TEACHER, {"mkl": False}),
    (TEACHER, {"width": "tiny", "decouple_net": False}),
    (TEACHER, {"width": "tiny", "flow_net": False}),
    (TEACHER, {"width": "tiny", "fusion_net": False}),
    (TEACHER, {"width": "small", "decouple_net": False, "flow_net": False, "fusion_net": False}),
    (STUDENT, {}),
    (STUDENT, {"width": "small"}),
    (STUDENT, {"width": "tiny"}),
    (STUDENT, {"hallucination": False}),
    (STUDENT, {"width": "tiny", "hallucination": False}),
    (DISCRIMINATOR, {}),
    (DISCRIMINATOR, {"width": "tiny"}),
    (DISCRIMINATOR, {"features": (4, 6, 8)}),
]


def draw_state_dict(network_id, **model_args):
    rng = np.random.default_rng(0)
    shapes = expected_shapes(network_id, **model_args)
    return {key: rng.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}


def infer(network_id, shapes):
    try:
        return key_map(network_id).infer_model_args(shapes)
    except (KeyError, IndexError):
        return None


@pytest.mark.parametrize(("network_id", "model_args"), VARIANTS, ids=str)
def test_model_args_are_inferred_from_keys(network_id, model_args):
    shapes = expected_shapes(network_id, **model_args)
    for other in (TEACHER, STUDENT, DISCRIMINATOR, "srnet/image_discriminator", "srnet/restorer"):
        assert infer(other, shapes) == (model_args if other == network_id else None), other


def test_switches_without_effect_are_not_inferred():
    # Without the module its parts do not exist.
    shapes = expected_shapes(TEACHER, width="tiny", mkl=False, flow_net=False)
    assert infer(TEACHER, shapes) == {"width": "tiny", "mkl": False}


def test_unknown_width_is_rejected():
    shapes = expected_shapes(STUDENT, width="tiny")
    assert infer(STUDENT, shapes | {"encoder.conv4.weight": (20, 12, 3, 3)}) is None


@pytest.mark.parametrize(
    ("network_id", "model_args"),
    [variant for variant in VARIANTS if variant[1].get("width") == "tiny" or "features" in variant[1]],
    ids=str,
)
def test_from_torch_to_torch_round_trip(network_id, model_args):
    state = draw_state_dict(network_id, **model_args)
    variables = from_torch(network_id, state, **model_args)
    shapes = {path: leaf.shape for path, leaf in flatten(variable_shapes(network_id, **model_args)).items()}
    assert {path: leaf.shape for path, leaf in flatten(variables).items()} == shapes
    back = to_torch(network_id, variables, **model_args)
    assert list(back) == list(state)
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value)
        assert back[key].flags.c_contiguous


def test_keys_follow_module_paths_in_torch_layout():
    shapes, state = expected_shapes(STUDENT), draw_state_dict(STUDENT)
    assert shapes["encoder.conv1.weight"] == (64, 3, 5, 5)
    assert shapes["encoder.conv1.bias"] == (64,)
    assert shapes["encoder.quarter5.excite.squeeze.weight"] == (16, 128)
    params = from_torch(STUDENT, state)["params"]
    kernel = params["encoder"]["conv3"]["kernel"]
    np.testing.assert_array_equal(kernel[2, 0, 5, 7], state["encoder.conv3.weight"][7, 5, 2, 0])
    dense = params["decoder"]["deep1"]["excite"]["excite"]["kernel"]
    np.testing.assert_array_equal(dense[3, 4], state["decoder.deep1.excite.excite.weight"][4, 3])


def test_batch_and_spectral_norm_have_torch_names():
    keys = expected_shapes("edge_gan/edge_net", width="tiny").keys()
    layers = {key.removesuffix(".running_mean") for key in keys if key.endswith(".running_mean")}
    assert layers
    for layer in layers:
        assert {f"{layer}.{part}" for part in ("weight", "bias", "running_mean", "running_var")} <= keys
    # Spectral normalization: torch's three arrays instead of the weight, in a layer with bias.
    keys = expected_shapes("srnet/refiner", width="tiny", spectral_norm=True).keys()
    assert {f"trunk.up1.{part}" for part in ("weight_orig", "weight_u", "weight_v", "bias")} <= keys
    assert not any(key.endswith(".weight") for key in keys)
