"""Use a trained network on photographs of any size."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.models.registry import build
from sirr_jax.recipes import get_recipe
from sirr_jax.weights.model_file import load_model

_SMALLEST = 16


class Restored(NamedTuple):
    """Layers of a photograph, NumPy arrays of the input's height, width and rank, float32 in [0, 1].

    Attributes:
        restored: the transmission layer.
        reflection: the reflection layer; None where the network estimates none.
        maps: further estimates by name (attention, edges, ...); empty for most networks.
    """

    restored: np.ndarray
    reflection: np.ndarray | None
    maps: dict[str, np.ndarray]


class Restorer:
    """Callable that removes the degradation its network was trained on.

    Compiles once for each image size.
    """

    def __init__(self, card: dict[str, Any], params: dict[str, Any]) -> None:
        """Build the network that a model file's card names.

        Args:
            card: see `sirr_jax.weights.model_file`.
            params: its parameters.

        Raises:
            UserError: if the network does not restore single images, or the parameters do not fit it.
        """
        self.card = card
        network = build(card["network"], **card["hyper"])
        image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
        try:
            expected = jax.eval_shape(network.init, jax.random.key(0), image)["params"]
        except ValueError as error:
            raise UserError(
                f"{card['network']} does not restore single images; load the student's file, not {card['network']}"
            ) from error
        found = jax.tree.map(lambda x: x.shape, params)
        if found != jax.tree.map(lambda x: x.shape, expected):
            raise UserError(f"the parameters do not fit {card['network']} {card['hyper']}; export the model again")
        restore = functools.partial(get_recipe(card["recipe"]).restore, network)
        self._restore = jax.jit(restore)
        self._params = jax.device_put(params)

    def __call__(self, image: np.ndarray | jax.Array) -> Restored:
        """Restore one photograph or a batch of equal sizes.

        Args:
            image: RGB [H, W, 3] or [N, H, W, 3], at least 16 px a side; uint8, or floats in [0, 1].

        Raises:
            UserError: if the shape, the type or the range is something else.
        """
        image = np.asarray(image)
        single = image.ndim == 3
        batch = _checked(image[None] if single else image)
        outputs = {name: np.asarray(x) for name, x in self._restore(self._params, jnp.asarray(batch)).items()}
        if single:
            outputs = {name: x[0] for name, x in outputs.items()}
        return Restored(outputs.pop("restored"), outputs.pop("reflection", None), outputs)


def load(path: str | Path) -> Restorer:
    """Make a `Restorer` from a `.safetensors` file that a training run exported.

    Raises:
        UserError: if the file is missing, damaged, or of a network that does not restore single images.
    """
    return Restorer(*load_model(path))


def _checked(batch: np.ndarray) -> np.ndarray:
    if batch.ndim != 4 or batch.shape[-1] != 3:
        shape = batch.shape[1:] if batch.shape[0] == 1 else batch.shape
        raise UserError(f"the image has shape {shape}; expected RGB [H, W, 3] or [N, H, W, 3]")
    if min(batch.shape[1:3]) < _SMALLEST:
        height, width = batch.shape[1:3]
        raise UserError(f"the image is {width}x{height} px; at least {_SMALLEST} px a side are needed")
    if batch.dtype == np.uint8:
        return batch.astype(np.float32) / np.float32(255)
    if not np.issubdtype(batch.dtype, np.floating):
        raise UserError(f"the image has type {batch.dtype}; expected uint8, or floats in [0, 1]")
    low, high = float(batch.min()), float(batch.max())
    if not (low >= 0.0 and high <= 1.0):
        raise UserError(f"the image's values lie in [{low:g}, {high:g}]; expected [0, 1], or uint8")
    return batch.astype(np.float32)
