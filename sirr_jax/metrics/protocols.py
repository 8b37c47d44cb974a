"""Named protocols: which metrics, computed how, make up a row of a result table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType, ModuleType
from typing import NamedTuple

from sirr_jax.errors import UserError
from sirr_jax.metrics._images import Image, Score, prepare
from sirr_jax.metrics.lmse import lmse
from sirr_jax.metrics.ncc import ncc
from sirr_jax.metrics.psnr import psnr
from sirr_jax.metrics.ssim import ssim


class _Protocol(NamedTuple):
    words: str
    metrics: Mapping[str, Callable[[Image, Image], Score]]
    view: Callable[[Image, Image], tuple[Image, Image]] | None = None


def _colored(estimate: Image, target: Image, protocol: str) -> tuple[ModuleType, Image, Image]:
    """What `prepare` gives, of RGB images only."""
    xp, *images = prepare(estimate, target, metric=f"protocol {protocol}")
    channels = images[0].shape[-1]
    if channels != 3:
        raise UserError(
            f"protocol {protocol}: the images have {channels} channels, expected 3 (RGB): use protocol sirr or rgb"
        )
    return xp, *images


def _luma(estimate: Image, target: Image) -> tuple[Image, Image]:
    """Studio-swing BT.601 luma of both RGB images, [..., H, W, 1], as a fraction of 255."""
    _, *images = _colored(estimate, target, "y")
    red, green, blue, offset = 65.481 / 255.0, 128.553 / 255.0, 24.966 / 255.0, 16.0 / 255.0
    luma_x, luma_y = (red * rgb[..., :1] + green * rgb[..., 1:2] + blue * rgb[..., 2:] + offset for rgb in images)
    return luma_x, luma_y


def _eight_bit(estimate: Image, target: Image) -> tuple[Image, Image]:
    """Both RGB images as a file of eight bits per channel would hold them."""
    xp, *images = _colored(estimate, target, "srnet")
    stored_x, stored_y = (_levels(xp, x) / 255.0 for x in images)
    return stored_x, stored_y


def _levels(xp: ModuleType, image: Image) -> Image:
    return xp.floor(255.0 * image + 0.5)


def _gray_ssim(estimate: Image, target: Image) -> Score:
    """SSIM of OpenCV's eight-bit gray, 0.299 R + 0.587 G + 0.114 B in its fixed-point arithmetic."""
    xp, *images = prepare(estimate, target, metric="ssim")
    levels = (_levels(xp, x) for x in images)
    # Whole numbers below 2^24: exact in float32 too.
    sums = (4899.0 * x[..., :1] + 9617.0 * x[..., 1:2] + 1868.0 * x[..., 2:] + 8192.0 for x in levels)
    return ssim(*(xp.floor(x / 16384.0) / 255.0 for x in sums))


_PROTOCOLS = {
    "errnet": _Protocol(
        "Reflection removal as ERRNet, YTMT and DSRNet report it: PSNR is the mean of the three channels' "
        "dB values; SSIM has the 7x7 uniform window and sample covariance, mean over channels; LMSE "
        "(20x20 windows, stride 10); NCC over all pixels and channels.",
        {"psnr": psnr, "ssim": ssim, "lmse": lmse, "ncc": ncc},
    ),
    "rgb": _Protocol(
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
    "y": _Protocol(
        "Deraining tables: PSNR and SSIM (7x7 uniform window, sample covariance, range 255) of the luma "
        "alone, Y = 16 + 65.481 R + 128.553 G + 24.966 B (BT.601 studio swing, MATLAB's rgb2ycbcr), "
        "unrounded. DeRaindrop's own evaluation applies the same PSNR and SSIM to OpenCV's full-range Y "
        "(0.299, 0.587, 0.114) of uint8 images: but for rounding, its PSNR is 1.3219 dB lower than this "
        "one; its SSIM differs too.",
        {"psnr": psnr, "ssim": ssim},
        _luma,
    ),
    "srnet": _Protocol(
        "SR-Net's evaluation scripts: images as eight-bit files; PSNR of the squared error pooled over all "
        "channels; SSIM (7x7 uniform window, sample covariance) of OpenCV's eight-bit gray.",
        {"psnr": partial(psnr, per_channel=False), "ssim": _gray_ssim},
        _eight_bit,
    ),
}

PROTOCOLS: Mapping[str, str] = MappingProxyType({name: entry.words for name, entry in _PROTOCOLS.items()})
"""What each protocol means, in words, by name."""


# Names that protocols had, and still answer to.
_ALIASES = {"sirr": "errnet"}


def protocol_name(name: str) -> str:
    """The name of a protocol, for itself or for an alias ("sirr" is "errnet").

    Args:
        name: name or alias.

    Raises:
        UserError: There is no such protocol.
    """
    name = _ALIASES.get(name, name)
    if name not in _PROTOCOLS:
        raise UserError(f"unknown protocol {name!r}, expected one of {', '.join(_PROTOCOLS)}")
    return name


def score(estimate: Image, target: Image, *, protocol: str = "errnet") -> dict[str, Score]:
    """Scores an image, or each image of a batch, by a named protocol (benchmark protocol, section 1).

    `errnet` and `rgb` are described in `PROTOCOLS`. `y` follows MATLAB's `rgb2ycbcr` for the conversion and
    DeRaindrop's evaluation (attentive GAN, section 6) for the two metrics on it. It departs from DeRaindrop's
    evaluation in three ways. Y spans 16..235, not 0..255: errors shrink by 219/255, so that PSNR
    is 20 log10(255/219) = 1.3219 dB higher, and SSIM's constants weigh more. Nothing is rounded: DeRaindrop
    converts uint8 images in fixed point and rounds Y, and MATLAB rounds Y of uint8 images. The estimate is
    clipped: DeRaindrop's uint8 cast truncates and wraps around (256 becomes 0).

    The score of a set of images is the plain mean of the images' scores.

    Args:
        estimate: [H, W, C] or [N, H, W, C], RGB, floating point; clipped to [0, 1], not rounded.
        target: the same shape, RGB, floating point, in [0, 1].
        protocol: a key of `PROTOCOLS`.

    Returns:
        "psnr" (dB) and "ssim", and for `errnet` and `rgb` also "lmse" and "ncc". Each is one value per image: a
        `float` for [H, W, C], [N] for a batch. float64 for NumPy arrays; float32 JAX arrays if either
        argument is a JAX array or tracer, so that it may be jitted and vmapped: convert with `numpy.asarray`
        for a report.

    Raises:
        UserError: unknown protocol; images smaller than a window of the protocol (20 pixels a side for `errnet`
            and `rgb`, 7 for `y`); shapes differ or are not images; `y` and not 3 channels; an array is not
            floating point.
    """
    chosen = _PROTOCOLS[protocol_name(protocol)]
    if chosen.view is not None:
        estimate, target = chosen.view(estimate, target)
    return {name: metric(estimate, target) for name, metric in chosen.metrics.items()}
