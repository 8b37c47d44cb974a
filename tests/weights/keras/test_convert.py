"""Keras files of edge_gan: all layouts, errors of the mapping, unsupported requests."""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
import sys

import h5py
import jax
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.keras import convert
from sirr_jax.weights.keras.convert import detect_keras, from_keras, to_keras
from sirr_jax.weights.key_maps.edge_gan import KERAS_NETWORKS, LAYER_ARRAYS
from sirr_jax.weights.variables import flatten, variable_shapes
from tests.helpers import keras_files, published
from tests.helpers.keras_files import (
    ATTENTION_NET,
    DISCRIMINATOR,
    EDGE_NET,
    GENERATOR,
    save_combined,
    save_model,
    save_weights,
)
from tests.helpers.narrow_edge_gan import NETWORKS, arrays, assert_same, keras_shapes, layers, small

pytestmark = pytest.mark.usefixtures("trace_once")


# Table of layers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network_id", NETWORKS)
def test_keras_networks_match_the_published_list(network_id):
    expected = published.shapes(f"{network_id} keras")
    assert keras_shapes(network_id) == expected
    assert list(keras_shapes(network_id)) == list(expected)


def test_attention_net_is_saved_in_order_of_depth():
    order = [
        *range(15),  # step 1
        *range(15, 26),  # trunk of step 2
        *(*range(31, 40), 27, 26, 28, 40, 41, 29),  # trunk of step 3, in it the gates f, i, g, o of step 2
        *(*range(47, 56), 43, 42, 44, 56, 57, 45),  # trunk of step 4, in it those of step 3
        *(59, 58, 60, 61, 62),  # gates and mask of step 4
    ]
    assert [layer.relative_index for layer in KERAS_NETWORKS[ATTENTION_NET].layers] == order
    # In order of creation the gates are i, f, g, o.
    by_index = {layer.relative_index: layer.name for layer in KERAS_NETWORKS[ATTENTION_NET].layers}
    assert [by_index[i] for i in (11, 12, 13, 14)] == ["step1.gate_i", "step1.gate_g", "step1.gate_o", "step1.mask"]
    for step, start in ((2, 26), (3, 42), (4, 58)):
        assert [by_index[start + i] for i in range(4)] == [f"step{step}.gate_{gate}" for gate in "ifgo"]
    assert not {30, 46} & by_index.keys()  # masks that are not connected to the output


# Layouts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network_id", NETWORKS)
def test_to_keras_from_keras_round_trip(tmp_path, network_id):
    rng = np.random.default_rng(1)
    variables = jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), variable_shapes(network_id, width="tiny")
    )
    jax.tree.leaves(variables)[0].flat[0] = np.uint32(0x7FC00123).view(np.float32)  # a NaN with payload
    path = tmp_path / "new" / "w.h5"
    to_keras(network_id, variables, path, width="tiny")
    assert_same(from_keras(network_id, path, width="tiny"), variables)
    assert detect_keras(path) == (network_id, {"width": "tiny"})
    assert [file.name for file in path.parent.iterdir()] == ["w.h5"]


def test_to_keras_writes_the_layout_of_keras(tmp_path):
    save_weights(tmp_path / "in.h5", layers(ATTENTION_NET))
    to_keras(
        ATTENTION_NET, from_keras(ATTENTION_NET, tmp_path / "in.h5", width="tiny"), tmp_path / "out.h5", width="tiny"
    )
    with h5py.File(tmp_path / "in.h5") as expected, h5py.File(tmp_path / "out.h5") as written:
        assert list(written.attrs["layer_names"]) == [n for n in expected.attrs["layer_names"] if len(expected[n])]
        assert written.attrs["layer_names"].dtype.kind == "S"
        assert written.attrs["layer_names"][35:37].tolist() == [b"conv2d_58", b"conv2d_57"]
        assert (written.attrs["backend"], written.attrs["keras_version"]) == (b"tensorflow", b"2.1.6-tf")
        for name in written.attrs["layer_names"]:
            weights = written[name].attrs["weight_names"]
            assert weights.tolist() == expected[name].attrs["weight_names"].tolist()
            for weight in weights:
                assert written[name][weight].dtype == np.float32
                np.testing.assert_array_equal(written[name][weight], expected[name][weight])


