"""Layers, a literal Gaussian blur in double precision, and mixtures of a model, for tests of `data.synthesis`."""

from __future__ import annotations

import functools

import jax
import numpy as np

from sirr_jax.synthesis.reflection import get_synthesis


def layers(seed, height=24, width=30, brightness=1.0):
    """A pair of float32 [H, W, 3], bright enough to exceed white together."""
    rng = np.random.default_rng(seed)
    return [(brightness * rng.uniform(0, 1, (height, width, 3)) ** 0.5).astype(np.float32) for _ in range(2)]


def literal_blur(image, sigma, radius, *, mode):
    """Two-dimensional convolution, tap by tap; `mode` is of numpy.pad."""
    radius = int(radius)
    offset = np.arange(-radius, radius + 1)
    kernel = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2.0 * float(sigma) ** 2))
    kernel /= kernel.sum()
    height, width, _ = image.shape
    padded = np.pad(image.astype(np.float64), ((radius, radius), (radius, radius), (0, 0)), mode=mode)
    total = np.zeros(image.shape)
    for i in range(2 * radius + 1):
        for j in range(2 * radius + 1):
            total += kernel[i, j] * padded[i : i + height, j : j + width]
    return total


def make(name, seeds, pair, options=None, *, mask=None):
    """Mixtures of one pair under several keys: leaves [len(seeds), ...], as numpy arrays."""
    options = get_synthesis(name).options() if options is None else options
    keys = jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))
    arguments = {} if mask is None else {"mask": mask}
    return jax.tree.map(np.asarray, _run(keys, *pair, name=name, options=options, **arguments))


@functools.partial(jax.jit, static_argnames=("name", "options"))
def _run(keys, transmission, reflection, *, name, options, **arguments):
    synthesize = functools.partial(get_synthesis(name).synthesize, options=options, **arguments)
    return jax.vmap(lambda key: synthesize(key, transmission, reflection))(keys)


def each(mixtures):
    """The mixtures of `make` one by one."""
    for number in range(len(mixtures.kept)):
        yield jax.tree.map(lambda leaf, n=number: leaf[n], mixtures)
