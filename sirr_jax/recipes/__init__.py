"""Training of each system, one folder per system; `supervised` trains any network that restores single images."""

from __future__ import annotations

from sirr_jax.recipes.base import RECIPES, Recipe, get_recipe

__all__ = ["RECIPES", "Recipe", "get_recipe"]
