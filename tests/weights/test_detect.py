"""Detection of networks from state dicts."""

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
    """Makes arrays of these shapes that occupy no memory."""
    return {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}


@pytest.mark.parametrize("network_id", sorted(set(list_networks()) - TWINS))
def test_detect_recognizes_every_network(network_id):
    detected, model_args = detect(hollow(expected_shapes(network_id, width="tiny")))
    assert (detected, model_args["width"]) == (network_id, "tiny")


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
def test_detect_infers_options_of_dynamics(network_id, model_args):
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
def test_detect_recognizes_published_weights(name, expected):
    state_dict = hollow(published.shapes(name))
    assert detect(state_dict) == expected
    assert detect({f"module.{key}": value for key, value in state_dict.items()}) == expected


def test_detect_is_ambiguous_for_the_same_network_under_two_ids():
    with pytest.raises(
        ConversionError, match="fit several networks: ibcln/discriminator, rmnet/synnet_discriminator; name one"
    ):
        detect(hollow(published.shapes("ibcln/discriminator")))


def test_assemble_merges_parts_in_several_files():
    parts = {name: hollow(published.shapes(f"ibcln/{name}")) for name in ("G_T", "G_R")}
    with pytest.raises(
        ConversionError, match=r"one part \('G_T\.' of ibcln/cascade or 'G_R\.'.*together, with the key pref"
    ):
        detect(parts["G_T"])
    both = [(f"final_net_{name}.pth", state_dict) for name, state_dict in parts.items()]
    for files in (both, both[::-1]):
        (assembled,) = assemble(files)
        assert (assembled.network_id, assembled.model_args) == ("ibcln/cascade", {})
        assert assembled.sources == ("final_net_G_T.pth", "final_net_G_R.pth")
        assert list(assembled.state_dict) == list(expected_shapes("ibcln/cascade"))
    with pytest.raises(ConversionError, match=r"published in 2 files; G_R\. is missing"):
        assemble(both[:1])
    with pytest.raises(
        ConversionError, match=r"a\.pth and final_net_G_T\.pth are both|put the part into the file name"
    ):
        assemble([("a.pth", parts["G_T"]), *both])
    with pytest.raises(ConversionError, match=r"both the part G_T\."):
        assemble([("G_T.pth", parts["G_T"]), *both])


def test_assemble_identifies_different_parts_without_file_names():
    encoder, decoder = (hollow(published.shapes(f"ade20k_ppm {name}")) for name in ("encoder", "decoder"))
    (assembled,) = assemble([("x.pth", decoder), ("y.pth", encoder)])
    assert (assembled.network_id, assembled.sources) == ("ade20k_ppm", ("y.pth", "x.pth"))


def test_detect_describes_nearest_networks_and_their_differences():
    state_dict = hollow(published.shapes("attentive_gan/generator"))
    del state_dict["conv5.0.bias"]
    state_dict["extra.weight"] = np.zeros(3)
    with pytest.raises(
        ConversionError, match="no known network has these 70 weights; nearest: attentive_gan/gen"
    ) as caught:
        detect(state_dict)
    assert "1 missing: conv5.0.bias" in str(caught.value)
    assert "1 unexpected: extra.weight" in str(caught.value)
    with pytest.raises(
        ConversionError, match=r"none of the \d+ known networks has a key such as 'lin0\.model\.1\.weight'"
    ):
        detect({"lin0.model.1.weight": np.zeros((1, 64, 1, 1))})
    with pytest.raises(ConversionError, match="is empty"):
        detect({})


def test_detect_compares_shapes():
    state_dict = hollow(published.shapes("attentive_gan/generator"))
    state_dict["conv5.0.weight"] = np.zeros((256, 256, 3, 1))
    with pytest.raises(ConversionError, match=r"attentive_gan/generator \(same keys, other shapes\)"):
        detect(state_dict)
