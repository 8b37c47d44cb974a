"""Weight files of any kind as the networks of one model."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.weights.convert import expected_shapes
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.keras.convert import to_keras
from sirr_jax.weights.load_weights import load_any
from sirr_jax.weights.model_file import save_model
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


def test_networks_that_work_together_share_a_model(tmp_path):
    sources = [torch_file(tmp_path, "errnet/generator"), torch_file(tmp_path, "vgg19")]
    for paths in (sources, sources[::-1]):
        model = load_any(paths)
        assert model.recipe == "errnet"
        assert {role: network.id for role, network in model.networks.items()} == {
            "generator": "errnet/generator",
            "vgg19": "vgg19",
        }
    assert model.license == "BSD-3-Clause; MIT"
    assert model.description == "converted from vgg19.pth, errnet_generator.pth; by pytorch/vision, Vandermode/ERRNet"


def test_a_helper_alone_is_its_own_model(tmp_path):
    model = load_any([torch_file(tmp_path, "resnet50")])
    assert (model.recipe, list(model.networks)) == ("resnet50", ["resnet50"])


def test_what_weights_do_not_tell_is_named(tmp_path):
    source = torch_file(tmp_path, "edge_gan/generator")
    assert "edge_gan/generator's aux_scale taken to be 1.0, which weights do not tell" in load_any([source]).description
    assert "aux_scale" not in load_any([source], model_args={"aux_scale": 1 / 255}).description
    with pytest.raises(ConversionError, match=r"no argument of edge_gan/generator is called 'mode'"):
        load_any([source], model_args={"mode": "Basic"})


def test_what_a_model_says_of_itself_stays_when_it_is_joined(tmp_path):
    path = tmp_path / "generator.safetensors"
    mine = load_any([torch_file(tmp_path, "errnet/generator")])._replace(license="mine", description="trained by me")
    save_model(path, mine)
    joined = load_any([path, torch_file(tmp_path, "vgg19")])
    assert joined.license == "BSD-3-Clause; mine"
    assert joined.description == "converted from generator.safetensors, vgg19.pth; by pytorch/vision; trained by me"


def test_one_network_of_a_model_is_chosen(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, load_any([torch_file(tmp_path, "errnet/generator"), torch_file(tmp_path, "vgg19")]))
    for chosen in ({"part": "vgg19"}, {"network_id": "vgg19"}):
        assert list(load_any([path], **chosen).networks) == ["vgg19"]
    with pytest.raises(ConversionError, match=r"holds .*generator \(errnet/generator\).*, not nonsense; name one of"):
        load_any([path], network_id="nonsense")
    with pytest.raises(ConversionError, match="says itself what its networks are; leave --model-arg out"):
        load_any([path], model_args={"width": "tiny"})


def test_models_come_back_as_they_are(tmp_path):
    model = load_any([torch_file(tmp_path, "attentive_gan/generator")])
    save_model(tmp_path / "model.safetensors", model)
    again = load_any([tmp_path / "model.safetensors"])
    assert again._replace(networks={}) == model._replace(networks={})
    both = load_any([tmp_path / "model.safetensors", torch_file(tmp_path, "attentive_gan/discriminator")])
    assert list(both.networks) == ["generator", "discriminator"]


def test_keras_files_of_one_system(tmp_path):
    paths = []
    for role in ("edge_net", "generator"):
        module = build(f"edge_gan/{role}", width="tiny")
        variables = initialize(module, jax.random.key(0), *module.example_shapes())
        paths.append(tmp_path / f"{role}.h5")
        to_keras(f"edge_gan/{role}", variables, paths[-1], width="tiny")
    model = load_any(paths)
    assert (model.recipe, list(model.networks)) == ("edge_gan", ["edge_net", "generator"])
    assert "edge_gan/generator's aux_scale taken to be 1.0" in model.description
    given = load_any(paths, model_args={"aux_scale": 0.5})  # the edge net has no such thing
    assert given.networks["generator"].model_args["aux_scale"] == 0.5
    assert "aux_scale" not in given.description


def test_keras_archives_of_vgg(tmp_path):
    path = keras_vgg(tmp_path / "vgg.npz")
    network = load_any([path]).networks["vgg19"]
    assert network.model_args == {"layers": ["conv1_1", "conv1_2"]}
    assert set(flatten(network.variables)) == {
        ("params", name, part) for name in ("conv1_1", "conv1_2") for part in ("kernel", "bias")
    }
    assert load_any([path], network_id="vgg16").networks.keys() == {"vgg16"}
    with pytest.raises(ConversionError, match="only vgg16 and vgg19 are read from such, not bdn/generator"):
        load_any([path], network_id="bdn/generator")
    with pytest.raises(ConversionError, match=r"vgg\.npz holds the Caffe weights of VGG-19.*torchvision's"):
        load_any([path, torch_file(tmp_path, "errnet/generator")])
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ConversionError, match="holds no VGG-19"):
        load_any([tmp_path / "other.npz"])


def test_strangers_do_not_share_a_model(tmp_path):
    a, b = torch_file(tmp_path, "attentive_gan/generator"), torch_file(tmp_path, "rmnet/generator")
    with pytest.raises(ConversionError, match="rmnet/generator and attentive_gan/generator cannot share a model file"):
        load_any([a, b])
    with pytest.raises(ConversionError, match=r"several systems \(attentive_gan, errnet\)"):
        load_any([a, torch_file(tmp_path, "errnet/discriminator")])
