"""Model files: what goes in comes out, and nothing is lost when something goes wrong."""

from __future__ import annotations

import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import random_parameters
from safetensors.numpy import save_file

import sirr_jax
from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.weights import model_file
from sirr_jax.weights.model_file import load_model, save_model

CARD = {
    "recipe": "dynamics",
    "network": "dynamics/student",
    "hyper": {"width": "test", "hallucination": False},
    "licence": "Apache-2.0",
    "origin": "a test, “in” Zürich",
}


def arrays():
    rng = np.random.default_rng(0)
    return {
        "encoder": {"conv1": {"kernel": rng.standard_normal((3, 3, 2, 4)).astype(np.float32), "bias": np.zeros(4)}},
        "scale": np.float32(2.5),
        "order": np.asfortranarray(rng.standard_normal((3, 5)).astype(np.float32)),
        "empty": np.zeros((0, 3), np.float32),
    }


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert isinstance(a, np.ndarray)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == np.asarray(b).tobytes()


def test_parameters_and_card_come_back(tmp_path):
    path = tmp_path / "new" / "folder" / "model.safetensors"
    save_model(path, arrays(), **CARD)
    card, params = load_model(str(path))
    assert card == CARD | {"version": sirr_jax.__version__}
    assert_same(params, arrays())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_network_fits_its_own_file(tmp_path):
    module = build(CARD["network"], **CARD["hyper"])
    params = random_parameters(module, (1, 16, 16, 3))
    save_model(tmp_path / "model.safetensors", jax.tree.map(jnp.asarray, params), **CARD)
    card, loaded = load_model(tmp_path / "model.safetensors")
    assert build(card["network"], **card["hyper"]) == module
    assert_same(loaded, params)


def test_existing_files_are_replaced_on_request_only(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, {"a": np.zeros(1, np.float32)}, **CARD)
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"model.safetensors exists; choose another name or ask to overwrite"):
        save_model(path, {"a": np.ones(1, np.float32)}, **CARD)
    assert path.read_bytes() == before
    save_model(path, {"a": np.ones(1, np.float32)}, **CARD, overwrite=True)
    assert load_model(path)[1]["a"] == 1.0


@pytest.mark.parametrize("hyper", [{"width": "test"}, {"dtype": jnp.float32}], ids=["disk", "card"])
def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch, hyper):
    path = tmp_path / "model.safetensors"
    save_model(path, {"a": np.zeros(1, np.float32)}, **CARD)
    before = path.read_bytes()

    def full(path, data):
        with path.open("wb") as file:
            file.write(data[:9])
        raise OSError(28, "No space left on device")

    if "width" in hyper:
        monkeypatch.setattr(model_file.Path, "write_bytes", full)
    with pytest.raises((OSError, TypeError)):
        save_model(path, {"a": np.ones(1, np.float32)}, **(CARD | {"hyper": hyper}), overwrite=True)
    assert path.read_bytes() == before


def refused(path, message):
    with pytest.raises(UserError, match=message) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path):
    refused(tmp_path / "none.safetensors", "no model file at")
    refused(tmp_path, "no model file at")


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 64, b"PK\x03\x04" + bytes(64)])
def test_files_of_another_format_are_refused(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    refused(tmp_path / "model.safetensors", "cannot be read as safetensors .*export the model again")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {"card": "null"},
        {"card": "[1]"},
        {"card": json.dumps({"network": "dynamics/student"})},
    ],
)
def test_foreign_safetensors_are_refused_for_their_lack_of_a_card(tmp_path, metadata):
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "model.safetensors", metadata=metadata)
    refused(tmp_path / "model.safetensors", "has no sirr_jax card")


def test_a_foreign_type_of_number_is_no_excuse(tmp_path):
    header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"12")
    refused(tmp_path / "model.safetensors", "has no sirr_jax card")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_is_survived(tmp_path, data):
    path = tmp_path / "model.safetensors"
    save_model(path, arrays(), **CARD, overwrite=True)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[position:]
    else:
        content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        card, _ = load_model(path)
    except UserError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert card.keys() >= CARD.keys()
