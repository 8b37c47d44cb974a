from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
from scipy import stats

from sirr_jax.data.random_access import StreamKey, item_at, two_items_at

KEYS = st.builds(StreamKey, st.integers(-(2**70), 2**70), st.sampled_from(["layers", "single", "pairs"]))


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(key=KEYS, count=st.integers(1, 40), epoch=st.integers(0, 10**9))
def test_each_epoch_visits_every_item_once(key, count, epoch):
    positions = range(epoch * count, (epoch + 1) * count)
    assert sorted(item_at(key, position, count) for position in positions) == list(range(count))
    first, second = zip(*(two_items_at(key, position, count) for position in positions), strict=True)
    assert sorted(first) == sorted(second) == list(range(count))
    assert count == 1 or all(one != other for one, other in zip(first, second, strict=True))


def test_epochs_seeds_and_kinds_differ():
    def order(seed, kind, epoch):
        return [item_at(StreamKey(seed, kind), epoch * 50 + place, 50) for place in range(50)]

    orders = [order(0, "layers", 0), order(0, "layers", 1), order(1, "layers", 0), order(0, "single", 0)]
    assert len({tuple(one) for one in orders}) == len(orders)


def test_generators_are_stateless_and_independent():
    key = StreamKey(3, "layers")
    np.testing.assert_array_equal(key.generator("crop", 7).random(4), key.generator("crop", 7).random(4))
    others = [
        key.generator("crop", 8),
        key.generator("order", 7),
        StreamKey(4, "layers").generator("crop", 7),
        StreamKey(3, "pairs").generator("crop", 7),
    ]
    # Generators whose start positions overlap would share almost all draws.
    neighbors = [key.generator("crop", position).random(50) for position in (7, 8)]
    assert not np.intersect1d(*neighbors).size
    draws = [key.generator("crop", 7).random()] + [other.random() for other in others]
    assert len(set(draws)) == len(draws)


def test_first_draws_of_consecutive_positions_are_uniform():
    key = StreamKey(0, "layers")
    draws = [key.generator("crop", position).random() for position in range(2000)]
    assert stats.kstest(draws, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.08


def test_two_items_at_gives_every_ordered_pair():
    key = StreamKey(0, "layers")
    pairs = {two_items_at(key, position, 4) for position in range(4 * 60)}
    assert pairs == {(one, other) for one in range(4) for other in range(4) if one != other}
