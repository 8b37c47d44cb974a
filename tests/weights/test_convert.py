"""Conversion of state dicts to variables and back."""

from __future__ import annotations

import jax
import ml_dtypes
import numpy as np
import pytest

from sirr_jax.models import list_networks
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.variables import flatten, variable_shapes
from tests.helpers.published import fill_random

ID = "attentive_gan/discriminator"


@pytest.fixture
def state_dict():
    return fill_random(expected_shapes(ID, width="tiny"))


@pytest.mark.parametrize("network_id", list_networks())
def test_from_torch_to_torch_round_trip_of_every_network(network_id):
    state_dict = fill_random(expected_shapes(network_id, width="tiny"))
    variables = from_torch(network_id, state_dict, width="tiny")
    used = {name: tree for name, tree in variables.items() if name != "passthrough"}
    shapes = variable_shapes(network_id, width="tiny")
    assert jax.tree.map(lambda x: x.shape, used) == jax.tree.map(lambda x: x.shape, shapes)
    returned = to_torch(network_id, variables, width="tiny")
    assert list(returned) == list(state_dict)
    for key, value in state_dict.items():
        assert returned[key].tobytes() == value.tobytes()
        assert returned[key].flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_dtypes_are_preserved(state_dict, dtype):
    state_dict = {key: value.astype(dtype) for key, value in state_dict.items()}
    variables = from_torch(ID, state_dict, width="tiny")
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype(dtype)}
    assert all(value.dtype == dtype for value in to_torch(ID, variables, width="tiny").values())


def test_from_torch_shares_memory_with_the_state_dict(state_dict):
    variables = from_torch(ID, state_dict, width="tiny")
    kernels = [leaf for path, leaf in flatten(variables).items() if path[-1] == "kernel"]
    assert len(kernels) == 11
    assert all(any(np.shares_memory(leaf, value) for value in state_dict.values()) for leaf in kernels)


def test_from_torch_ignores_prefixes(state_dict):
    prefixed = {f"module.netG.{key}": value for key, value in state_dict.items()}
    a, b = (from_torch(ID, sd, width="tiny") for sd in (state_dict, prefixed))
    assert flatten(a).keys() == flatten(b).keys()


def test_from_torch_lists_missing_unexpected_and_misshaped_keys(state_dict):
    del state_dict["conv2.0.bias"], state_dict["fc.1.weight"]
    state_dict["conv9.0.weight"] = np.zeros(1, np.float32)
    state_dict["fc.0.weight"] = state_dict["fc.0.weight"].T
    state_dict["conv1.0.bias"] = np.zeros((), np.float32)
    with pytest.raises(ConversionError) as caught:
        from_torch(ID, state_dict, width="tiny")
    error = caught.value
    assert error.missing == ("conv2.0.bias", "fc.1.weight")
    assert error.unexpected == ("conv9.0.weight",)
    assert [key for key, _, _ in error.misshaped] == ["conv1.0.bias", "fc.0.weight"]
    text = str(error)
    assert "\n" not in text
    assert (
        "2 missing: conv2.0.bias, fc.1.weight; 1 unexpected: conv9.0.weight; 2 of wrong shape: conv1.0.bias is a sca"
        in text
    )
    assert "(transposed?)" in text


def test_to_torch_lists_missing_unexpected_and_misshaped_paths(state_dict):
    variables = from_torch(ID, state_dict, width="tiny")
    flat = flatten(variables)
    path = next(path for path in flat if path[-1] == "kernel")
    node = variables
    for name in path[:-1]:
        node = node[name]
    del node["kernel"]
    node["other"] = np.zeros(2)
    node["bias"] = np.zeros((1, 1))
    with pytest.raises(ConversionError) as caught:
        to_torch(ID, variables, width="tiny")
    assert caught.value.missing == ("/".join(path),)
    assert caught.value.unexpected == ("/".join((*path[:-1], "other")),)
    assert [key for key, _, _ in caught.value.misshaped] == ["/".join((*path[:-1], "bias"))]
