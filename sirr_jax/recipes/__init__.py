"""Training and inference of each published system, one folder per system."""

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
    """Returns the recipe class of a published system.

    Args:
        name: name of the recipe, for example "dynamics".

    Raises:
        UserError: There is no recipe of that name.
    """
    if name not in _RECIPES:
        raise UserError(f"no recipe is called {name!r}; known recipes: {', '.join(sorted(_RECIPES))}")
    module, attribute = _RECIPES[name].split(":")
    return getattr(importlib.import_module(module), attribute)


__all__ = ["Recipe", "get_recipe"]
