"""Segmentation networks behind one interface: images in [0, 1] in, logits of the image's size out.

SR-Net specification, sections 8 (external segmenters) and 9 (our own).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError
from sirr_jax.models.registry import NETWORKS


def list_segmenters() -> tuple[str, ...]:
    """Returns the ids of the networks that `PublishedSegmenter` accepts, sorted."""
    return tuple(name for name, info in NETWORKS.items() if info.segment is not None)


class PublishedSegmenter:
    """A segmentation network with the preprocessing that it was published with.

    Attributes:
        module: the network.
        classes: number of classes.
    """

    def __init__(self, module: Any) -> None:
        """Selects the preprocessing of a network.

        Args:
            module: Flax module of one of `list_segmenters()`.

        Raises:
            UserError: The module is another network.
        """
        segment = next((info.segment for _, info in NETWORKS.items() if info.network is type(module)), None)
        if segment is None:
            raise UserError(f"{type(module).__name__} is no segmenter; expected one of {', '.join(list_segmenters())}")
        self.module = module
        self.classes: int = module.classes
        self._segment = segment

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

        return self._segment(self.module, apply, image)

    def labels(self, variables: dict[str, Any], image: jax.Array) -> jax.Array:
        """Computes the most likely class of each pixel.

        Args:
            variables: variables of the network, `{"params": ..., "batch_stats": ...}`.
            image: RGB [B, H, W, 3] in [0, 1], of any size.

        Returns:
            Labels [B, H, W] int32.
        """
        return jnp.argmax(self.segment(variables, image), axis=-1).astype(jnp.int32)
