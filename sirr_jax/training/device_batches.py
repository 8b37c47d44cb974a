"""Raw batches -> batches divided among the local devices."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from sirr_jax.data.loaders.build import BatchLoader
from sirr_jax.data.loaders.on_device import OnDeviceLoader
from sirr_jax.data.loaders.threads import Batch
from sirr_jax.training import parallel


def to_devices(loader: BatchLoader, steps: int = 1) -> Iterator[Any]:
    """Divides batches among the local devices; with an `OnDeviceLoader`, cuts the crops there.

    Args:
        loader: loader of raw batches.
        steps: number of batches to stack, for as many steps in one call.

    Yields:
        Batches `[local devices, samples per device, ...]`; with `steps` above 1, `[local devices, steps, samples per
        device, ...]`.

    Raises:
        UserError: A batch cannot be divided.
    """
    batches = map(parallel.shard_batch, loader)
    if steps > 1:
        batches = map(_together, zip(*[batches] * steps, strict=True))
    if not isinstance(loader, OnDeviceLoader):
        yield from batches
        return
    photographs = parallel.replicate(loader.photographs)

    def cut_all(photographs: jax.Array, regions: Batch) -> Batch:
        return jax.lax.map(functools.partial(loader.cut, photographs), regions)

    cut = parallel.on_each(cut_all if steps > 1 else loader.cut)
    for regions in batches:
        yield cut(photographs, regions)


def _together(batches: tuple[Batch, ...]) -> Batch:
    return jax.tree.map(lambda *arrays: np.stack(arrays, axis=1), *batches)
