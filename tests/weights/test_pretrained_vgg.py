"""VGG weight files: all formats, truncated, damaged, or of another network."""

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
from sirr_jax.weights.load_weights import load_weights
from sirr_jax.weights.model_file import load_model, save_model
from sirr_jax.weights.pretrained_vgg import read_vgg
from tests.helpers.networks import compile_apply, images
from tests.helpers.torch_files import write_zip

# (name, index in torchvision's `features`, input and output channels)
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
    for _, index, before, after in convolutions[:count]:
        arrays[f"features.{index}.weight"] = rng.standard_normal((after, before, 3, 3)).astype(np.float32)
        arrays[f"features.{index}.bias"] = rng.standard_normal(after).astype(np.float32)
    return arrays | {"classifier.0.weight": np.zeros((2, 2), np.float32)}


@pytest.mark.parametrize("count", [1, 3, 5])
def test_read_vgg_of_keras_npz(tmp_path, count):
    arrays = keras(count)
    np.savez(tmp_path / "vgg.npz", **arrays)
    weights = read_vgg(tmp_path / "vgg.npz", "vgg19")
    assert weights.convention == "caffe"
    assert weights.layers == tuple(name for name, *_ in CONVOLUTIONS[:count])
    assert weights.params.keys() == set(weights.layers)
    for name in weights.layers:
        for part in ("kernel", "bias"):
            array = weights.params[name][part]
            assert array.dtype == jnp.float32
            np.testing.assert_array_equal(array, arrays[f"block{name[4]}_conv{name[6]}/{part}"])


@pytest.mark.parametrize("count", [2, 4])
def test_read_vgg_of_torchvision_file_as_hwio(tmp_path, count):
    arrays = torchvision(count)
    save_file(arrays, tmp_path / "vgg.safetensors")
    weights = read_vgg(tmp_path / "vgg.safetensors", "vgg19")
    assert weights.convention == "torchvision"
    assert weights.layers == tuple(name for name, *_ in CONVOLUTIONS[:count])
    for name, index, *_ in CONVOLUTIONS[:count]:
        kernel = arrays[f"features.{index}.weight"]
        for o, i in itertools.product((0, 1, 63), (0, 2)):
            np.testing.assert_array_equal(weights.params[name]["kernel"][:, :, i, o], kernel[o, i])
        np.testing.assert_array_equal(weights.params[name]["bias"], arrays[f"features.{index}.bias"])


def test_read_vgg_converts_float16_to_float32(tmp_path):
    np.savez(tmp_path / "vgg.npz", **{name: array.astype(np.float16) for name, array in keras(1).items()})
    assert read_vgg(tmp_path / "vgg.npz", "vgg19").params["conv1_1"]["kernel"].dtype == jnp.float32


def test_read_vgg_fits_the_network(tmp_path):
    np.savez(tmp_path / "vgg.npz", **keras(3))
    weights = read_vgg(tmp_path / "vgg.npz", "vgg19")
    image = images(0, 1, 6, 6, 3)
    module = Vgg19(layers=weights.layers)
    features = compile_apply(module, weights.params, image)(weights.params, image)
    assert list(features) == ["relu1_1", "relu1_2", "relu2_1"]


def assert_rejected(path, message, network="vgg19"):
    with pytest.raises(UserError, match=message) as caught:
        read_vgg(path, network)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    assert_rejected(tmp_path / "none.npz", "no VGG-19 weight file at .*correct config.perceptual_weights")
    assert_rejected(tmp_path, "no VGG-19 weight file")


