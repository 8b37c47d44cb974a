"""Segmenters behind one interface: what each is fed, whose files are taken, and the script that labels a folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.images.palettes import palette
from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.recipes.common.segmenters import SEGMENTERS, PublishedSegmenter, read_segmenter
from sirr_jax.weights.model_file import Model, StoredNetwork, save_model
from tests.helpers import literal
from tests.helpers.networks import random_parameters

SIZE = (40, 52)
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CLASSES = {"ade20k_ppm": 150, "bisenet": 19, "deeplabv2": 21, "espnetv2": 21, "segmenter": 7}


def image(*size):
    return np.random.default_rng(0).random((2, *size, 3), np.float32)


@pytest.mark.parametrize("network_id", SEGMENTERS)
def test_all_answer_in_the_images_size(network_id, monkeypatch):
    module = build(network_id, width="tiny")
    segmenter = PublishedSegmenter(module)
    assert segmenter.classes == CLASSES[network_id]
    # One trace for drawing and applying.
    draw = lambda self, _, fed: self.init_with_output(jax.random.key(0), fed)[0]  # noqa: E731
    monkeypatch.setattr(type(module), "apply", draw)
    logits = jax.eval_shape(
        lambda photo: segmenter.segment({}, photo), jax.ShapeDtypeStruct((2, *SIZE, 3), jnp.float32)
    )
    assert (logits.shape, logits.dtype) == ((2, *SIZE, CLASSES[network_id]), jnp.float32)


def fed_and_answered(monkeypatch, network_id, photo, stride, **model_args):
    """What the network is fed, and what becomes of logits that are drawn at random."""
    module, seen = build(network_id, **model_args), {}

    def apply(self, variables, fed):
        seen["fed"] = np.asarray(fed)
        size = tuple(-(-n // stride) for n in fed.shape[1:3])
        seen["logits"] = np.random.default_rng(1).standard_normal((len(fed), *size, 4)).astype(np.float32)
        return {"semantic_logits": jnp.asarray(seen["logits"])}

    monkeypatch.setattr(type(module), "apply", apply)
    answer = np.asarray(PublishedSegmenter(module).segment({}, jnp.asarray(photo)))
    labels = np.asarray(PublishedSegmenter(module).labels({}, jnp.asarray(photo)))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, answer.argmax(axis=-1))
    return seen["fed"], seen["logits"], answer


def resized(photo, side):
    """As Pillow does it, channel by channel."""
    planes = np.moveaxis(photo, -1, 1).reshape(-1, *photo.shape[1:3])
    made = [np.asarray(Image.fromarray(x, "F").resize((side, side), Image.Resampling.BILINEAR)) for x in planes]
    return np.moveaxis(np.stack(made).reshape(len(photo), 3, side, side), 1, -1)


@pytest.mark.parametrize(
    ("network_id", "model_args", "side", "size"),
    [
        ("bisenet", {}, 512, SIZE),
        ("bisenet", {}, 512, (700, 600)),
        ("espnetv2", {"scale": 2.0}, 384, SIZE),
        ("espnetv2", {"scale": 0.5}, 256, (300, 40)),
    ],
)
def test_some_are_fed_the_square_that_they_were_trained_at(monkeypatch, network_id, model_args, side, size):
    photo = image(*size)
    fed, logits, answer = fed_and_answered(monkeypatch, network_id, photo, 1, **model_args)
    np.testing.assert_allclose(fed, (resized(photo, side) - MEAN) / DEVIATION, atol=2e-4)
    # At this many pixels positions are rounded to float32 visibly.
    np.testing.assert_allclose(answer, literal.resize_bilinear(logits, size), atol=1e-3)


def test_caffes_is_fed_bgr_without_the_mean(monkeypatch):
    photo = image(*SIZE)
    fed, logits, answer = fed_and_answered(monkeypatch, "deeplabv2", photo, 8)
    np.testing.assert_allclose(fed, 255 * photo[..., ::-1] - (104.008, 116.669, 122.675), atol=1e-3)
    np.testing.assert_allclose(answer, literal.resize_bilinear(logits, SIZE), atol=1e-5)


def test_the_parser_is_fed_multiples_of_eight(monkeypatch):
    photo = image(*SIZE)
    fed, logits, answer = fed_and_answered(monkeypatch, "ade20k_ppm", photo, 8)
    padded = np.pad(photo, ((0, 0), (0, 0), (0, 4), (0, 0)), mode="reflect")
    np.testing.assert_allclose(fed, (padded - MEAN) / DEVIATION, atol=1e-5)
    np.testing.assert_allclose(answer, literal.resize_bilinear(logits, (40, 56))[:, :, :52], atol=1e-5)


def test_our_own_is_fed_the_photograph(monkeypatch):
    photo = image(*SIZE)
    fed, logits, answer = fed_and_answered(monkeypatch, "segmenter", photo, 1)
    np.testing.assert_array_equal(fed, photo)
    np.testing.assert_array_equal(answer, logits)


def test_other_networks_are_refused():
    with pytest.raises(UserError, match="Vgg19 is no segmenter; expected one of ade20k_ppm, bisenet"):
        PublishedSegmenter(build("vgg19", width="tiny"))


# --- model files --------------------------------------------------------------------------------------------------


def own_segmenter(**extra):
    module = build("segmenter", width="tiny")
    params = random_parameters(module, (1, 16, 16, 3))
    params["semantic_logits"]["kernel"] = 3.0 * params["semantic_logits"]["kernel"]
    return StoredNetwork("segmenter", {"width": "tiny"}, {"params": params} | extra)


def written(path, **networks):
    save_model(path, Model("tiny", networks, license="-", description="-"))
    return path


def test_a_segmenter_is_read_from_any_model_that_has_one(tmp_path):
    network = own_segmenter(carried={"num_batches_tracked": np.zeros(())})
    other = StoredNetwork("vgg19", {}, {"params": {"x": np.zeros(1, np.float32)}})
    found = read_segmenter(written(tmp_path / "m.safetensors", parser=network, vgg19=other))
    assert found[:2] == network[:2]
    assert found.variables.keys() == {"params"}
    jax.tree.map(np.testing.assert_array_equal, found.variables["params"], network.variables["params"])
    for name, networks in (("none", {"vgg19": other}), ("two", {"a": network, "b": network})):
        with pytest.raises(UserError, match=r"holds .*; expected one of ade20k_ppm, .*segmenter: give another model"):
            read_segmenter(written(tmp_path / f"{name}.safetensors", **networks))


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
    """Two photographs, one in a folder inside, and a model."""
    for name in ("photos/a.png", "photos/inside/b.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 256, (16, 19, 3), np.uint8)).save(path)
    written(tmp_path / "m.safetensors", segmenter=own_segmenter())
    return tmp_path


def arguments(folder, out="labels"):
    return [str(folder / "photos"), str(folder / out), "--model", str(folder / "m.safetensors")]


def test_a_folder_is_labelled_once(script, folder, capsys):
    assert script(arguments(folder)) == 0
    assert capsys.readouterr().out == f"2 written to {folder / 'labels'}, 0 were there and kept\n"
    segmenter, variables = PublishedSegmenter(build("segmenter", width="tiny")), own_segmenter().variables
    for name in ("a.png", "inside/b.png"):
        with Image.open(folder / "labels" / name) as made:
            assert made.mode == "P"
            labels = np.asarray(made)
            np.testing.assert_array_equal(np.reshape(made.getpalette(), (-1, 3))[:7], palette(7))
        photo = np.asarray(Image.open(folder / "photos" / name), np.float32)[None] / np.float32(255)
        agree = labels == np.asarray(jax.jit(segmenter.labels)(variables, photo))[0]
        assert agree.mean() > 0.99
        assert len(np.unique(labels)) > 1

    # What is there is kept, unless asked otherwise; what is missing is made.
    kept = folder / "labels" / "a.png"
    kept.write_bytes(b"mine")
    (folder / "labels" / "inside" / "b.png").unlink()
    assert script(arguments(folder)) == 0
    assert "1 written" in capsys.readouterr().out
    assert kept.read_bytes() == b"mine"
    assert (folder / "labels" / "inside" / "b.png").exists()
    assert script([*arguments(folder), "--overwrite"]) == 0
    assert kept.read_bytes() != b"mine"
    assert sorted(path.name for path in (folder / "labels").rglob("*.*")) == ["a.png", "b.png"]


def test_labels_never_take_a_photographs_place_nor_one_another_s(script, folder, capsys):
    before = (folder / "photos" / "a.png").read_bytes()
    assert script(arguments(folder, "photos")) == 2
    assert "would take its place; choose another output folder" in capsys.readouterr().err
    assert (folder / "photos" / "a.png").read_bytes() == before
    (folder / "photos" / "a.jpg").write_bytes(before)
    assert script(arguments(folder)) == 2
    assert "would both be" in capsys.readouterr().err
    assert not (folder / "labels").exists()
