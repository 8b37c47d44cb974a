"""Local mean squared error."""

from __future__ import annotations

from typing import cast

from sirr_jax.metrics._images import Image, Score, finish, prepare

_STRIDE = 10
_WINDOW = 2 * _STRIDE
_DARK = 1e-5 / 255.0**2
_ALL = (-5, -4, -3, -2, -1)


def lmse(estimate: Image, target: Image) -> Score:
    """Computes the local mean squared error, invariant to local scale; lower is better (benchmark protocol, section 1).

    Windows have 20x20 pixels and stride 10 from the top left corner, without incomplete ones, separately per channel.
    In each window the estimate X is scaled by the alpha that fits the target Y best, sum(Y X) / sum(X^2), or by 0 where
    sum(X^2) <= 1e-5 on the 0..255 scale. The score is the sum of (Y - alpha X)^2 over windows and channels, divided by
    the sum of Y^2 over the same windows.

    Args:
        estimate: image [H, W, C] or batch [N, H, W, C], floating point; clipped to [0, 1], not rounded.
        target: target of the same shape, floating point, in [0, 1].

    Returns:
        One value per image: a `float` for [H, W, C], [N] for a batch. float64 for NumPy arrays; a float32 JAX
        array if either argument is a JAX array or tracer. 0 if the target is black in every window, because alpha = 0
        then fits it exactly (the published code divides 0 by 0).

    Raises:
        UserError: A side has fewer than 20 pixels, the shapes differ or are not images, or an array is not floating
            point.
    """
    xp, x, y = prepare(estimate, target, metric="lmse", smallest=_WINDOW)
    x, y = _blocks(x), _blocks(y)
    energy = _window_sums(x * x)
    dark = energy <= _DARK
    alpha = xp.where(dark, 0.0, _window_sums(x * y) / xp.where(dark, 1.0, energy))
    # A window is four blocks, so its residual is summed by its definition. The shorter S_YY - S_YX^2 / S_XX suffers
    # from cancellation in float32 where the estimate is good.
    error = sum(
        ((part_y - alpha * part_x) ** 2).sum(axis=_ALL)
        for part_x, part_y in zip(_quarters(x), _quarters(y), strict=True)
    )
    total = _window_sums(y * y).sum(axis=_ALL)
    black = total == 0.0
    return finish(xp.where(black, 0.0, error / xp.where(black, 1.0, total)))


def _blocks(image: Image) -> Image:
    """[..., H, W, C] -> [..., H // 10, 10, W // 10, 10, C], without incomplete blocks."""
    rows, columns = image.shape[-3] // _STRIDE, image.shape[-2] // _STRIDE
    complete = image[..., : rows * _STRIDE, : columns * _STRIDE, :]
    return complete.reshape(*image.shape[:-3], rows, _STRIDE, columns, _STRIDE, image.shape[-1])


def _quarters(blocks: Image) -> list[Image]:
    """The four blocks of every window: upper left, upper right, lower left, lower right."""
    halves = (slice(None, -1), slice(1, None))
    return [blocks[..., row, :, column, :, :] for row in halves for column in halves]


def _window_sums(blocks: Image) -> Image:
    """Sum over each window and channel, [..., rows - 1, 1, columns - 1, 1, C]."""
    return cast(Image, sum(_quarters(blocks.sum(axis=(-4, -2), keepdims=True))))
