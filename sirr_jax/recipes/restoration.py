"""How each system answers for one photograph: what its networks want to be fed, and what their answers mean."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.data.images.palettes import colorize, palette
from sirr_jax.errors import UserError
from sirr_jax.layers.padding import reflect_pad
from sirr_jax.models.errnet import hypercolumn
from sirr_jax.recipes.common.bound_network import Apply, BoundNetwork
from sirr_jax.recipes.common.segmenters import PublishedSegmenter
from sirr_jax.recipes.edge_gan import forward as edge_gan_forward
from sirr_jax.recipes.srnet import forward as srnet_forward


class Restoration(NamedTuple):
    """How a system restores.

    Attributes:
        roles: the networks it needs, by the names they have in its model files.
        restore: `(networks by role, image [B, H, W, 3] RGB in [0, 1]) -> {"restored": ..., ...}`: `reflection` where
            there is one, further maps by name. All are on the scale from 0 to 1 but not clipped, and may be larger
            than the image at the bottom and right: the caller clips and cuts.
    """

    roles: tuple[str, ...]
    restore: Callable[[Mapping[str, Apply], jax.Array], dict[str, jax.Array]]


def get_restoration(recipe: str) -> Restoration:
    """The way of answering of a recipe, or of a system that can only be converted.

    Raises:
        UserError: if there is none of that name.
    """
    if recipe not in _RESTORATIONS:
        raise UserError(
            f"{recipe} does not restore photographs by itself; systems that do: {', '.join(sorted(_RESTORATIONS))}"
        )
    return _RESTORATIONS[recipe]


def _dynamics(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    return {"restored": networks["student"](image)["restored"]}


def _attentive_gan(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """BGR in and out; one attention map per step, the last the best: unbounded and meant to lie in [0, 1]."""
    made = networks["generator"](_extended(image[..., ::-1], 4))
    maps = {f"attention_{step}": drops for step, drops in enumerate(made.get("attention", ()), start=1)}
    return {"restored": made["restored"][..., ::-1]} | maps


def _sgrrn(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """RGB in [-1, 1]; the largest pooling window is 32. Classes are shown in colors, where the network names them."""
    made = networks["generator"](_signed(_extended(image, 1, least=32)))
    if "restored" not in made:
        raise UserError("this sgrrn/generator has the mode OnlySemantic: it names objects and removes no reflection")
    answer = {name: _unsigned(made[name]) for name in ("restored", "reflection")}
    if "semantic_logits" in made:
        logits = made["semantic_logits"]
        colors = colorize(logits.argmax(axis=-1), palette(logits.shape[-1]))
        answer["labels"] = colors.astype(jnp.float32) / 255.0
    return answer


def _errnet(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """The image as it is, with its VGG-19 features (of the un-normalized image, as published)."""
    padded = _extended(image, 2, least=32)
    features = networks["vgg19"](padded)
    return {"restored": networks["generator"](hypercolumn(padded, features))["restored"]}


def _ibcln(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    made = networks["cascade"](_extended(image, 4))
    return {name: made[name] for name in ("restored", "reflection")}


def _bdn(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """RGB in [-1, 1]; seven halvings need 128 px."""
    made = networks["generator"](_signed(_extended(image, 1, least=128)))
    return {name: _unsigned(made[name]) for name in ("restored", "reflection")}


def _rmnet(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """RGB in [-1, 1]; an odd side would lose a pixel."""
    made = networks["generator"](_signed(_extended(image, 2, least=64)))
    return {name: _unsigned(made[name]) for name in ("restored", "reflection")} | {"mask": made["mask"]}


def _corrn(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    made = networks["generator"](_extended(image, 32))
    return {name: made[name] for name in ("restored", "reflection", "contour")}


def _edge_gan(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """The maps, meant for 0..255 and unbounded, are scaled to be seen."""
    made = edge_gan_forward.restore(networks, _extended(image, 4))
    return {"restored": made["restored"], "edge": made["edge"] / 255.0, "attention": made["attention"] / 255.0}


def _srnet(networks: Mapping[str, BoundNetwork], image: jax.Array) -> dict[str, jax.Array]:
    """Labels before and after refinement as colors, `segmented` and `refined`."""
    segmenter, refiner = networks["segmenter"], networks["refiner"]
    code = srnet_forward.LabelCode(refiner.module.mode, refiner.module.classes)
    found = srnet_forward.run_chain(
        code,
        functools.partial(PublishedSegmenter(segmenter.module).labels, segmenter.variables),
        refiner,
        networks["restorer"],
        _extended(image, 4),
    )
    return {
        "restored": _unsigned(found.restored),
        "segmented": code.colors(found.segmented),
        "refined": code.colors(code.decode(code.soft(found.refined))),
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


def _extended(image: jax.Array, multiple: int, *, least: int = 0) -> jax.Array:
    """Reflected at the bottom and right to whole multiples and at least `least` px; the surplus is cut off again."""
    target = [max(size + -size % multiple, least) for size in image.shape[1:3]]
    rows, columns = ((0, new - old) for new, old in zip(target, image.shape[1:3], strict=True))
    return reflect_pad(image, (rows, columns))


def _signed(image: jax.Array) -> jax.Array:
    return image * 2.0 - 1.0


def _unsigned(image: jax.Array) -> jax.Array:
    return image * 0.5 + 0.5
