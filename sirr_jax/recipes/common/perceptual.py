"""Perceptual loss of a recipe: distance of VGG features, or of multi-scale gradients where there is no weight file.

A style loss can share the features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.losses.perceptual import VGG_WEIGHTS, perceptual
from sirr_jax.losses.pixel import multiscale_gradient_l1
from sirr_jax.losses.style import STYLE_LAYERS, style
from sirr_jax.models.vgg import CAFFE_SCALE, Vgg16, Vgg19, normalize
from sirr_jax.weights.pretrained_vgg import read_vgg

_NETWORKS: dict[str, tuple[type[Vgg16] | type[Vgg19], str]] = {
    "vgg16": (Vgg16, "VGG-16"),
    "vgg19": (Vgg19, "VGG-19"),
}

# Two releases skip ImageNet's normalization: convention of the weight file that they need, conversion of the image.
_RAW: dict[str, tuple[str, Callable[[jax.Array], jax.Array]]] = {
    "raw_bgr01": ("torchvision", lambda image: image[..., ::-1]),
    "raw_rgb255": ("caffe", lambda image: 255.0 * image),
}


class Features(NamedTuple):
    """The features that a perceptual loss compares.

    Attributes:
        network: "vgg16" or "vgg19".
        weights: weight of each layer, `relu1_1`, ..., or `conv1_1`, ... for features before the ReLU.
        error: "l1" or "mse", see `sirr_jax.losses.perceptual`.
        preprocessing: conversion of images for the network. "normalized": the range that the weight file was trained
            for, features on the scale of torchvision's. "raw_bgr01": BGR in [0, 1], with torchvision's weights, as
            released by AttentiveGAN; "raw_rgb255": RGB in 0..255, with Keras's (Caffe's), as released by EdgeGAN.
        style: layers of the style loss, see `PerceptualTerm.with_style`.
    """

    network: Literal["vgg16", "vgg19"]
    weights: Mapping[str, float]
    error: str
    preprocessing: str = "normalized"
    style: tuple[str, ...] = ()


ERRNET = Features("vgg19", VGG_WEIGHTS, "l1")
"""ERRNet's features, which the dynamics recipe uses too."""

ERRNET_UNALIGNED = Features("vgg19", {"conv5_2": 0.1}, "l1")
"""ERRNet's features for pairs that are not aligned, before the ReLU; with the weight of this loss."""

ATTENTIVE_GAN = Features("vgg16", {"relu1_1": 1.0, "relu1_2": 0.6, "relu2_1": 0.4, "relu2_2": 0.2}, "mse", "raw_bgr01")
"""Features of the official code (AttentiveGAN specification, section 4); the preset "paper" uses "normalized"."""

EDGE_GAN = Features("vgg16", {"relu3_3": 1.0}, "mse", "raw_rgb255")
"""Features as released (EdgeGAN specification, section 5); the preset "balanced" uses "normalized"."""

SRNET = Features("vgg19", {f"relu{block}_1": 1.0 for block in range(1, 6)}, "l1", style=STYLE_LAYERS)
"""SR-Net's features, a reconstruction (SR-Net specification, section 3)."""

SGRRN = Features(
    "vgg19",
    {"relu1_2": 1 / 2.6, "relu2_2": 1 / 4.8, "relu3_2": 1 / 3.7, "relu4_2": 1 / 5.6, "relu5_2": 10 / 1.5},
    "l1",
)
"""Apparent intention of SGRRN's released code (SGRRN specification, section 7): layers and weights of Zhang et al."""


