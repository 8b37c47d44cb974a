"""Initial weights from a model file."""

from __future__ import annotations

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from sirr_jax.errors import UserError
from sirr_jax.recipes.common.pretrained import load_initial
from sirr_jax.weights.convert import expected_shapes, from_torch
from sirr_jax.weights.keras.convert import to_keras
from sirr_jax.weights.model_file import Model, Parent, StoredNetwork, save_model
from sirr_jax.weights.variables import flatten
from tests.helpers.published import fill_random
from tests.helpers.torch_files import write_zip

NETWORKS = {
    "edge_net": ("edge_gan/edge_net", {"width": "tiny"}),
    "generator": ("edge_gan/generator", {"width": "tiny"}),
}
RESEARCH = Parent("sgrrn/generator", "CC-BY-NC-4.0", "2" * 64)


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


def test_every_format_that_converts_is_accepted(tmp_path):
    network_id, model_args = NETWORKS["generator"]
    state_dict = fill_random(expected_shapes(network_id, **model_args))
    variables = from_torch(network_id, state_dict, **model_args)
    average = {f"generator_ema.{key}": value for key, value in state_dict.items()}
    live = {f"generator.{key}": np.zeros_like(value) for key, value in state_dict.items()}
    checkpoint = write_zip(tmp_path / "m.ckpt", {"state_dict": live | average})
    paths = [checkpoint, tmp_path / "m.h5", tmp_path / "m.safetensors"]
    to_keras(network_id, variables, paths[1], **model_args)
    save_file(state_dict, paths[2])
    for path in paths:
        ancestries = {}
        started = load_initial(str(path), NETWORKS, {"generator": variables, "edge_net": None}, ancestries=ancestries)
        assert flatten(started["generator"]).keys() == flatten(variables).keys()
        for key, value in flatten(variables).items():
            np.testing.assert_array_equal(flatten(started["generator"])[key], value)
        ((parent,),) = (ancestries.pop("generator").parents,)
        assert (parent.name, parent.license) == ("edge_gan/generator", "none stated")
        assert parent.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert not ancestries


def test_parents_of_parents_and_steps_are_kept(tmp_path, drawn):
    network = StoredNetwork(*NETWORKS["generator"], tree(2))
    path = saved(tmp_path / "m.safetensors", {"generator": network._replace(parents=(RESEARCH,), steps=7)})
    ancestries = {}
    load_initial(path, NETWORKS, drawn, ancestries=ancestries)
    ancestry = ancestries["generator"]
    assert (ancestry.steps, ancestry.complete) == (7, True)
    assert [parent.license for parent in ancestry.parents] == ["CC-BY-NC-4.0", "mine"]


def test_an_untrained_network_is_an_error(tmp_path, drawn):
    network = StoredNetwork(*NETWORKS["generator"], tree(2), steps=0)
    path = saved(tmp_path / "m.safetensors", {"generator": network})
    with pytest.raises(UserError, match=r"never trained \(0 steps\); choose another config.init_from"):
        load_initial(path, NETWORKS, drawn)
