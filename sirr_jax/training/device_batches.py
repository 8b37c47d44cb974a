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


def to_devices(pipeline: BatchLoader, steps: int = 1) -> Iterator[Any]:
    """Divide each batch; crops that the devices are to cut are cut, out of photographs that they hold from then on.

    Args:
        pipeline: of `build_loader`.
        steps: batches that travel together, for as many steps in a row.

    Yields:
        Batches of `[local devices, samples per device, ...]`; several together, `[local devices, steps, samples per
        device, ...]`.

    Raises:
        UserError: if a batch cannot be divided.
    """
    batches = map(parallel.shard_batch, pipeline)
    if steps > 1:
        batches = map(_together, zip(*[batches] * steps, strict=True))
    if not isinstance(pipeline, OnDeviceLoader):
        yield from batches
        return
    photographs = parallel.replicate(pipeline.photographs)

    def cut_all(photographs: jax.Array, regions: Batch) -> Batch:
        return jax.lax.map(functools.partial(pipeline.cut, photographs), regions)

    cut = parallel.on_each(cut_all if steps > 1 else pipeline.cut)
    for regions in batches:
        yield cut(photographs, regions)


def _together(batches: tuple[Batch, ...]) -> Batch:
    return jax.tree.map(lambda *arrays: np.stack(arrays, axis=1), *batches)
