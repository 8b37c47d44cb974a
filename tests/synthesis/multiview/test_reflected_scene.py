from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.synthesis.multiview import MultiviewOptions, synthesize_single
from sirr_jax.synthesis.multiview.reflected_scene import draw_scene

SIZE = 24
COUNT = 400
RNG = np.random.default_rng(3)
PHOTO = RNG.uniform(0.05, 1.0, size=(SIZE, SIZE, 3)).astype(np.float32)
OPTIONS = MultiviewOptions(size=SIZE, contrast=(1.0, 3.0), local_probability=0.5, clean_probability=0.25)


@functools.partial(jax.jit, static_argnames="options")
def draw(keys, reflection, *, options=OPTIONS):
    return jax.vmap(lambda key: draw_scene(key, reflection, options=options))(keys)


@pytest.fixture(scope="module")
def scenes():
    return jax.tree.map(np.asarray, draw(jax.random.split(jax.random.key(0), COUNT), jnp.asarray(PHOTO)))


def test_default_scene_equals_the_photograph_exactly():
    scene, clean = draw(jax.random.split(jax.random.key(0), 3), jnp.asarray(PHOTO), options=MultiviewOptions(size=SIZE))
    np.testing.assert_array_equal(scene, np.broadcast_to(PHOTO, (3, *PHOTO.shape)))
    assert not np.asarray(clean).any()


def test_clean_probability_gives_black_scenes(scenes):
    scene, clean = scenes
    assert abs(clean.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / COUNT)
    assert np.all(scene[clean] == 0)
    assert np.all(scene[~clean].max(axis=(1, 2, 3)) > 0)


def test_scenes_are_powers_of_the_photograph_or_local_windows_of_them(scenes):
    scene, clean = scenes
    exponents = np.log(np.maximum(scene[~clean], 1e-30)) / np.log(PHOTO)
    spread = exponents.reshape(len(exponents), -1).std(axis=1)
    whole = spread < 1e-3
    assert abs(whole.mean() - 0.5) < 5 * np.sqrt(0.25 / whole.size)
    drawn = exponents[whole].mean(axis=(1, 2, 3))
    assert 1.0 <= drawn.min() < 1.1
    assert 2.9 < drawn.max() <= 3.0
    # The window is the same for all channels, and only attenuates.
    part = scene[~clean][~whole]
    assert np.all(part <= PHOTO + 1e-6)
    share = part / PHOTO
    assert np.mean(share.min(axis=(1, 2, 3)) < 0.5 * share.max(axis=(1, 2, 3))) > 0.9


def test_mixture_without_a_reflection_equals_its_transmission():
    options = MultiviewOptions(size=SIZE, clean_probability=1.0, noise_probability=0.0, jpeg_probability=0.0)
    keys = jax.random.split(jax.random.key(1), 16)
    make = jax.jit(
        jax.vmap(lambda key: synthesize_single(key, jnp.asarray(PHOTO), jnp.ones_like(PHOTO), options=options))
    )
    frames = make(keys).frame
    np.testing.assert_allclose(frames, np.broadcast_to(PHOTO, frames.shape), atol=1e-6)
