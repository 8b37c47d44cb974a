"""Overridden config keys."""

from __future__ import annotations

import pytest
from ml_collections import ConfigDict

from sirr_jax.errors import UserError
from sirr_jax.training.overrides import check_overrides


def config(**changes):
    result = ConfigDict({
        "rate": 0.1,
        "count": 3,
        "name": "x",
        "data": {
            "range": (0.5, 1.0),
            "empty": (),
            "names": ("a", "b"),
            "nested": (("a", 0.1), ("b", 1.0)),
            "degradations": {"levels": (1, 2, 3, 4)},
        },
    })  # fmt: skip
    result.update_from_flattened_dict({name.replace("__", "."): value for name, value in changes.items()})
    return result


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data__range": (1, 0, 2)},
            r"=\(1,0,2\) has length 3; expected 2 numbers, such as \(0\.5,1\.0\)",
        ),
        ({"data__range": (0.5,)}, r"--config\.data\.range=\(0\.5\) has length 1; expected 2 numbers"),
        ({"data__range": ()}, r"--config\.data\.range=\(\) has length 0; expected 2 numbers"),
        ({"data__range": ("a", "b")}, r"--config\.data\.range=\(a,b\): expected numbers, such as \(0\.5,1\.0\)"),
        ({"data__range": (0.5, float("nan"))}, r"--config\.data\.range=\(0\.5,nan\): expected finite numbers"),
        ({"rate": float("inf")}, r"--config\.rate=inf: expected a finite number"),
    ],
)
def test_values_that_cannot_be_meant(changes, message):
    with pytest.raises(UserError, match=message):
        check_overrides(config(**changes), config())


def test_other_overrides_pass():
    changed = config(
        rate=0.2,
        count=4,
        name="y",
        data__range=(0, 1),
        data__empty=(1.0, 2.0),
        data__names=("a",),
        data__nested=(),
        data__degradations__levels=(2,),
    )
    check_overrides(changed, config())
