"""Keras files that are broken in every way: one line each, and nobody is taken along."""

from __future__ import annotations

import contextlib
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sirr_jax.errors import UserError
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.keras.convert import detect_keras
from sirr_jax.weights.readers import hdf5_file
from tests.helpers.keras_files import DISCRIMINATOR, GENERATOR, save_weights
from tests.helpers.narrow_edge_gan import layers, small

pytestmark = pytest.mark.usefixtures("trace_once")


def both(path):
    """What from_keras and detect_keras say, which must be the same line."""
    with pytest.raises(ConversionError) as first:
        small(GENERATOR, path=path)
    with pytest.raises(ConversionError) as second:
        detect_keras(path)
    assert str(first.value) == str(second.value)
    assert "\n" not in str(first.value)
    assert str(path) in str(first.value)
    return str(first.value)


def test_what_is_no_hdf5_is_told(tmp_path):
    path = tmp_path / "w.h5"
    assert "no file" in both(path)
    for content, said in (
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"\0" * 600, "no weight file"),
    ):
        path.write_bytes(content)
        assert said in both(path)


def test_a_file_that_is_cut_off_is_told(tmp_path):
    path = save_weights(tmp_path / "w.h5", layers(DISCRIMINATOR))
    whole = path.read_bytes()
    for size in (8, 700, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert "cannot be read as Keras weights" in both(path)


def damage(path, change):
    with h5py.File(path, "a") as file:
        change(file)
    return path


def without_names(file):
    del file.attrs["layer_names"]


def with_layer(**members):
    def change(file):
        del file["conv2d_94"]["conv2d_94"]["bias:0"]
        for link in members.values():
            file["conv2d_94"]["conv2d_94"]["bias:0"] = link

    return change


def with_external_numbers(file):
    del file["conv2d_94"]["conv2d_94"]["bias:0"]
    secret = Path(file.filename).with_name("secret")
    secret.write_bytes(b"\1" * 16)
    file["conv2d_94"]["conv2d_94"].create_dataset("bias:0", (4,), "<f4", external=[(str(secret), 0, 16)])


def with_a_huge_array(file):
    del file["conv2d_94"]["conv2d_94"]["bias:0"]
    file["conv2d_94"]["conv2d_94"].create_dataset("bias:0", (1 << 40,), "<f4", chunks=(1024,))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_names, "no attribute layer_names, which Keras 1 and 2 write"),
        (with_layer(), "bias:0 in /conv2d_94/conv2d_94 is missing or a link"),
        (with_layer(a=h5py.SoftLink("/conv2d_95/conv2d_95/bias:0")), "is missing or a link"),
        (with_layer(a=h5py.ExternalLink("other.h5", "/bias:0")), "is missing or a link"),
        (with_external_numbers, "/conv2d_94/conv2d_94/bias:0 refers to another file"),
    ],
    ids=["names", "missing", "soft link", "external link", "external numbers"],
)
def test_nothing_is_read_but_what_lies_in_the_file(tmp_path, change, said):
    assert said in both(damage(save_weights(tmp_path / "w.h5", layers(GENERATOR)), change))


def test_claims_beyond_reason_are_refused(tmp_path):
    path = damage(save_weights(tmp_path / "w.h5", layers(GENERATOR)), with_a_huge_array)
    with pytest.raises(ConversionError, match=r"claims \(1099511627776,\) numbers, too many for weights"):
        small(GENERATOR, path=path)
    # Without the numbers the shape tells.
    with pytest.raises(ConversionError, match="1 mis-shaped: conv1/bias"):
        detect_keras(path)


def test_a_list_of_names_without_end_is_refused(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["layer_names"] = np.zeros(1 << 18, "S65")
    assert "the attribute layer_names is too large" in both(path)


def test_integers_are_no_weights(tmp_path):
    path = save_weights(tmp_path / "w.h5", layers(GENERATOR, changes={"conv1/bias": np.zeros(4, np.int32)}))
    with pytest.raises(ConversionError, match="conv2d_94/bias:0 holds int32; expected floating-point numbers"):
        small(GENERATOR, path=path)


@pytest.mark.parametrize(
    ("program", "seconds", "said"),
    [
        ("import os; os.abort()", 60.0, "HDF5's library crashes on it; exit code -?[0-9]+"),
        ("import time; time.sleep(60)", 0.2, "HDF5's library hangs on it"),
    ],
    ids=["crash", "hang"],
)
def test_a_library_that_crashes_or_hangs_takes_no_one_with_it(tmp_path, monkeypatch, program, seconds, said):
    child = tmp_path / "child.py"
    child.write_text(program)
    monkeypatch.setattr(hdf5_file, "_CHILD", child)
    monkeypatch.setattr(hdf5_file, "_SECONDS", seconds)
    with pytest.raises(ConversionError, match=f"w.h5 is damaged .{said}.*; download it again"):
        small(GENERATOR, path=save_weights(tmp_path / "w.h5", layers(GENERATOR)))


@pytest.fixture(scope="module")
def valid_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "valid.h5"
    save_weights(path, [entry for entry in layers(DISCRIMINATOR) if entry[1]])
    return path.read_bytes()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.dictionaries(st.integers(0, 1 << 20), st.sampled_from([0, 1, 127, 128, 255]), max_size=6),
    kept=st.just(1.0) | st.floats(0.0, 1.0),
)
def test_changed_bytes_never_do_worse_than_an_error(tmp_path, monkeypatch, valid_file, discriminator, changes, kept):
    monkeypatch.setattr(hdf5_file, "_SECONDS", 5.0)
    data = bytearray(valid_file)
    for place, value in changes.items():
        data[place % len(data)] = value
    path = tmp_path / "w.h5"
    path.write_bytes(data[: round(kept * len(data))])
    with contextlib.suppress(UserError):
        found = small(DISCRIMINATOR, path=path)
        assert jax.tree.map(np.shape, found) == jax.tree.map(np.shape, discriminator)
