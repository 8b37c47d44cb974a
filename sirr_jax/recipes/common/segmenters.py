"""Segmenters behind one interface: what each is fed, and logits in the image's size.

SR-Net specification, section 8 (external segmenters) and 9 (our own).
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
from sirr_jax.models.segmenter import Segmenter as OwnSegmenter
from sirr_jax.models.vgg import normalize
from sirr_jax.weights.model_file import StoredNetwork, load_model

SEGMENTERS = ("ade20k_ppm", "bisenet", "deeplabv2", "espnetv2", "segmenter")
"""Network ids that `PublishedSegmenter` can feed."""

_CAFFE_MEAN = np.array([104.008, 116.669, 122.675], np.float32)
_ESPNET_SIDE = {0.5: 256}  # of the published files; the wider ones were trained at 384


class PublishedSegmenter:
    """A segmenter, fed as it was published.

    Attributes:
        module: the network.
        classes: number of classes that it tells apart.
    """

    def __init__(self, module: Any) -> None:
        """Choose how to feed a network.

        Args:
            module: a Flax module, built from one of `SEGMENTERS`.

        Raises:
            UserError: if it is another network.
        """
        if type(module) not in _FEEDS:
            raise UserError(f"{type(module).__name__} is no segmenter; expected one of {', '.join(SEGMENTERS)}")
        self.module = module
        self.classes: int = module.classes
        self._logits = _FEEDS[type(module)]

    def segment(self, variables: dict[str, Any], image: jax.Array) -> jax.Array:
        """Logits of each class, before softmax; in inference mode.

        Args:
            variables: of the network, `{"params": ..., "batch_stats": ...}`.
            image: [B, H, W, 3] RGB in [0, 1], of any size.

        Returns:
            [B, H, W, classes], float32.
        """

        def apply(fed: jax.Array) -> jax.Array:
            return self.module.apply(variables, fed)["semantic_logits"]

        return self._logits(self.module, apply, image)

    def labels(self, variables: dict[str, Any], image: jax.Array) -> jax.Array:
        """The class of each pixel, [B, H, W] int32; arguments as `segment`."""
        return jnp.argmax(self.segment(variables, image), axis=-1).astype(jnp.int32)


def read_segmenter(path: str | Path) -> StoredNetwork:
    """The segmenter of a model file that `sirr convert` or a training run wrote.

    Raises:
        UserError: if the file holds no segmenter, or several.
    """
    networks = load_model(path).networks
    found = [network for network in networks.values() if network.id in SEGMENTERS]
    if len(found) != 1:
        raise UserError(
            f"{path} holds {', '.join(network.id for network in networks.values())}; expected one of "
            f"{', '.join(SEGMENTERS)}: give another model file"
        )
    used = {name: tree for name, tree in found[0].variables.items() if name != "passthrough"}
    return found[0]._replace(variables=jax.tree.map(lambda x: np.asarray(x, np.float32), used))


# --- what each is fed ---------------------------------------------------------------------------------------------

_Logits = Callable[[Any, Callable[[jax.Array], jax.Array], jax.Array], jax.Array]


def _own(module: OwnSegmenter, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    del module
    return apply(image)


def _espnet(module: EspNetV2, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """Resized to the square that the published file was trained at, ImageNet's mean and deviation."""
    return _at(_ESPNET_SIDE.get(module.scale, 384), apply, image)


def _bisenet(module: BiSeNet, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """Resized to 512x512, ImageNet's mean and deviation."""
    del module
    return _at(512, apply, image)


def _deeplab(module: DeepLabV2, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """BGR in 0..255 minus Caffe's mean; the network itself looks at several scales."""
    del module
    bgr = image[..., ::-1] * 255.0 - jnp.asarray(_CAFFE_MEAN)[None, None, None]
    return resize_bilinear(apply(bgr), image.shape[1:3])


def _pyramid(module: PyramidParser, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """ImageNet's mean and deviation, mirrored at the bottom and right to multiples of 8; one scale."""
    del module
    padded = pad_to_multiple(image, 8)
    logits = resize_bilinear(apply(normalize(padded, "torchvision")), padded.shape[1:3])
    return logits[:, : image.shape[1], : image.shape[2]]


def _at(side: int, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """Logits of the image resized to a square, as Pillow does, enlarged or reduced to the image's size."""
    batch, height, width, channels = image.shape
    square = jax.image.resize(image, (batch, side, side, channels), "bilinear", antialias=True)
    return resize_bilinear(apply(normalize(square, "torchvision")), (height, width))


_FEEDS: dict[type, _Logits] = {
    OwnSegmenter: _own,
    EspNetV2: _espnet,
    BiSeNet: _bisenet,
    DeepLabV2: _deeplab,
    PyramidParser: _pyramid,
}
