"""What a generator is, and what all generators share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from sirr_jax.data.random_access import StreamKey

# Larger fields (masks, glass maps) would drown the manifest.
_MOST_NUMBERS = 64


class GeneratedSample(NamedTuple):
    """One sample.

    Attributes:
        images: uint8 `[h, w, 3]` (or `[h, w]`, masks) by the folder that they belong into; the input comes first.
        parameters: what was drawn, as plain numbers, names and lists; fields of more than 64 numbers are left out.
        kept: whether the published rule of the model keeps the sample.
    """

    images: dict[str, np.ndarray]
    parameters: dict[str, Any]
    kept: bool


class SampleGenerator(NamedTuple):
    """How to make samples of one kind.

    Attributes:
        photographs: how many photographs a sample takes, 1 or 2.
        make: `(seed, index, photographs) -> GeneratedSample`, photographs uint8 `[h, w, 3]` of one size. The same
            arguments give the same bytes.
        options: everything that decides the distribution, as plain values.
    """

    photographs: int
    make: Callable[[int, int, tuple[np.ndarray, ...]], GeneratedSample]
    options: dict[str, Any]


def key_of(seed: int, index: int) -> jax.Array:
    """The PRNG key of one sample."""
    return jax.random.fold_in(jax.random.key(seed), index)


def generator_of(kind: str, seed: int, index: int) -> np.random.Generator:
    """The NumPy generator of one sample; kinds do not share their draws."""
    return StreamKey(seed, f"degradation/{kind}").generator("sample", index)


def in_bytes(image: jax.Array) -> np.ndarray:
    """[...] in [0, 1] as uint8, rounded."""
    return np.rint(np.clip(np.asarray(image), 0.0, 1.0) * 255.0).astype(np.uint8)


def plain_numbers(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers and arrays of at most 64 numbers as a JSON file takes them, by name in alphabetical order."""
    arrays = {name: np.asarray(value) for name, value in parameters.items()}
    return {name: value.tolist() for name, value in sorted(arrays.items()) if value.size <= _MOST_NUMBERS}
