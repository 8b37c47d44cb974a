"""Segmentation networks behind one interface: images in [0, 1] in, logits of the image's size out.

SR-Net specification, sections 8 (external segmenters) and 9 (our own).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.layers.padding import pad_to_multiple
from sirr_jax.layers.resize import resize_bilinear
from sirr_jax.models.ade20k_ppm import PyramidParser
from sirr_jax.models.bisenet import BiSeNet
from sirr_jax.models.deeplabv2 import DeepLabV2
from sirr_jax.models.espnetv2 import EspNetV2
from sirr_jax.models.segmenter import Segmenter
from sirr_jax.models.vgg import normalize
from sirr_jax.recipes.common.pretrained import ancestry_of, load_file
from sirr_jax.weights.model_file import StoredNetwork

SEGMENTERS = ("ade20k_ppm", "bisenet", "deeplabv2", "espnetv2", "segmenter")
"""Network ids that `PublishedSegmenter` accepts."""

_CAFFE_MEAN = np.array([104.008, 116.669, 122.675], np.float32)
_ESPNET_SIDE = {0.5: 256}  # side in px at which the published files were trained; 384 for the wider ones


class PublishedSegmenter:
    """A segmentation network with the preprocessing that it was published with.

    Attributes:
        module: the network.
        classes: number of classes.
    """

    def __init__(self, module: Any) -> None:
        """Selects the preprocessing of a network.

        Args:
            module: Flax module of one of `SEGMENTERS`.

        Raises:
            UserError: The module is another network.
        """
        if type(module) not in _PREPROCESSING:
            raise UserError(f"{type(module).__name__} is no segmenter; expected one of {', '.join(SEGMENTERS)}")
        self.module = module
        self.classes: int = module.classes
        self._logits = _PREPROCESSING[type(module)]

    def segment(self, variables: dict[str, Any], image: jax.Array) -> jax.Array:
        """Computes the logits of each class, in inference mode.

        Args:
            variables: variables of the network, `{"params": ..., "batch_stats": ...}`.
            image: RGB [B, H, W, 3] in [0, 1], of any size.

        Returns:
            Logits [B, H, W, classes], float32.
        """

        def apply(x: jax.Array) -> jax.Array:
            return self.module.apply(variables, x)["semantic_logits"]

        return self._logits(self.module, apply, image)

    def labels(self, variables: dict[str, Any], image: jax.Array) -> jax.Array:
        """Computes the most likely class of each pixel.

        Args:
            variables: variables of the network, `{"params": ..., "batch_stats": ...}`.
            image: RGB [B, H, W, 3] in [0, 1], of any size.

        Returns:
            Labels [B, H, W] int32.
        """
        return jnp.argmax(self.segment(variables, image), axis=-1).astype(jnp.int32)


def read_segmenter(path: str | Path) -> StoredNetwork:
    """Reads the segmentation network of a file.

    Args:
        path: model file of a training run or of `sirr convert`, or any file that `sirr convert` reads.

    Returns:
        The network with float32 variables; its parents include the file itself.

    Raises:
        UserError: The file contains no segmentation network, or several, or one that was never trained.
    """
    model = load_file(path, "config.segmenter.weights")
    networks = model.networks
    segmenters = [network for network in networks.values() if network.id in SEGMENTERS]
    if len(segmenters) != 1:
        raise UserError(
            f"{path} contains {', '.join(network.id for network in networks.values())}; expected one of "
            f"{', '.join(SEGMENTERS)}: give another model file"
        )
    if segmenters[0].steps == 0:
        raise UserError(
            f"{path} contains a {segmenters[0].id} that was never trained (0 steps); give another model file"
        )
    used = {name: tree for name, tree in segmenters[0].variables.items() if name != "passthrough"}
    ancestry = ancestry_of(model, segmenters[0], str(path))
    return segmenters[0]._replace(
        parents=ancestry.parents, variables=jax.tree.map(lambda x: np.asarray(x, np.float32), used)
    )


# --- preprocessing ------------------------------------------------------------------------------------------------

_Apply = Callable[[jax.Array], jax.Array]
_Logits = Callable[[Any, _Apply, jax.Array], jax.Array]


def _own(module: Segmenter, apply: _Apply, image: jax.Array) -> jax.Array:
    del module
    return apply(image)


def _espnet(module: EspNetV2, apply: _Apply, image: jax.Array) -> jax.Array:
    """Resized to the square that the published file was trained at, normalized by ImageNet's statistics."""
    return _at(_ESPNET_SIDE.get(module.scale, 384), apply, image)


def _bisenet(module: BiSeNet, apply: _Apply, image: jax.Array) -> jax.Array:
    """Resized to 512x512, normalized by ImageNet's statistics."""
    del module
    return _at(512, apply, image)


def _deeplab(module: DeepLabV2, apply: _Apply, image: jax.Array) -> jax.Array:
    """BGR in 0..255 minus Caffe's mean; the network itself works at several scales."""
    del module
    bgr = image[..., ::-1] * 255.0 - jnp.asarray(_CAFFE_MEAN)[None, None, None]
    return resize_bilinear(apply(bgr), _size(image))


def _pyramid(module: PyramidParser, apply: _Apply, image: jax.Array) -> jax.Array:
    """Reflect-padded at the bottom and right to multiples of 8, normalized by ImageNet's statistics; one scale."""
    del module
    padded = pad_to_multiple(image, 8)
    logits = resize_bilinear(apply(normalize(padded, "torchvision")), _size(padded))
    return logits[:, : image.shape[1], : image.shape[2]]


def _at(side: int, apply: _Apply, image: jax.Array) -> jax.Array:
    """Logits of the image resized to a square, as Pillow does, enlarged or reduced to the image's size."""
    batch, height, width, channels = image.shape
    square = jax.image.resize(image, (batch, side, side, channels), "bilinear", antialias=True)
    return resize_bilinear(apply(normalize(square, "torchvision")), (height, width))


def _size(image: jax.Array) -> tuple[int, int]:
    return image.shape[1], image.shape[2]


_PREPROCESSING: dict[type, _Logits] = {
    Segmenter: _own,
    EspNetV2: _espnet,
    BiSeNet: _bisenet,
    DeepLabV2: _deeplab,
    PyramidParser: _pyramid,
}
