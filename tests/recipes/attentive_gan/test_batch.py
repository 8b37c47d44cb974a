"""Batches of rainy images, clean images and masks from raw samples."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from sirr_jax.recipes.attentive_gan.batch import raindrop_batch
from sirr_jax.synthesis.raindrops import RaindropOptions, difference_mask

SIZE = 16
OPTIONS = RaindropOptions(count=(2, 4), radius=(0.1, 0.25), highlight=(0.0, 0.0))
MASK = {"threshold": 40.0, "reduce": "max", "dilate": True}


def raw_samples(count, start=0):
    generator = np.random.default_rng(3)
    image = lambda: generator.integers(0, 256, (8, SIZE, SIZE, 3), np.uint8)[start : start + count]  # noqa: E731
    index = np.arange(start, start + count, dtype=np.uint32)
    return {
        "photos": {"transmission": image(), "index": index},
        "pairs": {"mixture": image(), "transmission": image() // 4 * 3, "index": index},
    }


@pytest.fixture(scope="module")
def make():
    """The batch function, compiled once with and once without mirroring."""
    prepare = functools.partial(raindrop_batch, raindrops=OPTIONS, mask=MASK)
    compiled = {flip: jax.jit(functools.partial(prepare, flip=flip)) for flip in (True, False)}
    return lambda raw, flip: jax.device_get(compiled[flip](raw, jax.random.key(5)))


def test_photographs_get_drops_and_pairs_stay_unchanged(make):
    raw = raw_samples(4)
    batch = make(raw, flip=False)
    assert {name: x.shape for name, x in batch.items()} == {
        "mixture": (8, SIZE, SIZE, 3),
        "target": (8, SIZE, SIZE, 3),
        "mask": (8, SIZE, SIZE, 1),
    }
    assert {x.dtype for x in batch.values()} == {np.dtype(np.float32)}
    target = np.concatenate([raw[kind]["transmission"] for kind in ("photos", "pairs")])
    np.testing.assert_allclose(batch["target"], target / 255, atol=1e-6)
    np.testing.assert_allclose(batch["mixture"][4:], raw["pairs"]["mixture"] / 255, atol=1e-6)
    expected = difference_mask(raw["pairs"]["mixture"], raw["pairs"]["transmission"], **MASK)
    np.testing.assert_array_equal(batch["mask"][4:], expected)
    photos = {name: x[:4] for name, x in batch.items()}
    assert 0 < photos["mask"].mean() < 1
    np.testing.assert_array_equal(
        photos["mask"], difference_mask(*(np.rint(255 * photos[name]) for name in ("mixture", "target")))
    )


def test_all_layers_of_a_scene_are_mirrored_together(make):
    raw = raw_samples(8)
    plain, mirrored = (make(raw, flip=flip) for flip in (False, True))
    unchanged, turned = 0, 0
    for i in range(16):
        if np.allclose(mirrored["target"][i], plain["target"][i]):
            unchanged += 1
        else:
            np.testing.assert_allclose(mirrored["target"][i], plain["target"][i][:, ::-1])
            turned += 1
            if i >= 8:  # a pair; on photographs drops are rendered after the mirroring
                for name in ("mixture", "mask"):
                    np.testing.assert_allclose(mirrored[name][i], plain[name][i][:, ::-1])
    assert min(unchanged, turned) >= 2


def test_a_sample_depends_on_its_index_alone(make):
    whole, part = make(raw_samples(8), flip=True), make(raw_samples(4, start=4), flip=True)
    for name in ("mixture", "target", "mask"):
        np.testing.assert_allclose(whole[name][4:8], part[name][:4], atol=1e-5)
        np.testing.assert_allclose(whole[name][12:], part[name][4:], atol=1e-5)
