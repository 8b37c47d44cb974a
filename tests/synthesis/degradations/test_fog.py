from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.fog import BETAS, airlight, fog, guided_filter, ray_length


def photograph(seed=0, shape=(40, 60)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def literal_airlight(image):
    height, width, _ = image.shape
    dark = []
    for y in range(height):
        for x in range(width):
            window = image[max(0, y - 7) : y + 8, max(0, x - 7) : x + 8]
            dark.append((-int(window.min()), y * width + x))
    count = int(0.001 * height * width)
    count += 1 if count % 2 == 0 else 0
    chosen = sorted(index for _, index in sorted(dark)[:count])
    grays = []
    for index in chosen:
        r, g, b = (float(v) for v in image[index // width, index % width])
        grays.append((round(0.299 * r + 0.587 * g + 0.114 * b, 6), index))
    index = sorted(grays)[count // 2][1]
    return image[index // width, index % width]


@pytest.mark.parametrize("shape", [(20, 30), (50, 60), (70, 90)])
def test_airlight_equals_a_literal_loop(shape):
    for seed in range(3):
        image = photograph(seed, shape)
        bright = np.clip(image.astype(int) + 8 * (np.arange(shape[1]) // 12)[None, :, None], 0, 255).astype(np.uint8)
        np.testing.assert_array_equal(airlight(bright), literal_airlight(bright))


def test_ray_length_equals_its_formula():
    depth = np.full((5, 9), 10.0)
    length = ray_length(depth, focal=8.0)
    assert length[2, 4] == 10.0
    for y in range(5):
        for x in range(9):
            assert np.isclose(length[y, x], 10.0 * np.sqrt((64 + (x - 4) ** 2 + (y - 2) ** 2) / 64))
    assert ray_length(depth, focal=8.0, center=(0.0, 0.0))[0, 0] == 10.0


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("refine", [False, True])
def test_constant_depth_gives_the_exponential_transmittance(beta, refine):
    image, light = photograph(), airlight(photograph())
    depth = np.full(image.shape[:2], 60.0)
    # With this focal length all rays are parallel, and the transmittance is constant.
    foggy = fog(image, np.random.default_rng(0), depth=depth, betas=(beta,), focal=1e9, refine=refine)
    t = np.exp(-beta * 60.0)
    np.testing.assert_array_equal(foggy, np.rint(image * t + light * (1.0 - t)).astype(np.uint8))


def test_beta_0_is_the_identity_and_large_beta_gives_the_airlight():
    image = photograph()
    depth = np.full(image.shape[:2], 10.0)
    np.testing.assert_array_equal(fog(image, np.random.default_rng(0), depth=depth, betas=(0.0,)), image)
    thick = fog(image, np.random.default_rng(0), depth=depth, betas=(5.0,), refine=False)
    np.testing.assert_array_equal(thick, np.broadcast_to(airlight(image), image.shape))


def test_seed_determines_density_and_depth():
    image = photograph()
    depth = np.full(image.shape[:2], 100.0)
    results = {fog(image, np.random.default_rng(seed), depth=depth).tobytes() for seed in range(20)}
    assert len(results) == len(BETAS)
    one = fog(image, np.random.default_rng(1))
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, fog(image, np.random.default_rng(1)))


def test_guided_filter_solves_the_regression_in_every_window():
    rng = np.random.default_rng(0)
    guide = rng.uniform(size=(46, 50, 3))
    values = rng.uniform(size=(46, 50))
    reach = 20
    padded_guide = np.pad(guide, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    padded_values = np.pad(values, reach, mode="symmetric")
    lines = np.zeros((46, 50, 4))
    for y in range(46):
        for x in range(50):
            g = padded_guide[y : y + 41, x : x + 41].reshape(-1, 3)
            v = padded_values[y : y + 41, x : x + 41].reshape(-1)
            centered = g - g.mean(axis=0)
            normal = centered.T @ centered / len(g) + 1e-3 * np.eye(3)
            slope = np.linalg.solve(normal, centered.T @ (v - v.mean()) / len(g))
            lines[y, x] = [*slope, v.mean() - slope @ g.mean(axis=0)]
    padded_lines = np.pad(lines, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    filtered = guided_filter(values, guide)
    for y, x in ((0, 0), (3, 40), (23, 25), (45, 49)):
        mean = padded_lines[y : y + 41, x : x + 41].reshape(-1, 4).mean(axis=0)
        assert np.isclose(filtered[y, x], mean[:3] @ guide[y, x] + mean[3], atol=1e-9)


def test_invalid_arguments_raise():
    image = photograph()
    for wrong in ((), (-0.1,)):
        with pytest.raises(UserError, match="betas"):
            fog(image, np.random.default_rng(0), betas=wrong)
    with pytest.raises(UserError, match="depth"):
        fog(image, np.random.default_rng(0), depth=np.ones((3, 3)))
