"""Batches of degraded photographs: ranges, mirroring, and the labels of mirrored faces."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.recipes.srnet.batch import FACE_SIDES, degraded_batch

KEY = jax.random.key(3)


def raw(count=8, *, size=6):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, count, size, size, 3), np.uint8)
    labels = generator.integers(0, 19, (count, size, size), np.uint8)
    labels[:, 0, 0] = 255
    samples = {"mixture": images[0], "target": images[1], "labels": labels, "index": np.arange(count, dtype=np.uint32)}
    return {"degraded": samples | {"kind": np.zeros(count, np.int32)}}


def test_without_flip_samples_are_only_scaled():
    samples, batch = raw()["degraded"], degraded_batch(raw(), KEY, flip=False, faces=True)
    assert batch.keys() == {"mixture", "target", "labels"}
    np.testing.assert_allclose(batch["mixture"], samples["mixture"] / 255.0, atol=1e-6)
    np.testing.assert_allclose(batch["target"], samples["target"] / 255.0, atol=1e-6)
    np.testing.assert_array_equal(batch["labels"], samples["labels"])
    assert batch["labels"].dtype == np.int32


@pytest.mark.parametrize("faces", [False, True])
def test_mirroring_flips_all_layers_and_swaps_left_and_right_of_faces(faces):
    plain, batch = (degraded_batch(raw(), KEY, flip=flip, faces=faces) for flip in (False, True))
    names = np.arange(256)
    if faces:
        for left, right in FACE_SIDES:
            names[[left, right]] = right, left
        np.testing.assert_array_equal(names[[2, 3, 4, 5, 7, 8, 10, 255]], [3, 2, 5, 4, 8, 7, 10, 255])
    mirrored = 0
    for before, after in zip(*(zip(*tree.values(), strict=True) for tree in (plain, batch)), strict=True):
        image, target, labels = map(np.asarray, before)
        if np.array_equal(after[0], image):
            expected = image, target, labels
        else:
            mirrored += 1
            expected = image[:, ::-1], target[:, ::-1], names[labels[:, ::-1]]
        for x, y in zip(after, expected, strict=True):
            np.testing.assert_array_equal(x, y)
    assert 0 < mirrored < 8


def test_mirroring_depends_on_the_index_alone():
    whole = degraded_batch(raw(), KEY, flip=True, faces=False)
    part = degraded_batch(jax.tree.map(lambda x: x[3:5], raw()), KEY, flip=True, faces=False)
    for name, value in part.items():
        np.testing.assert_array_equal(value, whole[name][3:5])
