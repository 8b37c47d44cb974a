from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.irregular_mask import draw_irregular_mask, irregular_mask

ACROSS = [np.array([[-0.2, 0.5], [1.2, 0.5]])]


def test_image_is_multiplied_by_the_mask():
    image = np.random.default_rng(0).integers(1, 256, (60, 90, 3), np.uint8)
    masked = irregular_mask(image, np.random.default_rng(1))
    assert masked.mask.shape == (60, 90, 1)
    assert masked.image.dtype == masked.mask.dtype == np.uint8
    assert set(np.unique(masked.mask)) == {0, 1}
    np.testing.assert_array_equal(masked.image == 0, np.broadcast_to(masked.mask == 0, image.shape))
    np.testing.assert_array_equal(masked.image[masked.mask[..., 0] == 1], image[masked.mask[..., 0] == 1])


def test_seed_determines_the_mask():
    masks = [draw_irregular_mask(np.random.default_rng(seed), 64, 64) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_masks_are_not_empty_and_cover_a_small_share():
    share = [np.mean(draw_irregular_mask(np.random.default_rng(s), 128, 128) == 0) for s in range(100)]
    assert min(share) > 0
    assert 0.02 < np.mean(share) < 0.15
    assert max(share) < 0.5


def test_stroke_widths_and_enlargement_ranges():
    widths = [
        int(np.sum(draw_irregular_mask(np.random.default_rng(s), 512, 512, strokes=ACROSS, count=(1, 0))[:, 256] == 0))
        for s in range(120)
    ]
    assert 5 <= min(widths) <= 8
    assert 17 <= max(widths) <= 23
    plain = [
        int(
            np.sum(
                draw_irregular_mask(
                    np.random.default_rng(s), 512, 512, strokes=ACROSS, count=(1, 0), width=(8, 8), scale=(1, 1)
                )[:, 256]
                == 0
            )
        )
        for s in range(3)
    ]
    assert set(plain) <= {8, 9}


def test_number_of_strokes_is_normal():
    """With parallel strokes far apart, the runs in a column count the strokes, except for coincidences."""
    lanes = [np.array([[-0.2, y], [1.2, y]]) for y in np.linspace(0.02, 0.98, 24)]

    def runs(seed):
        mask = draw_irregular_mask(
            np.random.default_rng(seed), 512, 512, strokes=lanes, scale=(1.0, 1.0), width=(5.0, 5.0)
        )
        return int(np.sum(np.diff(mask[:, 256, 0].astype(int)) == -1))

    counts = [runs(seed) for seed in range(200)]
    # Empty masks are redrawn: the mean of round(N(4, 2)) above 0 is 4.2, minus 0.3 for strokes in one lane.
    assert abs(np.mean(counts) - 3.9) < 0.4
    assert abs(np.std(counts) - 1.7) < 0.4


def test_oblong_image_gets_the_center_of_the_canvas():
    mask = draw_irregular_mask(
        np.random.default_rng(0), 100, 200, strokes=ACROSS, count=(1, 0), width=(10, 10), scale=(1, 1)
    )[..., 0]
    assert mask.shape == (100, 200)
    rows = np.nonzero(mask[:, 0] == 0)[0]
    assert abs(rows.mean() - 49.5) < 1
    assert 3 <= len(rows) <= 5
    assert (mask == mask[:, :1]).all()


def test_invalid_arguments_raise():
    image = np.zeros((32, 32, 3), np.uint8)
    for wrong in ({"width": (5, 2)}, {"scale": (0.5, 1.0)}, {"strokes": []}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            irregular_mask(image, np.random.default_rng(0), **wrong)
    with pytest.raises(UserError, match="masks in a row were empty"):
        irregular_mask(image, np.random.default_rng(0), strokes=[np.array([[5.0, 5.0], [6.0, 6.0]])])
