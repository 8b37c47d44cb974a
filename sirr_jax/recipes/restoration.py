"""Inference of each system: preparation of the image, the networks, and conversion of their outputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.data.images.palettes import colorize, palette
from sirr_jax.errors import UserError
from sirr_jax.layers.padding import reflect_pad
from sirr_jax.layers.range import to_signed, to_unit
from sirr_jax.models.errnet import hypercolumn
from sirr_jax.recipes.base import Apply
from sirr_jax.recipes.common.segmenters import PublishedSegmenter
from sirr_jax.recipes.edge_gan import forward as edge_gan_forward
from sirr_jax.recipes.srnet import forward as srnet_forward


class Restoration(NamedTuple):
    """The inference function of a system.

    Attributes:
        roles: roles of the networks that it needs, as in the system's model files.
        restore: `(networks by role, image [B, H, W, 3] RGB in [0, 1]) -> {"restored": ..., ...}`: `reflection` where
            the system estimates one, further maps by name. Outputs are on the scale from 0 to 1 but not clipped, and
            may be larger than the image at the bottom and right: the caller clips and crops. The networks are bound
            Flax modules.
    """

    roles: tuple[str, ...]
    restore: Callable[[Mapping[str, Any], jax.Array], dict[str, jax.Array]]


def get_restoration(recipe: str) -> Restoration:
    """Returns the inference function of a recipe, or of a system that can only be converted.

    Args:
        recipe: name of the recipe or system.

    Raises:
        UserError: No system of that name restores photographs.
    """
    if recipe not in _RESTORATIONS:
        raise UserError(
            f"{recipe} does not restore photographs by itself; systems that do: {', '.join(sorted(_RESTORATIONS))}"
        )
    return _RESTORATIONS[recipe]


def _dynamics(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    return {"restored": networks["student"](image)["restored"]}


def _attentive_gan(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """BGR in and out; one attention map per step, the last the best: unbounded, trained towards [0, 1]."""
    outputs = networks["generator"](_padded(image[..., ::-1], 4))
    maps = {f"attention_{step}": attention for step, attention in enumerate(outputs.get("attention", ()), start=1)}
    return {"restored": outputs["restored"][..., ::-1]} | maps


def _sgrrn(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """RGB in [-1, 1]; the largest pooling window is 32. Label maps are returned as colors where the mode has them."""
    outputs = networks["generator"](to_signed(_padded(image, 1, least=32)))
    if "restored" not in outputs:
        raise UserError(
            "this sgrrn/generator has the mode OnlySemantic: it labels objects and removes no reflection; load a "
            "generator of another mode"
        )
    images = {name: to_unit(outputs[name]) for name in ("restored", "reflection")}
    if "semantic_logits" in outputs:
        logits = outputs["semantic_logits"]
        colors = jnp.asarray(colorize(logits.argmax(axis=-1), palette(logits.shape[-1])))
        images["labels"] = colors.astype(jnp.float32) / 255.0
    return images


def _errnet(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """The image itself with its VGG-19 features (of the un-normalized image, as published)."""
    padded = _padded(image, 2, least=32)
    features = networks["vgg19"](padded)
    return {"restored": networks["generator"](hypercolumn(padded, features))["restored"]}


def _ibcln(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    outputs = networks["cascade"](_padded(image, 4))
    return {name: outputs[name] for name in ("restored", "reflection")}


def _bdn(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """RGB in [-1, 1]; seven halvings need 128 px."""
    outputs = networks["generator"](to_signed(_padded(image, 1, least=128)))
    return {name: to_unit(outputs[name]) for name in ("restored", "reflection")}


def _rmnet(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """RGB in [-1, 1]; an odd side would lose a pixel."""
    outputs = networks["generator"](to_signed(_padded(image, 2, least=64)))
    return {name: to_unit(outputs[name]) for name in ("restored", "reflection")} | {"mask": outputs["mask"]}


def _corrn(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    outputs = networks["generator"](_padded(image, 32))
    return {name: outputs[name] for name in ("restored", "reflection", "contour")}


def _edge_gan(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """The maps, trained towards 0..255 and unbounded, are scaled for display."""
    outputs = edge_gan_forward.restore(networks, _padded(image, 4))
    maps = {name: outputs[name] / 255.0 for name in ("edge", "attention")}
    return {"restored": outputs["restored"]} | maps


def _srnet(networks: Mapping[str, Any], image: jax.Array) -> dict[str, jax.Array]:
    """Labels before and after refinement as colors, `segmented` and `refined`."""
    refiner = networks["refiner"]
    code = srnet_forward.LabelCode(refiner.mode, refiner.classes)
    segmenter, variables = networks["segmenter"].unbind()
    segment = functools.partial(PublishedSegmenter(segmenter).labels, variables)
    outputs = srnet_forward.run_chain(code, segment, refiner, networks["restorer"], _padded(image, 4))
    return {
        "restored": to_unit(outputs.restored),
        "segmented": code.colors(outputs.segmented),
        "refined": code.colors(code.decode(code.soft(outputs.refined))),
    }


_RESTORATIONS = {
    "dynamics": Restoration(("student",), _dynamics),
    "attentive_gan": Restoration(("generator",), _attentive_gan),
    "sgrrn": Restoration(("generator",), _sgrrn),
    "edge_gan": Restoration(("edge_net", "attention_net", "generator"), _edge_gan),
    "errnet": Restoration(("generator", "vgg19"), _errnet),
    "ibcln": Restoration(("cascade",), _ibcln),
    "bdn": Restoration(("generator",), _bdn),
    "rmnet": Restoration(("generator",), _rmnet),
    "corrn": Restoration(("generator",), _corrn),
    "srnet": Restoration(("segmenter", "refiner", "restorer"), _srnet),
}


def _padded(image: jax.Array, multiple: int, *, least: int = 0) -> jax.Array:
    """Reflect-pads at the bottom and right to whole multiples and at least `least` px; the caller crops the surplus."""
    size = [max(side + -side % multiple, least) for side in image.shape[1:3]]
    rows, columns = ((0, new - old) for new, old in zip(size, image.shape[1:3], strict=True))
    return reflect_pad(image, (rows, columns))
