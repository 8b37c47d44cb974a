"""Scores during training: batches that the number of samples does not fill."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.training import evaluator as module
from sirr_jax.training import parallel
from sirr_jax.training.evaluator import Evaluator
from sirr_jax.training.state import TrainState


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 31, 48, 97])
def test_batches_are_full_and_lose_no_sample(count):
    chunks = module._chunks({"x": {"index": np.arange(count)}}, count)
    sizes = {len(chunk["x"]["index"]) for chunk in chunks}
    assert len(sizes) == 1  # one program
    assert len(chunks) == -(-count // 16)  # as few batches as possible
    indices = np.concatenate([chunk["x"]["index"] for chunk in chunks])
    np.testing.assert_array_equal(indices[:count], np.arange(count))
    assert len(indices) - count < len(chunks)


def test_means_are_those_of_samples_one_by_one(toy_config, toy_recipe, monkeypatch):
    toy_config.validation_samples = 19
    toy_config.protocol = "rgb"
    state = TrainState(*(np.int32(0),) * 3, {}, {"mean": {"x": np.zeros(5)}}, {}, {})
    state = parallel.replicate(state)
    padded = Evaluator(toy_recipe, toy_config)
    assert [len(chunk["x"]) for chunk in padded._chunks] == [10, 10]
    scores = padded.scores(0, state)
    images = padded._estimates(0, state)
    assert {len(image) for image in images.values()} == {19}
    monkeypatch.setattr(module, "_MOST_AT_ONCE", 1)
    single = Evaluator(toy_recipe, toy_config)
    assert len(single._chunks) == 19
    for name, image in single._estimates(0, state).items():
        np.testing.assert_array_equal(image, images[name])
    assert scores == single.scores(0, state)
    assert len(np.unique(images["input"][:, 0, 0, 0])) > 1
