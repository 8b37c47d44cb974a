"""Names of moving averages, and their completion by live weights."""

from __future__ import annotations

import numpy as np

from sirr_jax.weights.readers.moving_average import complete, is_average_name, match_in_order, similarity

AVERAGES = """ema state_dict_ema params_ema model_ema ema_model generator_ema netG_ema G_ema ema_state_dict modelEMA
ModelEma EMACallback averaged_model shadow shadow_params swa_state_dict moving_average ema2 ema-weights"""
OTHERS = "schema cinema emanet remap conv_avg generator model shadowed averagepool Emma"


def test_names_of_averages():
    assert all(map(is_average_name, AVERAGES.split()))
    assert not any(map(is_average_name, OTHERS.split()))


def test_similarity_prefers_the_same_network():
    assert similarity("generator_ema", "generator") > similarity("generator_ema", "discriminator")
    assert similarity("ema.bg", "state_dict.bg") > similarity("ema.bg", "state_dict.rf")


def test_complete_and_match_in_order():
    live = {"a.weight": np.zeros((2, 3)), "n.running_mean": np.zeros(2), "b.weight": np.zeros(3)}
    average = {"a.weight": np.ones((2, 3)), "b.weight": np.ones(3)}
    whole = complete(average, live)
    assert [float(x.max()) for x in whole.values()] == [1.0, 0.0, 1.0]
    assert list(whole) == list(live)
    assert complete({"aweight": np.ones((2, 3))}, live)["a.weight"].all()
    for wrong in ({}, {"c.weight": np.zeros(3)}, {"b.weight": np.zeros(4)}):
        assert complete(wrong, live) is None
    assert list(match_in_order(tuple(average.values()), live)) == ["a.weight", "b.weight"]
    assert match_in_order((np.zeros(3),), live) is None
