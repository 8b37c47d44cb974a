"""The perceptual term: features of each system, weight files, and the description for the log."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from sirr_jax.errors import UserError
from sirr_jax.losses.perceptual import VGG_WEIGHTS
from sirr_jax.losses.pixel import multiscale_gradient_l1
from sirr_jax.models.vgg import VGG16_BLOCKS, VGG19_BLOCKS, Vgg16, Vgg19, convolutions
from sirr_jax.recipes.common.perceptual import ATTENTIVE_GAN, EDGE_GAN, ERRNET, SRNET, PerceptualTerm

BLOCKS = {"vgg16": VGG16_BLOCKS, "vgg19": VGG19_BLOCKS}
FIRST = {"vgg16": 7, "vgg19": 5}  # convolutions as far as relu3_3 and relu3_1
MEAN, DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def params(network, count):
    """Random parameters of the first convolutions."""
    rng, channels, layers = np.random.default_rng(0), 3, {}
    for name, width in list(convolutions(BLOCKS[network]).items())[:count]:
        kernel = rng.standard_normal((3, 3, channels, width)) * np.sqrt(2.0 / (9 * channels))
        layers[name] = {"kernel": kernel.astype(np.float32), "bias": np.full(width, 0.1, np.float32)}
        channels = width
    return layers


def save(path, network, convention, count=None):
    """Writes a weight file of a convention: Keras's names for Caffe's weights, torchvision's for its own."""
    arrays = {}
    names = list(convolutions(BLOCKS[network]))
    for name, layer in params(network, count or FIRST[network]).items():
        if convention == "caffe":
            keys = {part: f"block{name[4]}_conv{name[6]}/{part}" for part in layer}
            arrays |= {keys[part]: value for part, value in layer.items()}
        else:
            # `features` counts convolutions, ReLUs and pools.
            position = 2 * names.index(name) + int(name[4]) - 1
            arrays[f"features.{position}.weight"] = layer["kernel"].transpose(3, 2, 0, 1)
            arrays[f"features.{position}.bias"] = layer["bias"]
    if convention == "caffe":
        np.savez(path.with_suffix(".npz"), **arrays)
        return str(path.with_suffix(".npz"))
    save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, path.with_suffix(".safetensors"))
    return str(path.with_suffix(".safetensors"))


@functools.cache
def pair():
    rng = np.random.default_rng(1)
    target = rng.random((2, 8, 8, 3)).astype(np.float32)
    return np.clip(target + 0.1 * rng.standard_normal(target.shape), 0.0, 1.0).astype(np.float32), target


@functools.cache
def compiled(network, count):
    module = {"vgg16": Vgg16, "vgg19": Vgg19}[network](layers=tuple(convolutions(BLOCKS[network]))[:count])
    return jax.jit(lambda p, x: module.apply({"params": p}, x))


def features(network, count, image):
    return {n: np.asarray(x, np.float64) for n, x in compiled(network, count)(params(network, count), image).items()}


def measure(term, estimate, target):
    return float(jax.jit(term)(term.params, estimate, target))


def caffe(image):
    return 255.0 * image[..., ::-1] - np.float32([103.939, 116.779, 123.68])


PREPROCESSING = {
    "raw_bgr01": ("torchvision", lambda x: x[..., ::-1], 1.0),
    "raw_rgb255": ("caffe", lambda x: np.float32(255.0) * x, 1.0),
    "normalized": ("torchvision", lambda x: (x - MEAN) / DEVIATION, 1.0),
    "normalized caffe": ("caffe", caffe, 1.0 / (255.0 * 0.226)),
}


@pytest.mark.parametrize("case", PREPROCESSING)
@pytest.mark.parametrize("system", [ATTENTIVE_GAN, EDGE_GAN], ids=["attentive_gan", "edge_gan"])
def test_vgg16_perceptual_loss_is_weighted_mse_of_features(tmp_path, system, case):
    convention, preprocess, unit = PREPROCESSING[case]
    path = save(tmp_path / "vgg", "vgg16", convention)
    term = PerceptualTerm(path, features=system._replace(preprocessing=case.split()[0]))
    blocks = {"relu1_1": 1.0, "relu1_2": 0.6, "relu2_1": 0.4, "relu2_2": 0.2}
    weights = blocks if system is ATTENTIVE_GAN else {"relu3_3": 1.0}
    estimate, target = (features("vgg16", 7, preprocess(image)) for image in pair())
    expected = sum(w * np.square(unit * (estimate[n] - target[n])).mean() for n, w in weights.items())
    assert measure(term, *pair()) == pytest.approx(expected, rel=1e-4)
    # Only the required convolutions are kept.
    assert len(term.params) == (4 if system is ATTENTIVE_GAN else 7)


