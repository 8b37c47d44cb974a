"""Reflections of one photograph in a window in front of another, in the three forms of SR-Net's script.

Source: SR-Net specification, section 5.4 (adapted there from ERRNet; SGRRN specification, section 9.2, for `zhang`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.base import check_image
from sirr_jax.synthesis.degradations.blur import gaussian_filter
from sirr_jax.synthesis.reflection import CeilnetOptions, ZhangOptions, ceilnet, zhang

FORMS = ("cityscapes", "zhang", "ceil")
"""Mixing formulas of `window_reflection`."""

_SIGMA = (2.0, 5.0)
_TAPS = 11
# The longer side covers as much of the vignette as a published training crop of 224 pixels.
_ZHANG = ZhangOptions(vignette_side=224)
_CEIL = CeilnetOptions()
_zhang = jax.jit(zhang.synthesize, static_argnames="options")
_ceil = jax.jit(ceilnet.synthesize, static_argnames="options")


class WindowReflection(NamedTuple):
    """A photograph through a window.

    Attributes:
        image: uint8 [H, W, 3].
        reflection: uint8 [H, W, 3], the reflection as it appears in the image: blurred, weighted and, in form `zhang`,
            in display light although it is added in linear light.
        parameters: drawn values by name, plain numbers and NumPy arrays.
    """

    image: np.ndarray
    reflection: np.ndarray
    parameters: dict[str, Any]


def window_reflection(
    background: np.ndarray, reflection: np.ndarray, generator: np.random.Generator, *, form: str = "cityscapes"
) -> WindowReflection:
    """Adds the reflection of one photograph to another.

    | form | image |
    |---|---|
    | cityscapes | 0.7 B + 0.3 blur(R), as measured on the published Cityscapes sample |
    | zhang | `sirr_jax.synthesis.reflection.zhang`, its vignette stretched over the image; no pair is rejected |
    | ceil | `sirr_jax.synthesis.reflection.ceilnet`, class 1 of the script |

    The blur of `cityscapes` has 11 x 11 taps, sigma from U(2, 5) and zero padding, and is applied before R is resized,
    as in the script. The other two blur R at the size of the background.

    Args:
        background: background B, uint8 [H, W, 3], of any size.
        reflection: reflected photograph R, uint8 [h, w, 3], of any size; resized to the background (bicubically).
        generator: source of randomness.
        form: mixing formula, one of `FORMS`.

    Returns:
        The image, the reflection as it appears in it, and the drawn values.

    Raises:
        UserError: An image has another type or shape, or the form is unknown.
    """
    check_image(background)
    check_image(reflection)
    if form not in FORMS:
        raise UserError(f"form is {form!r}: use one of {', '.join(FORMS)}")
    size = background.shape[:2]
    if form == "cityscapes":
        sigma = float(generator.uniform(*_SIGMA))
        blurred = _resize(gaussian_filter(reflection, size=_TAPS, sigma=sigma, mirrored=False), size)
        added = 0.3 * blurred
        return WindowReflection(_to_bytes(0.7 * background + added), _to_bytes(added), {"sigma": sigma})
    key = jax.random.key(int(generator.integers(2**31)))
    layers = (jnp.asarray(layer / 255.0, jnp.float32) for layer in (background, _resize(reflection, size)))
    mix, options = (_zhang, _ZHANG) if form == "zhang" else (_ceil, _CEIL)
    mixture = mix(key, *layers, options=options)
    parameters = {name: np.asarray(value) for name, value in mixture.parameters.items()}
    return WindowReflection(
        _to_bytes(255.0 * np.asarray(mixture.mixture)), _to_bytes(255.0 * np.asarray(mixture.reflection)), parameters
    )


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[h, w, 3] on the scale 0 to 255 -> float32 [H, W, 3], not rounded."""
    planes = (Image.fromarray(np.ascontiguousarray(image[..., c], np.float32)) for c in range(3))
    resized = [np.asarray(plane.resize(size[::-1], Image.Resampling.BICUBIC)) for plane in planes]
    return np.clip(np.stack(resized, axis=-1), 0.0, 255.0)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8)
