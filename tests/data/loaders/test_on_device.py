from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest

from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.samples.photo import PairCrops, PhotoCrops, PhotoLayers, ProceduralLayers
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.preloaded import PreloadedPhotos
from sirr_jax.errors import UserError
from tests.helpers.photo_files import truncate

COUNTS = {"layers": 4, "single": 2, "photos": 2}


def streams_over(photos):
    return {
        "layers": PhotoLayers(photos, crop=12, margin=2),
        "single": PhotoLayers(photos, crop=16, max_scale=3.0, min_scale=0.4),
        "photos": PhotoCrops(photos, crop=20),
    }


def run(photos, kind, steps=3, counts=COUNTS, **options):
    streams = streams_over(photos)
    with build_loader(streams, counts, loader=kind, seed=3, start_step=5, **options) as batch_loader:
        batches = list(itertools.islice(batch_loader, steps))
        if kind == "device":
            cut = jax.jit(batch_loader.cut)
            batches = [jax.device_get(cut(batch_loader.photographs, batch)) for batch in batches]
    return batches


def test_on_device_crops_match_the_host(photo_folder):
    photos = FolderPhotos(photo_folder)
    for batch, expected in zip(run(PreloadedPhotos(photos), "device"), run(photos, "threads"), strict=True):
        assert batch.keys() == expected.keys()
        for kind, samples in expected.items():
            assert batch[kind].keys() == samples.keys()
            for name, array in samples.items():
                assert batch[kind][name].dtype == array.dtype
                assert batch[kind][name].shape == array.shape
                assert np.abs(batch[kind][name].astype(int) - array.astype(int)).max() <= 2


def test_batches_contain_regions(photo_folder):
    streams = streams_over(PreloadedPhotos(FolderPhotos(photo_folder)))
    with build_loader(streams, COUNTS, loader="device", seed=0, start_step=0) as batch_loader:
        batch = next(batch_loader)
    assert {name: (x.shape, x.dtype.name) for name, x in batch["layers"].items()} == {
        "transmission": ((4, 4), "int32"),
        "reflection": ((4, 4), "int32"),
        "index": ((4,), "uint32"),
    }
    assert list(batch["photos"]) == ["transmission", "index"]


def test_regions_of_photos_of_any_size_are_within_reach(photo_folder):
    stream = PhotoLayers(PreloadedPhotos(FolderPhotos(photo_folder)), crop=16, short_side=(16, 20))
    with build_loader({"single": stream}, {"single": 8}, loader="device", seed=0, start_step=0) as batch_loader:
        sides = next(batch_loader)["single"]["transmission"][:, 3]
        assert batch_loader._sides["single"][1] >= sides.max() > 32


def test_unsupported_data_raises(photo_folder, pair_folder):
    photos = FolderPhotos(photo_folder)
    truncate(next(photo_folder.rglob("3.png")))
    with pytest.raises(UserError, match=r"3\.png: .*truncated"):
        PreloadedPhotos(photos)
    pairs = PairCrops(FolderPairs(pair_folder), crop=16)
    for kind, stream in {"pairs": pairs, "layers": ProceduralLayers()}.items():
        with pytest.raises(
            UserError,
            match=rf"config.data.loader=device supports only crops.*{kind}.*choose config.data.loader=threads",
        ):
            build_loader({kind: stream}, {kind: 2}, loader="device", seed=0, start_step=0)


def test_all_kinds_must_share_one_table(photo_folder):
    streams = {kind: streams_over(PreloadedPhotos(FolderPhotos(photo_folder)))[kind] for kind in ("layers", "single")}
    with pytest.raises(UserError, match="stores one set of photos"):
        build_loader(streams, {"layers": 2, "single": 2}, loader="device", seed=0, start_step=0)