@pytest.mark.parametrize("network_id", NETWORKS)
@pytest.mark.parametrize("save", [save_weights, save_model])
def test_from_keras_of_weights_and_models(tmp_path, network_id, save):
    variables = flatten(from_keras(network_id, save(tmp_path / "w.h5", layers(network_id)), width="tiny"))
    for layer in KERAS_NETWORKS[network_id].layers:
        for part in LAYER_ARRAYS[layer.class_name]:
            expected = arrays(network_id)[f"{layer.name}/{part}"]
            if layer.class_name == "conv2d_transpose" and part == "kernel":
                expected = expected.transpose(0, 1, 3, 2)  # stored as (height, width, out, in)
            np.testing.assert_array_equal(variables[layer.variable(part)], expected)
    assert len(variables) == len(arrays(network_id))


@pytest.mark.parametrize("uniquifier", ["", "_1"])
def test_from_keras_of_nested_models(tmp_path, uniquifier):
    # With counters that start at 0, a uniquifier cannot be distinguished from a counter.
    generator, discriminator = layers(GENERATOR, {}), layers(DISCRIMINATOR)
    path = save_combined(tmp_path / "combined.h5", generator, discriminator, uniquifier=uniquifier)
    alone = save_weights(tmp_path / "alone.h5", generator)
    assert_same(small(GENERATOR, path=path), small(GENERATOR, path=alone))
    alone = save_weights(tmp_path / "alone.h5", discriminator)
    assert_same(small(DISCRIMINATOR, path=path), small(DISCRIMINATOR, path=alone))
    assert detect_keras(path) == (GENERATOR, {"width": "tiny"})
    with pytest.raises(ConversionError, match=f"combined.h5 contains {GENERATOR} and {DISCRIMINATOR}, not {EDGE_NET}"):
        small(EDGE_NET, path=path)


@pytest.mark.parametrize("first", [{}, {"conv2d": 7}, {"conv2d": 1031}])
def test_counters_may_start_anywhere(tmp_path, first):
    expected = small(ATTENTION_NET, path=save_weights(tmp_path / "fresh.h5", layers(ATTENTION_NET)))
    assert_same(small(ATTENTION_NET, path=save_weights(tmp_path / "w.h5", layers(ATTENTION_NET, first))), expected)


def test_each_class_has_its_own_counter(tmp_path):
    first = {"conv2d": 5, "batch_normalization": 40, "conv2d_transpose": 2}
    expected = small(EDGE_NET, path=save_weights(tmp_path / "fresh.h5", layers(EDGE_NET)))
    assert_same(small(EDGE_NET, path=save_weights(tmp_path / "w.h5", layers(EDGE_NET, first))), expected)


def test_names_stored_as_text_and_in_several_attributes(tmp_path):
    expected = small(GENERATOR, path=save_weights(tmp_path / "bytes.h5", layers(GENERATOR)))
    path = save_weights(tmp_path / "w.h5", layers(GENERATOR), names="O")
    assert_same(small(GENERATOR, path=path), expected)
    with h5py.File(path, "a") as file:  # Keras splits lists beyond 64 kB
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:9], names[9:]
    assert_same(small(GENERATOR, path=path), expected)


@pytest.mark.parametrize("dtype", [">f4", "<f8", "<f2"])
def test_other_dtypes_become_float32(tmp_path, dtype):
    kernel = np.full((5, 5, 5, 4), 0.1).astype(dtype)
    path = save_weights(tmp_path / "w.h5", layers(GENERATOR, changes={"conv1/kernel": kernel}))
    converted = small(GENERATOR, path=path)["params"]["conv1"]["kernel"]
    assert converted.dtype == np.float32
    np.testing.assert_array_equal(converted, kernel.astype(np.float32))


# Errors of the mapping -----------------------------------------------------------------------------------------------


def swap_layers(file_layers, one, other):
    """Swaps two layers."""
    names = [name for name, _ in file_layers]
    a, b = names.index(one), names.index(other)
    file_layers[a], file_layers[b] = file_layers[b], file_layers[a]
    return file_layers


def test_names_and_order_must_agree(tmp_path):
    # All gates have the same shape: without this check a file in order of creation would load without an error.
    path = save_weights(tmp_path / "w.h5", swap_layers(layers(ATTENTION_NET), "conv2d_57", "conv2d_58"))
    with pytest.raises(ConversionError, match=r"conv2d_57 is step2.gate_i by its name, .* step2.gate_f was expected"):
        small(ATTENTION_NET, path=path)
    combined = save_combined(
        tmp_path / "combined.h5", swap_layers(layers(GENERATOR), "conv2d_98", "conv2d_99"), layers(DISCRIMINATOR)
    )
    with pytest.raises(ConversionError, match=r"conv2d_98 comes after conv2d_99; neither names nor order"):
        small(GENERATOR, path=combined)


