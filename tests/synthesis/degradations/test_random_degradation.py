"""Random degradations: names, levels, results."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations import degrade
from sirr_jax.synthesis.degradations.compression import jpeg_saved
from sirr_jax.synthesis.degradations.random_degradation import MIXED_KINDS, REGULAR_KINDS, RandomDegradation

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def test_names_and_groups():
    assert RandomDegradation("mixed").kinds == MIXED_KINDS
    assert RandomDegradation(("fog", "jpeg")).kinds == ("fog", "jpeg")
    assert RandomDegradation("regular, rain").kinds == (*REGULAR_KINDS, "rain")
    assert RandomDegradation("contrast").kinds == ("contrast",)
    assert [RandomDegradation("mixed").takes_another(kind) for kind in range(9)] == [False] * 6 + [True, False, False]


def test_every_kind_changes_small_crops_and_is_reproducible():
    other = IMAGE[::-1, ::-1]
    mixed = RandomDegradation("mixed", levels=(4,))
    for kind in range(len(mixed.kinds)):
        before = IMAGE.copy()
        one, again = (mixed.degrade(IMAGE, kind, np.random.default_rng(kind), other=other) for _ in range(2))
        assert (one.shape, one.dtype) == (IMAGE.shape, np.uint8)
        assert (one != IMAGE).any(), mixed.kinds[kind]
        np.testing.assert_array_equal(one, again)
        np.testing.assert_array_equal(IMAGE, before)


def test_kinds_and_levels_are_drawn_equally_often():
    mixed = RandomDegradation("mixed")
    generator = np.random.default_rng(1)
    counts = np.bincount([mixed.draw(generator) for _ in range(4500)], minlength=9)
    assert (np.abs(counts - 500) < 90).all()
    # JPEG itself draws nothing, so the result identifies the level.
    levels = {degrade(IMAGE, "jpeg", level=level, generator=generator).tobytes(): level for level in (1, 2, 3, 4)}
    some = RandomDegradation("jpeg", levels=(1, 3))
    drawn = [levels[some.degrade(IMAGE, 0, generator).tobytes()] for _ in range(200)]
    assert set(drawn) == {1, 3}
    assert 70 < drawn.count(1) < 130


def test_resave_jpeg():
    plain, saved = (
        RandomDegradation("mean_shift", levels=(2,), resave_jpeg=resave).degrade(IMAGE, 0, np.random.default_rng(0))
        for resave in (False, True)
    )
    np.testing.assert_array_equal(saved, jpeg_saved(plain, quality=75))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kinds": "fogg"}, r"no degradation is called 'fogg'; did you mean 'fog'\?"),
        ({"kinds": "zzz"}, "known names: regular, mixed, watermark"),
        ({"kinds": ()}, "give one name or more"),
        ({"kinds": "regular,jpeg"}, "each of them once"),
        ({"kinds": "jpeg", "levels": (1, 5)}, "level 5 of jpeg: use a whole number from 1 to 4"),
        ({"kinds": "fog", "levels": ()}, r"data\.degradations\.levels is empty"),
    ],
)
def test_invalid_arguments_raise(arguments, message):
    with pytest.raises(UserError, match=message):
        RandomDegradation(**arguments)
