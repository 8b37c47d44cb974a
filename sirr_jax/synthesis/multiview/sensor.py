"""Camera effects on a mixture: noise and JPEG compression, both on the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.synthesis.multiview.options import MultiviewOptions
from sirr_jax.synthesis.ops.random_values import lerp, uniforms

# Quantization tables of ITU-T T.81, annex K.1 (luminance) and K.2 (chrominance), by rows.
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
_CHROMINANCE = np.full((8, 8), 99, np.float32)
_CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_TO_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]], np.float32)


def _dct_matrix() -> np.ndarray:
    k, n = np.arange(8)[:, None], np.arange(8)[None, :]
    scale = np.where(k == 0, np.sqrt(0.125), 0.5)
    return (scale * np.cos((2 * n + 1) * k * np.pi / 16)).astype(np.float32)


_DCT = _dct_matrix()


def apply_sensor(key: jax.Array, frames: jax.Array, *, options: MultiviewOptions) -> jax.Array:
    """Adds noise to some mixtures and compresses some (distillation specification, section 6.3).

    The noise strengths and the JPEG quality are drawn once per sequence, the noise itself for every frame.

    Args:
        key: PRNG key.
        frames: [F, H, W, 3] mixtures in [0, 1].
        options: probabilities and ranges. Static.

    Returns:
        [F, H, W, 3] in [0, 1].
    """
    share_key, noise_key = jax.random.split(key)
    noisy, read, shot, compressed, grade = uniforms(share_key, (), (), (), (), ())
    strength = jnp.where(noisy < options.noise_probability, 1.0, 0.0)
    frames = add_noise(
        noise_key,
        frames,
        read_sigma=strength * lerp(read, *options.noise_sigma),
        shot_sigma=strength * lerp(shot, *options.noise_sigma),
    )
    low, high = options.jpeg_quality
    quality = low + jnp.floor(grade * (high - low + 1.0))
    decoded = jax.vmap(compress_jpeg, in_axes=(0, None))(frames, quality)
    return jnp.where(compressed < options.jpeg_probability, decoded, frames)


def add_noise(
    key: jax.Array, image: jax.Array, *, read_sigma: jax.Array | float, shot_sigma: jax.Array | float
) -> jax.Array:
    """Adds Gaussian noise of variance read_sigma^2 + shot_sigma^2 * value, independent per pixel and channel.

    Args:
        key: PRNG key.
        image: image of any shape, in [0, 1].
        read_sigma: standard deviation at black.
        shot_sigma: standard deviation of the signal-dependent part at white.

    Returns:
        The same shape, clipped to [0, 1].
    """
    sigma = jnp.sqrt(read_sigma**2 + shot_sigma**2 * image)
    return jnp.clip(image + sigma * jax.random.normal(key, image.shape, image.dtype), 0.0, 1.0)


def compress_jpeg(image: jax.Array, quality: jax.Array | int) -> jax.Array:
    """Compresses an image by baseline JPEG and decodes it: YCbCr 4:2:0, 8 x 8 DCT, the standard quantization tables.

    Follows libjpeg's defaults, except that chroma is upsampled by plain linear interpolation and that all arithmetic
    except the quantization is in floating point. Not differentiable.

    Args:
        image: [H, W, 3] in [0, 1].
        quality: [] JPEG quality, a whole number in 1..100; may be traced.

    Returns:
        [H, W, 3] in [0, 1], in steps of 1 / 255.
    """
    height, width, _ = image.shape
    pixels = jnp.round(image * 255.0)
    pixels = jnp.pad(pixels, ((0, -height % 16), (0, -width % 16), (0, 0)), mode="edge")
    planes = jnp.einsum("hwc,dc->dhw", pixels, _TO_YCC, precision="highest")
    luma = _quantize(planes[:1] - 128.0, _table(_LUMINANCE, quality)) + 128.0
    rows, columns = planes.shape[1] // 2, planes.shape[2] // 2
    chroma = jnp.mean(planes[1:].reshape(2, rows, 2, columns, 2), axis=(2, 4))
    chroma = _quantize(chroma, _table(_CHROMINANCE, quality))
    chroma = jax.image.resize(chroma, (2, 2 * rows, 2 * columns), "linear")
    decoded = jnp.einsum("dhw,cd->hwc", jnp.concatenate([luma, chroma]), _TO_RGB, precision="highest")
    return jnp.clip(jnp.round(decoded[:height, :width]), 0.0, 255.0) / 255.0


def _table(base: np.ndarray, quality: jax.Array | int) -> jax.Array:
    """Libjpeg's scaling of a base table by quality."""
    quality = jnp.asarray(quality, jnp.float32)
    percent = jnp.where(quality < 50.0, jnp.floor(5000.0 / quality), 200.0 - 2.0 * quality)
    return jnp.clip(jnp.floor((base * percent + 50.0) / 100.0), 1.0, 255.0)


def _quantize(planes: jax.Array, table: jax.Array) -> jax.Array:
    """Block DCT of [P, H, W] (multiples of 8), rounding to multiples of the table, inverse DCT."""
    count, height, width = planes.shape
    blocks = planes.reshape(count, height // 8, 8, width // 8, 8)
    spectrum = jnp.einsum("pyixj,ui,vj->pyuxv", blocks, _DCT, _DCT, precision="highest")
    steps = table[None, None, :, None, :]
    spectrum = jnp.round(spectrum / steps) * steps
    blocks = jnp.einsum("pyuxv,ui,vj->pyixj", spectrum, _DCT, _DCT, precision="highest")
    return blocks.reshape(count, height, width)
