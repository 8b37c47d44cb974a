"""The interface of a sample generator, and helpers of all generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from sirr_jax.data.random_access import StreamKey

# Larger arrays (masks, glass maps) do not belong in the manifest.
_MAX_NUMBERS = 64


class GeneratedSample(NamedTuple):
    """A generated sample.

    Attributes:
        images: folder name -> uint8 `[h, w, 3]`, or `[h, w]` for masks; the network's input comes first.
        parameters: drawn values as plain numbers, strings and lists; arrays of more than 64 numbers are left out.
        accepted: whether the published rule of the model accepts the sample.
    """

    images: dict[str, np.ndarray]
    parameters: dict[str, Any]
    accepted: bool


class SampleGenerator(NamedTuple):
    """A generator of samples of one kind.

    Attributes:
        photographs: number of photos per sample, 1 or 2.
        make: function `(seed, index, photographs) -> GeneratedSample` of photos, uint8 `[h, w, 3]`, of the same size.
            The same arguments give the same bytes.
        options: all options of the distribution, as plain values.
    """

    photographs: int
    make: Callable[[int, int, tuple[np.ndarray, ...]], GeneratedSample]
    options: dict[str, Any]


def prng_key(seed: int, index: int) -> jax.Array:
    """Returns the PRNG key of one sample."""
    return jax.random.fold_in(jax.random.key(seed), index)


def numpy_generator(kind: str, seed: int, index: int) -> np.random.Generator:
    """Returns the NumPy generator of one sample; kinds have independent generators."""
    return StreamKey(seed, f"degradation/{kind}").generator("sample", index)


def to_uint8(image: jax.Array) -> np.ndarray:
    """Converts an image in [0, 1] to uint8 by rounding."""
    return np.rint(np.clip(np.asarray(image), 0.0, 1.0) * 255.0).astype(np.uint8)


def plain_numbers(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Converts numbers and arrays of at most 64 numbers to JSON values, by name in alphabetical order."""
    arrays = {name: np.asarray(value) for name, value in parameters.items()}
    return {name: value.tolist() for name, value in sorted(arrays.items()) if value.size <= _MAX_NUMBERS}
