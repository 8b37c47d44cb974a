"""Named protocols: sets of metrics, with their exact definitions, that form a row of a result table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import NamedTuple

from sirr_jax.errors import UserError
from sirr_jax.metrics._images import Image, Score, prepare
from sirr_jax.metrics.eight_bit import eight_bit
from sirr_jax.metrics.lmse import lmse
from sirr_jax.metrics.ncc import ncc
from sirr_jax.metrics.psnr import psnr
from sirr_jax.metrics.ssim import ssim
from sirr_jax.registry import Registry


class Protocol(NamedTuple):
    """A set of metrics with exact definitions.

    Attributes:
        description: definitions of the metrics, for people.
        metrics: metric of an estimate and its target, by name.
        convert: conversion of both images before the metrics; None for none.
    """

    description: str
    metrics: Mapping[str, Callable[[Image, Image], Score]]
    convert: Callable[[Image, Image], tuple[Image, Image]] | None = None


def _prepare_rgb(estimate: Image, target: Image, protocol: str) -> tuple[ModuleType, Image, Image]:
    """`prepare` for RGB images only."""
    xp, x, y = prepare(estimate, target, metric=f"protocol {protocol}")
    channels = x.shape[-1]
    if channels != 3:
        raise UserError(
            f"protocol {protocol}: the images have {channels} channels, expected 3 (RGB): use protocol errnet or rgb"
        )
    return xp, x, y


def _luma(estimate: Image, target: Image) -> tuple[Image, Image]:
    """Computes the studio-swing BT.601 luma of both RGB images, [..., H, W, 1], as a fraction of 255."""
    _, *images = _prepare_rgb(estimate, target, "y")
    red, green, blue, offset = 65.481 / 255.0, 128.553 / 255.0, 24.966 / 255.0, 16.0 / 255.0
    luma_x, luma_y = (red * rgb[..., :1] + green * rgb[..., 1:2] + blue * rgb[..., 2:] + offset for rgb in images)
    return luma_x, luma_y


def _levels(xp: ModuleType, image: Image) -> Image:
    return xp.floor(255.0 * image + 0.5)


def _gray_ssim(estimate: Image, target: Image) -> Score:
    """Computes the SSIM of OpenCV's 8-bit gray, 0.299 R + 0.587 G + 0.114 B in fixed-point arithmetic."""
    xp, *images = prepare(estimate, target, metric="ssim")
    levels = (_levels(xp, x) for x in images)
    # Whole numbers below 2^24, exact in float32 too.
    sums = (4899.0 * x[..., :1] + 9617.0 * x[..., 1:2] + 1868.0 * x[..., 2:] + 8192.0 for x in levels)
    return ssim(*(xp.floor(x / 16384.0) / 255.0 for x in sums))


PROTOCOLS: Registry[Protocol] = Registry("protocol", "metrics")
"""All protocols by name."""

PROTOCOLS.add(
    "errnet",
    Protocol(
        "Reflection removal as reported by ERRNet, YTMT and DSRNet: PSNR is the mean of the dB values of the three "
        "channels; SSIM has the 7x7 uniform window and sample covariance, mean over channels; LMSE (20x20 windows, "
        "stride 10); NCC over all pixels and channels.",
        {"psnr": psnr, "ssim": ssim, "lmse": lmse, "ncc": ncc},
    ),
)
PROTOCOLS.add(
    "rgb",
    Protocol(
        "The textbook definitions: PSNR of the squared error pooled over all channels; SSIM of Wang et "
        "al. 2004 (Gaussian 11x11 window, sigma 1.5, population covariance), mean over channels; LMSE and "
        "NCC as in errnet.",
        {
            "psnr": partial(psnr, per_channel=False),
            "ssim": partial(ssim, window="gaussian"),
            "lmse": lmse,
            "ncc": ncc,
        },
    ),
)
PROTOCOLS.add(
    "y",
    Protocol(
        "Deraining tables: PSNR and SSIM (7x7 uniform window, sample covariance, range 255) of the luma "
        "alone, Y = 16 + 65.481 R + 128.553 G + 24.966 B (BT.601 studio swing, MATLAB's rgb2ycbcr), "
        "unrounded. DeRaindrop's own evaluation applies the same PSNR and SSIM to OpenCV's full-range Y "
        "(0.299, 0.587, 0.114) of uint8 images: except for rounding, its PSNR is 1.3219 dB lower than this "
        "one; its SSIM differs too.",
        {"psnr": psnr, "ssim": ssim},
        _luma,
    ),
)
PROTOCOLS.add(
    "srnet",
    Protocol(
        "SR-Net's evaluation scripts: images rounded to 8 bits; PSNR of the squared error pooled over all channels; "
        "SSIM (7x7 uniform window, sample covariance) of OpenCV's 8-bit gray.",
        {"psnr": partial(psnr, per_channel=False), "ssim": _gray_ssim},
        partial(eight_bit, protocol="srnet"),
    ),
)


# Former names of protocols, which remain valid.
_ALIASES = {"sirr": "errnet"}


def protocol_name(name: str) -> str:
    """Resolves the name or alias of a protocol ("sirr" is an alias of "errnet").

    Args:
        name: name or alias.

    Returns:
        A key of `PROTOCOLS`.

    Raises:
        UserError: The protocol does not exist.
    """
    name = _ALIASES.get(name, name)
    PROTOCOLS.find(name)
    return name


def score(estimate: Image, target: Image, *, protocol: str = "errnet") -> dict[str, Score]:
    """Scores an image, or each image of a batch, by a named protocol (benchmark protocol, section 1).

    `PROTOCOLS` describes the protocols. `y` follows MATLAB's `rgb2ycbcr` for the conversion and DeRaindrop's evaluation
    (attentive GAN, section 6) for the two metrics. It differs from DeRaindrop's evaluation in three ways. Y spans
    16..235, not 0..255: errors shrink by 219/255, so PSNR is 20 log10(255/219) = 1.3219 dB higher, and SSIM's constants
    have more weight. Nothing is rounded: DeRaindrop converts uint8 images in fixed point and rounds Y, and MATLAB
    rounds Y of uint8 images. The estimate is clipped: DeRaindrop's uint8 cast truncates and wraps around (256 becomes
    0).

    The score of a set of images is the mean of the scores of the images.

    Args:
        estimate: image [H, W, C] or batch [N, H, W, C], RGB, floating point; clipped to [0, 1], not rounded.
        target: target of the same shape, RGB, floating point, in [0, 1].
        protocol: key of `PROTOCOLS`, or an alias.

    Returns:
        "psnr" (dB) and "ssim", and for `errnet` and `rgb` also "lmse" and "ncc". Each is one value per image: a `float`
        for [H, W, C], [N] for a batch. float64 for NumPy arrays; float32 JAX arrays if either argument is a JAX array
        or tracer, so the function can be jitted and vmapped: convert with `numpy.asarray` for a report.

    Raises:
        UserError: The protocol is unknown, the images are smaller than a window of the protocol (20 pixels a side for
            `errnet` and `rgb`, 7 for `y` and `srnet`), the shapes differ or are not images, the images of `y` or
            `srnet` do not have 3 channels, or an array is not floating point.
    """
    entry = PROTOCOLS[protocol_name(protocol)]
    if entry.convert is not None:
        estimate, target = entry.convert(estimate, target)
    return {name: metric(estimate, target) for name, metric in entry.metrics.items()}
