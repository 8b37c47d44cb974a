"""Writes the trained networks of a run as model files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from sirr_jax.recipes import Recipe
from sirr_jax.recipes.base import Ancestry
from sirr_jax.training.state import TrainState, evaluation_params
from sirr_jax.weights.license import derived_license
from sirr_jax.weights.model_file import Model, StoredNetwork, save_model

_log = logging.getLogger(__name__)


def export(recipe: Recipe, state: TrainState, workdir: Path, notes: Sequence[str]) -> None:
    """Writes `models/*.safetensors`; networks that were never trained are left out, with a line in the log.

    Args:
        recipe: recipe of the run.
        state: one replica of the training state, on the host.
        workdir: folder of the run.
        notes: sentences about the run; the first becomes a part of the description.
    """
    step = int(state.step)
    steps = trained_steps(recipe, step)
    for stem, networks in recipe.exports(evaluation_params(state), state.collections).items():
        trained: dict[str, StoredNetwork] = {}
        for role, network in networks.items():
            ancestry = recipe.ancestries.get(role, Ancestry())
            # A role that is no network of the recipe is made of several of them.
            own = steps.get(role, 0) if role in state.params else step
            if not own and not ancestry.complete:
                _log.warning(
                    "models/%s.safetensors: %s is not written, because it has not been trained (%d of %d steps of the "
                    "run are done)",
                    stem,
                    role,
                    step,
                    sum(stage.steps for stage in recipe.stages),
                )
                continue
            trained[role] = network._replace(
                license=derived_license(ancestry.parents),
                parents=ancestry.parents,
                steps=_total(ancestry.steps, own),
            )
        if trained:
            save_model(workdir / "models" / f"{stem}.safetensors", _model(recipe, trained, notes), overwrite=True)


def trained_steps(recipe: Recipe, step: int) -> dict[str, int]:
    """Counts the training steps of each network.

    Args:
        recipe: recipe of the run.
        step: number of finished steps of the run.

    Returns:
        Network -> number of finished steps in which it was trained; networks without any are left out.
    """
    steps: dict[str, int] = {}
    first = 0
    for stage in recipe.stages:
        done = min(max(step - first, 0), stage.steps)
        first += stage.steps
        for name in {name for update in stage.updates for name in update.learns} if done else ():
            steps[name] = steps.get(name, 0) + done
    return steps


def _total(before: int | None, own: int) -> int | None:
    """Adds the steps of a run to those before it; where those are unknown, the run's own count, if there are any."""
    return own + before if before is not None else own or None


def _model(recipe: Recipe, networks: dict[str, StoredNetwork], notes: Sequence[str]) -> Model:
    parents = list(dict.fromkeys(parent for network in networks.values() for parent in network.parents))
    sources = [f"from {p.name}, license {p.license or 'none stated'}, SHA-256 {p.sha256[:16]}" for p in parents]
    return Model(
        recipe.name,
        networks,
        license=derived_license(parents),
        description="; ".join(["trained with sirr_jax", *notes[:1], *sources]),
    )
