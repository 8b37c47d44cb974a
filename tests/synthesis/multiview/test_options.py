from __future__ import annotations

import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.multiview import MultiviewOptions


def test_default_margin_is_a_quarter_of_the_longer_side():
    assert MultiviewOptions().canvas == (384, 384)
    assert MultiviewOptions(size=(64, 96)).canvas == (112, 144)
    assert MultiviewOptions(size=32, margin=5).canvas == (42, 42)


def test_lists_become_hashable_tuples():
    from_lists = MultiviewOptions(
        size=[32, 48], mask=[0.05, 0.6], blur_own=[[2, 5], [1, 5], [2, 5], [2.5, 5], [0.5, 5]]
    )
    from_tuples = MultiviewOptions(
        size=(32, 48), mask=(0.05, 0.6), blur_own=((2, 5), (1, 5), (2, 5), (2.5, 5), (0.5, 5))
    )
    assert hash(from_lists) == hash(from_tuples)
    assert from_lists == from_tuples


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 8},
        {"size": (64, 15)},
        {"margin": -1},
        {"parallax_probability": 1.5},
        {"jpeg_probability": -0.1},
        {"model_probabilities": (0.5, 0.5, 0.5, 0.5, 0.0)},
        {"model_probabilities": (1.0, 0.0)},
        {"model_probabilities": (1.5, -0.5, 0.0, 0.0, 0.0)},
        {"blur_probabilities": (0.5, 0.4, 0.0)},
        {"blur_own": ((1, 2), (1, 2))},
        {"blur_own": ((1, 2), (2, 1), (1, 2), (1, 2), (1, 2))},
        {"contrast": (2.0, 1.0)},
        {"clean_probability": -0.5},
        {"depth_t": (3.0, 1.0)},
        {"depth_r": (0.0, 1.0)},
        {"depth_candidates": 0},
        {"jpeg_quality": (80, 101)},
        {"jpeg_quality": (0, 50)},
        {"jpeg_quality": (80.0, 90.0)},
        {"contrast": (-1.0, -0.5)},
        {"transmittance": (-2.0, 5.0)},
        {"reflectance": (-1.0, 2.0)},
        {"mask": (0.5, 3.0)},
        {"noise_sigma": (-1.0, -0.5)},
        {"attenuation": (-9.0, -8.0)},
        {"baseline": 0.1},
        {"rotation": -5.0},
        {"jitter_scale": float("nan")},
    ],
)
def test_invalid_value_raises_one_line_error_with_the_field_name(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))) as raised:
        MultiviewOptions(**wrong)
    assert "\n" not in str(raised.value)
