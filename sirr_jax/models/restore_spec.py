"""How a photograph goes through a system's networks: preparation of the image and conversion of the outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax

from sirr_jax.layers.padding import reflect_pad

Apply = Callable[..., dict[str, Any]]
"""`apply(*inputs)`: a network with its variables, for example a bound Flax module."""


class Restoration(NamedTuple):
    """The inference function of a system.

    Attributes:
        roles: roles of the networks that it needs, as in the system's model files: the last parts of their ids.
        restore: `(networks by role, image [B, H, W, 3] RGB in [0, 1]) -> {"restored": ..., ...}`: `reflection` where
            the system estimates one, further maps by name. Outputs are on the scale from 0 to 1 but not clipped, and
            may be larger than the image at the bottom and right: the caller clips and crops. The networks are bound
            Flax modules.
        companions: function from the modules of `roles` to the further roles that their arguments require.
    """

    roles: tuple[str, ...]
    restore: Callable[[Mapping[str, Any], jax.Array], dict[str, jax.Array]]
    companions: Callable[[Mapping[str, Any]], tuple[str, ...]] = lambda modules: ()  # noqa: ARG005

    def required(self, modules: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns the roles of all networks that are needed.

        Args:
            modules: networks at hand, Flax modules by role.
        """
        complete = all(role in modules for role in self.roles)
        return (*self.roles, *(self.companions(modules) if complete else ()))


class RestoreSpec(NamedTuple):
    """The inference function of a network that takes one image and returns its layers.

    Attributes:
        value_range: values of black and white in the network's images.
        channels: order of the color channels of its images.
        multiple_of: the image is padded to whole multiples of this number of pixels.
        minimum: the image is padded to at least this number of pixels a side.
        outputs: names of the outputs that are images in `value_range`, `restored` first.
        maps: names of outputs that are in [0, 1] already.
    """

    value_range: tuple[float, float] = (0.0, 1.0)
    channels: Literal["rgb", "bgr"] = "rgb"
    multiple_of: int = 1
    minimum: int = 0
    outputs: tuple[str, ...] = ("restored",)
    maps: tuple[str, ...] = ()

    def restoration(self, role: str) -> Restoration:
        """Returns the inference function.

        Args:
            role: role of the network in its system's model files.
        """

        def restore(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
            outputs = networks[role](self.to_network(image))
            images = {name: self.from_network(outputs[name]) for name in self.outputs}
            return images | {name: outputs[name] for name in self.maps}

        return Restoration((role,), restore)

    def to_network(self, image: jax.Array) -> jax.Array:
        """Converts an image to the network's range, channel order and size.

        Args:
            image: [B, H, W, 3] RGB in [0, 1].

        Returns:
            [B, H', W', 3], reflect-padded at the bottom and right.
        """
        low, high = self.value_range
        padded = padded_image(image, multiple_of=self.multiple_of, minimum=self.minimum)
        if (low, high) != (0.0, 1.0):
            padded = padded * (high - low) + low
        return padded[..., ::-1] if self.channels == "bgr" else padded

    def from_network(self, image: jax.Array) -> jax.Array:
        """Converts an output of the network to RGB on the scale from 0 to 1; the inverse of `to_network`'s conversion.

        Args:
            image: [B, H', W', 3] in the network's range and channel order.
        """
        low, high = self.value_range
        if (low, high) != (0.0, 1.0):
            image = (image - low) / (high - low)
        return image[..., ::-1] if self.channels == "bgr" else image


def padded_image(image: jax.Array, *, multiple_of: int, minimum: int = 0) -> jax.Array:
    """Reflect-pads an image at the bottom and right; the caller crops the surplus of the outputs.

    Args:
        image: [B, H, W, C].
        multiple_of: number of pixels of which the result's height and width are whole multiples.
        minimum: least height and width of the result in pixels.
    """
    size = [max(side + -side % multiple_of, minimum) for side in image.shape[1:3]]
    rows, columns = ((0, new - old) for new, old in zip(size, image.shape[1:3], strict=True))
    return reflect_pad(image, (rows, columns))
