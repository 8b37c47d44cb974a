from __future__ import annotations

import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.raindrops import RaindropOptions


def test_lists_become_hashable_tuples():
    from_lists = RaindropOptions(count=[1, 4], radius=[0.1, 0.2])
    assert hash(from_lists) == hash(RaindropOptions(count=(1, 4), radius=(0.1, 0.2)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": (5, 2)},
        {"count": (-1, 2)},
        {"count": (1.0, 2)},
        {"count": 4},
        {"radius": (0.0, 0.1)},
        {"radius": (0.1, 0.05)},
        {"radius": (0.1, 0.7)},
        {"defocus": (0.0, 0.3)},
        {"elongation": (0.0, 1.0)},
        {"roughness": (0.0, 0.5)},
        {"ambient": (0.5, 1.5)},
        {"joined_probability": 1.5},
        {"faintest": 0.0},
        {"faintest": 1.0},
        {"mask_threshold": -1.0},
        {"mask_threshold": 256.0},
        {"mask_threshold": "30"},
        {"mask_threshold": float("nan")},
        {"rim": (float("nan"), 1.0)},
    ],
)
def test_invalid_value_raises_one_line_error_with_the_field_name(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))) as raised:
        RaindropOptions(**wrong)
    assert "\n" not in str(raised.value)
