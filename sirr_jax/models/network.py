"""Base class of the networks."""

from __future__ import annotations

from flax import linen as nn

from sirr_jax.models.width import scaled


class Network(nn.Module):
    """Network that can be built as published or narrow.

    Networks also have a method `example_shapes(*, size)`, which returns the shapes of their inputs for about that size.
    It is used to initialize them and to count their cost.

    Attributes:
        width: "base" (as published), "small" or "tiny" (narrow); see `sirr_jax.models.width.scaled`.
    """

    width: str = "base"

    def __post_init__(self) -> None:
        scaled(1, self.width)  # raises for an unknown width now, not when the network is first applied
        super().__post_init__()
