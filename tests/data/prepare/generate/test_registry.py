"""Tests of generated samples of the kinds without levels: their parameters, and errors of wrong options."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.prepare.generate import get_generator, kinds
from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations import KINDS
from sirr_jax.synthesis.degradations.fog import BETAS, airlight
from sirr_jax.synthesis.degradations.rain import RAIN_STRENGTHS
from sirr_jax.synthesis.reflection import SYNTHESES

SIDE = 64


def photograph(seed=0):
    small = np.random.default_rng(seed).integers(20, 230, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def samples(kind, number, **options):
    """Generates samples of a kind and checks that their parameters survive a JSON file unchanged."""
    generator = get_generator(kind, options)
    assert json.loads(json.dumps(generator.options)) is not None
    photographs = tuple(photograph(seed) for seed in range(generator.photographs))
    generated = [generator.make(3, index, photographs) for index in range(number)]
    for sample in generated:
        assert json.loads(json.dumps(sample.parameters)) == sample.parameters
        assert all(image.dtype == np.uint8 and image.shape[:2] == (SIDE, SIDE) for image in sample.images.values())
        assert sample.accepted
    again = generator.make(3, 0, photographs)
    for layer, image in again.images.items():
        np.testing.assert_array_equal(image, generated[0].images[layer])
    return generated


def test_all_kinds_have_a_generator():
    others = {"raindrops", "watermark", "irregular_mask", "window_reflection", "fog", "rain"}
    assert set(kinds()) == {*SYNTHESES, *KINDS, *others}
    assert len(kinds()) == len(set(kinds()))
    for kind in kinds():
        assert get_generator(kind, {}).photographs == (2 if kind in {*SYNTHESES, "window_reflection"} else 1)


def test_fog_parameters():
    generated = samples("fog", 12)
    assert {sample.parameters["beta"] for sample in generated} == set(BETAS)
    for sample in generated:
        assert sample.parameters["depth"] == "made up"
        assert 2.0 <= sample.parameters["nearest"] < sample.parameters["farthest"] <= 250.0
        np.testing.assert_array_equal(sample.parameters["airlight"], airlight(photograph()))
        np.testing.assert_array_equal(sample.images["clean"], photograph())
    (clear,) = samples("fog", 1, betas=[0], refine=False)
    np.testing.assert_array_equal(clear.images["degraded"], photograph())


def test_rain_strengths_are_published_or_custom():
    generated = samples("rain", 12)
    drawn = {tuple(sample.parameters[name] for name in ("alpha", "beta", "drop_size")) for sample in generated}
    assert drawn == set(RAIN_STRENGTHS)
    (sample,) = samples("rain", 1, strengths=[[0.5, 0, 0.25]])
    assert (sample.parameters["alpha"], sample.parameters["beta"]) == (0.5, 0)


def test_watermark_logos_are_drawn_or_loaded_from_a_folder(tmp_path):
    for sample in samples("watermark", 3):
        images = sample.images
        assert sample.parameters["logo"] == "drawn"
        assert 128 <= sample.parameters["gray"] <= 255
        apart = (images["degraded"] != images["clean"]).any(axis=-1)
        assert not apart[images["mask"] == 0].any()
        assert apart.any()
    for name in ("b", "a"):
        Image.fromarray(np.pad(np.zeros((30, 60), np.uint8), 9, constant_values=255)).save(tmp_path / f"{name}.png")
    generated = samples("watermark", 12, logos=str(tmp_path), tiled=True, size=200)
    assert {sample.parameters["logo"] for sample in generated} == {"a.png", "b.png"}
    assert all(len(sample.parameters["places"]) > 1 for sample in generated)


def test_irregular_mask_holes_are_black_in_mask_and_image():
    for sample in samples("irregular_mask", 4):
        images = sample.images
        assert set(np.unique(images["mask"])) == {0, 255}
        assert sample.parameters["hole_share"] == np.mean(images["mask"] == 0)
        np.testing.assert_array_equal(images["degraded"], images["clean"] * (images["mask"][..., None] // 255))
    wide = samples("irregular_mask", 4, width=[40, 40], count=[6, 0])
    assert min(sample.parameters["hole_share"] for sample in wide) > 0.1


@pytest.mark.parametrize(("form", "drawn"), [("cityscapes", "sigma"), ("ceil", "excess_gain")])
def test_window_reflection_forms(form, drawn):
    for sample in samples("window_reflection", 2, form=form):
        assert drawn in sample.parameters
        np.testing.assert_array_equal(sample.images["clean"], photograph(0))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("fog", {"beta": 1}, "fog has no option 'beta'; it takes betas, refine"),
        ("fog", {"betas": 0.1}, "betas is 0.1: use at least one number of at least 0"),
        ("fog", {"betas": [0.1, -1]}, "betas is"),
        ("fog", {"betas": []}, "betas is"),
        ("fog", {"refine": 1}, "refine is 1: use true or false"),
        ("rain", {"strengths": [0.1, 0.2, 0.3]}, r"use a list of \[alpha, beta, drop size\]"),
        ("rain", {"strengths": [[0.1, 0.2]]}, "strengths is"),
        ("rain", {"strengths": [[0.1, 0.2, -0.3]]}, "strengths is"),
        ("rain", {"strengths": "hard"}, "strengths is 'hard'"),
        ("rain", {"strengths": [[0.1, 0.2, "x"]]}, "strengths is"),
        ("watermark", {"logos": 3}, "logos is 3: use the path"),
        ("watermark", {"logos": "nowhere"}, r"nowhere has no \.png file"),
        ("watermark", {"tiled": "yes"}, "tiled is 'yes': use true or false"),
        ("watermark", {"size": 1000}, "size is 1000: use a whole number from 1 to 864"),
        ("watermark", {"margin": 2.5}, "margin is 2.5: use a whole number"),
        ("watermark", {"opacity": 1}, "opacity is 1: use a number from"),
        ("watermark", {"angle": "left"}, "angle is 'left'"),
        ("irregular_mask", {"count": [1, 2, 3]}, "count is .*: use 2 numbers of at least 0"),
        ("irregular_mask", {"width": [9, 5]}, "width is"),
        ("irregular_mask", {"scale": [0.5, 2]}, "scale is"),
        ("window_reflection", {"form": ["zhang"]}, "form is .*: use one of cityscapes, zhang, ceil"),
        ("jpeg", {"resave_jpeg": "no"}, "resave_jpeg is 'no': use true or false"),
        ("jpeg", {"level": 5}, "level 5 of jpeg"),
        ("raindrops", {"mask_threshold": 300}, "mask_threshold is 300"),
        ("foq", {}, "no kind of generated sample is called 'foq'; did you mean 'fog'"),
    ],
)
def test_option_errors(kind, options, message):
    with pytest.raises(UserError, match=message) as raised:
        get_generator(kind, options)
    assert "\n" not in str(raised.value)
