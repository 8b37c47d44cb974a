"""What the published networks have in common."""

from __future__ import annotations

from flax import linen as nn

from sirr_jax.models.width import scaled


class Network(nn.Module):
    """A network that can be built as published or narrow.

    Networks also have `example_shapes(*, size)`: the shapes of their inputs for about that size, by which they are
    initialized and counted.

    Attributes:
        width: "base" as published, "tiny" narrow; see `sirr_jax.models.width.scaled`.
    """

    width: str = "base"

    def __post_init__(self) -> None:
        scaled(1, self.width)  # refuse an unknown width now, not when the network is first applied
        super().__post_init__()
