"""SR-Net's networks for training: built from a config, initialized, and applied one after the other.

SR-Net specification, sections 2 and 4; a reconstruction, see `sirr_jax.recipes.srnet.recipe`.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax.typing import Dtype
from ml_collections import ConfigDict

from sirr_jax.errors import UserError
from sirr_jax.layers.range import to_signed
from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.models.normal import normal
from sirr_jax.models.published_segmenter import PublishedSegmenter
from sirr_jax.models.srnet.forward import ChainOutputs, LabelCode, run_chain
from sirr_jax.recipes.base import Ancestry, Tree
from sirr_jax.recipes.common.pretrained import load_initial
from sirr_jax.recipes.common.segmenters import read_segmenter
from sirr_jax.weights.model_file import StoredNetwork

SMALLEST = 24
"""The smallest side, in pixels, that the discriminators take."""

_NO_CLASS = 255


class SrNetNetworks:
    """Segmenter, refiner, restorer, `map_discriminator` and `image_discriminator`.

    Attributes:
        code: encoding of classes in label maps.
        segmenter: segmentation network.
        pretrained_segmenter: whether the segmenter comes from a model file and is never trained.
        description: sentence for the log.
        ancestries: weights from files by role, see `Recipe`; set by `init`.
    """

    def __init__(self, config: ConfigDict, classes: int, *, dtype: Dtype) -> None:
        """Builds the networks of a config.

        Args:
            config: config of `configs/srnet.py`.
            classes: number of classes of the data.
            dtype: dtype of activations.

        Raises:
            UserError: There is no such width, mode, synthesis or weight file, or the segmenter of the file has another
                number of classes.
        """
        self.ancestries: dict[str, Ancestry] = {}
        self._initial, self._init_from = config.initial, config.init_from
        self._file = read_segmenter(config.segmenter.weights) if config.segmenter.weights else None
        self.pretrained_segmenter = self._file is not None
        self._model_args = _model_args(config, classes)
        self._id = {role: f"srnet/{role}" for role in self._model_args}
        self._id["segmenter"] = "segmenter"
        if self._file is not None:
            self._id["segmenter"], self._model_args["segmenter"] = self._file.id, self._file.model_args
        self._network: dict[str, Any] = {
            role: build(self._id[role], **model_args, dtype=dtype) for role, model_args in self._model_args.items()
        }
        self.segmenter = PublishedSegmenter(self._network["segmenter"])
        if self.segmenter.classes != classes:
            raise UserError(
                f"{config.segmenter.weights} has {self.segmenter.classes} classes and the data have {classes}: choose "
                "another config.segmenter.weights, or data of its classes"
            )
        self.code = LabelCode(config.mode, classes)
        source = f"from {config.segmenter.weights}" if config.segmenter.weights else "trained in the first stage"
        correction = ", which predicts a correction of the photograph" if config.restorer.correction else ""
        self.description = (
            f"SR-Net reconstruction, label maps as {config.mode}, {classes} classes; restorer with "
            f"{config.restorer.synthesis} synthesis{correction}; segmenter {self._id['segmenter']}, {source}"
        )

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draws the initial variables, or loads those of `config.init_from`.

        Args:
            key: PRNG key.

        Returns:
            `(params, collections)` by role.
        """
        variables = {}
        for i, (role, network) in enumerate(sorted(self._network.items())):
            if role == "segmenter" and self.pretrained_segmenter:
                continue
            network_key = jax.random.fold_in(key, i)
            drawn = initialize(network, network_key, *network.example_shapes(size=(SMALLEST, SMALLEST)))
            params = drawn["params"]
            if role != "segmenter" and self._initial == "normal":
                params = normal(network_key, params)
            for head in {"label_correction", "correction_map"} & params.keys():
                # Refiner and restorer start as the identity. Spectral normalization is undefined for zeros.
                if not self._model_args[role].get("spectral_norm"):
                    params = params | {head: jax.tree.map(jnp.zeros_like, params[head])}
            variables[role] = drawn | {"params": params}
        if self._init_from:
            networks = {role: (self._id[role], self._model_args[role]) for role in variables}
            variables = load_initial(self._init_from, networks, variables, ancestries=self.ancestries)
        if self._file is not None:
            self.ancestries["segmenter"] = Ancestry(self._file.parents, self._file.steps, complete=True)
            variables["segmenter"] = jax.tree.map(jnp.array, self._file.variables)
        params = {role: tree["params"] for role, tree in variables.items()}
        return params, {role: tree["batch_stats"] for role, tree in variables.items() if "batch_stats" in tree}

    def apply(
        self, role: str, params: Tree, collections: Tree, *inputs: jax.Array, updates: Tree | None = None
    ) -> dict[str, Any]:
        """Applies a network.

        Args:
            role: role of the network.
            params: parameters by role.
            collections: further collections by role.
            *inputs: inputs of the network.
            updates: dict that receives the updated collection of a network with spectral normalization, by role; None
                for inference.

        Returns:
            The outputs by name.
        """
        variables = _variables(role, params, collections)
        if updates is None or "batch_stats" not in variables:
            return cast(dict[str, Any], self._network[role].apply(variables, *inputs))
        outputs, state = self._network[role].apply(variables, *inputs, train=True, mutable=["batch_stats"])
        updates[role] = state["batch_stats"]
        return outputs

    def logits(self, params: Tree, collections: Tree, image: jax.Array) -> jax.Array:
        """Computes the logits of the segmenter.

        Args:
            params: parameters by role.
            collections: further collections by role.
            image: images [B, H, W, 3] in [0, 1].

        Returns:
            Logits [B, H, W, classes].
        """
        return self.segmenter.segment(_variables("segmenter", params, collections), image)

    def labels(self, params: Tree, collections: Tree, image: jax.Array) -> jax.Array:
        """Computes the segmenter's class of each pixel.

        Args:
            params: parameters by role.
            collections: further collections by role.
            image: images [B, H, W, 3] in [0, 1].

        Returns:
            Labels [B, H, W] int32.
        """
        return self.segmenter.labels(_variables("segmenter", params, collections), image)

    def chain(self, params: Tree, collections: Tree, image: jax.Array, *, updates: Tree | None = None) -> ChainOutputs:
        """Applies segmenter, refiner and restorer; inside jit, XLA drops what the caller does not use.

        Args:
            params: parameters by role.
            collections: further collections by role.
            image: images [B, H, W, 3] in [0, 1].
            updates: dict that receives the updated collection of the refiner, see `apply`.
        """
        return run_chain(
            self.code,
            functools.partial(self.labels, params, collections),
            functools.partial(self.apply, "refiner", params, collections, updates=updates),
            functools.partial(self.apply, "restorer", params, collections),
            image,
        )

    def guided(self, params: Tree, collections: Tree, image: jax.Array, labels: jax.Array) -> jax.Array:
        """Restores images under the guidance of the true labels.

        Args:
            params: parameters by role.
            collections: further collections by role.
            image: images [B, H, W, 3] in [0, 1].
            labels: classes [B, H, W].

        Returns:
            I_r [B, H, W, 3] in [-1, 1].
        """
        return self.apply("restorer", params, collections, to_signed(image), self.code.encode(labels))["restored"]

    def label_maps(self, refined: Tree, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the true and the refined label map.

        They are equal where there is no class, so that a discriminator cannot use these pixels.

        Args:
            refined: outputs of the refiner.
            labels: classes [B, H, W].
        """
        true = self.code.encode(labels)
        return true, jnp.where((labels != _NO_CLASS)[..., None], self.code.soft(refined), true)

    def export(self, params: Tree, collections: Tree) -> dict[str, StoredNetwork]:
        """Returns all networks by role, as a model file stores them.

        Args:
            params: parameters by role.
            collections: further collections by role.
        """
        return {
            role: StoredNetwork(self._id[role], dict(model_args), _variables(role, params, collections))
            for role, model_args in self._model_args.items()
        }


def _model_args(config: ConfigDict, classes: int) -> dict[str, dict[str, Any]]:
    """Role -> arguments that differ from the network's defaults, as in a converted file."""
    labels = {"width": config.width, "mode": config.mode, "classes": classes}
    model_args_by_id = {
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
        for network_id, model_args in model_args_by_id.items()
    }


def _variables(role: str, params: Tree, collections: Tree) -> Tree:
    statistics = {"batch_stats": collections[role]} if role in collections else {}
    return {"params": params[role]} | statistics