def test_transposed_kernel_in_torch_order_is_rejected(tmp_path):
    kernel = arrays(GENERATOR)["deconv2/kernel"]
    assert kernel.shape == (4, 4, 4, 8)  # (height, width, out, in)
    path = save_weights(tmp_path / "w.h5", layers(GENERATOR, changes={"deconv2/kernel": kernel.swapaxes(2, 3)}))
    with pytest.raises(ConversionError, match=r"deconv2/kernel \(conv2d_transpose_2\) is 4x4x8x4, expected 4x4x4x8"):
        small(GENERATOR, path=path)


def test_from_keras_lists_missing_unexpected_and_misshaped_arrays(tmp_path):
    file_layers = [entry for entry in layers(GENERATOR) if entry[0] not in ("conv2d_99", "conv2d_103")]
    file_layers.append(["conv2d_300", [["conv2d_300/kernel:0", np.zeros((3, 3, 2, 2), np.float32)]]])
    file_layers.append(["embedding", [["embedding/embeddings:0", np.zeros((3, 3), np.float32)]]])
    by_name = dict(file_layers)
    by_name["conv2d_94"][0][1] = np.zeros((5, 5, 4, 4), np.float32)
    by_name["conv2d_95"].pop()
    by_name["conv2d_96"].append(["conv2d_96/gamma:0", np.zeros(8, np.float32)])
    with pytest.raises(ConversionError) as caught:
        small(GENERATOR, path=save_weights(tmp_path / "w.h5", file_layers))
    error = caught.value
    missing = [f"{name}/{part}" for name in ("conv6", "dil4_r16") for part in ("kernel", "bias")]
    assert error.missing == (*missing, "conv2_s2/bias")
    assert error.unexpected == ("conv2d_300", "embedding", "conv2d_96/gamma")
    assert error.misshaped == (("conv1/kernel (conv2d_94)", (5, 5, 4, 4), (5, 5, 5, 4)),)
    assert str(error).startswith(f"{tmp_path}/w.h5: the weights do not fit {GENERATOR}; 5 missing: conv6/kernel, ")
    assert "\n" not in str(error)


@pytest.mark.parametrize(("stored", "requested"), [*itertools.pairwise(NETWORKS), (DISCRIMINATOR, EDGE_NET)])
def test_file_of_another_network_is_rejected(tmp_path, stored, requested):
    path = save_weights(tmp_path / "w.h5", layers(stored))
    with pytest.raises(ConversionError, match=f"w.h5 contains {stored}, not {requested}"):
        small(requested, path=path)


def test_width_is_not_inferred_by_from_keras(tmp_path):
    path = save_weights(tmp_path / "w.h5", layers(DISCRIMINATOR))
    with pytest.raises(
        ConversionError, match=r"21 of wrong shape: conv1/kernel \(conv2d_109\) is 5x5x3x2, expected 5x5x3x8"
    ):
        from_keras(DISCRIMINATOR, path)


# Detection -----------------------------------------------------------------------------------------------------------


def test_detect_keras_infers_the_head(tmp_path):
    file_layers = keras_files.layers(DISCRIMINATOR, arrays(DISCRIMINATOR, head="gap"))
    path = save_weights(tmp_path / "w.h5", file_layers)
    assert detect_keras(path) == (DISCRIMINATOR, {"width": "tiny", "head": "gap"})
    assert from_keras(DISCRIMINATOR, path, width="tiny", head="gap")["params"]["fc1"]["kernel"].shape == (1, 8)


def test_detect_keras_of_published_width(tmp_path):
    zeros = {name: np.zeros(shape, np.float32) for name, shape in keras_shapes(ATTENTION_NET).items()}
    assert detect_keras(save_weights(tmp_path / "w.h5", keras_files.layers(ATTENTION_NET, zeros))) == (
        ATTENTION_NET,
        {},
    )


@pytest.mark.parametrize(
    ("file_layers", "message"),
    [
        (
            [["lstm", [["lstm/kernel:0", np.zeros((2, 8), np.float32)]]]],
            r"contains no known network \(its layers .*: lstm\)",
        ),
        (
            [["input_1", []]],
            r"contains no known network \(no weights\); Keras files are supported for edge_gan/edge_net, ",
        ),
    ],
    ids=["foreign", "empty"],
)
def test_detect_keras_rejects_unknown_networks(tmp_path, file_layers, message):
    with pytest.raises(ConversionError, match=message):
        detect_keras(save_weights(tmp_path / "w.h5", file_layers))


