"""Resizing of large photos, and `Restorer(max_side=...)`."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sirr_jax import Restorer, UserError
from sirr_jax.inference.guided_resize import enlarge, reduce, reduced_size
from sirr_jax.weights.model_file import Model, StoredNetwork

SIDES = st.integers(1, 20_000)


@given(height=SIDES, width=SIDES, longest=st.integers(64, 4096))
def test_reduced_size_keeps_the_aspect_ratio_and_never_grows(height, width, longest):
    reduced = reduced_size(height, width, longest)
    assert max(reduced) == min(longest, max(height, width))
    factor = max(reduced) / max(height, width)
    for new, old in zip(reduced, (height, width), strict=True):
        assert abs(new - factor * old) <= 0.5 or new == min(old, 16)
        assert new <= old


@pytest.mark.parametrize(
    ("resize", "size", "method"),
    [(reduce, (20, 31), "lanczos3"), (reduce, (40, 60), "lanczos3"), (enlarge, (97, 75), "linear")],
)
def test_resizing_matches_jax_image_resize_with_antialias(resize, size, method):
    image = np.random.default_rng(0).uniform(size=(53, 60, 3)).astype(np.float32)
    expected = np.clip(jax.image.resize(image, (*size, 3), method, antialias=True), 0.0, 1.0)
    np.testing.assert_allclose(resize(image, size), expected, atol=5e-5)


@pytest.fixture(scope="module")
def brightening_model(student_params):
    """Model of a student that adds 0.25 to all values."""
    params = jax.tree.map(np.array, student_params)
    params["decoder"]["out"]["bias"] += np.float32(0.25)
    return Model(
        "dynamics", {"student": StoredNetwork("dynamics/student", {"width": "tiny"}, {"params": params})}, "-", "-"
    )


def test_large_photo_keeps_its_detail(brightening_model):
    photo = np.random.default_rng(1).uniform(0, 0.7, (2, 96, 150, 3)).astype(np.float32)
    before = photo.copy()
    restored = Restorer(brightening_model, max_side=64)(photo).restored
    np.testing.assert_allclose(restored, photo + 0.25, atol=2e-6)
    np.testing.assert_array_equal(photo, before)


def test_photos_up_to_max_side_are_not_resized(brightening_model):
    photo = np.random.default_rng(2).uniform(size=(48, 64, 3)).astype(np.float32)
    one, other = (Restorer(brightening_model, max_side=side)(photo).restored for side in (64, 0))
    np.testing.assert_array_equal(one, other)


def test_model_recommends_max_side(brightening_model):
    model = brightening_model._replace(max_side=100)
    assert [Restorer(model, max_side=side).max_side for side in (None, 0, 64)] == [100, None, 64]
    assert Restorer(brightening_model).max_side == 1536


def test_narrow_strip_is_restored(brightening_model):
    strip = np.full((20, 1200, 3), 0.5, np.float32)
    np.testing.assert_allclose(Restorer(brightening_model, max_side=64)(strip).restored, 0.75, atol=2e-6)


def test_programs_of_the_most_recent_sizes_are_kept(brightening_model, monkeypatch):
    monkeypatch.setattr("sirr_jax.inference.restorer._MAX_PROGRAMS", 2)
    restorer = Restorer(brightening_model, max_side=0)
    used = []
    for width in (16, 17, 16, 18):
        restored = restorer(np.full((16, width, 3), 0.5, np.float32)).restored
        np.testing.assert_allclose(restored, 0.75, atol=2e-6)
        assert restored.flags.writeable
        used.append(width)
        recent = list(dict.fromkeys(reversed(used)))[:2]
        assert [shape[2] for shape in restorer._programs] == recent[::-1]


def test_max_side_below_64_is_an_error(brightening_model):
    with pytest.raises(UserError, match="max_side is 63; choose 64 pixels or more"):
        Restorer(brightening_model, max_side=63)
