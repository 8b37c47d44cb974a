"""Segmentation networks behind one interface: preprocessing, model files, and the script that labels a folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from sirr_jax.errors import UserError
from sirr_jax.layers.palettes import palette
from sirr_jax.models import build
from sirr_jax.models.published_segmenter import PublishedSegmenter, list_segmenters
from sirr_jax.recipes.common.segmenters import read_segmenter
from sirr_jax.weights.model_file import Model, StoredNetwork, save_model
from tests.helpers import literal
from tests.helpers.networks import random_parameters

SIZE = (40, 52)
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CLASSES = {"ade20k_ppm": 150, "bisenet": 19, "deeplabv2": 21, "espnetv2": 21, "segmenter": 7}


def image(*size):
    return np.random.default_rng(0).random((2, *size, 3), np.float32)


@pytest.mark.parametrize("network_id", list_segmenters())
def test_logits_have_the_size_of_the_image(network_id, monkeypatch):
    module = build(network_id, width="tiny")
    segmenter = PublishedSegmenter(module)
    assert segmenter.classes == CLASSES[network_id]
    # One trace for drawing and applying.
    draw = lambda self, _, x: self.init_with_output(jax.random.key(0), x)[0]  # noqa: E731
    monkeypatch.setattr(type(module), "apply", draw)
    logits = jax.eval_shape(
        lambda photo: segmenter.segment({}, photo), jax.ShapeDtypeStruct((2, *SIZE, 3), jnp.float32)
    )
    assert (logits.shape, logits.dtype) == ((2, *SIZE, CLASSES[network_id]), jnp.float32)


def run_with_random_logits(monkeypatch, network_id, photo, stride, **model_args):
    """The network's input, its output, which is random, and the resulting logits."""
    module, record = build(network_id, **model_args), {}

    def apply(self, variables, x):
        record["input"] = np.asarray(x)
        size = tuple(-(-n // stride) for n in x.shape[1:3])
        record["output"] = np.random.default_rng(1).standard_normal((len(x), *size, 4)).astype(np.float32)
        return {"semantic_logits": jnp.asarray(record["output"])}

    monkeypatch.setattr(type(module), "apply", apply)
    logits = np.asarray(PublishedSegmenter(module).segment({}, jnp.asarray(photo)))
    labels = np.asarray(PublishedSegmenter(module).labels({}, jnp.asarray(photo)))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, logits.argmax(axis=-1))
    return record["input"], record["output"], logits


def resized(photo, side):
    """Resized by Pillow, channel by channel."""
    planes = np.moveaxis(photo, -1, 1).reshape(-1, *photo.shape[1:3])
    images = [np.asarray(Image.fromarray(x, "F").resize((side, side), Image.Resampling.BILINEAR)) for x in planes]
    return np.moveaxis(np.stack(images).reshape(len(photo), 3, side, side), 1, -1)


@pytest.mark.parametrize(
    ("network_id", "model_args", "side", "size"),
    [
        ("bisenet", {}, 512, SIZE),
        ("bisenet", {}, 512, (700, 600)),
        ("espnetv2", {"scale": 2.0}, 384, SIZE),
        ("espnetv2", {"scale": 0.5}, 256, (300, 40)),
    ],
)
def test_some_networks_take_the_square_that_they_were_trained_at(monkeypatch, network_id, model_args, side, size):
    photo = image(*size)
    x, output, logits = run_with_random_logits(monkeypatch, network_id, photo, 1, **model_args)
    np.testing.assert_allclose(x, (resized(photo, side) - MEAN) / DEVIATION, atol=2e-4)
    # With this many pixels the float32 rounding of positions is visible.
    np.testing.assert_allclose(logits, literal.resize_bilinear(output, size), atol=1e-3)


def test_deeplab_takes_bgr_minus_caffes_mean(monkeypatch):
    photo = image(*SIZE)
    x, output, logits = run_with_random_logits(monkeypatch, "deeplabv2", photo, 8)
    np.testing.assert_allclose(x, 255 * photo[..., ::-1] - (104.008, 116.669, 122.675), atol=1e-3)
    np.testing.assert_allclose(logits, literal.resize_bilinear(output, SIZE), atol=1e-5)


def test_the_pyramid_parser_takes_multiples_of_eight(monkeypatch):
    photo = image(*SIZE)
    x, output, logits = run_with_random_logits(monkeypatch, "ade20k_ppm", photo, 8)
    padded = np.pad(photo, ((0, 0), (0, 0), (0, 4), (0, 0)), mode="reflect")
    np.testing.assert_allclose(x, (padded - MEAN) / DEVIATION, atol=1e-5)
    np.testing.assert_allclose(logits, literal.resize_bilinear(output, (40, 56))[:, :, :52], atol=1e-5)


def test_our_own_segmenter_takes_the_photograph(monkeypatch):
    photo = image(*SIZE)
    x, output, logits = run_with_random_logits(monkeypatch, "segmenter", photo, 1)
    np.testing.assert_array_equal(x, photo)
    np.testing.assert_array_equal(logits, output)


def test_other_networks_are_errors():
    with pytest.raises(UserError, match="Vgg19 is no segmenter; expected one of ade20k_ppm, bisenet"):
        PublishedSegmenter(build("vgg19", width="tiny"))


# --- model files --------------------------------------------------------------------------------------------------


def own_segmenter(**extra):
    module = build("segmenter", width="tiny")
    params = random_parameters(module, (1, 16, 16, 3))
    params["semantic_logits"]["kernel"] = 3.0 * params["semantic_logits"]["kernel"]
    return StoredNetwork("segmenter", {"width": "tiny"}, {"params": params} | extra)


def saved(path, **networks):
    save_model(path, Model("tiny", networks, license="-", description="-"))
    return path


def test_the_segmenter_of_any_model_file_is_read(tmp_path):
    network = own_segmenter(passthrough={"num_batches_tracked": np.zeros(())})
    other = StoredNetwork("vgg19", {}, {"params": {"x": np.zeros(1, np.float32)}})
    segmenter = read_segmenter(saved(tmp_path / "m.safetensors", parser=network, vgg19=other))
    assert segmenter[:2] == network[:2]
    assert segmenter.variables.keys() == {"params"}
    jax.tree.map(np.testing.assert_array_equal, segmenter.variables["params"], network.variables["params"])
    for name, networks in (("none", {"vgg19": other}), ("two", {"a": network, "b": network})):
        with pytest.raises(UserError, match=r"contains .*; expected one of ade20k_ppm, .*segmenter: give another"):
            read_segmenter(saved(tmp_path / f"{name}.safetensors", **networks))


# --- the script ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).parents[3] / "scripts" / "precompute_labels.py"
    spec = importlib.util.spec_from_file_location("precompute_labels", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def folder(tmp_path):
    """Two photographs, one of them in a subfolder, and a model."""
    for name in ("photos/a.png", "photos/inside/b.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 256, (16, 19, 3), np.uint8)).save(path)
    saved(tmp_path / "m.safetensors", segmenter=own_segmenter())
    return tmp_path


def arguments(folder, out="labels"):
    return [str(folder / "photos"), str(folder / out), "--model", str(folder / "m.safetensors")]


def test_a_folder_is_labelled_once(script, folder, capsys):
    assert script(arguments(folder)) == 0
    assert capsys.readouterr().out == f"2 label maps written to {folder / 'labels'}, 0 existing ones kept\n"
    segmenter, variables = PublishedSegmenter(build("segmenter", width="tiny")), own_segmenter().variables
    for name in ("a.png", "inside/b.png"):
        with Image.open(folder / "labels" / name) as image:
            assert image.mode == "P"
            labels = np.asarray(image)
            np.testing.assert_array_equal(np.reshape(image.getpalette(), (-1, 3))[:7], palette(7))
        photo = np.asarray(Image.open(folder / "photos" / name), np.float32)[None] / np.float32(255)
        agree = labels == np.asarray(jax.jit(segmenter.labels)(variables, photo))[0]
        assert agree.mean() > 0.99
        assert len(np.unique(labels)) > 1

    # Existing label maps are kept without --overwrite; missing ones are made.
    existing = folder / "labels" / "a.png"
    existing.write_bytes(b"mine")
    (folder / "labels" / "inside" / "b.png").unlink()
    assert script(arguments(folder)) == 0
    assert "1 label maps written" in capsys.readouterr().out
    assert existing.read_bytes() == b"mine"
    assert (folder / "labels" / "inside" / "b.png").exists()
    assert script([*arguments(folder), "--overwrite"]) == 0
    assert existing.read_bytes() != b"mine"
    assert sorted(path.name for path in (folder / "labels").rglob("*.*")) == ["a.png", "b.png"]


def test_labels_never_overwrite_photographs_or_each_other(script, folder, capsys):
    before = (folder / "photos" / "a.png").read_bytes()
    assert script(arguments(folder, "photos")) == 2
    assert "would replace the photo; choose another output folder" in capsys.readouterr().err
    assert (folder / "photos" / "a.png").read_bytes() == before
    (folder / "photos" / "a.jpg").write_bytes(before)
    assert script(arguments(folder)) == 2
    assert "would both be" in capsys.readouterr().err
    assert not (folder / "labels").exists()
