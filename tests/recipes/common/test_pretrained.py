"""Initial weights from a model file."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.recipes.common.pretrained import load_initial
from sirr_jax.weights.model_file import Model, StoredNetwork, save_model

NETWORKS = {
    "edge_net": ("edge_gan/edge_net", {"width": "tiny"}),
    "generator": ("edge_gan/generator", {"width": "tiny"}),
}


def tree(value):
    return {"params": {"conv": {"kernel": np.full((3, 3), value, np.float16)}}, "batch_stats": {"mean": np.zeros(2)}}


@pytest.fixture
def drawn():
    return {role: jax.tree.map(lambda x: jnp.asarray(x, jnp.float32) + 5, tree(0)) for role in NETWORKS}


def saved(path, networks):
    save_model(path, Model("edge_gan", networks, license="mine", description="here"))
    return str(path)


def test_variables_of_the_file_replace_the_drawn_ones(tmp_path, drawn):
    variables = tree(2) | {"passthrough": {"count": np.zeros(1)}}
    path = saved(tmp_path / "m.safetensors", {"generator": StoredNetwork(*NETWORKS["generator"], variables)})
    started = load_initial(path, NETWORKS, drawn)
    assert started["generator"].keys() == {"params", "batch_stats"}
    kernel = started["generator"]["params"]["conv"]["kernel"]
    assert kernel.dtype == jnp.float32
    np.testing.assert_array_equal(kernel, 2.0)
    assert started["edge_net"] is drawn["edge_net"]
    assert float(drawn["generator"]["params"]["conv"]["kernel"][0, 0]) == 5.0


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            StoredNetwork("dynamics/student", {}, tree(0)),
            r"contains dynamics/student; expected one or more of edge_gan/edge_net",
        ),
        (
            StoredNetwork("edge_gan/generator", {}, tree(0)),
            r"contains edge_gan/generator \{\}, and the config trains .*'width'",
        ),
        (
            StoredNetwork(*NETWORKS["generator"], {"params": {"a": np.zeros(1)}}),
            r"variables of edge_gan/generator do not fit",
        ),
    ],
)
def test_a_file_of_other_networks_is_an_error(tmp_path, drawn, network, message):
    role = "generator" if network.id.endswith("generator") else "student"
    path = saved(tmp_path / "m.safetensors", {role: network})
    with pytest.raises(UserError, match=message):
        load_initial(path, NETWORKS, drawn)
