"""Multi-scale structural similarity."""

from __future__ import annotations

from types import ModuleType

from sirr_jax.metrics._images import Image, Score, finish, prepare
from sirr_jax.metrics.ssim import contrast_and_similarity

# Wang, Simoncelli and Bovik 2003, from the finest scale to the coarsest.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11
SMALLEST = (_WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
"""Least height and width in pixels: the window fits the coarsest scale."""


def ms_ssim(estimate: Image, target: Image) -> Score:
    """Computes MS-SSIM, at most 1; higher is better (protocols specification; Wang et al. 2003).

    Per channel it is the product over five scales of the mean contrast term, at the last scale of the mean SSIM, each
    to the power of its weight; then the mean over channels. Windows are Gaussian, 11x11 pixels, sigma 1.5, inside the
    image; between scales 2x2 pixels are averaged, and the last row or column of odd sides is repeated. Negative means
    count as 0.

    Args:
        estimate: image [H, W, C] or batch [N, H, W, C], floating point; clipped to [0, 1], not rounded.
        target: target of the same shape, floating point, in [0, 1].

    Returns:
        One value per image: a `float` for [H, W, C], [N] for a batch. float64 for NumPy arrays; a float32 JAX
        array if either argument is a JAX array or tracer.

    Raises:
        UserError: The images are smaller than 161 pixels a side, the shapes differ or are not images, or an array is
            not floating point.
    """
    xp, x, y = prepare(estimate, target, metric="ms_ssim", smallest=SMALLEST)
    result = xp.ones(x.shape[:-3] + x.shape[-1:], x.dtype)
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            x, y = _halved(xp, x), _halved(xp, y)
        contrast, similarity = contrast_and_similarity(x, y, window="gaussian")
        term = similarity if scale == len(WEIGHTS) - 1 else contrast
        result = result * xp.maximum(term.mean(axis=(-3, -2)), 0.0) ** weight
    return finish(result.mean(axis=-1))


def _halved(xp: ModuleType, image: Image) -> Image:
    surplus = [(0, side % 2) for side in image.shape[-3:-1]]
    even = xp.pad(image, [(0, 0)] * (image.ndim - 3) + [*surplus, (0, 0)], mode="edge")
    rows = even[..., 0::2, :, :] + even[..., 1::2, :, :]
    return (rows[..., 0::2, :] + rows[..., 1::2, :]) / 4.0
