"""The store of networks that do not change."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from sirr_jax.training.frozen_store import FrozenStore

TREE = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.array([1.5, -0.0], ml_dtypes.bfloat16),
    "count": np.int32(7),
    "none": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def store(tmp_path):
    return FrozenStore(tmp_path / "frozen")


def test_tree_is_read_as_it_was_written(store):
    got = store.get(store.put(TREE), TREE)
    assert got.keys() == TREE.keys()
    for name, value in TREE.items():
        assert (got[name].dtype, got[name].shape) == (value.dtype, np.shape(value))
        assert got[name].tobytes() == value.tobytes()
        assert got[name].flags.writeable


def test_equal_trees_are_one_file_and_others_are_not(store, tmp_path):
    first, same = store.put(TREE), FrozenStore(tmp_path / "frozen").put(dict(TREE))
    assert first == same
    assert store.put({**TREE, "count": np.int32(8)}) != first
    assert len(list((tmp_path / "frozen").iterdir())) == 2


def test_damaged_file_is_refused_and_written_again(store, tmp_path):
    name = store.put(TREE)
    path = tmp_path / "frozen" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is damaged"):
        store.get(name, TREE)
    again = FrozenStore(tmp_path / "frozen")
    assert again.put(TREE) == name
    assert again.get(name, TREE)["count"] == 7


def test_missing_file_is_an_error(store):
    with pytest.raises(OSError, match="0" * 64):
        store.get("0" * 64, TREE)
