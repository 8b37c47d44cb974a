from __future__ import annotations

import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.reflection import SYNTHESES, CeilnetOptions, CorrnOptions, ZhangOptions, get_synthesis


def test_lists_become_hashable_tuples():
    assert ZhangOptions(sigma=[2, 5]) == ZhangOptions(sigma=(2.0, 5.0))
    assert hash(CeilnetOptions(sigma=[2, 5])) == hash(CeilnetOptions())
    assert CorrnOptions(weights=[[0.5, 0.5]]).weights == ((0.5, 0.5),)


def test_default_options_equal_published_values():
    published = {name: get_synthesis(name).options() for name in SYNTHESES}
    assert (published["ceilnet"].sigma, published["ceilnet"].excess_gain) == ((2, 5), (1.3, 1.3))
    assert (published["zhang"].sigma, published["zhang"].attenuation) == ((1, 5), (1.08, 1.18))
    assert (published["wen"].sigma, published["wen"].shift) == ((5, 10), (20, 40))
    assert (published["bdn"].sigma, published["bdn"].reflectance) == ((0, 2), (0.2, 0.4))
    assert published["corrn"].weights == ((0.8, 0.7), (0.9, 0.8), (0.7, 0.9))
    assert (published["glass"].index, published["glass"].absorption, published["glass"].thickness) == (
        1.474,
        (4, 32),
        (3, 10),
    )


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ceilnet", {"sigma": (5, 2)}),
        ("ceilnet", {"sigma": 3.0}),
        ("ceilnet", {"excess_gain": (-1.0, 1.0)}),
        ("dsrnet", {"kernel_probabilities": (0.5, 0.5)}),
        ("dsrnet", {"kernel_probabilities": (0.5, 0.5, 0.5, 0.5)}),
        ("dsrnet", {"screen_probability": 1.5}),
        ("dsrnet", {"transmittance": (0.8, 1.2)}),
        ("zhang", {"sigma_count": 0}),
        ("zhang", {"sigma_count": 2.5}),
        ("zhang", {"vignette_side": 560}),
        ("zhang", {"least_target": "low"}),
        ("zhang", {"attenuation": (float("nan"), 1.0)}),
        ("wen", {"kind_probabilities": (1.0, -1.0, 1.0)}),
        ("wen", {"shift": (3, 3)}),
        ("wen", {"shift": (2.0, 4.0)}),
        ("wen", {"mask": (0.0, 1.5)}),
        ("bdn", {"reflectance": ("a", "b")}),
        ("corrn", {"weights": ()}),
        ("corrn", {"weights": ((0.8, 1.7),)}),
        ("corrn", {"weights": 0.5}),
        ("corrn", {"sigma": -1.0}),
        ("glass", {"index": 1.0}),
        ("glass", {"field_of_view": (0.0, 60.0)}),
        ("glass", {"reflectance": (0.5, 1.5)}),
        ("glass", {"turn": None}),
    ],
)
def test_invalid_value_raises_one_line_error_with_the_field_name(name, wrong):
    with pytest.raises(UserError, match=f"Options: {next(iter(wrong))} is ") as raised:
        get_synthesis(name).options(**wrong)
    assert "\n" not in str(raised.value)
