"""Means, intervals and comparisons of scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from sirr_jax.evaluation.score_table import Key, Row
from sirr_jax.evaluation.summary import sign_test, summarize


def rows(model, scores):
    return [Row(Key("set", str(i), model, "", "errnet"), (8, 8), {"psnr": x}) for i, x in enumerate(scores)]


def test_infinite_scores_are_counted_and_left_out():
    summary = summarize(rows("input", [20.0, 22.0, math.inf]))["set"]["models"]["input"]["errnet"]
    assert summary["psnr"] == 21.0
    assert summary["infinite"] == {"psnr": 1}
    assert summary["median"] == {"psnr": 21.0}


def test_the_interval_covers_the_mean_of_normal_scores():
    scores = np.random.default_rng(0).normal(25.0, 2.0, 400)
    summary = summarize(rows("input", scores))["set"]["models"]["input"]["errnet"]
    low, high = summary["interval"]["psnr"]
    assert high - low == pytest.approx(2 * 1.96 * scores.std() / 20, rel=0.1)
    assert low < summary["psnr"] < high


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (5, 5), (9, 1), (3, 17)])
def test_sign_test_equals_scipys(better, worse):
    first = dict.fromkeys(range(better), 1.0) | dict.fromkeys(range(better, better + worse + 3), 0.0)
    second = dict.fromkeys(range(better), 0.0) | dict.fromkeys(range(better, better + worse), 1.0)
    second |= dict.fromkeys(range(better + worse, better + worse + 3), 0.0)
    result = sign_test(first, second)
    assert (result["better"], result["worse"]) == (better, worse)
    expected = binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert result["p"] == pytest.approx(expected)
