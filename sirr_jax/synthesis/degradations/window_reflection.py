"""The reflection of one photograph in a window before another, in the three forms of SR-Net's script.

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
"""How `window_reflection` may mix."""

_SIGMA = (2.0, 5.0)
_TAPS = 11
# Of the vignette's 560 pixels the longer side takes what a published training crop of 224 pixels takes.
_ZHANG = ZhangOptions(vignette_side=224)
_CEIL = CeilnetOptions()
_zhang = jax.jit(zhang.synthesize, static_argnames="options")
_ceil = jax.jit(ceilnet.synthesize, static_argnames="options")


class WindowReflection(NamedTuple):
    """A photograph through a window.

    Attributes:
        image: uint8 [H, W, 3].
        reflection: uint8 [H, W, 3], what the reflection adds to the image: blurred, weighted and, in form `zhang`, as
            display light although it is added in linear light.
        parameters: what was drawn, plain numbers and NumPy arrays by name.
    """

    image: np.ndarray
    reflection: np.ndarray
    parameters: dict[str, Any]


def window_reflection(
    background: np.ndarray, reflection: np.ndarray, generator: np.random.Generator, *, form: str = "cityscapes"
) -> WindowReflection:
    """Lays the reflection of one photograph over another.

    | form | image |
    |---|---|
    | cityscapes | 0.7 B + 0.3 blur(R); what the published Cityscapes sample was measured to be |
    | zhang | `sirr_jax.synthesis.reflection.zhang`, its vignette stretched over the image; no pair is rejected |
    | ceil | `sirr_jax.synthesis.reflection.ceilnet`, class 1 of the script |

    The blur of `cityscapes` has 11 x 11 taps, sigma from U(2, 5), zeros beyond the border, and comes before R is
    resized, as in the script. The other two blur R at the background's size.

    Args:
        background: B, uint8 [H, W, 3], of any size.
        reflection: R, uint8 [h, w, 3], of any size; resized to the background's size (bicubically).
        generator: source of randomness.
        form: one of `FORMS`.

    Returns:
        The image, what the reflection adds, and what was drawn.

    Raises:
        UserError: if an image is something else, or the form is unknown.
    """
    check_image(background)
    check_image(reflection)
    if form not in FORMS:
        raise UserError(f"form is {form!r}: use one of {', '.join(FORMS)}")
    size = background.shape[:2]
    if form == "cityscapes":
        sigma = float(generator.uniform(*_SIGMA))
        blurred = _resized(gaussian_filter(reflection, size=_TAPS, sigma=sigma, mirrored=False), size)
        added = 0.3 * blurred
        return WindowReflection(_bytes(0.7 * background + added), _bytes(added), {"sigma": sigma})
    key = jax.random.key(int(generator.integers(2**31)))
    layers = (jnp.asarray(layer / 255.0, jnp.float32) for layer in (background, _resized(reflection, size)))
    mix, options = (_zhang, _ZHANG) if form == "zhang" else (_ceil, _CEIL)
    made = mix(key, *layers, options=options)
    parameters = {name: np.asarray(value) for name, value in made.parameters.items()}
    return WindowReflection(
        _bytes(255.0 * np.asarray(made.mixture)), _bytes(255.0 * np.asarray(made.reflection)), parameters
    )


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[h, w, 3] on the scale of 0 to 255 -> float32 [H, W, 3]; nothing is rounded."""
    planes = (Image.fromarray(np.ascontiguousarray(image[..., c], np.float32)) for c in range(3))
    resized = [np.asarray(plane.resize(size[::-1], Image.Resampling.BICUBIC)) for plane in planes]
    return np.clip(np.stack(resized, axis=-1), 0.0, 255.0)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8)
