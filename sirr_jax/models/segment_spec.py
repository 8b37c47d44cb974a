"""How a photograph goes through a segmentation network: preparation of the image and conversion of the logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from sirr_jax.layers.resize import resize_bilinear

Segment = Callable[[Any, Callable[[jax.Array], jax.Array], jax.Array], jax.Array]
"""`segment(module, apply, image)`: the logits [B, H, W, classes] of an image [B, H, W, 3] RGB in [0, 1] of any size.

`apply` maps the network's input to its logits.
"""


def segment_square(
    side: int, apply: Callable[[jax.Array], jax.Array], normalize: Callable[[jax.Array], jax.Array], image: jax.Array
) -> jax.Array:
    """Segments the image resized to a square, as Pillow resizes, and resizes the logits back.

    Args:
        side: side of the square in pixels.
        apply: network's input -> logits.
        normalize: conversion of an image in [0, 1] to the network's input.
        image: [B, H, W, 3] RGB in [0, 1].

    Returns:
        Logits [B, H, W, classes].
    """
    batch, height, width, channels = image.shape
    square = jax.image.resize(image, (batch, side, side, channels), "bilinear", antialias=True)
    return resize_bilinear(apply(normalize(square)), (height, width))
