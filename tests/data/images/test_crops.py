from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from scipy import ndimage

from sirr_jax.data.images.crops import Region, cut, cut_labels, draw_region
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo

SIDES = st.integers(1, 300)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    height=SIDES,
    width=SIDES,
    canvas=SIDES,
    max_scale=st.floats(1, 5),
    min_scale=st.floats(0.1, 1),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_regions_are_inside_the_image_and_within_the_scale_range(
    height, width, canvas, max_scale, min_scale, seed, data
):
    short = min(height, width)
    crop = data.draw(st.integers(1, min(canvas, short)))
    region = draw_region(
        np.random.default_rng(seed),
        (height, width),
        canvas=canvas,
        crop=crop,
        max_scale=max_scale,
        min_scale=min_scale,
        name="photo",
    )
    assert 0 <= region.top <= height - region.side
    assert 0 <= region.left <= width - region.side
    if short <= canvas * min_scale:
        assert region.side == short
    else:
        assert canvas * min_scale - 0.5 <= region.side <= min(short, canvas * max_scale + 0.5)


def test_region_scales_and_positions_cover_their_range():
    regions = [
        draw_region(np.random.default_rng(s), (100, 150), canvas=20, crop=20, max_scale=2.0, name="photo")
        for s in range(800)
    ]
    sides = [region.side for region in regions]
    assert (min(sides), max(sides)) == (20, 40)
    assert abs(np.mean(sides) - 30) < 1
    assert min(region.left for region in regions) == min(region.top for region in regions) == 0
    assert max(region.left + region.side for region in regions) == 150
    assert max(region.top + region.side for region in regions) == 100


@pytest.mark.parametrize(("size", "largest"), [((100, 150), 40), ((30, 45), 30), ((16, 45), 16)])
def test_min_scale_below_one_gives_regions_smaller_than_the_canvas(size, largest):
    options = {"canvas": 20, "crop": 10, "max_scale": 2.0, "min_scale": 0.5, "name": "photo"}
    sides = [draw_region(np.random.default_rng(s), size, **options).side for s in range(800)]
    assert (min(sides), max(sides)) == (10, largest)
    assert abs(np.mean(sides) - (10 + largest) / 2) < 1


def test_scales_are_uniform_if_the_photo_limits_them():
    sides = [
        draw_region(np.random.default_rng(s), (30, 45), canvas=20, crop=20, max_scale=4.0, name="photo").side
        for s in range(800)
    ]
    assert (min(sides), max(sides)) == (20, 30)
    assert abs(np.mean(sides) - 25) < 0.5


def test_too_small_image_error_names_file_size_and_crop():
    with pytest.raises(UserError, match=r"photo\.png is 50x31 pixels.*32x32.*smaller crops or remove"):
        draw_region(np.random.default_rng(0), (31, 50), canvas=40, crop=32, max_scale=2, name="photo.png")


def test_scale_one_copies_pixels():
    photo = labelled_photo(7, 50, 60)
    np.testing.assert_array_equal(cut(photo, Region(11, 13, 20), 20), photo[11:31, 13:33])


def test_downscaling_is_antialiased():
    # A pattern above the new Nyquist limit must become gray instead of aliasing.
    columns = np.broadcast_to(255 * (np.arange(64)[None, :, None] % 2), (64, 64, 3)).astype(np.uint8)
    small = cut(columns, Region(0, 0, 64), 37)[4:-4, 4:-4].astype(float)
    assert np.abs(small - 127.5).max() < 25
    aliased = columns[:, np.linspace(0, 63, 37).round().astype(int)]
    assert np.abs(aliased - 127.5).max() > 100


@pytest.mark.parametrize("canvas", [20, 45])
def test_resizing_keeps_positions(canvas):
    # A ramp stays a ramp: pixel i has the value at (i + 1/2) * side / canvas - 1/2 of the region.
    photo = labelled_photo(3, 80, 90)
    result = cut(photo, Region(10, 20, 30), canvas).astype(float)
    places = (np.arange(canvas) + 0.5) * 30 / canvas - 0.5
    inner = slice(canvas // 5, -(canvas // 5))
    np.testing.assert_allclose(result[inner, inner, 0].mean(axis=1), 10 + places[inner], atol=0.6)
    np.testing.assert_allclose(result[inner, inner, 1].mean(axis=0), 20 + places[inner], atol=0.6)
    assert (result[..., 2] == 3).all()


def test_upscaling_matches_scipy_cubic_spline_on_a_smooth_photo():
    grid = np.mgrid[:24, :24] / 4
    smooth = (127 + 60 * np.sin(grid[0]) * np.cos(grid[1]))[..., None].repeat(3, -1)
    photo = np.rint(smooth).astype(np.uint8)
    result = cut(photo, Region(2, 3, 16), 32)[4:-4, 4:-4, 0].astype(float)
    places = (np.arange(32) + 0.5) / 2 - 0.5
    spline = ndimage.map_coordinates(smooth[..., 0], np.meshgrid(2 + places, 3 + places, indexing="ij"), order=3)
    assert np.abs(result - spline[4:-4, 4:-4]).max() < 4


@hypothesis.given(side=st.integers(1, 40), canvas=st.integers(1, 40), seed=st.integers(0, 99))
def test_cut_labels_is_nearest_neighbor(side, canvas, seed):
    labels = np.random.default_rng(seed).integers(0, 256, (side + 3, side + 5), np.uint8)
    resized = cut_labels(labels, Region(2, 4, side), canvas)
    assert resized.dtype == np.uint8
    # The pixel that contains the center of the canvas pixel, in integers.
    nearest = (2 * np.arange(canvas) + 1) * side // (2 * canvas)
    np.testing.assert_array_equal(resized, labels[2:, 4:][nearest][:, nearest])
