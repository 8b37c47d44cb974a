"""VGG weight files of all kinds, cut off anywhere, damaged, or of another network."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from sirr_jax.errors import UserError
from sirr_jax.models.vgg import Vgg19
from sirr_jax.weights.pretrained_vgg import read_vgg
from tests.helpers.networks import compile_apply, images

# (name, its position in torchvision's `features`, input and output channels)
CONVOLUTIONS = [
    ("conv1_1", 0, 3, 64),
    ("conv1_2", 2, 64, 64),
    ("conv2_1", 5, 64, 128),
    ("conv2_2", 7, 128, 128),
    ("conv3_1", 10, 128, 256),
    ("conv3_2", 12, 256, 256),
    ("conv3_3", 14, 256, 256),
]
VGG16 = [*CONVOLUTIONS, ("conv4_1", 17, 256, 512)]
VGG19 = [*CONVOLUTIONS, ("conv3_4", 16, 256, 256), ("conv4_1", 19, 256, 512)]


def keras(count, convolutions=CONVOLUTIONS):
    rng = np.random.default_rng(0)
    arrays = {}
    for name, _, before, after in convolutions[:count]:
        layer = f"block{name[4]}_conv{name[6]}"
        arrays[f"{layer}/kernel"] = rng.standard_normal((3, 3, before, after)).astype(np.float32)
        arrays[f"{layer}/bias"] = rng.standard_normal(after).astype(np.float32)
    return arrays


def torchvision(count, convolutions=CONVOLUTIONS):
    rng = np.random.default_rng(1)
    arrays = {}
    for _, position, before, after in convolutions[:count]:
        arrays[f"features.{position}.weight"] = rng.standard_normal((after, before, 3, 3)).astype(np.float32)
        arrays[f"features.{position}.bias"] = rng.standard_normal(after).astype(np.float32)
    return arrays | {"classifier.0.weight": np.zeros((2, 2), np.float32)}


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_keras_archive_comes_back_as_it_is(tmp_path, count):
    arrays = keras(count)
    np.savez(tmp_path / "vgg.npz", **arrays)
    weights = read_vgg(tmp_path / "vgg.npz", "vgg19")
    assert weights.convention == "caffe"
    assert weights.layers == tuple(name for name, *_ in CONVOLUTIONS[:count])
    assert weights.params.keys() == set(weights.layers)
    for name in weights.layers:
        for part in ("kernel", "bias"):
            found = weights.params[name][part]
            assert found.dtype == jnp.float32
            np.testing.assert_array_equal(found, arrays[f"block{name[4]}_conv{name[6]}/{part}"])


@pytest.mark.parametrize("count", [2, 4])
def test_a_torchvision_file_is_turned_into_hwio(tmp_path, count):
    arrays = torchvision(count)
    save_file(arrays, tmp_path / "vgg.safetensors")
    weights = read_vgg(tmp_path / "vgg.safetensors", "vgg19")
    assert weights.convention == "torchvision"
    assert weights.layers == tuple(name for name, *_ in CONVOLUTIONS[:count])
    for name, position, *_ in CONVOLUTIONS[:count]:
        kernel = arrays[f"features.{position}.weight"]
        for o, i in itertools.product((0, 1, 63), (0, 2)):
            np.testing.assert_array_equal(weights.params[name]["kernel"][:, :, i, o], kernel[o, i])
        np.testing.assert_array_equal(weights.params[name]["bias"], arrays[f"features.{position}.bias"])


def test_half_precision_files_become_float32(tmp_path):
    np.savez(tmp_path / "vgg.npz", **{name: array.astype(np.float16) for name, array in keras(1).items()})
    assert read_vgg(tmp_path / "vgg.npz", "vgg19").params["conv1_1"]["kernel"].dtype == jnp.float32


def test_what_was_read_fits_the_network(tmp_path):
    np.savez(tmp_path / "vgg.npz", **keras(3))
    weights = read_vgg(tmp_path / "vgg.npz", "vgg19")
    image = images(0, 1, 6, 6, 3)
    module = Vgg19(layers=weights.layers)
    features = compile_apply(module, weights.params, image)(weights.params, image)
    assert list(features) == ["relu1_1", "relu1_2", "relu2_1"]


def refused(path, message, network="vgg19"):
    with pytest.raises(UserError, match=message) as caught:
        read_vgg(path, network)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path):
    refused(tmp_path / "none.npz", "no VGG-19 weight file at .*correct config.perceptual_weights")
    refused(tmp_path, "no VGG-19 weight file")


@pytest.mark.parametrize("name", ["vgg.npz", "vgg.safetensors", "vgg.pth"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x93NUMPY\x01\x00junk", b"PK\x03\x04junk"])
def test_files_of_another_format_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, r"cannot read|is no \.npz archive|is empty|is no weight file|damaged zip archive")


def test_a_single_array_is_no_archive(tmp_path):
    with (tmp_path / "vgg.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    refused(tmp_path / "vgg.npz", r"is no \.npz archive")


def test_pickled_arrays_are_never_opened(tmp_path):
    np.savez(tmp_path / "vgg.npz", **{"block1_conv1/kernel": np.array([{}], dtype=object)})
    refused(tmp_path / "vgg.npz", "cannot read")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(["npz", "safetensors"]))
def test_damage_anywhere_is_survived(tmp_path, data, suffix):
    path = tmp_path / f"vgg.{suffix}"
    if suffix == "npz":
        np.savez(path, **keras(1))
    else:
        save_file(torchvision(1), path)
    content = bytearray(path.read_bytes())
    # Half of the damage in the first bytes: there are the headers.
    position = data.draw(st.one_of(st.integers(0, 200), st.integers(0, len(content) - 1)))
    if data.draw(st.booleans()):
        del content[position:]
    else:
        content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        weights = read_vgg(path, "vgg19")
    except UserError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert weights.layers == ("conv1_1",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"dense/kernel": a["block1_conv1/kernel"]}, r"holds no VGG-19: .*found \['dense/kernel'\]"),
        (lambda a: {n: x for n, x in a.items() if n != "block1_conv1/bias"}, "conv1_1, which it lacks"),
        (lambda a: {n: x for n, x in a.items() if "block1_conv2" not in n}, "conv1_2, which it lacks; VGG-16"),
        (lambda a: a | {"block1_conv1/kernel": np.zeros((3, 3, 1, 64))}, r"conv1_1 has a kernel .*\(3, 3, 1, 64\)"),
        (lambda a: a | {"block2_conv1/bias": np.zeros(64)}, r"conv2_1 has a bias of shape \(64,\), expected \(128,\)"),
    ],
)
def test_other_networks_are_refused(tmp_path, change, message):
    np.savez(tmp_path / "vgg.npz", **change(keras(3)))
    refused(tmp_path / "vgg.npz", message)


def test_a_kernel_without_axes_is_refused(tmp_path):
    save_file(torchvision(1) | {"features.0.weight": np.zeros(7, np.float32)}, tmp_path / "vgg.safetensors")
    refused(tmp_path / "vgg.safetensors", r"conv1_1 has a kernel of shape \(7,\)")


def test_a_file_may_stop_in_the_middle_of_a_layer(tmp_path):
    arrays = keras(2)
    del arrays["block1_conv2/bias"]
    np.savez(tmp_path / "vgg.npz", **arrays)
    assert read_vgg(tmp_path / "vgg.npz", "vgg19").layers == ("conv1_1",)


@pytest.mark.parametrize(("network", "convolutions"), [("vgg16", VGG16), ("vgg19", VGG19)])
@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_each_network_knows_its_own_files_and_refuses_the_others(tmp_path, network, convolutions, kind):
    other = {"vgg16": "vgg19", "vgg19": "vgg16"}[network]
    path = tmp_path / f"vgg.{kind}"
    for count in (len(convolutions), 8):
        if kind == "npz":
            np.savez(path, **keras(count, convolutions))
        else:
            save_file(torchvision(count, convolutions), path)
        assert read_vgg(path, network).layers == tuple(name for name, *_ in convolutions[:count])
        if (network, kind, count) == ("vgg16", "npz", 8):
            # Keras's names say that the fourth convolution is lacking; torchvision's positions, that one is too many.
            refused(path, "VGG-19: it goes on after conv3_4, which it lacks; VGG-16 will not do", other)
        else:
            refused(path, f"holds no {other.upper().replace('VGG', 'VGG-')}.* will not do", other)


def test_other_positions_are_refused(tmp_path):
    """torchvision's networks with batch normalization have arrays where these have none."""
    path = tmp_path / "vgg.safetensors"
    save_file(torchvision(1) | {"features.1.weight": np.ones(64, np.float32)}, path)
    refused(path, "holds no VGG-19, which has no features.1.weight")
    refused(path, "holds no VGG-16, which has no features.1.weight", "vgg16")


def test_errnets_prefix_will_do(tmp_path):
    arrays = {key.replace("features.", "vgg_pretrained_features."): array for key, array in torchvision(2).items()}
    save_file(arrays, tmp_path / "vgg.safetensors")
    save_file(torchvision(2), tmp_path / "plain.safetensors")
    found, plain = (read_vgg(tmp_path / f"{name}.safetensors", "vgg19") for name in ("vgg", "plain"))
    assert (found.layers, found.convention) == (plain.layers, plain.convention)
    np.testing.assert_array_equal(found.params["conv1_2"]["kernel"], plain.params["conv1_2"]["kernel"])
