"""The perceptual term of a recipe: VGG-19 where the user holds its weights, else multi-scale gradients."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax.typing import Dtype

from sirr_jax.losses.perceptual import VGG_WEIGHTS, perceptual
from sirr_jax.losses.pixel import multiscale_gradient_l1
from sirr_jax.models.vgg import Vgg19, normalise
from sirr_jax.weights.vgg import read_vgg


class PerceptualTerm:
    """L_P as a function of parameters that the training state carries, frozen, beside the networks'.

    Attributes:
        params: VGG-19 parameters, or `{}`.
        description: a sentence for the log and the run's metadata that says which distance this really is.
    """

    def __init__(self, path: str, *, dtype: Dtype = jnp.float32) -> None:
        """Read the weights.

        Args:
            path: a VGG-19 weight file (see `sirr_jax.weights.vgg.read_vgg`), or "" for the 3-scale gradient L1.
            dtype: type the features are computed in; the distances are float32.

        Raises:
            UserError: if the file cannot be used.
        """
        self.params: dict[str, Any] = {}
        self._network = None
        if not path:
            self.description = "L_P is the 3-scale gradient L1: config.perceptual_weights names no VGG-19 file"
            return
        weights = read_vgg(path, "vgg19")
        used = [name for name in VGG_WEIGHTS if name.replace("relu", "conv") in weights.layers]
        absent = [name for name in VGG_WEIGHTS if name not in used]
        layers = weights.layers[: weights.layers.index(used[-1].replace("relu", "conv")) + 1]
        self.params = {name: weights.params[name] for name in layers}
        self._network = Vgg19(layers=layers, dtype=dtype)
        self._convention = weights.convention
        # Caffe's inputs are about 58 times torchvision's, and every feature with them.
        self._unit = 1.0 if weights.convention == "torchvision" else 1.0 / (255.0 * 0.226)
        self.description = f"L_P uses VGG-19 ({weights.convention} weights) at {', '.join(used)}"
        if absent:
            self.description += f"; the weight file lacks {', '.join(absent)}, left out"

    def __call__(self, params: dict[str, Any], estimate: jax.Array, truth: jax.Array) -> jax.Array:
        """L_P of `[B, H, W, 3]` images in [0, 1]; `params` is `self.params` as the state carries it."""
        if self._network is None:
            return multiscale_gradient_l1(estimate, truth)
        features = [
            self._network.apply({"params": params}, normalise(image, self._convention)) for image in (estimate, truth)
        ]
        return perceptual(*features, unit=self._unit)
