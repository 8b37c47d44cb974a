from __future__ import annotations

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np

from sirr_jax.data.images.crops import Region, cut
from sirr_jax.data.loaders.on_device_crops import cut_regions
from tests.helpers.photo_files import labelled_photo

REACH = 48
COUNT = 6


@functools.cache
def compiled(canvas):
    return jax.jit(functools.partial(cut_regions, canvas=canvas, reach=REACH))


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(seed=st.integers(0, 10**6), canvas=st.sampled_from((16, 31)), smooth=st.booleans())
def test_cut_regions_matches_pillow(seed, canvas, smooth):
    generator = np.random.default_rng(seed)
    table = np.zeros((3, 70, 60, 3), np.uint8)
    sizes = [(70, 41), (33, 60), (52, 50)]
    for place, (height, width) in zip(table, sizes, strict=True):
        # Black and white noise, for which the filter overshoots.
        noise = 255 * generator.integers(0, 2, (height, width, 3))
        place[:height, :width] = labelled_photo(1, height, width) if smooth else noise
    regions = []
    for _ in range(COUNT):
        photo = int(generator.integers(3))
        height, width = sizes[photo]
        side = int(generator.integers(1, min(height, width, REACH) + 1))
        top, left = (int(generator.integers(0, n - side + 1)) for n in (height, width))
        regions.append((photo, top, left, side))
    crops = np.asarray(compiled(canvas)(table, np.asarray(regions, np.int32)))
    assert crops.dtype == np.uint8
    for crop, (photo, *region) in zip(crops, regions, strict=True):
        height, width = sizes[photo]
        expected = cut(table[photo, :height, :width], Region(*region), canvas)
        difference = np.abs(crop.astype(int) - expected)
        # Pillow rounds its coefficients to 22 bits: sums near a half may differ by one level per axis.
        assert difference.max() <= 2
        assert difference.mean() < 0.1
        if region[-1] == canvas:
            np.testing.assert_array_equal(crop, expected)
