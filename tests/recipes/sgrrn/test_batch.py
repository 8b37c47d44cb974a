"""Batches of SGRRN: layers and labels are transformed together and depend on the sample alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.recipes.sgrrn.batch import separation_batch
from sirr_jax.synthesis.reflection import synthesis_options, synthesize_batch

SIDE, COUNT = 24, 12
MIXING = {"synthesis": "zhang", "options": synthesis_options("zhang", {})}
KEY = jax.random.key(5)


def labelled(start=0, count=COUNT):
    rng = np.random.default_rng(0)
    names = ("transmission", "reflection")
    samples = {name: rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8) for name in names}
    # The labels are the columns of the pixels; some pixels have no class.
    labels = np.broadcast_to(np.arange(SIDE, dtype=np.uint8), (COUNT, SIDE, SIDE)).copy()
    labels[:, 0] = 255
    samples |= {"labels": labels, "reflection_labels": labels, "index": np.arange(100, 100 + COUNT, dtype=np.uint32)}
    return {name: x[start : start + count] for name, x in samples.items()}


def pairs():
    rng = np.random.default_rng(1)
    images = {name: rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8) for name in ("mixture", "transmission")}
    return images | {"index": np.arange(100, 100 + COUNT, dtype=np.uint32)}


@pytest.fixture(scope="module")
def make():
    @jax.jit
    def batch(raw):
        return separation_batch(raw, KEY, **MIXING, flip=True)

    return lambda raw: jax.device_get(batch(raw))


def test_about_half_of_the_samples_are_mirrored_with_their_labels(make):
    raw = labelled()
    batch = make({"labelled_pairs": raw})
    assert {name: (x.shape, x.dtype.name) for name, x in batch.items()} == {
        "mixture": ((COUNT, SIDE, SIDE, 3), "float32"),
        "target": ((COUNT, SIDE, SIDE, 3), "float32"),
        "reflection": ((COUNT, SIDE, SIDE, 3), "float32"),
        "labels": ((COUNT, SIDE, SIDE), "int32"),
        "has_reflection": ((COUNT,), "bool"),
        "sample": ((COUNT,), "uint32"),
    }
    mirrored = batch["labels"][:, 1, 0] == SIDE - 1
    assert 2 <= mirrored.sum() <= COUNT - 2
    layers = synthesize_batch(
        jax.random.fold_in(KEY, 0), raw["transmission"], raw["reflection"], raw["index"], name="zhang"
    )
    assert layers.kept.any()
    for i in range(COUNT):
        turn = (lambda x: x[:, ::-1]) if mirrored[i] else (lambda x: x)
        np.testing.assert_array_equal(turn(batch["labels"][i]), raw["labels"][i])
        np.testing.assert_allclose(turn(batch["target"][i]), raw["transmission"][i] / 255.0, atol=1e-6)
        if layers.kept[i]:
            np.testing.assert_allclose(turn(batch["mixture"][i]), layers.mixture[i], atol=1e-5)
            np.testing.assert_allclose(turn(batch["reflection"][i]), layers.reflection[i], atol=1e-5)
        else:
            np.testing.assert_array_equal(batch["mixture"][i], batch["target"][i])
            assert not batch["reflection"][i].any()
    assert batch["has_reflection"].all()
    assert len(set(batch["sample"].tolist())) == COUNT


def test_a_sample_depends_on_its_index_alone(make):
    whole = make({"labelled_pairs": labelled()})
    part = make({"labelled_pairs": labelled(3, 4)})
    for name, x in part.items():
        np.testing.assert_allclose(x, whole[name][3:7], atol=1e-6)


def test_pairs_have_no_labels_and_no_known_reflection(make):
    batch = make({"labelled_pairs": labelled(0, 4), "pairs": pairs()})
    assert batch["has_reflection"].tolist() == [True] * 4 + [False] * COUNT
    assert (batch["labels"][4:] == 255).all()
    raw = pairs()
    same = [np.allclose(batch["mixture"][4 + i], raw["mixture"][i] / 255.0, atol=1e-6) for i in range(COUNT)]
    turned = [np.allclose(batch["mixture"][4 + i], raw["mixture"][i, :, ::-1] / 255.0, atol=1e-6) for i in range(COUNT)]
    assert all(a != b for a, b in zip(same, turned, strict=True))
    assert 2 <= sum(same) <= COUNT - 2
    # A pair and a labelled sample of the same index have different random numbers.
    assert not set(batch["sample"][:4].tolist()) & set(batch["sample"][4:].tolist())


def test_void_pixels_become_background_on_request():
    def make(*, void_is_background):
        def labels(raw):
            batch = separation_batch(raw, KEY, **MIXING, flip=False, void_is_background=void_is_background)
            return batch["labels"]

        return labels

    raw = {"labelled_pairs": labelled(0, 2), "pairs": pairs()}
    as_released = np.asarray(jax.jit(make(void_is_background=True))(raw))
    np.testing.assert_array_equal(
        as_released[:2], np.where(raw["labelled_pairs"]["labels"] == 255, 0, raw["labelled_pairs"]["labels"])
    )
    # Real pairs have no labels: all of their pixels are ignored.
    assert (as_released[2:] == 255).all()
    assert jnp.max(jax.jit(make(void_is_background=False))(raw)[:2]) == 255
