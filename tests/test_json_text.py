"""JSON without NaN and infinity."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sirr_jax.json_text import to_json


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), np.float32("nan"), np.float64("inf")])
def test_numbers_that_are_not_finite_are_null_at_any_depth(bad):
    text = to_json({"a": [1, (bad, {"b": bad})], "c": bad})
    assert json.loads(text, parse_constant=pytest.fail) == {"a": [1, [None, {"b": None}]], "c": None}


def test_other_values_are_those_of_json():
    value = {"b": [1, 2.5, True, None, "\u00e9"], "a": {}}
    assert to_json(value, indent=2, sort_keys=True) == json.dumps(value, indent=2, sort_keys=True)
    assert to_json({"n": np.int32(3), "x": np.float32(0.5), "t": (1, 2)}) == '{"n": 3, "x": 0.5, "t": [1, 2]}'
