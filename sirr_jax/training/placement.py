"""Raw batches -> batches divided among the local devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sirr_jax.data.device_pipeline import DevicePipeline
from sirr_jax.data.pipeline import BatchPipeline
from sirr_jax.training import parallel


def placed(pipeline: BatchPipeline) -> Iterator[Any]:
    """Divide each batch; crops that the devices are to cut are cut, out of photographs that they hold from then on.

    Args:
        pipeline: of `build_pipeline`.

    Yields:
        Batches of `[local devices, samples per device, ...]`.

    Raises:
        UserError: if a batch cannot be divided.
    """
    if not isinstance(pipeline, DevicePipeline):
        yield from map(parallel.shard_batch, pipeline)
        return
    photographs = parallel.replicate(pipeline.photographs)
    cut = parallel.on_each(pipeline.cut)
    for regions in pipeline:
        yield cut(photographs, parallel.shard_batch(regions))
