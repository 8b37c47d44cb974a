"""Masks of the difference between a rainy and a clean photograph of one scene, for training on real pairs."""

from __future__ import annotations

from typing import Any

from sirr_jax.errors import UserError

REDUCTIONS = ("max", "mean_abs_diff_of_means", "sum")
"""Ways in which `difference_mask` combines the channels."""

# Half width of each row of a structuring element: OpenCV's ellipses of 3 x 3 and 5 x 5 pixels.
_CROSS = (0, 1, 0)
_ELLIPSE = (0, 2, 2, 2, 0)


def difference_mask(
    rainy: Any,
    clean: Any,
    *,
    threshold: float = 30.0,
    reduce: str = "max",
    close_open: bool = False,
    dilate: bool = True,
) -> Any:
    """Thresholds the difference of a pair (AttentiveGAN specification, section 5.1).

    | reduce | drop where | used by |
    |---|---|---|
    | max | max over c of abs(I - B) >= threshold | most reimplementations; recommended |
    | mean_abs_diff_of_means | abs(mean over c of I - mean over c of B) > threshold | xxx46408 (30), 7568 (28) |
    | sum | sum over c of abs(I - B) >= threshold | MaybeShewill (35) |

    Args:
        rainy: [..., H, W, C] on the scale 0 to 255, of any type; NumPy or JAX, as is the result.
        clean: clean image of the same shape and library.
        threshold: smallest difference, on the scale 0 to 255.
        reduce: reduction of the channels, one of `REDUCTIONS`.
        close_open: close the mask, then open it, each with OpenCV's elliptic element of 5 x 5 pixels (MaybeShewill).
        dilate: dilate the mask, last, with a cross of 3 x 3 pixels (OpenCV's elliptic element of that size).

    Returns:
        [..., H, W, 1] float32, 1 in drops, else 0.

    Raises:
        UserError: `reduce` is unknown or the shapes differ.
    """
    if reduce not in REDUCTIONS:
        raise UserError(f"reduce is {reduce!r}: use one of {', '.join(REDUCTIONS)}")
    if rainy.shape != clean.shape:
        raise UserError(f"the rainy image is {rainy.shape}, the clean one {clean.shape}: give a pair of one shape")
    # NumPy and JAX share the array API. float32 represents sums of three bytes exactly.
    xp = rainy.__array_namespace__()
    rainy, clean = xp.astype(rainy, xp.float32), xp.astype(clean, xp.float32)
    if reduce == "max":
        mask = xp.max(xp.abs(rainy - clean), axis=-1) >= threshold
    elif reduce == "sum":
        mask = xp.sum(xp.abs(rainy - clean), axis=-1) >= threshold
    else:
        # Sums of whole numbers are exact; means would be rounded.
        difference = xp.abs(xp.sum(rainy, axis=-1) - xp.sum(clean, axis=-1))
        mask = difference > threshold * rainy.shape[-1]
    if close_open:
        closed = _erode(_dilate(mask, _ELLIPSE, xp), _ELLIPSE, xp)
        mask = _dilate(_erode(closed, _ELLIPSE, xp), _ELLIPSE, xp)
    if dilate:
        mask = _dilate(mask, _CROSS, xp)
    return xp.astype(mask[..., None], xp.float32)


def _dilate(mask: Any, element: tuple[int, ...], xp: Any) -> Any:
    """Dilates a mask; pixels outside the image are not in the mask."""
    reach = len(element) // 2
    height, width = mask.shape[-2:]
    padded = xp.pad(mask, ((0, 0),) * (mask.ndim - 2) + ((reach, reach), (reach, reach)))
    dilated = xp.zeros_like(mask)
    for row, half in enumerate(element):
        for column in range(reach - half, reach + half + 1):
            dilated = dilated | padded[..., row : row + height, column : column + width]
    return dilated


def _erode(mask: Any, element: tuple[int, ...], xp: Any) -> Any:
    """Erodes a mask; pixels outside the image do not count, as in OpenCV."""
    return ~_dilate(~mask, element, xp)
