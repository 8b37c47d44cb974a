"""Properties common to all kinds and levels."""

from __future__ import annotations

import io

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sirr_jax.data.sources.photos import EmbeddedPhotos
from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations import KINDS, degrade

ALL = [(name, level) for name, kind in KINDS.items() for level in range(1, kind.levels + 1)]
RANDOM = {
    "gaussian_noise",
    "color_noise",
    "high_frequency_noise",
    "impulse_noise",
    "denoising",
    "pattern_noise",
    "local_blocks",
    "multiplicative_noise",
}


def rng(seed=0):
    return np.random.default_rng(seed)


def psnr(degraded, image):
    return 10 * np.log10(255**2 / np.mean((degraded.astype(float) - image) ** 2))


@pytest.fixture(scope="module")
def photo():
    return EmbeddedPhotos("train").read(0)[:200, 150:351].copy()


def test_kinds_equal_the_table_of_the_specification():
    numbers = [1, 2, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 22, 23]
    assert sorted(kind.number for kind in KINDS.values()) == numbers
    assert {kind.number: kind.levels for kind in KINDS.values() if kind.levels != 4} == {15: 5, 22: 5}


@pytest.mark.parametrize("name", KINDS)
def test_quality_falls_with_the_level_and_results_are_reproducible(name, photo):
    kind = KINDS[name]
    before = photo.copy()
    photo.flags.writeable = False
    results = [degrade(photo, name, level=level, generator=rng()) for level in range(1, kind.levels + 1)]
    np.testing.assert_array_equal(photo, before)
    for result in results:
        assert result.dtype == np.uint8
        assert result.shape == photo.shape
        assert result.flags.writeable
    quality = [psnr(result, photo) for result in results]
    assert max(quality) < 45
    # Blocks grow in number and lose contrast; from level 3 on the number dominates.
    first = 2 if name == "local_blocks" else 0
    assert np.all(np.diff(quality[first:]) < 0), quality
    np.testing.assert_array_equal(degrade(photo, kind.number, level=2, generator=rng()), results[1])
    assert np.array_equal(degrade(photo, name, level=2, generator=rng(1)), results[1]) == (name not in RANDOM)


@settings(max_examples=25)
@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 21), st.integers(1, 21), st.just(3))),
    st.integers(0, 2**32),
)
def test_all_levels_accept_any_small_image(image, seed):
    before = image.copy()
    for name, level in ALL:
        result = degrade(image, name, level=level, generator=rng(seed))
        assert result.shape == image.shape
        assert result.dtype == np.uint8
        assert not np.shares_memory(result, image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", KINDS)
def test_strided_views_give_the_same_result(name, photo):
    view = photo[::-2, ::3]
    whole = np.ascontiguousarray(view)
    np.testing.assert_array_equal(
        degrade(view, name, level=1, generator=rng()), degrade(whole, name, level=1, generator=rng())
    )


@pytest.mark.parametrize("name", KINDS)
def test_resave_jpeg_has_quality_75_except_after_compression(name, photo):
    plain = degrade(photo, name, level=1, generator=rng())
    resaved = degrade(photo, name, level=1, generator=rng(), resave_jpeg=True)
    if KINDS[name].number in (10, 11):
        np.testing.assert_array_equal(resaved, plain)
        return
    buffer = io.BytesIO()
    Image.fromarray(plain).save(buffer, "JPEG", quality=75, subsampling=2)
    np.testing.assert_array_equal(resaved, np.asarray(Image.open(buffer)))
    assert np.any(resaved != plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "gausian_blur"}, r"'gausian_blur'; did you mean 'gaussian_blur'\?"),
        ({"kind": "zzz"}, "known names: chromatic_aberration, color_noise"),
        ({"kind": 3}, "called 3; known numbers: 1, 2, 5, 6, 7, 8, 9, 10, 11, 14"),
        ({"kind": None}, "called None; known names"),
        ({"level": 5}, "level 5 of jpeg: use a whole number from 1 to 4"),
        ({"kind": "local_blocks", "level": 6}, "level 6 of local_blocks: use a whole number from 1 to 5"),
        ({"image": np.zeros((3, 3, 3))}, "float64, expected uint8"),
    ],
)
def test_invalid_arguments_raise(change, message):
    arguments = {"image": np.zeros((9, 9, 3), np.uint8), "kind": "jpeg", "level": 1} | change
    with pytest.raises(UserError, match=message):
        degrade(**arguments, generator=rng())


@pytest.mark.parametrize("name", KINDS)
def test_level_out_of_range_raises(name):
    for level in (0, KINDS[name].levels + 1):
        with pytest.raises(UserError, match=f"of {name}: use a whole number from 1 to {KINDS[name].levels}"):
            degrade(np.zeros((5, 5, 3), np.uint8), name, level=level, generator=rng())
