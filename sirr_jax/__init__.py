"""Removes reflections from single photographs and trains the networks that do it, in JAX and Flax.

Images at every public boundary are NHWC (the `Restorer` also takes HWC), RGB, float32 in [0, 1] (the `Restorer` also
takes uint8). Importing this package imports neither JAX, TensorFlow nor torch.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["Restored", "Restorer", "UserError", "__version__", "build", "list_networks", "load"]

_MODULES = {
    "build": "sirr_jax.models.registry",
    "list_networks": "sirr_jax.models.registry",
    "load": "sirr_jax.inference.restorer",
    "Restored": "sirr_jax.inference.restorer",
    "Restorer": "sirr_jax.inference.restorer",
    "UserError": "sirr_jax.errors",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `sirr --help` does not import JAX."""
    if name not in _MODULES:
        raise AttributeError(f"module 'sirr_jax' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
