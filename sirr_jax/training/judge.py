"""Scores and pictures of a recipe's estimates during training."""

from __future__ import annotations

import functools
import logging

import jax
import numpy as np
from ml_collections import ConfigDict

from sirr_jax.data.contact_sheet import contact_sheet
from sirr_jax.data.feed import validation_stream
from sirr_jax.data.pipeline import build_pipeline
from sirr_jax.errors import UserError
from sirr_jax.metrics import PROTOCOLS, score
from sirr_jax.recipes import Recipe
from sirr_jax.training import parallel
from sirr_jax.training.state import TrainState, evaluation_params
from sirr_jax.training.writers import Writer

_log = logging.getLogger(__name__)

_SEED = 1_000_003  # apart from the training seeds in use


class Judge:
    """Scores and draws the recipe's estimates on a fixed set of held-out samples."""

    def __init__(self, recipe: Recipe, config: ConfigDict) -> None:
        """Make the samples: `config.validation_samples` of the recipe's kind, from `validation_stream`.

        Raises:
            UserError: if the config names no such protocol, or its validation data cannot be used.
        """
        self._protocol = config.get("protocol", "sirr")
        if self._protocol not in PROTOCOLS:
            raise UserError(f"config.protocol is {self._protocol!r}; choose one of {', '.join(PROTOCOLS)}")
        kind = recipe.validation
        stream = validation_stream(config.data, kind)
        with build_pipeline(
            {kind: stream}, {kind: config.validation_samples}, kind="memory", seed=_SEED, start_step=0
        ) as pipeline:
            raw = next(pipeline)
        self._panels, self._maps = recipe.panels, recipe.maps
        self._told = False
        self._batch = jax.jit(functools.partial(recipe.prepare, train=False))(raw, jax.random.key(_SEED))
        self._compare = jax.jit(recipe.compare)
        self._images: tuple[int, dict[str, np.ndarray]] = (-1, {})

    def _estimates(self, step: int, state: TrainState) -> dict[str, np.ndarray]:
        if self._images[0] != step:
            state = parallel.first_replica(state)
            images = jax.device_get(self._compare(evaluation_params(state), state.collections, self._batch))
            self._images = (step, {name: images[name] for name in self._panels})
        return self._images[1]

    def scores(self, step: int, state: TrainState) -> dict[str, dict[str, float]]:
        """Name of the estimate -> mean PSNR, SSIM, LMSE, NCC over the samples, by the config's protocol.

        A mixture that equals its truth has an infinite PSNR and nothing to restore: such samples are left out.
        """
        images = self._estimates(step, state)
        truth = images["truth"]
        reflected = np.isfinite(self._score(images["input"], truth)["psnr"])
        if not reflected.all() and not self._told:
            _log.warning("%d of %d validation samples equal their truth; left out", (~reflected).sum(), len(truth))
            self._told = True
        return {
            name: {
                metric: float(np.mean(values))
                for metric, values in self._score(image[reflected], truth[reflected]).items()
            }
            for name, image in images.items()
            if name != "truth" and name not in self._maps
        }

    def _score(self, estimate: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
        return score(estimate, truth, protocol=self._protocol)

    def evaluate(self, step: int, state: TrainState, writer: Writer) -> None:
        """Write the scores after `step` steps."""
        scores = self.scores(step, state)
        writer.scalars(
            step, {f"validation/{metric}/{name}": v for name, s in scores.items() for metric, v in s.items()}
        )

    def panel(self, step: int, state: TrainState, writer: Writer) -> None:
        """Write a sheet: one row per sample; input, estimates and truth side by side."""
        estimates = np.stack(list(self._estimates(step, state).values()), axis=1)
        rows = np.rint(np.clip(estimates, 0.0, 1.0) * 255.0).astype(np.uint8)
        writer.panel(step, "validation", contact_sheet(rows))
