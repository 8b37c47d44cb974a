from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from sirr_jax.synthesis.augment.hard_negatives import add_hard_negative

COUNT, SIDE = 12, 32
KINDS = {"soft": (1.0, 0.0, 0.0), "hazy": (0.0, 1.0, 0.0), "mirrored": (0.0, 0.0, 1.0)}


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).uniform(0.0, 1.0, (SIDE, SIDE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def add():
    """Function of name and image that returns `COUNT` draws of that kind."""
    compiled = {
        name: jax.jit(jax.vmap(functools.partial(add_hard_negative, probabilities=p), in_axes=(0, None)))
        for name, p in KINDS.items()
    }
    keys = jax.random.split(jax.random.key(3), COUNT)
    return lambda name, image: np.asarray(compiled[name](keys, np.asarray(image, np.float32)))


def test_defocus_blurs_all_or_a_part_of_the_image(add, noise):
    outputs = add("soft", noise)
    changed = np.abs(outputs - noise).max(axis=-1) > 1e-4
    whole = changed.mean(axis=(1, 2)) > 0.99
    assert 0 < whole.sum() < COUNT
    assert (changed[~whole].mean(axis=(1, 2)) > 0).any()
    assert (outputs[whole].std(axis=(1, 2, 3)) < 0.8 * noise.std()).all()
    np.testing.assert_allclose(
        outputs[whole].mean(axis=(1, 2)), np.tile(noise.mean(axis=(0, 1)), (whole.sum(), 1)), atol=0.05
    )
    np.testing.assert_allclose(add("soft", np.full_like(noise, 0.3)), 0.3, atol=1e-5)


def test_haze_equals_its_formula(add, noise):
    """t and a of t x + (1 - t) a follow from the outputs for black and white, and give the output for noise."""
    black, white, outputs = (add("hazy", image) for image in (np.zeros_like(noise), np.ones_like(noise), noise))
    clear = white - black
    assert clear.min() > 0.29
    assert clear.max() <= 1.0 + 1e-6
    np.testing.assert_allclose(np.ptp(clear, axis=-1), 0.0, atol=1e-5)
    np.testing.assert_allclose(outputs, black + clear * noise, atol=1e-5)
    thick = clear[..., 0] < 0.95
    air = black[thick] / (1.0 - clear[thick])
    assert air.min() > 0.39
    assert air.max() <= 1.0 + 1e-4
    assert np.ptp(air, axis=-1).max() <= 0.1 + 1e-3  # nearly neutral
    assert (clear[:, :4].mean(axis=(1, 2, 3)) > clear[:, -4:].mean(axis=(1, 2, 3))).mean() > 0.8  # denser below


def test_mirror_reflection_mirrors_the_upper_part(add, noise):
    for image in add("mirrored", noise):
        same = np.abs(image - noise).max(axis=(1, 2)) < 1e-6
        shore = int(np.argmin(same))
        assert same[:shore].all()
        assert SIDE * 0.45 < shore < SIDE * 0.75
        water = image[shore:]
        above = noise[shore - 1 :: -1][: SIDE - shore]
        assert np.corrcoef(water.mean(axis=-1).ravel(), above.mean(axis=-1).ravel())[0, 1] > 0.1
    dimmed = add("mirrored", np.full_like(noise, 0.8))[:, -1].mean(axis=(1, 2))
    assert dimmed.min() > 0.39
    assert dimmed.max() < 0.801
    assert np.ptp(dimmed) > 0.1


def test_outputs_are_in_range_and_draws_differ(add, noise):
    for name in KINDS:
        assert len({image.tobytes() for image in add(name, noise)}) == COUNT
        for image in (noise, np.ones_like(noise), np.zeros_like(noise)):
            outputs = add(name, image)
            assert outputs.min() >= 0.0
            assert outputs.max() <= 1.0
