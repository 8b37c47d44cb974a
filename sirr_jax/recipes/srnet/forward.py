"""SR-Net's networks one after the other, and how label maps travel between them.

SR-Net specification, sections 1 and 2: what is fed to what is the authors', the two codes for label maps are a
reconstruction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.data.images.palettes import colorize, palette, to_labels

Generator = Callable[[jax.Array, jax.Array], dict[str, Any]]
"""Refiner or restorer with its variables: image in [-1, 1] and label map in, `{name: array}` out."""


class LabelCode(NamedTuple):
    """How classes are written in a label map.

    Attributes:
        mode: "logits", one channel per class; "palette", RGB in [-1, 1].
        classes: number of classes.
    """

    mode: str
    classes: int

    def encode(self, labels: jax.Array) -> jax.Array:
        """Classes `[B, H, W]` -> label map `[B, H, W, K]`; pixels without a class have zeros, or the palette's gray."""
        if self.mode == "logits":
            return jax.nn.one_hot(labels, self.classes)
        return signed(self.colors(labels))

    def soft(self, refined: dict[str, jax.Array]) -> jax.Array:
        """The label map `[B, H, W, K]` that the refiner's outputs stand for, differentiable."""
        return jax.nn.softmax(refined["semantic_logits"]) if self.mode == "logits" else refined["label_map"]

    def decode(self, coded: jax.Array) -> jax.Array:
        """Label map -> the likeliest class of each pixel, or that of the nearest color, `[B, H, W]` int32."""
        if self.mode == "logits":
            return jnp.argmax(coded, axis=-1).astype(jnp.int32)
        return to_labels(255.0 * unsigned(coded), palette(self.classes)).astype(jnp.int32)

    def colors(self, labels: jax.Array) -> jax.Array:
        """Classes `[B, H, W]` -> their colors `[B, H, W, 3]`, RGB in [0, 1]."""
        return colorize(labels, palette(self.classes)).astype(jnp.float32) / 255.0


class Answers(NamedTuple):
    """What the chain finds.

    Attributes:
        segmented: S_d [B, H, W] int32, of the degraded image.
        refined: S_r, the refiner's outputs.
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
) -> Answers:
    """Segment, refine, restore.

    Args:
        code: of the label maps.
        segment: image [B, H, W, 3] in [0, 1] -> classes [B, H, W].
        refine: G_ref.
        restore: G_res.
        image: I_d [B, H, W, 3] RGB in [0, 1]; H and W multiples of 4, at least 12.
    """
    segmented = segment(image)
    refined = refine(signed(image), code.encode(segmented))
    return Answers(segmented, refined, restore(signed(image), code.soft(refined))["restored"])


def signed(image: jax.Array) -> jax.Array:
    """[0, 1] -> [-1, 1]."""
    return image * 2.0 - 1.0


def unsigned(image: jax.Array) -> jax.Array:
    """[-1, 1] -> [0, 1]."""
    return image * 0.5 + 0.5