@pytest.mark.parametrize("case", ["normalized", "normalized caffe"])
def test_errnet_features_are_the_default(tmp_path, case):
    convention, preprocess, unit = PREPROCESSING[case]
    term = PerceptualTerm(save(tmp_path / "vgg", "vgg19", convention))
    estimate, target = (features("vgg19", 5, preprocess(image)) for image in pair())
    layers = ("relu1_1", "relu2_1", "relu3_1")
    expected = sum(VGG_WEIGHTS[n] * unit * np.abs(estimate[n] - target[n]).mean() for n in layers)
    assert measure(term, *pair()) == pytest.approx(expected, rel=1e-4)
    assert term.description == (
        f"perceptual loss: VGG-19 ({convention} weights) at relu1_1, relu2_1, relu3_1; "
        "without relu4_1, relu5_1, which the weight file lacks"
    )


def test_style_loss_shares_the_vgg_features(tmp_path):
    convention, preprocess, unit = PREPROCESSING["normalized caffe"]
    term = PerceptualTerm(save(tmp_path / "vgg", "vgg19", convention, 8), features=SRNET)
    assert len(term.params) == 8
    estimate, target = (features("vgg19", 8, preprocess(image)) for image in pair())
    l1 = sum(unit * np.abs(estimate[n] - target[n]).mean() for n in ("relu1_1", "relu2_1", "relu3_1"))

    def gram(x):
        return np.einsum("bijc,bijd->bcd", x, x) / np.prod(x.shape[1:])

    style = sum(unit**2 * np.abs(gram(estimate[n]) - gram(target[n])).mean() for n in ("relu2_2", "relu3_4"))
    losses = jax.jit(term.with_style)(term.params, *pair())
    assert [float(x) for x in losses] == pytest.approx([l1, style], rel=1e-4)
    assert measure(term, *pair()) == pytest.approx(l1, rel=1e-4)
    assert term.description == (
        "perceptual and style loss: VGG-19 (caffe weights) at relu1_1, relu2_1, relu2_2, relu3_1, relu3_4; "
        "without relu4_1, relu4_4, relu5_1, relu5_2, which the weight file lacks"
    )
    absent = PerceptualTerm("", features=SRNET)
    assert float(absent.with_style({}, *pair())[1]) == 0.0
    assert absent.description.endswith("is empty; it takes a VGG-19 file); no style loss")


def test_bfloat16_features_give_a_float32_loss(tmp_path):
    path = save(tmp_path / "vgg", "vgg16", "caffe")
    exact, half = (PerceptualTerm(path, features=EDGE_GAN, dtype=dtype) for dtype in (jnp.float32, jnp.bfloat16))
    shape = jax.eval_shape(half, half.params, *pair())
    assert (shape.shape, shape.dtype) == ((), jnp.float32)
    assert measure(half, *pair()) == pytest.approx(measure(exact, *pair()), rel=0.05)


def test_without_a_weight_file_the_loss_is_the_gradient_l1_or_zero():
    term = PerceptualTerm("")
    assert term.params == {}
    assert measure(term, *pair()) == pytest.approx(float(multiscale_gradient_l1(*pair())), rel=1e-6)
    assert term.description == (
        "perceptual loss: 3-scale gradient L1 (config.perceptual_weights is empty; it takes a VGG-19 file)"
    )
    nothing = PerceptualTerm("", features=EDGE_GAN, substitute=False)
    assert measure(nothing, *pair()) == 0.0
    assert nothing.description == ("perceptual loss: none (config.perceptual_weights is empty; it takes a VGG-16 file)")


def test_the_description_names_a_raw_preprocessing(tmp_path):
    term = PerceptualTerm(save(tmp_path / "vgg", "vgg16", "caffe"), features=EDGE_GAN)
    assert term.description == "perceptual loss: VGG-16 (caffe weights) at relu3_3, preprocessing raw_rgb255"


@pytest.mark.parametrize(
    ("features", "convention", "count", "message"),
    [
        (
            ATTENTIVE_GAN,
            "caffe",
            4,
            "contains caffe weights, .* raw_bgr01; .* a file of torchvision weights",
        ),
        (
            EDGE_GAN,
            "torchvision",
            7,
            "contains torchvision weights, .* raw_rgb255; .*, or choose .* normalized",
        ),
        (EDGE_GAN, "caffe", 6, r"ends at conv3_2, before all layers of .* \(relu3_3\); give .* more complete"),
        (
            EDGE_GAN._replace(preprocessing="rgb"),
            "caffe",
            7,
            "'rgb'; choose one of normalized, raw_bgr01, raw_rgb255",
        ),
        (ERRNET._replace(network="vgg16"), "caffe", 0, "no VGG-16 weight file at"),
    ],
)
def test_unusable_weight_files_are_errors(tmp_path, features, convention, count, message):
    path = save(tmp_path / "vgg", "vgg16", convention, count) if count else str(tmp_path / "absent.npz")
    with pytest.raises(UserError, match=message) as caught:
        PerceptualTerm(path, features=features)
    assert "\n" not in str(caught.value)
