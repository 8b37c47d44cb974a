from __future__ import annotations

import io

import jax
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from sirr_jax.synthesis.multiview import MultiviewOptions
from sirr_jax.synthesis.multiview.sensor import add_noise, apply_sensor, compress_jpeg

compress = jax.jit(compress_jpeg)


def psnr(a, b):
    return -10 * np.log10(np.mean((np.asarray(a, np.float64) - b) ** 2))


def photograph(height, width):
    """Colored structure of many sizes, in whole gray levels."""
    rng = np.random.default_rng(1)
    image = sum(
        scipy.ndimage.gaussian_filter(rng.normal(size=(height, width, 3)), (s, s, 0.6)) * s for s in (0.8, 2.0, 5.0)
    )
    image = (image - image.min()) / (image.max() - image.min())
    return np.round(image * 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [30, 80, 90, 100])
def test_jpeg_is_close_to_pillow(quality):
    image = photograph(41, 56)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    real = np.asarray(Image.open(stream), np.float64) / 255
    original = image.astype(np.float32) / 255
    simulated = np.asarray(compress(original, quality))
    assert simulated.shape == original.shape
    # As good as libjpeg's image, and much closer to it than either is to the original.
    assert abs(psnr(simulated, original) - psnr(real, original)) < 0.3
    assert psnr(simulated, real) > psnr(real, original) + 5


def test_jpeg_of_the_best_quality_keeps_a_gray_image():
    gray = np.full((32, 32, 3), 100 / 255, np.float32)
    np.testing.assert_allclose(compress(gray, 100), gray, atol=1e-6)


def test_noise_variance():
    level = np.repeat(np.array([0.2, 0.8], np.float32), 20_000)
    noisy = np.asarray(add_noise(jax.random.key(0), level, read_sigma=0.01, shot_sigma=0.02)).reshape(2, -1)
    np.testing.assert_allclose(noisy.std(axis=1), np.sqrt(0.01**2 + 0.02**2 * np.array([0.2, 0.8])), rtol=0.03)
    np.testing.assert_allclose(noisy.mean(axis=1), [0.2, 0.8], atol=1e-3)


def test_noise_and_jpeg_probabilities():
    options = MultiviewOptions(size=16, noise_sigma=(0.003, 0.004))
    frames = np.full((3, 16, 16, 3), 0.4021, np.float32)
    keys = jax.random.split(jax.random.key(1), 400)
    out = np.asarray(jax.jit(jax.vmap(lambda key: apply_sensor(key, frames, options=options)))(keys))
    compressed = np.all(np.abs(out * 255 - np.round(out * 255)) < 1e-3, axis=(1, 2, 3, 4))
    untouched = np.all(out == frames[0, 0, 0, 0], axis=(1, 2, 3, 4))
    assert abs(compressed.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 400)
    assert abs(untouched.mean() - 0.5 * 0.7) < 5 * np.sqrt(0.35 * 0.65 / 400)
    noisy = out[~untouched & ~compressed]
    assert np.all(noisy[:, 0] != noisy[:, 1], axis=(1, 2, 3)).mean() > 0.5, "noise is independent between frames"
