"""What a recipe declares and what the engine promises in return."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from sirr_jax.weights.model_file import StoredNetwork

AXIS = "devices"
"""The pmapped axis, by which losses take batch statistics over all devices."""

Tree = dict[str, Any]
"""A nested dict of arrays whose first level names networks (parameters) or collections."""


class Aux(NamedTuple):
    """What a loss returns beside its value: `scalars` to log, `collections` that it replaces."""

    scalars: Mapping[str, jax.Array]
    collections: Mapping[str, Any] = {}


Loss = Callable[[Tree, Tree, Tree, jax.Array], tuple[jax.Array, Aux]]
"""`loss(params, collections, batch, key) -> (scalar, Aux)`, pure, on one device's share of a batch."""


class Start(NamedTuple):
    """The part of the state that a stage may change when it begins."""

    params: Tree
    ema: Tree
    collections: Tree


@dataclasses.dataclass(frozen=True)
class Update:
    """One optimizer step of some networks.

    Attributes:
        learns: networks that are differentiated and stepped; empty for an update that only replaces collections.
        loss: what they minimize.
        times: how often per training step.
    """

    learns: tuple[str, ...]
    loss: Loss
    times: int = 1


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the training with fixed updates and a fixed mixture of data.

    Attributes:
        name: for the log.
        steps: its length.
        updates: in order, within every step.
        mix: share of each kind of sample (`sirr_jax.data.from_config.KINDS`) in a batch; sums to 1.
        begin: how it starts from the stage before; None to go on unchanged. Deterministic.
        rate: factor on all its learning rates.
    """

    name: str
    steps: int
    updates: tuple[Update, ...]
    mix: Mapping[str, float]
    begin: Callable[[Start], Start] | None = None
    rate: float = 1.0


class Recipe(abc.ABC):
    """How the networks of one published system are trained together.

    How they answer for one photograph is told by `sirr_jax.recipes.restoration` under the same name.

    Attributes:
        name: its name in configs and in weight files.
        stages: in order.
        panels: names of the images that `compare` makes, in the order to show them.
        classes: number of classes of what `segment` returns; 0 for recipes without label maps.
        maps: those of the panels that are no estimates: shown, not scored.
        targets: estimate -> the panel that it is scored against, where that is not "target".
        validation: the kind of sample ("layers", "single", "pairs", "photos") to validate on.
        notes: sentences for the log and the run's metadata (which losses are really in use, and so on).
    """

    name: str
    stages: tuple[Stage, ...]
    panels: tuple[str, ...]
    classes: int = 0
    maps: tuple[str, ...] = ()
    targets: Mapping[str, str] = {}
    validation: str = "layers"
    notes: tuple[str, ...] = ()

    @abc.abstractmethod
    def __init__(self, config: ConfigDict) -> None:
        """Build networks and stages from a resolved config."""

    @abc.abstractmethod
    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draw `(params, collections)`, each a dict by network."""

    @abc.abstractmethod
    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Turn raw uint8 samples into a training batch, on the device, inside the step.

        Args:
            raw: one device's share of a raw batch: kind -> name -> `[n, ...]`.
            key: the run's key; fold each sample's `index` into it, so that the number of devices changes nothing.
            train: whether to augment.

        Returns:
            Arrays with a leading sample axis, in any nesting.
        """

    @abc.abstractmethod
    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Images `[B, H, W, 3]` in [0, 1] for scores and panels: "input", the estimates, maps, "target"."""

    def segment(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Label maps `[B, H, W]` int32 to score: "target" (255: no class) and the estimates; none here."""
        del params, collections, batch
        return {}

    @abc.abstractmethod
    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """Models to ship: file stem -> its networks by role; see `sirr_jax.recipes.restoration`."""