class PerceptualTerm:
    """L_P as a function of frozen parameters, which the training state holds beside those of the networks.

    Attributes:
        params: parameters of the VGG, or `{}`.
        description: sentence for the log and the metadata of the run: which distance is in use.
    """

    def __init__(
        self, path: str, *, features: Features = ERRNET, substitute: bool = True, dtype: Dtype = jnp.float32
    ) -> None:
        """Reads the weights.

        Args:
            path: weight file (see `sirr_jax.weights.pretrained_vgg.read_vgg`), or "" for none.
            features: features to compare.
            substitute: without a file, True for the 3-scale gradient L1, False for 0.
            dtype: dtype of the features; the distances are float32.

        Raises:
            UserError: The file cannot be used, or not with these features, or the preprocessing is unknown.
        """
        self.params: dict[str, Any] = {}
        self._network: Vgg16 | Vgg19 | None = None
        self._features, self._substitute = features, substitute
        network, title = _NETWORKS[features.network]
        preprocessing = features.preprocessing
        if preprocessing != "normalized" and preprocessing not in _RAW:
            raise UserError(
                f"the preprocessing of the perceptual loss is {preprocessing!r}; choose one of normalized, "
                f"{', '.join(_RAW)}"
            )
        if not path:
            distance = "3-scale gradient L1" if substitute else "none"
            reason = f"config.perceptual_weights is empty; it takes a {title} file"
            self.description = f"perceptual loss: {distance} ({reason})"
            if features.style:
                self.description += "; no style loss"
            return
        weights = read_vgg(path, features.network)
        required = sorted({*features.weights, *features.style})
        used = [name for name in required if name.replace("relu", "conv") in weights.layers]
        missing = [name for name in required if name not in used]
        if not used:
            raise UserError(
                f"{path} ends at {weights.layers[-1]}, before all layers of the perceptual loss "
                f"({', '.join(missing)}); give config.perceptual_weights a more complete file"
            )
        last = max(weights.layers.index(name.replace("relu", "conv")) for name in used)
        self.params = {name: weights.params[name] for name in weights.layers[: last + 1]}
        before = any(name.startswith("conv") for name in used)
        self._network = network(layers=weights.layers[: last + 1], pre_activations=before, dtype=dtype)
        self._convention, self._unit = weights.convention, 1.0
        if preprocessing in _RAW:
            expected, _ = _RAW[preprocessing]
            if weights.convention != expected:
                raise UserError(
                    f"{path} contains {weights.convention} weights, which do not fit the preprocessing "
                    f"{preprocessing}; give config.perceptual_weights a file of {expected} weights, or choose a preset "
                    "with the preprocessing normalized"
                )
        elif weights.convention == "caffe":
            self._unit = 1.0 / CAFFE_SCALE
        name = "perceptual and style loss" if features.style else "perceptual loss"
        self.description = f"{name}: {title} ({weights.convention} weights) at {', '.join(used)}"
        if preprocessing in _RAW:
            self.description += f", preprocessing {preprocessing}"
        if missing:
            self.description += f"; without {', '.join(missing)}, which the weight file lacks"

    def __call__(self, params: dict[str, Any], estimate: jax.Array, target: jax.Array) -> jax.Array:
        """Computes the perceptual loss.

        Args:
            params: `self.params`, as the training state holds it.
            estimate: RGB image [B, H, W, 3] in [0, 1].
            target: image of the same shape and range.

        Returns:
            L_P, a float32 scalar.
        """
        return self.with_style(params, estimate, target)[0]

    def with_style(self, params: dict[str, Any], estimate: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Computes the perceptual and the style loss (`sirr_jax.losses.style`) from one pass of each image.

        Layers that the weight file lacks are left out of both.

        Args:
            params: `self.params`, as the training state holds it.
            estimate: RGB image [B, H, W, 3] in [0, 1].
            target: image of the same shape and range.

        Returns:
            L_P and the style loss, float32 scalars; without a file the style loss is 0.
        """
        if self._network is None:
            distance = multiscale_gradient_l1(estimate, target) if self._substitute else jnp.zeros(())
            return distance, jnp.zeros(())
        estimated, expected = (
            cast(dict[str, jax.Array], self._network.apply({"params": params}, self._preprocess(image)))
            for image in (estimate, target)
        )
        features = self._features
        distance = perceptual(estimated, expected, unit=self._unit, weights=features.weights, error=features.error)
        return distance, style(estimated, expected, unit=self._unit, layers=features.style)

    def _preprocess(self, image: jax.Array) -> jax.Array:
        if self._features.preprocessing in _RAW:
            return _RAW[self._features.preprocessing][1](image)
        return normalize(image, self._convention)
