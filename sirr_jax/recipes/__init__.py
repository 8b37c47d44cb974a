"""How each published system is trained and used. One file per system."""

from __future__ import annotations

import importlib

from sirr_jax.errors import UserError
from sirr_jax.recipes.base import Recipe

_RECIPES = {
    "attentive_gan": "sirr_jax.recipes.attentive_gan.recipe:AttentiveGan",
    "dynamics": "sirr_jax.recipes.dynamics.recipe:Dynamics",
    "edge_gan": "sirr_jax.recipes.edge_gan.recipe:EdgeGan",
    "srnet": "sirr_jax.recipes.srnet.recipe:SrNet",
    "sgrrn": "sirr_jax.recipes.sgrrn.recipe:Sgrrn",
}


def get_recipe(name: str) -> type[Recipe]:
    """The recipe class of a published system.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in _RECIPES:
        raise UserError(f"no recipe is called {name!r}; known recipes: {', '.join(sorted(_RECIPES))}")
    module, attribute = _RECIPES[name].split(":")
    return getattr(importlib.import_module(module), attribute)


__all__ = ["Recipe", "get_recipe"]
