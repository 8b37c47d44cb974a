"""Edge GAN's three networks, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.models.edge_gan.edge_maps import edge_map
from sirr_jax.recipes.common.bound_network import Apply


def find_edges(networks: Mapping[str, Apply], image: jax.Array) -> jax.Array:
    """The background's edges [B, H, W, 1], about 0..255, from RGB [B, H, W, 3] in [0, 1]; needs `edge_net`."""
    return networks["edge_net"](edge_map(image))["edge"]


def find_reflection(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, Any]:
    """What the attention net makes of an image, and the `edge` map that it is shown.

    Args:
        networks: `edge_net`, `attention_net`.
        image: [B, H, W, 3] RGB in [0, 1]; H and W even.

    Returns:
        `edge`, `attention` [B, H, W, 1], about 0..255, and `attention_steps`, a tuple of such maps.
    """
    edge = find_edges(networks, image)
    made = networks["attention_net"](jnp.concatenate([_signed(image), edge], axis=-1))
    return {"edge": edge} | made


def restore(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, Any]:
    """The image without its reflection, and the maps that the generator is shown. EdgeGAN specification, section 1.

    Args:
        networks: `edge_net`, `attention_net`, `generator`.
        image: [B, H, W, 3] RGB in [0, 1]; H and W multiples of 4.

    Returns:
        `restored` [B, H, W, 3] RGB in [0, 1], and what `find_reflection` returns.
    """
    found = find_reflection(networks, image)
    seen = jnp.concatenate([_signed(image), found["edge"], found["attention"]], axis=-1)
    return {"restored": 0.5 * networks["generator"](seen)["restored"] + 0.5} | found


def judge(networks: Mapping[str, Apply], image: jax.Array) -> jax.Array:
    """The `discriminator`'s logits [B, 1] of RGB images [B, H, W, 3] in [0, 1]."""
    return networks["discriminator"](_signed(image))["logits"]


def _signed(image: jax.Array) -> jax.Array:
    return image * 2.0 - 1.0
