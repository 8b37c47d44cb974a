"""Where a rainy and a clean photograph of one scene differ: the mask that real pairs are trained with."""

from __future__ import annotations

from typing import Any

from sirr_jax.errors import UserError

REDUCTIONS = ("max", "mean_abs_diff_of_means", "sum")
"""How `difference_mask` may combine the channels."""

# Half the width of each row of an element; OpenCV's ellipses of 3 x 3 and 5 x 5 pixels.
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

    | reduce | drop where | seen in |
    |---|---|---|
    | max | max over c of abs(I - B) >= threshold | most reimplementations; recommended |
    | mean_abs_diff_of_means | abs(mean over c of I - mean over c of B) > threshold | xxx46408 (30), 7568 (28) |
    | sum | sum over c of abs(I - B) >= threshold | MaybeShewill (35) |

    Args:
        rainy: [..., H, W, C] on the scale of 0 to 255, any type; NumPy or JAX, which decides the result's kind.
        clean: the same shape and kind.
        threshold: on the scale of 0 to 255.
        reduce: one of `REDUCTIONS`.
        close_open: fill small gaps, then remove small specks, each by OpenCV's elliptic element of 5 x 5 pixels
            (MaybeShewill).
        dilate: grow the mask, at last, by a cross of 3 x 3 pixels, which is what OpenCV's elliptic element of that size
            is.

    Returns:
        [..., H, W, 1] float32, 1 in drops, else 0.

    Raises:
        UserError: if `reduce` is unknown or the shapes differ.
    """
    if reduce not in REDUCTIONS:
        raise UserError(f"reduce is {reduce!r}: use one of {', '.join(REDUCTIONS)}")
    if rainy.shape != clean.shape:
        raise UserError(f"the rainy image is {rainy.shape}, the clean one {clean.shape}: give a pair of one shape")
    # The array API is what NumPy and JAX share. float32 holds sums of three bytes exactly.
    xp = rainy.__array_namespace__()
    rainy, clean = xp.astype(rainy, xp.float32), xp.astype(clean, xp.float32)
    if reduce == "max":
        mask = xp.max(xp.abs(rainy - clean), axis=-1) >= threshold
    elif reduce == "sum":
        mask = xp.sum(xp.abs(rainy - clean), axis=-1) >= threshold
    else:
        # Comparing sums keeps whole numbers whole; a third would be rounded.
        difference = xp.abs(xp.sum(rainy, axis=-1) - xp.sum(clean, axis=-1))
        mask = difference > threshold * rainy.shape[-1]
    if close_open:
        grown = _dilated(mask, _ELLIPSE, xp)
        opened = _eroded(_eroded(grown, _ELLIPSE, xp), _ELLIPSE, xp)
        mask = _dilated(opened, _ELLIPSE, xp)
    if dilate:
        mask = _dilated(mask, _CROSS, xp)
    return xp.astype(mask[..., None], xp.float32)


def _dilated(mask: Any, element: tuple[int, ...], xp: Any) -> Any:
    """Where the element about a pixel meets the mask; nothing lies outside the image."""
    reach = len(element) // 2
    height, width = mask.shape[-2:]
    padded = xp.pad(mask, ((0, 0),) * (mask.ndim - 2) + ((reach, reach), (reach, reach)))
    found = xp.zeros_like(mask)
    for row, half in enumerate(element):
        for column in range(reach - half, reach + half + 1):
            found = found | padded[..., row : row + height, column : column + width]
    return found


def _eroded(mask: Any, element: tuple[int, ...], xp: Any) -> Any:
    """Where the element about a pixel lies in the mask; what lies outside the image does not count, as in OpenCV."""
    return ~_dilated(~mask, element, xp)
