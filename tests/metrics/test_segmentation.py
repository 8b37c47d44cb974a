"""Segmentation metrics against loops over pixels and classes, and toy cases."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import contingency_table

from sirr_jax.errors import UserError
from sirr_jax.metrics import confusion, miou, per_image

CLASSES = 5


@st.composite
def label_maps(draw, *, ignore=False):
    """Predicted and true labels of one shape, in which some classes may not occur."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = tuple(rng.integers(1, 7, 2))
    occurring = [rng.choice(CLASSES, rng.integers(1, CLASSES + 1)).astype(np.uint8) for _ in range(2)]
    if ignore:
        occurring[1] = np.append(occurring[1], np.uint8(255))
    return tuple(rng.choice(classes, shape) for classes in occurring)


@settings(max_examples=60)
@given(label_maps(ignore=True))
def test_confusion_counts_pixels(maps):
    predicted, target = maps
    expected = np.zeros((CLASSES, CLASSES), np.int64)
    for p, t in zip(predicted.flat, target.flat, strict=True):
        if t != 255:
            expected[t, p] += 1
    counts = confusion(predicted, target, CLASSES)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, expected)
    union = [set(np.flatnonzero(predicted[target != 255] == c)) for c in range(CLASSES)]
    true = [set(np.flatnonzero(target[target != 255] == c)) for c in range(CLASSES)]
    scores = [len(u & t) / len(u | t) for u, t in zip(union, true, strict=True) if u | t]
    assert miou(counts) == (pytest.approx(np.mean(scores)) if scores else pytest.approx(math.nan, nan_ok=True))


def test_confusion_matches_scikit_image_contingency_table():
    rng = np.random.default_rng(1)
    predicted, target = rng.integers(0, CLASSES, (2, 30, 40))
    np.testing.assert_array_equal(
        confusion(predicted, target, CLASSES), contingency_table(target, predicted).toarray().astype(int)
    )


def literal_scores(predicted, target):
    """SR-Net specification, section 7, as in the public evaluation script."""
    true_classes, all_classes = np.unique(target), np.union1d(np.unique(target), np.unique(predicted))
    correct = sum(int(((predicted == c) & (target == c)).sum()) for c in true_classes)
    accuracies, overlaps, weighted = [], [], 0.0
    for c in all_classes:
        p, t = predicted == c, target == c
        both = int((p & t).sum())
        if t.sum():
            accuracies.append(both / t.sum())
        if t.sum() and p.sum():
            overlap = both / (t.sum() + p.sum() - both)
            overlaps.append(overlap)
            weighted += t.sum() * overlap
    return {
        "pa": correct / target.size,
        "ma": sum(accuracies) / len(true_classes),
        "miou": sum(overlaps) / len(true_classes),
        "fwiou": weighted / target.size,
    }


@settings(max_examples=80)
@given(label_maps())
def test_per_image_equals_a_literal_loop(maps):
    scores = per_image(*maps, CLASSES)
    assert scores == pytest.approx(literal_scores(*maps))
    assert all(type(score) is float for score in scores.values())


def test_per_image_and_miou_of_toy_cases():
    target = np.array([[0, 0], [1, 1]], np.uint8)
    assert per_image(target, target, 3) == {"pa": 1.0, "ma": 1.0, "miou": 1.0, "fwiou": 1.0}
    # Class 2 is predicted and does not occur; the published score still divides by the two true classes.
    predicted = np.array([[0, 2], [1, 1]], np.uint8)
    assert per_image(predicted, target, 3) == pytest.approx({"pa": 0.75, "ma": 0.75, "miou": 0.75, "fwiou": 0.75})
    assert miou(confusion(predicted, target, 3)) == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    assert miou(confusion(predicted, np.full_like(target, 255), 3)) != miou(np.eye(3, dtype=np.int64)) == 1.0


def test_confusion_is_additive_and_batches_are_scored_per_image():
    rng = np.random.default_rng(2)
    predicted, target = rng.integers(0, CLASSES, (2, 3, 8, 9))
    parts = [confusion(p, t, CLASSES) for p, t in zip(predicted, target, strict=True)]
    np.testing.assert_array_equal(sum(parts), confusion(predicted, target, CLASSES))
    batch = per_image(predicted, target, CLASSES)
    for index in range(3):
        one = per_image(predicted[index], target[index], CLASSES)
        assert {name: scores[index] for name, scores in batch.items()} == pytest.approx(one)


def test_jit_equals_numpy():
    rng = np.random.default_rng(3)
    predicted = rng.integers(0, CLASSES, (2, 7, 6)).astype(np.int32)
    target = rng.integers(0, CLASSES, (2, 7, 6)).astype(np.uint8)
    void = np.where(rng.random(target.shape) < 0.3, np.uint8(255), target)

    @jax.jit
    def scored(p, t, v):
        counts = confusion(p, v, CLASSES)
        return counts, miou(counts), per_image(p, t, CLASSES)

    counts, mean, scores = scored(jnp.asarray(predicted), target, void)
    assert counts.dtype == jnp.int32
    np.testing.assert_array_equal(counts, confusion(predicted, void, CLASSES))
    assert mean == pytest.approx(miou(confusion(predicted, void, CLASSES)), rel=1e-6)
    for name, expected in per_image(predicted, target, CLASSES).items():
        np.testing.assert_allclose(scores[name], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("predicted", "target", "message"),
    [
        (np.zeros((2, 2)), np.zeros((2, 2), int), "prediction has dtype float64"),
        (np.zeros((2, 2), int), np.zeros((2, 3), int), r"shape \(2, 2\) and the target \(2, 3\)"),
        (np.full((2, 2), 5), np.zeros((2, 2), int), "prediction has 5, expected classes from 0 to 4"),
        (np.zeros((2, 2), int), np.full((2, 2), 9), "target has 9, expected classes from 0 to 4, or 255 to ignore"),
    ],
)
def test_invalid_arguments_raise(predicted, target, message):
    with pytest.raises(UserError, match=message):
        confusion(predicted, target, CLASSES)


def test_per_image_rejects_ignored_pixels_and_flat_arrays():
    labels = np.zeros((2, 2), np.uint8)
    with pytest.raises(UserError, match=r"target has 255, expected classes from 0 to 4$"):
        per_image(labels, np.full_like(labels, 255), CLASSES)
    with pytest.raises(UserError, match=r"shape \(4,\), expected \[H, W\]"):
        per_image(labels.reshape(-1), labels.reshape(-1), CLASSES)
