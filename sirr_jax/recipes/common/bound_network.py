"""Networks together with their variables, as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Apply = Callable[..., dict[str, Any]]
"""`apply(*inputs)`: a network with its variables."""


class BoundNetwork(NamedTuple):
    """An `Apply` that says which network it is.

    Attributes:
        module: the network, a Flax module.
        variables: of it.
    """

    module: Any
    variables: dict[str, Any]

    def __call__(self, *inputs: jax.Array) -> dict[str, Any]:
        """The network's outputs, in inference mode."""
        return self.module.apply(self.variables, *inputs)
