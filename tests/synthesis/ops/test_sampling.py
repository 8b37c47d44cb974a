from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.synthesis.ops.sampling import sample_cubic

RNG = np.random.default_rng(0)
sample = jax.jit(sample_cubic)


def keys_kernel(t):
    t = abs(t)
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def literal_sample(image, x, y):
    total = np.zeros(image.shape[-1])
    for row in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3):
        for column in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
            pixel = image[np.clip(row, 0, image.shape[0] - 1), np.clip(column, 0, image.shape[1] - 1)]
            total += pixel * keys_kernel(y - row) * keys_kernel(x - column)
    return total


def test_sample_cubic_equals_a_literal_loop_inside_and_outside():
    image = RNG.uniform(size=(9, 11, 3)).astype(np.float32)
    points = RNG.uniform(-3, 13, size=(40, 2)).astype(np.float32)
    expected = [literal_sample(image.astype(np.float64), *point.astype(np.float64)) for point in points]
    np.testing.assert_allclose(sample(image, points), expected, atol=2e-6)


def test_whole_positions_are_exact_and_the_border_is_repeated():
    image = RNG.uniform(size=(9, 11, 3)).astype(np.float32)
    x, y = np.meshgrid(np.arange(-4, 15), np.arange(-4, 13))
    sampled = sample(image, np.stack([x, y], axis=-1).astype(np.float32))
    np.testing.assert_array_equal(sampled, image[np.clip(y, 0, 8), np.clip(x, 0, 10)])


def test_parabolas_are_reproduced():
    x, y = np.meshgrid(np.arange(12.0), np.arange(12.0))
    image = (0.3 * x**2 - 0.2 * x * y + y - 4)[..., None].astype(np.float32)
    points = RNG.uniform(2, 9, size=(30, 2))
    expected = 0.3 * points[:, 0] ** 2 - 0.2 * points[:, 0] * points[:, 1] + points[:, 1] - 4
    np.testing.assert_allclose(sample(image, jnp.asarray(points, jnp.float32))[:, 0], expected, atol=1e-4)
