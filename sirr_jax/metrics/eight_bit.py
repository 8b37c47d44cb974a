"""Rounding of images to 8 bits, as a file stores them."""

from __future__ import annotations

from sirr_jax.errors import UserError
from sirr_jax.metrics._images import Image, prepare


def eight_bit(estimate: Image, target: Image, *, protocol: str, border: int = 0) -> tuple[Image, Image]:
    """Rounds both images to 8 bits per channel and crops them.

    Args:
        estimate: RGB image [H, W, 3] or batch [N, H, W, 3], floating point; clipped to [0, 1].
        target: target of the same shape, floating point, in [0, 1].
        protocol: name of the protocol, for messages.
        border: width in pixels to leave out on every side.

    Returns:
        Both images, in [0, 1] on the grid of 255 levels.

    Raises:
        UserError: The images are not RGB, differ in shape, or are not larger than their borders.
    """
    xp, *images = prepare(estimate, target, metric=f"protocol {protocol}", smallest=2 * border + 1)
    if images[0].shape[-1] != 3:
        raise UserError(
            f"protocol {protocol}: the images have {images[0].shape[-1]} channels, expected 3 (RGB): "
            "use protocol errnet or rgb"
        )
    inside = slice(border, -border or None)
    rounded, rounded_target = (xp.floor(255.0 * x + 0.5)[..., inside, inside, :] / 255.0 for x in images)
    return rounded, rounded_target
