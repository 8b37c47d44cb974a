"""Batches of all stages: their composition, their order, and that no sample comes twice."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sirr_jax.data.from_config import KINDS
from sirr_jax.data.training_data import TrainingData, samples_per_batch, skipped_positions
from sirr_jax.errors import UserError


@given(
    shares=st.lists(st.integers(0, 10), min_size=1, max_size=5).filter(any),
    units=st.integers(5, 40),
    unit=st.integers(1, 8),
)
def test_batches_are_split_in_whole_units_near_the_shares(shares, units, unit):
    total = sum(shares)
    mix = {kind: share / total for kind, share in zip(KINDS, shares, strict=False)}
    counts = samples_per_batch(mix, units * unit, unit)
    assert sum(counts.values()) == units * unit
    assert counts.keys() == {kind for kind, share in mix.items() if share > 0}
    for kind, count in counts.items():
        assert count % unit == 0
        assert count > 0
        # Rounding, and one unit for every kind that would otherwise not occur.
        assert abs(count / unit - mix[kind] * units) <= len(counts)


def test_the_usual_mixture():
    assert samples_per_batch({"layers": 0.6, "single": 0.4}, 10, 1) == {"layers": 6, "single": 4}
    assert samples_per_batch({"layers": 0.6, "single": 0.4}, 8, 2) == {"layers": 4, "single": 4}
    assert samples_per_batch({"layers": 0.95, "single": 0.05}, 4, 1) == {"layers": 3, "single": 1}


@pytest.mark.parametrize(
    ("mix", "batch", "unit", "message"),
    [
        ({"layers": 1.0}, 6, 4, r"config\.batch_size=6 cannot be divided .* = 4; choose a multiple of 4"),
        ({"layers": 1.0}, 0, 2, r"config\.batch_size=0 cannot"),
        ({"layers": 0.5, "single": 0.5}, 2, 2, r"no sample for one of layers, single .* choose at least 4"),
        ({"layers": 0.5, "single": 0.6}, 8, 1, r"'single': 0\.6.*; expected numbers of at least 0 that sum to 1"),
        ({"layers": 1.5, "single": -0.5}, 8, 1, r"'single': -0\.5.*; expected numbers of at least 0 that sum to 1"),
    ],
)
def test_batches_that_cannot_be_split(mix, batch, unit, message):
    with pytest.raises(UserError, match=message):
        samples_per_batch(mix, batch, unit)


class Stage(NamedTuple):
    name: str
    steps: int
    mix: dict


def test_fewer_photographs_than_samples_a_step_are_a_warning(caplog):
    class Few:
        photos = range(3)

    stage = Stage("first", 1, {"single": 0.75, "layers": 0.25})
    for size, warnings in ((4, []), (8, ["3 photographs for 6 samples of kind single a step: each occurs"])):
        caplog.clear()
        TrainingData({"single": Few(), "layers": Few()}, [stage], batch_size=size, unit=1, loader="threads", seed=0)
        assert len(caplog.records) == len(warnings)
        assert all(start in caplog.text for start in warnings)


@given(
    stages=st.lists(
        st.tuples(st.integers(1, 6), st.dictionaries(st.sampled_from(KINDS[:3]), st.integers(1, 9), min_size=1)),
        min_size=1,
        max_size=5,
    )
)
def test_no_stage_repeats_a_sample_of_an_earlier_one(stages):
    steps, counts = zip(*stages, strict=True)
    seen, first = {kind: [] for kind in KINDS}, 0
    for number, count, skipped in zip(steps, counts, skipped_positions(steps, counts), strict=True):
        for step in range(first, first + number):
            for kind, samples in count.items():
                seen[kind] += range(skipped[kind] + step * samples, skipped[kind] + (step + 1) * samples)
        first += number
    for kind, positions in seen.items():
        assert len(set(positions)) == len(positions)
        if len({count.get(kind) for count in counts}) == 1:  # the same number in every stage: nothing is left out
            assert positions == list(range(len(positions)))


class FakeStage(NamedTuple):
    name: str
    steps: int
    mix: dict


STAGES = (FakeStage("first", 3, {"layers": 1.0}), FakeStage("second", 2, {"layers": 0.5, "single": 0.5}))


@pytest.fixture
def config(dynamics_config):
    config = dynamics_config("tiny")
    config.data.photos = "procedural"
    config.batch_size = 8
    return config


def indices(data, stage, start, count):
    with data.batches(stage, start) as batches:
        return [
            {kind: samples["index"].tolist() for kind, samples in batch.items()}
            for batch in itertools.islice(batches, count)
        ]


def test_stages_continue_where_the_one_before_ended(config):
    data = TrainingData.from_config(config, STAGES, 2)
    assert data.counts == [{"layers": 8}, {"layers": 4, "single": 4}]
    first, second = indices(data, 0, 0, 3), indices(data, 1, 3, 2)
    assert [batch["layers"] for batch in first] == [list(range(8 * i, 8 * i + 8)) for i in range(3)]
    assert [batch["layers"] for batch in second] == [[24, 25, 26, 27], [28, 29, 30, 31]]
    assert indices(data, 1, 4, 1) == second[1:]


def test_processes_share_a_batch(config):
    whole = indices(TrainingData.from_config(config, STAGES, 2), 1, 3, 2)
    halves = [
        indices(TrainingData.from_config(config, STAGES, 2, process_index=i, process_count=2), 1, 3, 2)
        for i in range(2)
    ]
    for batch, *parts in zip(whole, *halves, strict=True):
        assert batch == {kind: parts[0][kind] + parts[1][kind] for kind in batch}


def test_the_description_names_stages_and_fractions(config):
    assert TrainingData.from_config(config, STAGES, 2).describe() == (
        "stage first: 3 steps; 8/8 layers (asked 100%)",
        "stage second: 2 steps; 4/8 layers (asked 50%), 4/8 single (asked 50%)",
    )


def test_micro_batches_count(config):
    config.grad_accum_steps = 3
    with pytest.raises(UserError, match=r"config\.batch_size=8 cannot be divided .* = 6; choose a multiple of 6"):
        TrainingData.from_config(config, STAGES, 2)


def test_an_unknown_loader_is_refused_before_files_are_opened(config):
    config.data.loader, config.data.photos = "grain", "/no/such/folder"
    with pytest.raises(UserError, match=r"data\.loader='grain': expected one of tf, threads, device"):
        TrainingData.from_config(config, STAGES, 2)


def test_batches_are_those_of_the_photographs(config):
    config.data.photos, config.data.crop = "embedded", 32
    data = TrainingData.from_config(config, STAGES, 1)
    with data.batches(1, 3) as batches:
        batch = next(batches)
    assert batch["single"]["transmission"].dtype == np.uint8
    assert batch["single"]["transmission"].shape == (4, 32, 32, 3)
