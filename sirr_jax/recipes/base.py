"""The interface between a recipe and the training engine."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from sirr_jax.registry import Registry
from sirr_jax.weights.model_file import Parent, StoredNetwork

AXIS = "devices"
"""Name of the pmapped axis, over which losses compute batch statistics of all devices."""

Tree = dict[str, Any]
"""A nested dict of arrays whose first level names networks (parameters) or collections."""


class Aux(NamedTuple):
    """Second result of a loss.

    Attributes:
        scalars: name -> scalar to log.
        collections: name -> collection that replaces the one of the state.
    """

    scalars: Mapping[str, jax.Array]
    collections: Mapping[str, Any] = {}


Loss = Callable[[Tree, Tree, Tree, jax.Array], tuple[jax.Array, Aux]]
"""`loss(params, collections, batch, key) -> (scalar, Aux)`, pure, on one device's share of a batch."""


class Start(NamedTuple):
    """The part of the state that a stage may change when it begins.

    Attributes:
        params: parameters of each network.
        ema: moving average of the parameters of each trained network.
        collections: further collections, for example running statistics.
    """

    params: Tree
    ema: Tree
    collections: Tree


class Ancestry(NamedTuple):
    """Weights from files that a network contains before its first training step.

    Attributes:
        parents: these weights and their parents.
        steps: training steps of these weights; None if unknown.
        complete: whether the whole network comes from files.
    """

    parents: tuple[Parent, ...] = ()
    steps: int | None = 0
    complete: bool = False


@dataclasses.dataclass(frozen=True)
class Update:
    """One optimizer step of some networks.

    Attributes:
        learns: networks that are differentiated and stepped; empty for an update that only replaces collections.
        loss: loss that they minimize.
        times: repetitions per training step.
    """

    learns: tuple[str, ...]
    loss: Loss
    times: int = 1


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the training with fixed updates and a fixed mixture of data.

    Attributes:
        name: name in the log.
        steps: number of training steps.
        updates: updates of every step, in order.
        mix: fraction of each kind of sample (`sirr_jax.data.from_config.KINDS`) in a batch; sums to 1.
        begin: deterministic change of the state before the first step; None for no change.
        rate: factor on all learning rates; or such a factor by network, 1 for networks without one.
    """

    name: str
    steps: int
    updates: tuple[Update, ...]
    mix: Mapping[str, float]
    begin: Callable[[Start], Start] | None = None
    rate: float | Mapping[str, float] = 1.0

    def rate_of(self, network: str) -> float:
        """Returns the factor on the learning rate of a network."""
        return self.rate.get(network, 1.0) if isinstance(self.rate, Mapping) else self.rate


class Recipe(abc.ABC):
    """The training of one published system: networks, stages and losses.

    Its networks state how they restore a photograph, see `sirr_jax.models.restore_spec`.

    Attributes:
        name: name in configs and in model files.
        stages: stages in the order of training.
        panels: names of the images that `compare` returns, in display order.
        classes: number of classes of the label maps that `segment` returns; 0 for recipes without label maps.
        maps: those of the panels that are no estimates of an image: they are displayed and not scored.
        targets: estimate -> panel that it is scored against, where that is not "target".
        validation: kind of sample ("layers", "single", "pairs", "photos", ...) to validate on.
        notes: sentences for the log and the metadata of the run, for example which losses are in use.
        ancestries: network -> weights from files, set by `init`; networks that are drawn are left out.
    """

    name: str
    stages: tuple[Stage, ...]
    panels: tuple[str, ...]
    classes: int = 0
    maps: tuple[str, ...] = ()
    targets: Mapping[str, str] = {}
    validation: str = "layers"
    notes: tuple[str, ...] = ()
    ancestries: Mapping[str, Ancestry] = {}

    @abc.abstractmethod
    def __init__(self, config: ConfigDict) -> None:
        """Builds networks and stages.

        Args:
            config: resolved config.
        """

    @abc.abstractmethod
    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draws the initial variables, or loads them, and sets `ancestries`.

        Args:
            key: PRNG key.

        Returns:
            `(params, collections)`, each a dict by network.
        """

    @abc.abstractmethod
    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Turns raw uint8 samples into a training batch, on the device, inside the step.

        Args:
            raw: one device's share of a raw batch: kind -> name -> `[n, ...]`.
            key: PRNG key of the run; fold each sample's `index` into it, so that the number of devices does not
                change the result.
            train: whether to augment.

        Returns:
            Arrays with a leading sample axis, in any nesting.
        """

    @abc.abstractmethod
    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Computes the images to score and to display.

        Args:
            params: parameters of each network.
            collections: further collections.
            batch: prepared batch.

        Returns:
            "input", the estimates, the maps and "target", each [B, H, W, 3] in [0, 1].
        """

    def segment(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Computes the label maps to score.

        Args:
            params: parameters of each network.
            collections: further collections.
            batch: prepared batch.

        Returns:
            "target" (255: no class) and the estimates, each [B, H, W] int32; empty for recipes without label maps.
        """
        del params, collections, batch
        return {}

    @abc.abstractmethod
    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """Selects the networks to export.

        Args:
            params: parameters of each network.
            collections: further collections.

        Returns:
            File stem -> networks of that model file by role; see `sirr_jax.models.restore_spec`.
        """


RECIPES: Registry[type[Recipe]] = Registry("recipe", "recipes")
"""All recipes by name. A recipe's file registers it."""


def get_recipe(name: str) -> type[Recipe]:
    """Returns the recipe class of a name.

    Args:
        name: name of the recipe, for example "dynamics".

    Raises:
        UserError: There is no recipe of that name.
    """
    return RECIPES.find(name)
