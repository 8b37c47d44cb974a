"""SR-Net's networks as a recipe trains them: built from a config, drawn, applied one after the other.

SR-Net specification, sections 2 and 4; a reconstruction, see `sirr_jax.recipes.srnet.recipe`.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax.typing import Dtype
from ml_collections import ConfigDict

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.models.normal import normal
from sirr_jax.recipes.base import Tree
from sirr_jax.recipes.common.pretrained import start_from
from sirr_jax.recipes.common.segmenters import PublishedSegmenter, read_segmenter
from sirr_jax.recipes.srnet.forward import Answers, LabelCode, run_chain, signed
from sirr_jax.weights.model_file import StoredNetwork

SMALLEST = 24
"""The smallest side that the discriminators take."""

_NO_CLASS = 255


class SrNetNetworks:
    """PublishedSegmenter, refiner, restorer, `map_discriminator` and `image_discriminator`.

    Attributes:
        code: how classes are written in label maps.
        segmenter: what labels photographs.
        given: whether the segmenter is a model file's, which never learns here.
        description: a sentence for the log.
    """

    def __init__(self, config: ConfigDict, classes: int, *, dtype: Dtype) -> None:
        """Build the networks that `config`, as `configs/srnet.py` makes it, describes.

        Args:
            config: width, mode, segmenter and so on.
            classes: number of classes of the data.
            dtype: computation type.

        Raises:
            UserError: if there is no such width, mode, synthesis or weight file, or the file's segmenter has another
                number of classes.
        """
        self._initial, self._start_from = config.initial, config.init_from
        self._file = read_segmenter(config.segmenter.weights) if config.segmenter.weights else None
        self.given = self._file is not None
        self._model_args = _model_args(config, classes)
        self._id = {role: f"srnet/{role}" for role in self._model_args}
        self._id["segmenter"] = "segmenter"
        if self._file is not None:
            self._id["segmenter"], self._model_args["segmenter"] = self._file.id, self._file.model_args
        self._network = {
            role: build(self._id[role], **model_args, dtype=dtype) for role, model_args in self._model_args.items()
        }
        self.segmenter = PublishedSegmenter(self._network["segmenter"])
        if self.segmenter.classes != classes:
            raise UserError(
                f"{config.segmenter.weights} tells {self.segmenter.classes} classes apart and the data have "
                f"{classes}: choose another config.segmenter.weights, or data of its classes"
            )
        self.code = LabelCode(config.mode, classes)
        source = config.segmenter.weights or "our own"
        self.description = (
            f"SR-Net as reconstructed, mode {config.mode}, {config.restorer.synthesis} synthesis"
            f"{' of a correction' * config.restorer.correction}; {classes} classes; "
            f"segmenter {self._id['segmenter']} ({source})"
        )

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draw `(params, collections)` by role, or take those that `config.init_from` has."""
        variables = {}
        for i, (role, network) in enumerate(sorted(self._network.items())):
            if role == "segmenter" and self.given:
                continue
            own = jax.random.fold_in(key, i)
            drawn = initialize(network, own, *network.example_shapes(size=(SMALLEST, SMALLEST)))
            params = drawn["params"]
            if role != "segmenter" and self._initial == "normal":
                params = normal(own, params)
            for head in {"label_correction", "correction_map"} & params.keys():
                # Refiner and restorer begin by giving back what they are shown; spectral normalization has no zero.
                if not self._model_args[role].get("spectral_norm"):
                    params = params | {head: jax.tree.map(jnp.zeros_like, params[head])}
            variables[role] = drawn | {"params": params}
        if self._start_from:
            wanted = {role: (self._id[role], self._model_args[role]) for role in variables}
            variables = start_from(self._start_from, wanted, variables)
        if self._file is not None:
            variables["segmenter"] = jax.tree.map(jnp.array, self._file.variables)
        params = {role: tree["params"] for role, tree in variables.items()}
        return params, {role: tree["batch_stats"] for role, tree in variables.items() if "batch_stats" in tree}

    def apply(
        self, role: str, params: Tree, collections: Tree, *inputs: jax.Array, moved: Tree | None = None
    ) -> dict[str, Any]:
        """A network's outputs; with `moved` its spectral normalization moves, and goes in there by role."""
        variables = _variables(role, params, collections)
        if moved is None or "batch_stats" not in variables:
            return self._network[role].apply(variables, *inputs)
        made, state = self._network[role].apply(variables, *inputs, train=True, mutable=["batch_stats"])
        moved[role] = state["batch_stats"]
        return made

    def logits(self, params: Tree, collections: Tree, image: jax.Array) -> jax.Array:
        """What the segmenter says of images `[B, H, W, 3]` in [0, 1]: `[B, H, W, classes]`."""
        return self.segmenter.segment(_variables("segmenter", params, collections), image)

    def labels(self, params: Tree, collections: Tree, image: jax.Array) -> jax.Array:
        """The segmenter's class of each pixel, `[B, H, W]` int32."""
        return self.segmenter.labels(_variables("segmenter", params, collections), image)

    def chain(self, params: Tree, collections: Tree, image: jax.Array, *, moved: Tree | None = None) -> Answers:
        """What the networks find in images in [0, 1]; inside jit, what a caller does not use is never computed.

        With `moved` the refiner's spectral normalization moves.
        """
        return run_chain(
            self.code,
            functools.partial(self.labels, params, collections),
            functools.partial(self.apply, "refiner", params, collections, moved=moved),
            functools.partial(self.apply, "restorer", params, collections),
            image,
        )

    def guided(self, params: Tree, collections: Tree, image: jax.Array, labels: jax.Array) -> jax.Array:
        """I_r in [-1, 1] of an image in [0, 1], under the true labels."""
        return self.apply("restorer", params, collections, signed(image), self.code.encode(labels))["restored"]

    def compared(self, refined: Tree, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The true and the refined label map, alike where there is no class.

        Else a discriminator would tell them apart by that.
        """
        true = self.code.encode(labels)
        return true, jnp.where((labels != _NO_CLASS)[..., None], self.code.soft(refined), true)

    def export(self, params: Tree, collections: Tree) -> dict[str, StoredNetwork]:
        """All networks by role, as a model file holds them."""
        return {
            role: StoredNetwork(self._id[role], dict(model_args), _variables(role, params, collections))
            for role, model_args in self._model_args.items()
        }


def _model_args(config: ConfigDict, classes: int) -> dict[str, dict[str, Any]]:
    """Role -> arguments that differ from the network's own, as a converted file has them."""
    labels = {"width": config.width, "mode": config.mode, "classes": classes}
    wanted = {
        "srnet/refiner": labels | config.refiner.to_dict(),
        "srnet/restorer": labels | config.restorer.to_dict(),
        "srnet/map_discriminator": labels,
        "srnet/image_discriminator": {"width": config.width},
        "segmenter": {"width": config.segmenter.width, "classes": classes},
    }
    return {
        network_id.removeprefix("srnet/"): {
            name: value for name, value in model_args.items() if value != getattr(build(network_id), name)
        }
        for network_id, model_args in wanted.items()
    }


def _variables(role: str, params: Tree, collections: Tree) -> Tree:
    statistics = {"batch_stats": collections[role]} if role in collections else {}
    return {"params": params[role]} | statistics
