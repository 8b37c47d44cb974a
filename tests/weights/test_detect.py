"""Naming networks from their weights."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.models import list_networks
from sirr_jax.weights.convert import expected_shapes
from sirr_jax.weights.detect import detect
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.multi_file import assemble
from tests.helpers import published

# The same PatchGAN, published twice.
TWINS = {"ibcln/discriminator", "rmnet/synnet_discriminator"}


def hollow(shapes):
    """Arrays of these shapes that occupy no memory."""
    return {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}


@pytest.mark.parametrize("network_id", sorted(set(list_networks()) - TWINS))
def test_every_network_is_recognized_by_its_own_weights(network_id):
    found, model_args = detect(hollow(expected_shapes(network_id, width="tiny")))
    assert (found, model_args["width"]) == (network_id, "tiny")


@pytest.mark.parametrize(
    ("network_id", "model_args"),
    [
        ("dynamics/student", {"hypercolumn": "caffe"}),
        ("dynamics/student", {"hypercolumn": "caffe", "hallucination": False}),
        ("dynamics/teacher", {"aligned_frames": True}),
        ("dynamics/teacher", {"grown": True}),
        ("dynamics/teacher", {"grown": True, "hypercolumn": "caffe", "aligned_frames": True, "decouple_net": False}),
        ("dynamics/teacher", {"grown": True, "mkl": False}),
    ],
)
def test_what_our_own_networks_have_besides_is_recognized(network_id, model_args):
    model_args = {"width": "tiny"} | model_args
    assert detect(hollow(expected_shapes(network_id, **model_args))) == (network_id, model_args)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("attentive_gan/generator", ("attentive_gan/generator", {})),
        ("attentive_gan/discriminator", ("attentive_gan/discriminator", {})),
        ("errnet/generator", ("errnet/generator", {})),
        ("errnet/generator hyper=False", ("errnet/generator", {"hypercolumn": False})),
        ("errnet/generator base", ("errnet/generator", {"hypercolumn": False, "base": True})),
        ("errnet/discriminator", ("errnet/discriminator", {})),
        ("rmnet/generator", ("rmnet/generator", {})),
        ("rmnet/synnet", ("rmnet/synnet", {})),
        ("bdn/generator", ("bdn/generator", {})),
        ("corrn/generator", ("corrn/generator", {})),
        ("sgrrn/generator", ("sgrrn/generator", {})),
        ("sgrrn/generator backbone=resnet50", ("sgrrn/generator", {"backbone": "resnet50"})),
        ("sgrrn/discriminator", ("sgrrn/discriminator", {})),
        ("bisenet", ("bisenet", {})),
        ("deeplabv2", ("deeplabv2", {})),
        ("deeplabv2 classes=182", ("deeplabv2", {"classes": 182})),
    ],
)
def test_published_weights_are_recognized(name, expected):
    state_dict = hollow(published.shapes(name))
    assert detect(state_dict) == expected
    assert detect({f"module.{key}": value for key, value in state_dict.items()}) == expected


def test_the_same_network_under_two_names_must_be_named():
    with pytest.raises(
        ConversionError, match="fit several networks: ibcln/discriminator, rmnet/synnet_discriminator; name"
    ):
        detect(hollow(published.shapes("ibcln/discriminator")))


def test_parts_are_told_and_put_together():
    parts = {name: hollow(published.shapes(f"ibcln/{name}")) for name in ("G_T", "G_R")}
    with pytest.raises(
        ConversionError, match=r"one part \('G_T\.' of ibcln/cascade or 'G_R\.'.*together, under the pref"
    ):
        detect(parts["G_T"])
    both = [(f"final_net_{name}.pth", state_dict) for name, state_dict in parts.items()]
    for files in (both, both[::-1]):
        (found,) = assemble(files)
        assert (found.network_id, found.model_args) == ("ibcln/cascade", {})
        assert found.sources == ("final_net_G_T.pth", "final_net_G_R.pth")
        assert list(found.state_dict) == list(expected_shapes("ibcln/cascade"))
    with pytest.raises(ConversionError, match=r"published in 2 files; G_R\. is missing"):
        assemble(both[:1])
    with pytest.raises(ConversionError, match=r"a\.pth and final_net_G_T\.pth are both|name the file after its part"):
        assemble([("a.pth", parts["G_T"]), *both])
    with pytest.raises(ConversionError, match=r"both the part G_T\."):
        assemble([("G_T.pth", parts["G_T"]), *both])


def test_parts_that_differ_need_no_names():
    encoder, decoder = (hollow(published.shapes(f"ade20k_ppm {name}")) for name in ("encoder", "decoder"))
    (found,) = assemble([("x.pth", decoder), ("y.pth", encoder)])
    assert (found.network_id, found.sources) == ("ade20k_ppm", ("y.pth", "x.pth"))


def test_unknown_weights_get_the_nearest_networks_and_what_they_lack():
    state_dict = hollow(published.shapes("attentive_gan/generator"))
    del state_dict["conv5.0.bias"]
    state_dict["extra.weight"] = np.zeros(3)
    with pytest.raises(
        ConversionError, match="no known network has these 70 weights; nearest: attentive_gan/gen"
    ) as caught:
        detect(state_dict)
    assert "they lack 1: conv5.0.bias" in str(caught.value)
    assert "they have besides 1: extra.weight" in str(caught.value)
    with pytest.raises(
        ConversionError, match=r"none of the \d+ known networks has a key such as 'lin0\.model\.1\.weight'"
    ):
        detect({"lin0.model.1.weight": np.zeros((1, 64, 1, 1))})
    with pytest.raises(ConversionError, match="is empty"):
        detect({})


def test_right_keys_with_wrong_shapes_are_no_match():
    state_dict = hollow(published.shapes("attentive_gan/generator"))
    state_dict["conv5.0.weight"] = np.zeros((256, 256, 3, 1))
    with pytest.raises(ConversionError, match=r"attentive_gan/generator \(the same keys with other shapes\)"):
        detect(state_dict)
