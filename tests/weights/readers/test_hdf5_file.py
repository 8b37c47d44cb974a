"""Broken Keras files: one line of error each, and the process survives."""

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


def error_of(path):
    """Returns the error of from_keras and detect_keras, which must be the same line."""
    with pytest.raises(ConversionError) as first:
        small(GENERATOR, path=path)
    with pytest.raises(ConversionError) as second:
        detect_keras(path)
    assert str(first.value) == str(second.value)
    assert "\n" not in str(first.value)
    assert str(path) in str(first.value)
    return str(first.value)


def test_other_formats_are_rejected(tmp_path):
    path = tmp_path / "w.h5"
    assert "no file" in error_of(path)
    for content, message in (
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"\0" * 600, "no weight file"),
    ):
        path.write_bytes(content)
        assert message in error_of(path)


def test_truncated_files_are_rejected(tmp_path):
    path = save_weights(tmp_path / "w.h5", layers(DISCRIMINATOR))
    whole = path.read_bytes()
    for size in (8, 700, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert "cannot be read as Keras weights" in error_of(path)


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
    ("change", "message"),
    [
        (without_names, "no attribute layer_names, which Keras 1 and 2 write"),
        (with_layer(), "bias:0 in /conv2d_94/conv2d_94 is missing or a link"),
        (with_layer(a=h5py.SoftLink("/conv2d_95/conv2d_95/bias:0")), "is missing or a link"),
        (with_layer(a=h5py.ExternalLink("other.h5", "/bias:0")), "is missing or a link"),
        (with_external_numbers, "/conv2d_94/conv2d_94/bias:0 refers to another file"),
    ],
    ids=["names", "missing", "soft link", "external link", "external numbers"],
)
def test_links_and_external_arrays_are_rejected(tmp_path, change, message):
    assert message in error_of(damage(save_weights(tmp_path / "w.h5", layers(GENERATOR)), change))


def test_huge_arrays_are_rejected(tmp_path):
    path = damage(save_weights(tmp_path / "w.h5", layers(GENERATOR)), with_a_huge_array)
    with pytest.raises(ConversionError, match=r"has the shape \(1099511627776,\), too large for weights"):
        small(GENERATOR, path=path)
    # detect_keras does not read the values; it compares shapes.
    with pytest.raises(ConversionError, match="1 of wrong shape: conv1/bias"):
        detect_keras(path)


def test_huge_lists_of_names_are_rejected(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["layer_names"] = np.zeros(1 << 18, "S65")
    assert "the attribute layer_names is too large" in error_of(path)


def test_integer_arrays_are_rejected(tmp_path):
    path = save_weights(tmp_path / "w.h5", layers(GENERATOR, changes={"conv1/bias": np.zeros(4, np.int32)}))
    with pytest.raises(ConversionError, match="conv2d_94/bias:0 contains int32; expected floating-point numbers"):
        small(GENERATOR, path=path)


@pytest.mark.parametrize(
    ("program", "seconds", "message"),
    [
        ("import os; os.abort()", 60.0, "the HDF5 library crashes on it; exit code -?[0-9]+"),
        ("import time; time.sleep(60)", 0.2, "the HDF5 library hangs on it"),
    ],
    ids=["crash", "hang"],
)
def test_crash_and_hang_of_hdf5_are_contained(tmp_path, monkeypatch, program, seconds, message):
    worker = tmp_path / "worker.py"
    worker.write_text(program)
    monkeypatch.setattr(hdf5_file, "_WORKER", worker)
    monkeypatch.setattr(hdf5_file, "_TIMEOUT_SECONDS", seconds)
    with pytest.raises(ConversionError, match=f"w.h5 is damaged .{message}.*; download it again"):
        small(GENERATOR, path=save_weights(tmp_path / "w.h5", layers(GENERATOR)))


@pytest.fixture(scope="module")
def valid_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "valid.h5"
    save_weights(path, [entry for entry in layers(DISCRIMINATOR) if entry[1]])
    return path.read_bytes()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.dictionaries(st.integers(0, 1 << 20), st.sampled_from([0, 1, 127, 128, 255]), max_size=6),
    fraction=st.just(1.0) | st.floats(0.0, 1.0),
)
def test_from_keras_of_damaged_files(tmp_path, monkeypatch, valid_file, discriminator, changes, fraction):
    monkeypatch.setattr(hdf5_file, "_TIMEOUT_SECONDS", 5.0)
    data = bytearray(valid_file)
    for position, value in changes.items():
        data[position % len(data)] = value
    path = tmp_path / "w.h5"
    path.write_bytes(data[: round(fraction * len(data))])
    with contextlib.suppress(UserError):
        variables = small(DISCRIMINATOR, path=path)
        assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, discriminator)
