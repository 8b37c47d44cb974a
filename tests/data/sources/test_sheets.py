from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.data.sources.sheets import Place, arrange


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=60))
def test_places_lie_on_the_sheets_and_do_not_overlap(sizes):
    sheets = arrange(dict(enumerate(sizes)))
    taken = np.zeros((sheets.number, sheets.height, sheets.width), int)
    assert sheets.places.keys() == set(range(len(sizes)))
    for photo, (sheet, top, left) in sheets.places.items():
        height, width = sizes[photo]
        view = taken[sheet, top : top + height, left : left + width]
        assert view.shape == (height, width)
        view += 1
    assert taken.max() == 1


def test_equal_photos_have_a_sheet_each():
    sheets = arrange(dict.fromkeys((0, 2, 5), (30, 40)))
    assert (sheets.number, sheets.height, sheets.width) == (3, 30, 40)
    assert sheets.places == {0: Place(0, 0, 0), 2: Place(1, 0, 0), 5: Place(2, 0, 0)}


@pytest.mark.parametrize("panorama", [(1000, 12000), (12000, 1000)])
def test_one_panorama_takes_little_more_than_its_own_pixels(panorama):
    sizes = [(512, 768), (768, 512)] * 100
    without = arrange(dict(enumerate(sizes)))
    sheets = arrange(dict(enumerate([*sizes, panorama])))
    pixels = sum(height * width for height, width in [*sizes, panorama])
    assert without.nbytes < 3 * 1.15 * sum(height * width for height, width in sizes)
    # Padded to the largest height and width, the table would take 30 times the pixels.
    assert sheets.nbytes < 3 * 1.3 * pixels
