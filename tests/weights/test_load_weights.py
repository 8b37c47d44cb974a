"""Reading of weight files of any type as one model."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.weights.convert import expected_shapes
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.keras.convert import to_keras
from sirr_jax.weights.load_weights import load_weights
from sirr_jax.weights.model_file import Parent, save_model
from sirr_jax.weights.variables import flatten
from tests.helpers.published import fill_random
from tests.helpers.torch_files import write_zip


def torch_file(folder, network_id, **model_args):
    name = f"{network_id.replace('/', '_')}.pth"
    return write_zip(folder / name, fill_random(expected_shapes(network_id, width="tiny", **model_args)))


def keras_vgg(path, convolutions=("conv1_1", "conv1_2")):
    channels, arrays = 3, {}
    for name in convolutions:
        key = f"block{name[4]}_conv{name[6]}"
        arrays |= {
            f"{key}/kernel": np.full((3, 3, channels, 64), 0.1, np.float32),
            f"{key}/bias": np.zeros(64, np.float32),
        }
        channels = 64
    np.savez(path, **arrays)
    return path


def test_networks_of_one_system_share_a_model(tmp_path):
    sources = [torch_file(tmp_path, "errnet/generator"), torch_file(tmp_path, "vgg19")]
    for paths in (sources, sources[::-1]):
        model = load_weights(paths)
        assert model.recipe == "errnet"
        assert {role: network.id for role, network in model.networks.items()} == {
            "generator": "errnet/generator",
            "vgg19": "vgg19",
        }
    assert model.license == "BSD-3-Clause; MIT"
    assert model.description == "converted from vgg19.pth, errnet_generator.pth; by pytorch/vision, Vandermode/ERRNet"


def test_backbone_alone_is_a_model(tmp_path):
    model = load_weights([torch_file(tmp_path, "resnet50")])
    assert (model.recipe, list(model.networks)) == ("resnet50", ["resnet50"])


def test_undetectable_arguments_are_described(tmp_path):
    source = torch_file(tmp_path, "edge_gan/generator")
    assert (
        "edge_gan/generator: assumed aux_scale=1.0, which the weights do not determine"
        in load_weights([source]).description
    )
    assert "aux_scale" not in load_weights([source], model_args={"aux_scale": 1 / 255}).description
    with pytest.raises(ConversionError, match=r"edge_gan/generator has no argument 'mode'; remove --model-arg"):
        load_weights([source], model_args={"mode": "Basic"})


def test_arguments_that_shapes_do_not_determine_are_stored(tmp_path):
    model_args = {"aux_scale": 1 / 255}
    save_model(
        tmp_path / "m.safetensors",
        load_weights([torch_file(tmp_path, "edge_gan/generator")], model_args=model_args),
    )
    (network,) = load_weights([tmp_path / "m.safetensors"]).networks.values()
    assert network.model_args == {"width": "tiny"} | model_args
    assert build(network.id, **network.model_args).aux_scale == 1 / 255


def test_license_parents_and_steps_survive_conversion_between_model_files(tmp_path):
    parents = (Parent("sgrrn/generator", "CC-BY-NC-4.0", "0" * 64),)
    model = load_weights([torch_file(tmp_path, "errnet/generator")])
    assert model.networks["generator"][3:] == ("MIT", (), None, "")
    trained = model.networks["generator"]._replace(license="mine", parents=parents, steps=7)
    save_model(tmp_path / "m.safetensors", model._replace(networks={"generator": trained}))
    for paths in ([tmp_path / "m.safetensors"], [tmp_path / "m.safetensors", torch_file(tmp_path, "vgg19")]):
        assert load_weights(paths).networks["generator"][3:] == ("mine", parents, 7, "")


def test_joined_model_keeps_license_and_description(tmp_path):
    path = tmp_path / "generator.safetensors"
    mine = load_weights([torch_file(tmp_path, "errnet/generator")])._replace(
        license="mine", description="trained by me"
    )
    save_model(path, mine)
    joined = load_weights([path, torch_file(tmp_path, "vgg19")])
    assert joined.license == "BSD-3-Clause; mine"
    assert joined.description == "converted from generator.safetensors, vgg19.pth; by pytorch/vision; trained by me"


def test_select_one_network_of_a_model(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, load_weights([torch_file(tmp_path, "errnet/generator"), torch_file(tmp_path, "vgg19")]))
    for selection in ({"part": "vgg19"}, {"network_id": "vgg19"}):
        assert list(load_weights([path], **selection).networks) == ["vgg19"]
    with pytest.raises(
        ConversionError, match=r"contains .*generator \(errnet/generator\).*, not nonsense; name one of"
    ):
        load_weights([path], network_id="nonsense")
    with pytest.raises(
        ConversionError, match="is a model file, which contains the model arguments; remove --model-arg"
    ):
        load_weights([path], model_args={"width": "tiny"})


def test_model_files_round_trip(tmp_path):
    model = load_weights([torch_file(tmp_path, "attentive_gan/generator")])
    save_model(tmp_path / "model.safetensors", model)
    again = load_weights([tmp_path / "model.safetensors"])
    assert again._replace(networks={}) == model._replace(networks={})
    both = load_weights([tmp_path / "model.safetensors", torch_file(tmp_path, "attentive_gan/discriminator")])
    assert list(both.networks) == ["generator", "discriminator"]


def test_keras_files_of_one_system(tmp_path):
    paths = []
    for role in ("edge_net", "generator"):
        module = build(f"edge_gan/{role}", width="tiny")
        variables = initialize(module, jax.random.key(0), *module.example_shapes())
        paths.append(tmp_path / f"{role}.h5")
        to_keras(f"edge_gan/{role}", variables, paths[-1], width="tiny")
    model = load_weights(paths)
    assert (model.recipe, list(model.networks)) == ("edge_gan", ["edge_net", "generator"])
    assert "edge_gan/generator: assumed aux_scale=1.0" in model.description
    model = load_weights(paths, model_args={"aux_scale": 0.5})  # the edge net does not have this argument
    assert model.networks["generator"].model_args["aux_scale"] == 0.5
    assert "aux_scale" not in model.description


def test_npz_archives_of_vgg(tmp_path):
    path = keras_vgg(tmp_path / "vgg.npz")
    network = load_weights([path]).networks["vgg19"]
    assert network.model_args == {"layers": ["conv1_1", "conv1_2"]}
    assert set(flatten(network.variables)) == {
        ("params", name, part) for name in ("conv1_1", "conv1_2") for part in ("kernel", "bias")
    }
    assert load_weights([path], network_id="vgg16").networks.keys() == {"vgg16"}
    with pytest.raises(ConversionError, match="only vgg16 and vgg19 can be read, not bdn/generator"):
        load_weights([path], network_id="bdn/generator")
    with pytest.raises(ConversionError, match=r"vgg\.npz contains the Caffe weights of VGG-19.*torchvision's"):
        load_weights([path, torch_file(tmp_path, "errnet/generator")])
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ConversionError, match="is not VGG-19"):
        load_weights([tmp_path / "other.npz"])


def test_networks_of_different_systems_are_rejected(tmp_path):
    a, b = torch_file(tmp_path, "attentive_gan/generator"), torch_file(tmp_path, "rmnet/generator")
    with pytest.raises(
        ConversionError, match="rmnet/generator and attentive_gan/generator have the same role in a model file"
    ):
        load_weights([a, b])
    with pytest.raises(ConversionError, match=r"several systems \(attentive_gan, errnet\)"):
        load_weights([a, torch_file(tmp_path, "errnet/discriminator")])
