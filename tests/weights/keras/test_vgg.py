"""Keras files of VGG, of Keras 1 and 2."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.models.vgg import VGG16_BLOCKS, VGG19_BLOCKS, convolutions
from sirr_jax.models.width import scaled
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.keras.convert import detect_keras, from_keras
from tests.helpers.keras_files import save_weights
from tests.helpers.narrow_edge_gan import assert_same

pytestmark = pytest.mark.usefixtures("trace_once")


def vgg_layers(blocks, *, old=False, count=None, top=False):
    """Makes the layers of a narrow VGG of `keras.applications`; `old` names the arrays as Keras 1 does."""
    rng, before, layers = np.random.default_rng(3), 3, [["input_1", []]]
    for name, width in list(convolutions(blocks).items())[:count]:
        layer, after = f"block{name[4]}_conv{name[6]}", scaled(width, "tiny")
        kernel, bias = rng.standard_normal((3, 3, before, after)), rng.standard_normal(after)
        names = (f"{layer}_W_1:0", f"{layer}_b_1:0") if old else (f"{layer}/kernel:0", f"{layer}/bias:0")
        layers.append([layer, [[n, a.astype(np.float32)] for n, a in zip(names, (kernel, bias), strict=True)]])
        before = after
    if top:
        dense = np.zeros((2, 3), np.float32)
        layers += [[name, [[f"{name}/kernel:0", dense]]] for name in ("fc1", "predictions")]
    return layers


@pytest.mark.parametrize("options", [{}, {"old": True}, {"top": True}], ids=["notop", "keras1", "top"])
@pytest.mark.parametrize(("network_id", "blocks"), [("vgg16", VGG16_BLOCKS), ("vgg19", VGG19_BLOCKS)])
def test_from_keras_of_vgg(tmp_path, network_id, blocks, options):
    layers = vgg_layers(blocks, **options)
    path = save_weights(tmp_path / "vgg.h5", layers)
    assert detect_keras(path) == (network_id, {"width": "tiny"})
    params = from_keras(network_id, path, width="tiny")["params"]
    stored = {name: [array for _, array in weights] for name, weights in layers}
    assert set(params) == set(convolutions(blocks))
    for name in params:
        kernel, bias = stored[f"block{name[4]}_conv{name[6]}"]
        assert_same(params[name], {"kernel": kernel, "bias": bias})


def test_truncated_vgg(tmp_path):
    path = save_weights(tmp_path / "vgg.h5", vgg_layers(VGG19_BLOCKS, count=9))
    names = tuple(convolutions(VGG19_BLOCKS))
    assert detect_keras(path) == ("vgg19", {"layers": names[:9], "width": "tiny"})
    assert set(from_keras("vgg19", path, layers=names[:5], width="tiny")["params"]) == set(names[:5])
    with pytest.raises(ConversionError, match="14 missing: conv4_2/bias, conv4_2/kernel"):
        from_keras("vgg19", path, width="tiny")
    path = save_weights(tmp_path / "short.h5", vgg_layers(VGG16_BLOCKS, count=4))
    with pytest.raises(ConversionError, match=r"may be vgg16 or vgg19; name one of them \(--network\)"):
        detect_keras(path)
    assert set(from_keras("vgg16", path, layers=names[:4], width="tiny")["params"]) == set(names[:4])


def test_vgg16_and_vgg19_reject_each_other(tmp_path):
    path = save_weights(tmp_path / "vgg.h5", vgg_layers(VGG19_BLOCKS))
    with pytest.raises(ConversionError, match="contains vgg19, not vgg16"):
        from_keras("vgg16", path, width="tiny")
    path = save_weights(tmp_path / "vgg.h5", vgg_layers(VGG16_BLOCKS))
    with pytest.raises(ConversionError, match=r"6 missing: conv3_4/bias, .*conv5_4/kernel"):
        from_keras("vgg19", path, width="tiny")


def test_unexpected_and_misshaped_arrays_are_listed(tmp_path):
    layers = vgg_layers(VGG16_BLOCKS)
    layers[1][1][0][1] = layers[1][1][0][1].transpose(3, 2, 0, 1)  # Theano's order
    layers.append(["block7_conv1", [["block7_conv1/kernel:0", np.zeros((3, 3, 2, 2), np.float32)]]])
    path = save_weights(tmp_path / "vgg.h5", layers)
    expected = (
        r"unexpected: conv7_1/kernel; 1 of wrong shape: conv1_1/kernel is 4x3x3x3, expected 3x3x3x4 \(transposed\?\)"
    )
    with pytest.raises(ConversionError, match=expected):
        from_keras("vgg16", path, width="tiny")
    with pytest.raises(ConversionError, match="may be vgg16 or vgg19"):
        detect_keras(path)
