"""Fog over an image with a depth map.

I = J t + L (1 - t) with the transmittance t = exp(-beta l), where l is the distance along the ray and the airlight L
is measured on the clear image.

Source: SR-Net specification, section 5.5 (Foggy Cityscapes; Sakaridis et al., IJCV 2018).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.depth import check_depth, focal_length, photograph_depth

BETAS = (0.005, 0.01, 0.02)
"""Attenuation coefficients of Foggy Cityscapes, per meter."""

_WINDOW, _EPSILON = 41, 1e-3
_DARK_WINDOW, _BRIGHTEST = 15, 0.001
_GRAY = np.array([0.299, 0.587, 0.114])


def fog(
    image: np.ndarray,
    generator: np.random.Generator,
    *,
    depth: np.ndarray | None = None,
    betas: Sequence[float] = BETAS,
    focal: float | None = None,
    center: tuple[float, float] | None = None,
    refine: bool = True,
) -> np.ndarray:
    """Adds fog to an image.

    Args:
        image: clear image, uint8 [H, W, 3].
        generator: source of randomness.
        depth: [H, W] depth in meters; by default from `photograph_depth`.
        betas: attenuation coefficients per meter; one is drawn.
        focal: focal length in pixels; by default that of Cityscapes' angle of view.
        center: optical center in pixels, x before y; by default the center of the image.
        refine: smooth the transmittance along the image's edges (a guided filter), as the published images do.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: A coefficient is negative, or the depth does not fit the image.
    """
    if not len(betas) or min(betas) < 0.0:
        raise UserError(f"betas is {tuple(betas)}: use at least one number of at least 0, per meter")
    if depth is None:
        depth = photograph_depth(generator, *image.shape[:2])
    check_depth(depth, image)
    beta = float(betas[int(generator.integers(len(betas)))])
    transmittance = np.exp(-beta * ray_length(depth, focal=focal, center=center))
    clear = image / 255.0
    if refine:
        transmittance = np.clip(guided_filter(transmittance, clear), 0.0, 1.0)
    t = transmittance[..., None]
    return np.rint(255.0 * np.clip(clear * t + airlight(image) / 255.0 * (1.0 - t), 0.0, 1.0)).astype(np.uint8)


def ray_length(
    depth: np.ndarray, *, focal: float | None = None, center: tuple[float, float] | None = None
) -> np.ndarray:
    """Computes the distance from the camera: depth * sqrt((f^2 + (x - c_x)^2 + (y - c_y)^2) / f^2).

    Args:
        depth: [H, W] depth along the optical axis in meters.
        focal: focal length f in pixels; by default that of Cityscapes' angle of view.
        center: optical center (c_x, c_y) in pixels; by default the center of the image.

    Returns:
        float64 [H, W] distance in meters.
    """
    height, width = depth.shape
    f = focal_length(width) if focal is None else focal
    c_x, c_y = ((width - 1) / 2, (height - 1) / 2) if center is None else center
    x, y = np.arange(width)[None, :] - c_x, np.arange(height)[:, None] - c_y
    return depth * np.sqrt((f**2 + x**2 + y**2) / f**2)


def airlight(image: np.ndarray) -> np.ndarray:
    """Computes the color of the fog from the brightest pixels of the dark channel.

    The dark channel is the minimum over channels and over a window of 15 x 15 pixels, cropped at the border. Of its
    brightest 0.1 % of pixels (one more if that number is even), the pixel with the median gray level is returned. Of
    equal pixels, the first one row by row is used.

    Args:
        image: uint8 [H, W, 3].

    Returns:
        float64 [3] in [0, 255].
    """
    from scipy import ndimage

    # Mirroring only repeats pixels that are in the window anyway.
    dark = ndimage.minimum_filter(image.min(axis=-1), _DARK_WINDOW, mode="reflect").reshape(-1)
    count = int(_BRIGHTEST * dark.size)
    count += (count + 1) % 2
    brightest = np.argsort(-dark.astype(np.int32), kind="stable")[:count]
    pixels = image.reshape(-1, 3)[np.sort(brightest)].astype(np.float64)
    gray = pixels @ _GRAY
    return pixels[np.argsort(gray, kind="stable")[count // 2]]


def guided_filter(values: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Smooths values while keeping the edges of a color image (He et al., ECCV 2010); window 41, epsilon 1e-3.

    Args:
        values: [H, W] values.
        guide: [H, W, 3] color image in [0, 1].

    Returns:
        float64 [H, W].
    """
    from scipy import ndimage

    def mean(plane: np.ndarray) -> np.ndarray:
        size = (_WINDOW, _WINDOW) + (1,) * (plane.ndim - 2)
        return ndimage.uniform_filter(plane, size, mode="reflect")

    guide = guide.astype(np.float64)
    mean_guide, mean_values = mean(guide), mean(values.astype(np.float64))
    covariance = mean(guide * values[..., None]) - mean_guide * mean_values[..., None]
    products = guide[..., :, None] * guide[..., None, :]
    variance = mean(products) - mean_guide[..., :, None] * mean_guide[..., None, :] + _EPSILON * np.eye(3)
    slope = np.linalg.solve(variance, covariance[..., None])[..., 0]
    offset = mean_values - np.sum(slope * mean_guide, axis=-1)
    return np.sum(mean(slope) * guide, axis=-1) + mean(offset)