@pytest.mark.parametrize("name", ["vgg.npz", "vgg.safetensors", "vgg.pth"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x93NUMPY\x01\x00junk", b"PK\x03\x04junk"])
def test_other_formats_are_rejected(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert_rejected(tmp_path / name, r"cannot read|is no \.npz archive|is empty|is no weight file|damaged zip archive")


def test_single_array_is_rejected(tmp_path):
    with (tmp_path / "vgg.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert_rejected(tmp_path / "vgg.npz", r"is no \.npz archive")


def test_pickled_arrays_are_not_loaded(tmp_path):
    np.savez(tmp_path / "vgg.npz", **{"block1_conv1/kernel": np.array([{}], dtype=object)})
    assert_rejected(tmp_path / "vgg.npz", "cannot read")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(["npz", "safetensors"]))
def test_read_vgg_of_damaged_files(tmp_path, data, suffix):
    path = tmp_path / f"vgg.{suffix}"
    if suffix == "npz":
        np.savez(path, **keras(1))
    else:
        save_file(torchvision(1), path)
    content = bytearray(path.read_bytes())
    # Half of the damage is in the first bytes, which contain the headers.
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
        (lambda a: {"dense/kernel": a["block1_conv1/kernel"]}, r"is not VGG-19: .*found \['dense/kernel'\]"),
        (
            lambda a: {n: x for n, x in a.items() if n != "block1_conv1/bias"},
            "conv1_1 is missing, but later layers are present",
        ),
        (
            lambda a: {n: x for n, x in a.items() if "block1_conv2" not in n},
            "conv1_2 is missing, but later layers are present; give VGG-19 weights, not VGG-16",
        ),
        (lambda a: a | {"block1_conv1/kernel": np.zeros((3, 3, 1, 64))}, r"conv1_1 has a kernel .*\(3, 3, 1, 64\)"),
        (lambda a: a | {"block2_conv1/bias": np.zeros(64)}, r"conv2_1 has a bias of shape \(64,\), expected \(128,\)"),
    ],
)
def test_other_networks_are_rejected(tmp_path, change, message):
    np.savez(tmp_path / "vgg.npz", **change(keras(3)))
    assert_rejected(tmp_path / "vgg.npz", message)


def test_kernel_of_wrong_rank_is_rejected(tmp_path):
    save_file(torchvision(1) | {"features.0.weight": np.zeros(7, np.float32)}, tmp_path / "vgg.safetensors")
    assert_rejected(tmp_path / "vgg.safetensors", r"conv1_1 has a kernel of shape \(7,\)")


def test_incomplete_last_layer_is_ignored(tmp_path):
    arrays = keras(2)
    del arrays["block1_conv2/bias"]
    np.savez(tmp_path / "vgg.npz", **arrays)
    assert read_vgg(tmp_path / "vgg.npz", "vgg19").layers == ("conv1_1",)


@pytest.mark.parametrize(("network", "convolutions"), [("vgg16", VGG16), ("vgg19", VGG19)])
@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_vgg16_and_vgg19_reject_each_other(tmp_path, network, convolutions, suffix):
    other = {"vgg16": "vgg19", "vgg19": "vgg16"}[network]
    path = tmp_path / f"vgg.{suffix}"
    for count in (len(convolutions), 8):
        if suffix == "npz":
            np.savez(path, **keras(count, convolutions))
        else:
            save_file(torchvision(count, convolutions), path)
        assert read_vgg(path, network).layers == tuple(name for name, *_ in convolutions[:count])
        if (network, suffix, count) == ("vgg16", "npz", 8):
            # By Keras's names the fourth convolution is missing; by torchvision's indices one is unexpected.
            assert_rejected(
                path,
                "is not VGG-19: conv3_4 is missing, but later layers are present; give VGG-19 weights, not VGG-16",
                other,
            )
        else:
            assert_rejected(path, f"is not {other.upper().replace('VGG', 'VGG-')}.*; give ", other)


def test_vgg_with_batch_norm_is_rejected(tmp_path):
    """torchvision's networks with batch normalization have arrays at other indices."""
    path = tmp_path / "vgg.safetensors"
    save_file(torchvision(1) | {"features.1.weight": np.ones(64, np.float32)}, path)
    assert_rejected(path, "is not VGG-19, which has no features.1.weight")
    assert_rejected(path, "is not VGG-16, which has no features.1.weight", "vgg16")


def test_prefix_of_errnet_is_accepted(tmp_path):
    arrays = {key.replace("features.", "vgg_pretrained_features."): array for key, array in torchvision(2).items()}
    save_file(arrays, tmp_path / "vgg.safetensors")
    save_file(torchvision(2), tmp_path / "plain.safetensors")
    prefixed, plain = (read_vgg(tmp_path / f"{name}.safetensors", "vgg19") for name in ("vgg", "plain"))
    assert (prefixed.layers, prefixed.convention) == (plain.layers, plain.convention)
    np.testing.assert_array_equal(prefixed.params["conv1_2"]["kernel"], plain.params["conv1_2"]["kernel"])


def vgg_file(folder, kind):
    """Writes four convolutions of torchvision in one of the formats that convert."""
    arrays = torchvision(4)
    del arrays["classifier.0.weight"]
    match kind:
        case "ckpt":
            tree = {"state_dict": {f"vgg.{key}": x for key, x in arrays.items()} | {"net.w": np.ones(3, np.float32)}}
            return write_zip(folder / "vgg.ckpt", tree)
        case "bin":
            return write_zip(folder / "vgg.bin", {"model": arrays, "model_ema": arrays})
        case "model":
            source = write_zip(folder / "vgg.pth", arrays)
        case "caffe model":
            source = folder / "vgg.npz"
            np.savez(source, **keras(4))
    save_model(folder / "vgg.safetensors", load_weights([source], network_id="vgg19"))
    return folder / "vgg.safetensors"


@pytest.mark.parametrize("kind", ["ckpt", "bin", "model", "caffe model"])
def test_every_format_that_converts_is_accepted(tmp_path, kind):
    weights = read_vgg(vgg_file(tmp_path, kind), "vgg19")
    assert weights.layers == tuple(name for name, *_ in CONVOLUTIONS[:4])
    expected = keras(4)["block2_conv2/kernel"] if kind == "caffe model" else torchvision(4)["features.7.weight"]
    if kind == "caffe model":
        assert (weights.convention, weights.source.license) == ("caffe", "CC BY 4.0")
    else:
        assert (weights.convention, weights.source.license) == ("torchvision", "BSD-3-Clause")
        expected = expected.transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(weights.params["conv2_2"]["kernel"], expected)
    assert weights.source.name == "vgg19"


def test_the_model_of_another_network_is_rejected(tmp_path):
    path = vgg_file(tmp_path, "model")
    assert_rejected(path, "contains vgg19.*, not VGG-16; correct config.perceptual_weights", "vgg16")


def test_models_of_earlier_versions_contain_no_convention(tmp_path):
    path = vgg_file(tmp_path, "caffe model")
    model = load_model(path)
    networks = {"vgg19": model.networks["vgg19"]._replace(convention="", license="")}
    save_model(path, model._replace(networks=networks), overwrite=True)
    assert read_vgg(path, "vgg19").convention == "caffe"
