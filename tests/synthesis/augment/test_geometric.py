from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.multiview import augment_frames, dihedral

RNG = np.random.default_rng(0)


def symmetries(image):
    """All eight symmetries of the two axes before the last."""
    rotated = [np.rot90(image, quarter, axes=(-3, -2)) for quarter in range(4)]
    return rotated + [np.flip(r, axis=-2) for r in rotated]


def index_of(image, candidates):
    (index,) = [i for i, candidate in enumerate(candidates) if np.array_equal(image, candidate)]
    return index


def test_dihedral_draws_all_eight_symmetries_equally_often():
    image = RNG.uniform(size=(5, 5, 3)).astype(np.float32)
    drawn = jax.jit(jax.vmap(dihedral, in_axes=(0, None)))(jax.random.split(jax.random.key(0), 400), image)
    counts = np.bincount([index_of(x, symmetries(image)) for x in np.asarray(drawn)], minlength=8)
    assert np.all(np.abs(counts - 50) < 5 * np.sqrt(400 * 0.125 * 0.875))


def test_augment_frames_applies_one_symmetry_to_all_frames_and_layers():
    layers = {name: RNG.uniform(size=(3, 4, 4, c)).astype(np.float32) for name, c in (("a", 3), ("b", 1))}
    drawn = jax.jit(jax.vmap(augment_frames, in_axes=(0, None)))(jax.random.split(jax.random.key(1), 100), layers)
    drawn = jax.tree.map(np.asarray, drawn)
    reversals = 0
    drawn_indices = set()
    for index in range(100):
        indices = set()
        for name, layer in layers.items():
            candidates = symmetries(layer) + symmetries(layer[::-1])
            indices.add(index_of(drawn[name][index], candidates))
        assert len(indices) == 1
        reversals += min(indices) >= 8
        drawn_indices |= indices
    assert 25 < reversals < 75
    assert len(drawn_indices) == 16


def test_oblong_image_raises():
    oblong = np.zeros((3, 4, 5, 3), np.float32)
    with pytest.raises(UserError, match=r"\(3, 4, 5, 3\)"):
        dihedral(jax.random.key(0), oblong)
    with pytest.raises(UserError, match="square"):
        augment_frames(jax.random.key(0), {"frames": oblong})
