"""Depth maps in meters: from Cityscapes' disparities, or procedural ones of a street."""

from __future__ import annotations

import numpy as np
from PIL import Image

from sirr_jax.errors import UserError

CITYSCAPES_BASELINE = 0.209313
"""Distance in meters between the cameras of Cityscapes; files of single sequences may give slightly other values."""

CITYSCAPES_FOCAL = 2262.52
"""Focal length in pixels of Cityscapes' images, which are 2048 pixels wide."""

_CAMERA_HEIGHT = 1.5


def disparity_to_depth(
    disparity: np.ndarray, *, baseline: float = CITYSCAPES_BASELINE, focal: float = CITYSCAPES_FOCAL
) -> np.ndarray:
    """Converts Cityscapes' 16-bit disparity images to depth (SR-Net specification, section 5.5).

    depth = baseline * focal / disparity with disparity = (p - 1) / 256 for a pixel p > 0. A pixel p = 1, which is
    infinitely far, gets the smallest disparity above 0 instead. Pixels without a value (p = 0) get the depth of the
    nearest pixel with a value.

    Args:
        disparity: uint16 [H, W], as read from the file.
        baseline: distance between the cameras in meters.
        focal: focal length in pixels.

    Returns:
        float32 [H, W] depth in meters, above 0.

    Raises:
        UserError: The array is not a 16-bit image of one channel, or no pixel has a value.
    """
    if disparity.ndim != 2 or disparity.dtype.kind not in "ui" or disparity.dtype.itemsize < 2:
        raise UserError(f"the disparity is {disparity.dtype} {disparity.shape}: give a 16-bit image of one channel")
    valid = disparity > 0
    if not valid.any():
        raise UserError("the disparity image has no pixel above 0: every depth is unknown; leave the image out")
    shift = np.maximum(disparity.astype(np.float64) - 1.0, 1.0) / 256.0
    depth = (baseline * focal / shift).astype(np.float32)
    if valid.all():
        return depth
    # Imported here because loading SciPy, a dependency of JAX, takes time.
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return depth[tuple(nearest)]


def procedural_depth(
    generator: np.random.Generator,
    height: int,
    width: int,
    *,
    boxes: tuple[int, int] = (4, 11),
    relief: float = 0.0,
) -> np.ndarray:
    """Makes the depth map of a street: a ground plane, boxes on it, and a far background.

    For images without a depth map. It does not depend on the image, so boxes leave visible edges in real photographs:
    see `photograph_depth`.

    Args:
        generator: source of randomness.
        height: number of rows.
        width: number of columns.
        boxes: smallest and largest number of boxes (houses, cars and people), both included.
        relief: standard deviation of the logarithm of a smooth random factor on the depth; 0 for none.

    Returns:
        float32 [H, W] depth in meters, 2 to 250.

    Raises:
        UserError: `boxes` is not a range, or `relief` is negative.
    """
    if not 0 <= boxes[0] <= boxes[1]:
        raise UserError(f"boxes is {boxes}: use two whole numbers of at least 0, the lower one first")
    if not relief >= 0.0:
        raise UserError(f"relief is {relief}: use a number of at least 0, such as 0.3")
    focal = focal_length(width)
    horizon = height * generator.uniform(0.3, 0.5)
    farthest = np.exp(generator.uniform(np.log(60.0), np.log(250.0)))
    row, column = np.arange(height) + 0.5, np.arange(width) + 0.5
    # The inverse depth of the ground is linear in the row; a kink at the horizon would be visible as a line in haze.
    softness = 0.06 * height
    below = softness * np.logaddexp(0.0, (row - horizon) / softness)
    ground = 1.0 / (1.0 / farthest + below / (_CAMERA_HEIGHT * focal))
    depth = np.broadcast_to(ground[:, None], (height, width))
    for _ in range(int(generator.integers(boxes[0], boxes[1] + 1))):
        away = np.exp(generator.uniform(np.log(6.0), np.log(100.0)))
        # Houses stand at the sides, cars and people anywhere.
        if generator.random() < 0.5:
            across, up = generator.uniform((4.0, 4.0), (20.0, 15.0))
            middle = 0.5 + generator.choice((-1.0, 1.0)) * generator.uniform(0.3, 0.6)
        else:
            across, up = generator.uniform((0.5, 1.4), (4.0, 2.5))
            middle = generator.uniform(0.1, 0.9)
        scale = focal / away
        foot = horizon + _CAMERA_HEIGHT * scale
        rows = (row > foot - up * scale) & (row < foot)
        columns = np.abs(column - middle * width) < 0.5 * across * scale
        depth = np.where(rows[:, None] & columns[None, :], np.minimum(depth, away), depth)
    if relief:
        depth = depth * np.exp(relief * _smooth_noise(generator, height, width))
    return np.clip(depth, 2.0, 250.0).astype(np.float32)


def photograph_depth(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Makes a depth map for a photograph without one: `procedural_depth` without boxes, in soft relief.

    Args:
        generator: source of randomness.
        height: number of rows.
        width: number of columns.

    Returns:
        float32 [H, W] depth in meters, 2 to 250.
    """
    return procedural_depth(generator, height, width, boxes=(0, 0), relief=0.35)


def focal_length(width: int) -> float:
    """Returns the focal length of an image with Cityscapes' angle of view.

    Args:
        width: number of columns of the image.

    Returns:
        Focal length in pixels.
    """
    return CITYSCAPES_FOCAL * width / 2048.0


def _smooth_noise(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise, float64 [H, W], of mean 0 and standard deviation 1: five by five random values, interpolated."""
    coarse = Image.fromarray(generator.normal(size=(5, 5)).astype(np.float32))
    noise = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def check_depth(depth: np.ndarray, image: np.ndarray) -> None:
    """Checks that a depth map fits an image.

    Args:
        depth: [H, W] depth in meters.
        image: [H, W, 3] image.

    Raises:
        UserError: The sizes differ, or a depth is not a finite number above 0.
    """
    if depth.shape != image.shape[:2]:
        raise UserError(f"the depth is {depth.shape}, the image {image.shape[:2]}: give one depth for every pixel")
    if not (np.isfinite(depth) & (depth > 0)).all():
        raise UserError("the depth has values that are not finite numbers above 0: give meters, with gaps filled")
