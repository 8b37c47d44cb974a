"""The perceptual term of a recipe: VGG features where the user holds weights, else multi-scale gradients or nothing.

A style term may share the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.losses.perceptual import VGG_WEIGHTS, perceptual
from sirr_jax.losses.pixel import multiscale_gradient_l1
from sirr_jax.losses.style import STYLE_LAYERS, style
from sirr_jax.models.vgg import CAFFE_SCALE, Vgg16, Vgg19, normalize
from sirr_jax.weights.pretrained_vgg import read_vgg

_NETWORKS = {"vgg16": (Vgg16, "VGG-16"), "vgg19": (Vgg19, "VGG-19")}

# What two releases feed without ImageNet's statistics: the files' convention that they do it with, the images.
_RAW = {
    "raw_bgr01": ("torchvision", lambda image: image[..., ::-1]),
    "raw_rgb255": ("caffe", lambda image: 255.0 * image),
}


class Features(NamedTuple):
    """Which features of which network are compared, and how.

    Attributes:
        network: "vgg16" or "vgg19".
        weights: of the layers, `relu1_1`, ...
        error: "l1" or "mse", see `sirr_jax.losses.perceptual`.
        feed: how images reach the network. "normalized": in the range that the weight file was trained for, and its
            features in the scale of torchvision's. "raw_bgr01": BGR in [0, 1], with torchvision's weights;
            "raw_rgb255": RGB in 0..255, with Keras's (Caffe's): so do AttentiveGAN and EdgeGAN as released.
        style: layers whose correlations are compared too, see `PerceptualTerm.with_style`.
    """

    network: str
    weights: Mapping[str, float]
    error: str
    feed: str = "normalized"
    style: tuple[str, ...] = ()


ERRNET = Features("vgg19", VGG_WEIGHTS, "l1")
"""ERRNet's, which our own recipe uses too."""

ATTENTIVE_GAN = Features("vgg16", {"relu1_1": 1.0, "relu1_2": 0.6, "relu2_1": 0.4, "relu2_2": 0.2}, "mse", "raw_bgr01")
"""As the official code (AttentiveGAN specification, section 4); the corrected preset feeds them "normalized"."""

EDGE_GAN = Features("vgg16", {"relu3_3": 1.0}, "mse", "raw_rgb255")
"""As released (EdgeGAN specification, section 5); the balanced preset feeds them "normalized"."""

SRNET = Features("vgg19", {f"relu{block}_1": 1.0 for block in range(1, 6)}, "l1", style=STYLE_LAYERS)
"""SR-Net's, a reconstruction (SR-Net specification, section 3)."""

SGRRN = Features(
    "vgg19",
    {"relu1_2": 1 / 2.6, "relu2_2": 1 / 4.8, "relu3_2": 1 / 3.7, "relu4_2": 1 / 5.6, "relu5_2": 10 / 1.5},
    "l1",
)
"""What SGRRN's released code seems to mean (SGRRN specification, section 7): Zhang et al.'s layers and weights."""


class PerceptualTerm:
    """L_P as a function of parameters that the training state carries, frozen, beside the networks'.

    Attributes:
        params: the VGG's parameters, or `{}`.
        description: a sentence for the log and the run's metadata that says which distance this really is.
    """

    def __init__(
        self, path: str, *, features: Features = ERRNET, substitute: bool = True, dtype: Dtype = jnp.float32
    ) -> None:
        """Read the weights.

        Args:
            path: a file of the network's weights (see `sirr_jax.weights.pretrained_vgg.read_vgg`), or "" for none.
            features: what to compare.
            substitute: without a file L_P is the 3-scale gradient L1; False: it is 0.
            dtype: type the features are computed in; the distances are float32.

        Raises:
            UserError: if the file cannot be used, or not with these features, or there is no such feed.
        """
        self.params: dict[str, Any] = {}
        self._network, self._features, self._substitute = None, features, substitute
        network, title = _NETWORKS[features.network]
        if features.feed != "normalized" and features.feed not in _RAW:
            raise UserError(f"L_P is fed {features.feed!r}; choose one of normalized, {', '.join(_RAW)}")
        if not path:
            instead = "the 3-scale gradient L1" if substitute else "left out"
            self.description = f"L_P is {instead}: config.perceptual_weights names no {title} file"
            if features.style:
                self.description += "; so there is no style term"
            return
        weights = read_vgg(path, features.network)
        wanted = sorted({*features.weights, *features.style})
        used = [name for name in wanted if name.replace("relu", "conv") in weights.layers]
        absent = [name for name in wanted if name not in used]
        if not used:
            raise UserError(
                f"{path} ends at {weights.layers[-1]}, before all that L_P compares ({', '.join(absent)}); "
                "give config.perceptual_weights a more complete file"
            )
        last = max(weights.layers.index(name.replace("relu", "conv")) for name in used)
        self.params = {name: weights.params[name] for name in weights.layers[: last + 1]}
        self._network = network(layers=weights.layers[: last + 1], dtype=dtype)
        self._convention, self._unit = weights.convention, 1.0
        if features.feed in _RAW:
            expected, _ = _RAW[features.feed]
            if weights.convention != expected:
                raise UserError(
                    f"{path} holds {weights.convention} weights, which images fed as {features.feed} do not suit; "
                    f"give config.perceptual_weights a file of {expected} weights, or feed them normalized"
                )
        elif weights.convention == "caffe":
            self._unit = 1.0 / CAFFE_SCALE
        name = "L_P and style use" if features.style else "L_P uses"
        self.description = f"{name} {title} ({weights.convention} weights) at {', '.join(used)}"
        if features.feed in _RAW:
            self.description += f", fed {features.feed}"
        if absent:
            self.description += f"; the weight file lacks {', '.join(absent)}, left out"

    def __call__(self, params: dict[str, Any], estimate: jax.Array, target: jax.Array) -> jax.Array:
        """L_P of `[B, H, W, 3]` RGB images in [0, 1]; `params` is `self.params` as the state carries it."""
        return self.with_style(params, estimate, target)[0]

    def with_style(self, params: dict[str, Any], estimate: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        """L_P and the style distance (`sirr_jax.losses.style`) of the same images, from one pass of each.

        Layers that the weight file lacks are left out of both; without a file there is no style distance: 0.
        """
        if self._network is None:
            distance = multiscale_gradient_l1(estimate, target) if self._substitute else jnp.zeros(())
            return distance, jnp.zeros(())
        features = [self._network.apply({"params": params}, self._feed(image)) for image in (estimate, target)]
        how = self._features
        distance = perceptual(*features, unit=self._unit, weights=how.weights, error=how.error)
        return distance, style(*features, unit=self._unit, layers=how.style)

    def _feed(self, image: jax.Array) -> jax.Array:
        if self._features.feed in _RAW:
            return _RAW[self._features.feed][1](image)
        return normalize(image, self._convention)
