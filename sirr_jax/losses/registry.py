"""Losses of an image and its target by name, for recipes that select losses in their config."""

from __future__ import annotations

from collections.abc import Callable

import jax

from sirr_jax.registry import Registry

ImageLoss = Callable[[jax.Array, jax.Array], jax.Array]
"""`loss(estimate, target)`: a scalar for two batches of images [B, H, W, 3] in [0, 1]."""

LOSSES: Registry[ImageLoss] = Registry("loss", "losses")
"""All losses of images. The file of a loss registers it."""
