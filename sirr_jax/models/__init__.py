"""Networks. `registry.build` builds one from its id."""

from __future__ import annotations

from sirr_jax.models.registry import build, list_networks

__all__ = ["build", "list_networks"]
