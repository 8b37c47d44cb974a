"""Helpers for tests of recipes: configs by name, and short runs of which every step is recorded."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from sirr_jax.training import parallel, trainer
from sirr_jax.training.state import TrainState
from sirr_jax.training.train_step import build_step

_CONFIGS = Path(__file__).parents[2] / "configs"


def config_of(name):
    """Returns `get_config` of configs/{name}.py."""
    spec = importlib.util.spec_from_file_location(f"config_{name}", _CONFIGS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config


class Step(NamedTuple):
    """A step of a run: its inputs and outputs, on the host, and the compiled function."""

    before: TrainState
    raw: dict
    after: TrainState
    scalars: dict
    compiled: parallel.Step


class Run(NamedTuple):
    """A finished run of `count` steps in each of its stages."""

    folder: Path
    config: object
    stages: tuple
    count: int
    steps: list[Step]

    def of(self, stage):
        """Returns the steps of a stage."""
        first = self.stages.index(stage) * self.count
        return self.steps[first : first + self.count]


def recording(patch, steps, compiled):
    """Records every step of a training in `steps`; compiles each stage once for all trainings, in `compiled`."""
    patch.setattr(trainer, "build_step", lambda recipe, index, *rest: (index, build_step(recipe, index, *rest)))
    parallelize = parallel.parallelize

    def recorded(numbered):
        index, step = numbered
        compiled.setdefault(index, parallelize(step))

        def call(state, raw):
            before = parallel.to_host(state)
            state, scalars = compiled[index](state, raw)
            steps.append(Step(before, raw, parallel.to_host(state), jax.device_get(scalars), compiled[index]))
            return state, scalars

        return call

    patch.setattr(parallel, "parallelize", recorded)


def changed_networks(before, after):
    """Returns the names whose values differ in at least one bit."""
    return {name for name in before if not same_bits(before[name], after[name])}


def same_bits(a, b):
    """Returns whether two trees contain the same bits."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs)
