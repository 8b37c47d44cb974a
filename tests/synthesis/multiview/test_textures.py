from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.multiview import procedural_texture

COUNT = 60
SIZE = (24, 32)


@pytest.fixture(scope="module")
def layers():
    def both(key):
        draw = functools.partial(procedural_texture, key, SIZE)
        return draw(role="transmission"), draw(role="reflection")

    # Not optimized, because the program runs once.
    draw_all = jax.jit(jax.vmap(both), compiler_options={"xla_backend_optimization_level": 0})
    return tuple(np.asarray(x) for x in draw_all(jax.random.split(jax.random.key(0), COUNT)))


def test_shapes_and_ranges(layers):
    for layer, brightest in zip(layers, (1.0, 3 ** (1 / 2.2)), strict=True):
        assert layer.shape == (COUNT, *SIZE, 3)
        assert layer.dtype == np.float32
        assert layer.min() >= 0
        assert layer.max() <= brightest + 1e-5
    assert layers[1].max() > 1.2, "some lamps are brighter than white"


def test_layers_differ_and_few_are_flat(layers):
    for layer in layers:
        assert len(np.unique(layer.reshape(COUNT, -1)[:, ::97], axis=0)) == COUNT
        contrast = layer.std(axis=(1, 2)).mean(axis=-1)
        assert np.mean(contrast > 0.05) > 0.6
        assert 0.25 < layer.mean() < 0.75


def test_about_a_fifth_of_the_transmissions_has_almost_no_texture(layers):
    texture = np.abs(np.diff(layers[0], axis=2)).mean(axis=(1, 2, 3))
    assert 0.1 < np.mean(texture < 0.02) < 0.45


def test_about_half_of_the_reflections_have_lamps(layers):
    lit = layers[1].max(axis=(1, 2, 3)) > 1.02
    assert 0.2 < lit.mean() < 0.6


def test_unknown_role_raises():
    with pytest.raises(UserError, match="'background'"):
        procedural_texture(jax.random.key(0), 32, role="background")
