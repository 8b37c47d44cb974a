"""Network ids and the modules they stand for."""

from __future__ import annotations

import difflib
import importlib
import inspect
from typing import Any

from flax import linen as nn

from sirr_jax.errors import UserError

_NETWORKS = {
    "dynamics/teacher": "sirr_jax.models.dynamics.teacher:Teacher",
    "dynamics/student": "sirr_jax.models.dynamics.student:Student",
    "dynamics/discriminator": "sirr_jax.models.patchgan:PatchDiscriminator",
    "vgg19": "sirr_jax.models.vgg:Vgg19",
}


def list_networks() -> tuple[str, ...]:
    """The ids that `build` knows, sorted."""
    return tuple(sorted(_NETWORKS))


def build(network_id: str, **hyper: Any) -> nn.Module:
    """Make the Flax module of a network.

    Args:
        network_id: one of `list_networks()`.
        **hyper: the module's hyper-parameters, for example `width="small"`.

    Returns:
        A `flax.linen.Module`; `module.apply(variables, *inputs, train=False)` returns a dict of arrays.

    Raises:
        UserError: if the id or a hyper-parameter is unknown, or a hyper-parameter has no such value.
    """
    if network_id not in _NETWORKS:
        close = difflib.get_close_matches(network_id, _NETWORKS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known ids: {', '.join(list_networks())}"
        raise UserError(f"no network is called {network_id!r}; {hint}")
    module_name, class_name = _NETWORKS[network_id].split(":")
    network = getattr(importlib.import_module(module_name), class_name)
    known = [name for name in inspect.signature(network).parameters if name not in ("parent", "name")]
    for name in hyper:
        if name not in known:
            raise UserError(f"{network_id} has no hyper-parameter {name!r}; it takes {', '.join(known)}")
    return network(**hyper)
