"""Host batches and on-device crops as sharded arrays."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.samples.photo import PhotoLayers
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.preloaded import PreloadedPhotos
from sirr_jax.errors import UserError
from sirr_jax.training import parallel
from sirr_jax.training.device_batches import to_devices


@pytest.fixture
def photos(tmp_path):
    generator = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(generator.integers(0, 256, (24, 30, 3), np.uint8)).save(tmp_path / f"{name}.png")
    return FolderPhotos(tmp_path)


def pipeline_of(photos, kind, count=4):
    return build_loader({"single": PhotoLayers(photos, crop=16)}, {"single": count}, loader=kind, seed=1, start_step=0)


def test_on_device_crops_match_host_crops(photos):
    with pipeline_of(photos, "threads") as memory, pipeline_of(PreloadedPhotos(photos), "device") as device:
        for _, one, other in zip(range(3), to_devices(memory), to_devices(device), strict=False):
            assert one["single"].keys() == other["single"].keys()
            np.testing.assert_array_equal(one["single"]["index"], other["single"]["index"])
            for role in ("transmission", "reflection"):
                assert one["single"][role].shape == (2, 2, 16, 16, 3)
                assert np.abs(one["single"][role].astype(int) - np.asarray(other["single"][role], int)).max() <= 2


@pytest.mark.parametrize("kind", ["threads", "device"])
def test_grouped_batches_match_single_batches(photos, kind):
    source = PreloadedPhotos(photos) if kind == "device" else photos
    with pipeline_of(source, kind) as alone, pipeline_of(source, kind) as together:
        one_by_one = to_devices(alone)
        for group, _ in zip(to_devices(together, 3), range(2), strict=False):
            for step in range(3):
                batch = next(one_by_one)
                for name, array in batch["single"].items():
                    np.testing.assert_array_equal(array, group["single"][name][:, step])


def test_step_accepts_on_device_crops(photos):
    step = parallel.parallelize(
        lambda state, batch: (state + parallel.average(batch["single"]["transmission"].astype(np.float32).mean()), {})
    )
    state = parallel.replicate(np.float32(0))
    with pipeline_of(PreloadedPhotos(photos), "device") as pipeline:
        batch = next(to_devices(pipeline))
        assert {x.sharding.num_devices for x in jax.tree.leaves(batch)} == {jax.local_device_count()}
        state, _ = step(state, batch)
    assert float(state) == pytest.approx(np.asarray(batch["single"]["transmission"]).mean(), rel=1e-5)


def test_batch_that_is_not_divisible_by_the_devices_is_an_error(photos):
    for kind, source in (("threads", photos), ("device", PreloadedPhotos(photos))):
        with pipeline_of(source, kind, count=3) as pipeline, pytest.raises(UserError, match=r"3 samples .* 2 devices"):
            next(to_devices(pipeline))
