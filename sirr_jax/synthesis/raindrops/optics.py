"""Optics of drops: defocus by a round aperture, and the wide inverted view of the scene."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.raindrops.parameters import RaindropParameters
from sirr_jax.synthesis.raindrops.shapes import Coverage

_THUMBNAIL = 64
"""Shorter side in pixels of the reduced scene shown by drops: they minify it, so a larger one would alias."""


def disc_blur(planes: jax.Array, radius: jax.Array) -> jax.Array:
    """Averages over a disc, as a lens with a round aperture does out of focus.

    Args:
        planes: [H, W, C]; opposite borders are neighbors, so leave a margin of `radius`.
        radius: [] radius of the disc in pixels; may be traced, so the average is computed as a product of spectra.

    Returns:
        [H, W, C].
    """
    height, width, _ = planes.shape

    def distance(count: int) -> jax.Array:
        index = jnp.arange(count, dtype=jnp.float32)
        return jnp.minimum(index, count - index)

    away = jnp.hypot(distance(height)[:, None], distance(width)[None, :])
    kernel = jnp.clip(radius + 0.5 - away, 0.0, 1.0)
    kernel = kernel / jnp.sum(kernel)
    spectrum = jnp.fft.rfft2(planes, axes=(0, 1)) * jnp.fft.rfft2(kernel)[..., None]
    return jnp.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))


def light_through(scene: jax.Array, coverage: Coverage, params: RaindropParameters) -> jax.Array:
    """Computes the light that passes through drops, before defocus.

    A drop is a lens of short focal length: it shows a wide view of the scene around its position, minified and upside
    down. The view reaches beyond the image, which is extended by its mirror image and, above, by light as bright as
    the brightest tenth of the image. The steep rim is darker; a lamp or the sun gives a highlight.

    Args:
        scene: [h, w, 3] clean image in linear light.
        coverage: coverage from `shapes.cover`, in pixels of the scene.
        params: parameters of the drops.

    Returns:
        [H, W, 3] linear light, at least 0; undefined where there is no drop.
    """
    height, width, _ = scene.shape
    reduction = min(1.0, _THUMBNAIL / min(height, width))
    small = (max(1, round(height * reduction)), max(1, round(width * reduction)))
    thumbnail = jax.image.resize(scene, (*small, 3), "linear")

    away = jnp.sum(coverage.local**2, axis=-1, keepdims=True)
    bent = coverage.local * (0.55 + 0.45 * away)
    viewed = coverage.center - coverage.view * bent
    x, y = viewed[..., 0] / width, viewed[..., 1] / height
    position = [(_mirrored(y) * small[0] - 0.5), (_mirrored(x) * small[1] - 0.5)]
    channels = [jax.scipy.ndimage.map_coordinates(thumbnail[..., c], position, 1, mode="nearest") for c in range(3)]

    beyond = jnp.clip(0.5 - 2.0 * y, 0.5, 1.0)[..., None]
    sky = jnp.broadcast_to(_brightest_tenth(thumbnail), (*x.shape, 3))
    weight = params.ambient * beyond
    light = (1.0 - weight) * jnp.stack(channels, axis=-1) + weight * sky
    light = light * params.brightness * (1.0 - params.rim * jnp.clip(away, 0.0, 1.0) ** 3)
    spot = jnp.sum((coverage.local - params.light.reshape(1, 1, 2)) ** 2, axis=-1, keepdims=True)
    return light + params.highlight * jnp.exp(-spot / 0.02)


def _mirrored(position: jax.Array) -> jax.Array:
    """Maps a position on a line of mirrored copies of [0, 1] to [0, 1]."""
    return 1.0 - jnp.abs(1.0 - jnp.mod(position, 2.0))


def _brightest_tenth(image: jax.Array) -> jax.Array:
    """Mean color [1, 1, 3] of the brightest tenth of the pixels."""
    pixels = image.reshape(-1, 3)
    order = jnp.argsort(-jnp.sum(pixels, axis=-1))
    return jnp.mean(pixels[order[: max(1, len(pixels) // 10)]], axis=0).reshape(1, 1, 3)
