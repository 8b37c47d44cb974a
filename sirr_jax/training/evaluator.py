"""Scores and pictures of a recipe's estimates during training."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from sirr_jax.data.from_config import validation_batch
from sirr_jax.data.images.grid import contact_sheet
from sirr_jax.errors import UserError
from sirr_jax.metrics import PROTOCOLS, confusion, miou, per_image, score
from sirr_jax.metrics.protocols import protocol_name
from sirr_jax.recipes import Recipe
from sirr_jax.recipes.base import Tree
from sirr_jax.training import parallel
from sirr_jax.training.metric_writers import Writer
from sirr_jax.training.state import TrainState, evaluation_params

_log = logging.getLogger(__name__)

_MOST_AT_ONCE = 16
_SEED = 1_000_003  # apart from the training seeds in use


class Evaluator:
    """Scores and draws the recipe's estimates on a fixed set of held-out samples."""

    def __init__(self, recipe: Recipe, config: ConfigDict) -> None:
        """Reads the samples: `config.validation_samples` of the recipe's kind.

        Args:
            recipe: recipe whose estimates are scored.
            config: whole config of the run.

        Raises:
            UserError: There is no such protocol, or the validation data cannot be used.
        """
        try:
            self._protocol = protocol_name(config.get("protocol", "errnet"))
        except UserError as error:
            raise UserError(f"config.protocol is {config.protocol!r}; choose one of {', '.join(PROTOCOLS)}") from error
        raw = validation_batch(config.data, recipe.validation, config.validation_samples, seed=_SEED)
        self._recipe = recipe
        self._warned = False
        key = jax.random.key(_SEED)
        # It runs once: compiling without optimizations takes half the time.
        options: dict[str, Any] = {"xla_backend_optimization_level": 0}
        prepare = jax.jit(functools.partial(recipe.prepare, train=False)).lower(raw, key)
        batch = prepare.compile(compiler_options=options)(raw, key)
        self._count = config.validation_samples
        self._chunks = _chunks(batch, self._count)
        self._compare = jax.jit(recipe.compare)
        self._segment = jax.jit(recipe.segment)
        self._images: tuple[int, dict[str, np.ndarray]] = (-1, {})

    def scores(self, step: int, state: TrainState) -> dict[str, dict[str, float]]:
        """Scores every estimate: means of the protocol's metrics over the samples, and scores of label maps.

        A mixture that equals its target has an infinite PSNR and nothing to restore: such samples are left out.
        Of label maps: `miou`, the mean intersection over union of the whole set, that is of the sum of the samples'
        confusion matrices; and, where every pixel has a class, the means over the samples of
        `sirr_jax.metrics.per_image`: `pa`, `ma`, `image_miou`, `fwiou`.
        """
        images = self._estimates(step, state)
        reflected = np.isfinite(self._score(images["input"], images["target"])["psnr"])
        if not reflected.all() and not self._warned:
            _log.warning("%d of %d validation samples equal their target; left out", (~reflected).sum(), len(reflected))
            self._warned = True
        targets = self._recipe.targets
        hidden = {"target", *self._recipe.maps, *targets.values()}
        scores = {
            name: {
                metric: float(np.mean(values))
                for metric, values in self._score(
                    image[reflected], images[targets.get(name, "target")][reflected]
                ).items()
            }
            for name, image in images.items()
            if name not in hidden
        }
        if self._recipe.classes:
            labels = self._apply(self._segment, state)
            target = labels.pop("target")
            for name, predicted in labels.items():
                scores.setdefault(name, {}).update(_label_scores(predicted, target, self._recipe.classes))
        return scores

    def evaluate(self, step: int, state: TrainState, writer: Writer) -> None:
        """Writes the scores after `step` steps."""
        scores = self.scores(step, state)
        writer.scalars(
            step, {f"validation/{metric}/{name}": v for name, s in scores.items() for metric, v in s.items()}
        )

    def panel(self, step: int, state: TrainState, writer: Writer) -> None:
        """Writes a panel: one row per sample; input, estimates, maps and target side by side."""
        estimates = np.stack(list(self._estimates(step, state).values()), axis=1)
        rows = np.rint(np.clip(estimates, 0.0, 1.0) * 255.0).astype(np.uint8)
        writer.panel(step, "validation", contact_sheet(rows))

    def _estimates(self, step: int, state: TrainState) -> dict[str, np.ndarray]:
        if self._images[0] != step:
            images = self._apply(self._compare, state)
            self._images = (step, {name: images[name] for name in self._recipe.panels})
        return self._images[1]

    def _apply(self, function: Callable[..., dict[str, jax.Array]], state: TrainState) -> dict[str, np.ndarray]:
        """Applies a function of the recipe to all samples."""
        state = parallel.first_replica(state)
        params = evaluation_params(state)
        parts = [jax.device_get(function(params, state.collections, chunk)) for chunk in self._chunks]
        return {name: np.concatenate([part[name] for part in parts])[: self._count] for name in parts[0]}

    def _score(self, estimate: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.asarray(values) for name, values in score(estimate, target, protocol=self._protocol).items()}


def _label_scores(predicted: np.ndarray, target: np.ndarray, classes: int) -> dict[str, float]:
    scores = {"miou": float(miou(confusion(predicted, target, classes)))}
    if target.max() < classes:
        each = {name: float(np.mean(values)) for name, values in per_image(predicted, target, classes).items()}
        scores |= {"image_miou": each.pop("miou")} | each
    return scores


def _chunks(batch: Tree, count: int) -> list[Tree]:
    """Splits a batch into equal parts: all samples at once would need many times the memory of a training step.

    The last sample fills up the last part; `_apply` drops what is computed for the copies.
    """
    parts = -(-count // _MOST_AT_ONCE)
    size = -(-count // parts)
    numbers = np.minimum(np.arange(parts * size), count - 1).reshape(parts, size)
    return [jax.tree.map(lambda x, rows=rows: x[rows], batch) for rows in numbers]