def test_detect_keras_lists_wrong_shapes(tmp_path):
    path = save_weights(tmp_path / "w.h5", layers(GENERATOR, changes={"conv5/bias": np.zeros(9, np.float32)}))
    with pytest.raises(ConversionError, match=r"1 of wrong shape: conv5/bias \(conv2d_98\) is 9, expected 8$"):
        detect_keras(path)


# Unsupported requests ------------------------------------------------------------------------------------------------


def test_missing_h5py(tmp_path, monkeypatch):
    path = save_weights(tmp_path / "w.h5", layers(DISCRIMINATOR))
    variables = small(DISCRIMINATOR, path=path)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "h5py" else find(name))
    message = r"w.h5 is a Keras file, which needs h5py: pip install 'sirr_jax\[keras\]'"
    with pytest.raises(UserError, match=message):
        small(DISCRIMINATOR, path=path)
    with pytest.raises(UserError, match=message):
        detect_keras(path)
    with pytest.raises(UserError, match=message):
        to_keras(DISCRIMINATOR, variables, path, overwrite=True, width="tiny")


def test_import_does_not_need_h5py():
    code = "import sys, sirr_jax.weights.keras.convert; print('h5py' in sys.modules)"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("network_id", "model_args", "message"),
    [
        ("ibcln/cascade", {}, "ibcln/cascade has no Keras layout; Keras files are supported for edge_gan/edge_net, "),
        ("edge_gan/dynamo", {}, "no network is called 'edge_gan/dynamo'"),
        (ATTENTION_NET, {"variant": "corrected"}, "has a Keras layout only for variant='released'"),
    ],
)
def test_networks_without_keras_layout_are_rejected(tmp_path, network_id, model_args, message):
    with pytest.raises(UserError, match=message):
        from_keras(network_id, tmp_path / "w.h5", **model_args)
    with pytest.raises(UserError, match=message):
        to_keras(network_id, {}, tmp_path / "w.h5", **model_args)
    with pytest.raises(UserError, match="vgg16 cannot be written as a Keras file"):
        to_keras("vgg16", {}, tmp_path / "w.h5")
    assert list(tmp_path.iterdir()) == []


def test_to_keras_overwrites_only_on_request(tmp_path, discriminator):
    path = tmp_path / "w.h5"
    path.write_bytes(b"precious")
    with pytest.raises(UserError, match=r"w.h5 exists; choose another name or ask to overwrite it"):
        to_keras(DISCRIMINATOR, discriminator, path, width="tiny")
    assert path.read_bytes() == b"precious"
    to_keras(DISCRIMINATOR, discriminator, path, overwrite=True, width="tiny")
    assert_same(small(DISCRIMINATOR, path=path), discriminator)


@pytest.mark.parametrize("failing", [OSError("no space left"), RuntimeError("a bug")])
def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch, discriminator, failing):
    path = tmp_path / "w.h5"
    path.write_bytes(b"precious")
    write = convert._write

    def half(path, *rest):
        write(path, *rest)
        raise failing

    monkeypatch.setattr(convert, "_write", half)
    expected = (UserError, "w.h5 cannot be written") if isinstance(failing, OSError) else (RuntimeError, "a bug")
    with pytest.raises(expected[0], match=expected[1]):
        to_keras(DISCRIMINATOR, discriminator, path, overwrite=True, width="tiny")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("w.h5", b"precious")]


def test_parent_that_is_a_file(tmp_path, discriminator):
    (tmp_path / "folder").write_bytes(b"precious")
    with pytest.raises(UserError, match=r"folder/w.h5 cannot be written .*; check the folder"):
        to_keras(DISCRIMINATOR, discriminator, tmp_path / "folder" / "w.h5", width="tiny")
    assert (tmp_path / "folder").read_bytes() == b"precious"


def test_to_keras_lists_missing_unexpected_and_misshaped_paths(tmp_path, discriminator):
    params = dict(discriminator["params"])
    params["other"] = params.pop("fc2")
    params["fc1"] = params["fc1"] | {"bias": np.zeros(3, np.float32)}
    with pytest.raises(ConversionError) as caught:
        to_keras(DISCRIMINATOR, {"params": params}, tmp_path / "w.h5", width="tiny")
    assert set(caught.value.missing) == {"params/fc2/kernel", "params/fc2/bias"}
    assert set(caught.value.unexpected) == {"params/other/kernel", "params/other/bias"}
    assert caught.value.misshaped == (("params/fc1/bias", (3,), (8,)),)
    assert list(tmp_path.iterdir()) == []
