from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.multiview import augment_frames, dihedral

RNG = np.random.default_rng(0)


def symmetries(image):
    """All eight, of the two axes before the last."""
    turned = [np.rot90(image, quarter, axes=(-3, -2)) for quarter in range(4)]
    return turned + [np.flip(t, axis=-2) for t in turned]


def which(image, candidates):
    (found,) = [i for i, candidate in enumerate(candidates) if np.array_equal(image, candidate)]
    return found


def test_each_of_the_eight_symmetries_is_drawn_about_equally_often():
    image = RNG.uniform(size=(5, 5, 3)).astype(np.float32)
    drawn = jax.jit(jax.vmap(dihedral, in_axes=(0, None)))(jax.random.split(jax.random.key(0), 400), image)
    counts = np.bincount([which(x, symmetries(image)) for x in np.asarray(drawn)], minlength=8)
    assert np.all(np.abs(counts - 50) < 5 * np.sqrt(400 * 0.125 * 0.875))


def test_all_frames_of_all_layers_undergo_the_same():
    layers = {name: RNG.uniform(size=(3, 4, 4, c)).astype(np.float32) for name, c in (("a", 3), ("b", 1))}
    drawn = jax.jit(jax.vmap(augment_frames, in_axes=(0, None)))(jax.random.split(jax.random.key(1), 100), layers)
    drawn = jax.tree.map(np.asarray, drawn)
    reversals = 0
    seen = set()
    for index in range(100):
        found = set()
        for name, layer in layers.items():
            candidates = symmetries(layer) + symmetries(layer[::-1])
            found.add(which(drawn[name][index], candidates))
        assert len(found) == 1
        reversals += min(found) >= 8
        seen |= found
    assert 25 < reversals < 75
    assert len(seen) == 16


def test_an_oblong_image_is_refused():
    oblong = np.zeros((3, 4, 5, 3), np.float32)
    with pytest.raises(UserError, match=r"\(3, 4, 5, 3\)"):
        dihedral(jax.random.key(0), oblong)
    with pytest.raises(UserError, match="square"):
        augment_frames(jax.random.key(0), {"frames": oblong})
