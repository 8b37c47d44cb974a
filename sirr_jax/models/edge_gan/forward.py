"""The forward pass of Edge GAN's three networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.layers.range import to_signed, to_unit
from sirr_jax.models.edge_gan.edge_maps import edge_map
from sirr_jax.models.restore_spec import Apply


def find_edges(networks: Mapping[str, Apply], image: jax.Array) -> jax.Array:
    """Estimates the edges of the background.

    Args:
        networks: `edge_net`.
        image: RGB [B, H, W, 3] in [0, 1].

    Returns:
        Edge map [B, H, W, 1], about 0..255.
    """
    return networks["edge_net"](edge_map(image))["edge"]


def find_reflection(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, Any]:
    """Estimates the attention maps of the reflection, from the image and its edge map.

    Args:
        networks: `edge_net`, `attention_net`.
        image: RGB [B, H, W, 3] in [0, 1]; H and W even.

    Returns:
        `edge`, `attention` [B, H, W, 1], about 0..255, and `attention_steps`, a tuple of such maps.
    """
    edge = find_edges(networks, image)
    outputs = networks["attention_net"](jnp.concatenate([to_signed(image), edge], axis=-1))
    return {"edge": edge} | outputs


def restore(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, Any]:
    """Removes the reflection, with the help of both maps (EdgeGAN specification, section 1).

    Args:
        networks: `edge_net`, `attention_net`, `generator`.
        image: RGB [B, H, W, 3] in [0, 1]; H and W multiples of 4.

    Returns:
        `restored` [B, H, W, 3] RGB in [0, 1], and the maps of `find_reflection`.
    """
    maps = find_reflection(networks, image)
    x = jnp.concatenate([to_signed(image), maps["edge"], maps["attention"]], axis=-1)
    return {"restored": to_unit(networks["generator"](x)["restored"])} | maps


def discriminate(networks: Mapping[str, Apply], image: jax.Array) -> jax.Array:
    """Computes the logits of the discriminator.

    Args:
        networks: `discriminator`.
        image: RGB [B, H, W, 3] in [0, 1].

    Returns:
        Logits [B, 1].
    """
    return networks["discriminator"](to_signed(image))["logits"]
