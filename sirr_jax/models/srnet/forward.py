"""The forward pass of SR-Net's networks, and the two encodings of label maps between them.

SR-Net specification, sections 1 and 2: the inputs of the networks are the authors', the encodings are a
reconstruction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.layers.palettes import colorize, palette, to_labels
from sirr_jax.layers.range import to_signed, to_unit

Generator = Callable[[jax.Array, jax.Array], dict[str, Any]]
"""Refiner or restorer with its variables: `generator(image in [-1, 1], label map) -> outputs by name`."""


class LabelCode(NamedTuple):
    """The encoding of classes in a label map.

    Attributes:
        mode: "logits", one channel per class; "palette", RGB in [-1, 1].
        classes: number of classes.
    """

    mode: str
    classes: int

    def encode(self, labels: jax.Array) -> jax.Array:
        """Encodes classes.

        Args:
            labels: classes [B, H, W].

        Returns:
            Label map [B, H, W, K]; pixels without a class are zeros, or the palette's gray.
        """
        if self.mode == "logits":
            return jax.nn.one_hot(labels, self.classes)
        return to_signed(self.colors(labels))

    def soft(self, refined: dict[str, jax.Array]) -> jax.Array:
        """Returns the differentiable label map [B, H, W, K] of the refiner's outputs.

        Args:
            refined: outputs of the refiner.
        """
        return jax.nn.softmax(refined["semantic_logits"]) if self.mode == "logits" else refined["label_map"]

    def decode(self, coded: jax.Array) -> jax.Array:
        """Decodes a label map to the most likely class of each pixel, or to that of the nearest color.

        Args:
            coded: label map [B, H, W, K].

        Returns:
            Classes [B, H, W] int32.
        """
        if self.mode == "logits":
            return jnp.argmax(coded, axis=-1).astype(jnp.int32)
        return jnp.asarray(to_labels(255.0 * to_unit(coded), palette(self.classes))).astype(jnp.int32)

    def colors(self, labels: jax.Array) -> jax.Array:
        """Converts classes to colors.

        Args:
            labels: classes [B, H, W].

        Returns:
            Colors [B, H, W, 3], RGB in [0, 1].
        """
        return jnp.asarray(colorize(labels, palette(self.classes))).astype(jnp.float32) / 255.0


class ChainOutputs(NamedTuple):
    """Outputs of the networks.

    Attributes:
        segmented: S_d [B, H, W] int32, labels of the degraded image.
        refined: S_r, outputs of the refiner.
        restored: I_r [B, H, W, 3] RGB in [-1, 1].
    """

    segmented: jax.Array
    refined: dict[str, jax.Array]
    restored: jax.Array


def run_chain(
    code: LabelCode,
    segment: Callable[[jax.Array], jax.Array],
    refine: Generator,
    restore: Generator,
    image: jax.Array,
) -> ChainOutputs:
    """Segments, refines the labels, and restores.

    Args:
        code: encoding of the label maps.
        segment: image [B, H, W, 3] in [0, 1] -> classes [B, H, W].
        refine: G_ref.
        restore: G_res.
        image: I_d [B, H, W, 3] RGB in [0, 1]; H and W multiples of 4, at least 12.
    """
    segmented = segment(image)
    refined = refine(to_signed(image), code.encode(segmented))
    return ChainOutputs(segmented, refined, restore(to_signed(image), code.soft(refined))["restored"])
