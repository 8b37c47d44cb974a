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
    with build_loader(streams, counts, loader=kind, seed=3, start_step=5, **options) as pipeline:
        batches = list(itertools.islice(pipeline, steps))
        if kind == "device":
            cut = jax.jit(pipeline.cut)
            batches = [jax.device_get(cut(pipeline.photographs, batch)) for batch in batches]
    return batches


def test_devices_cut_what_the_host_would_have(photo_folder):
    photos = FolderPhotos(photo_folder)
    for made, expected in zip(run(PreloadedPhotos(photos), "device"), run(photos, "threads"), strict=True):
        assert made.keys() == expected.keys()
        for kind, samples in expected.items():
            assert made[kind].keys() == samples.keys()
            for name, array in samples.items():
                assert made[kind][name].dtype == array.dtype
                assert made[kind][name].shape == array.shape
                assert np.abs(made[kind][name].astype(int) - array.astype(int)).max() <= 2


def test_a_batch_travels_as_a_few_numbers(photo_folder):
    streams = streams_over(PreloadedPhotos(FolderPhotos(photo_folder)))
    with build_loader(streams, COUNTS, loader="device", seed=0, start_step=0) as pipeline:
        batch = next(pipeline)
    assert {name: (x.shape, x.dtype.name) for name, x in batch["layers"].items()} == {
        "transmission": ((4, 4), "int32"),
        "reflection": ((4, 4), "int32"),
        "index": ((4,), "uint32"),
    }
    assert list(batch["photos"]) == ["transmission", "index"]


def test_photographs_are_decoded_once_into_one_table(photo_folder):
    photos = FolderPhotos(photo_folder)
    resident = PreloadedPhotos(photos)
    assert len(resident) == 7
    assert resident.table.shape == (7, 46, 52, 3)
    assert not resident.table.flags.writeable
    for path in photo_folder.rglob("*.png"):
        path.unlink()
    for index in range(7):
        photo = resident.read(index)
        label = int(photo[0, 0, 2])
        assert photo.shape == (40 + label, 52 - label, 3)
        assert not resident.table[index, photo.shape[0] :].any()
        assert not resident.table[index, :, photo.shape[1] :].any()
        assert resident.name(index) == photos.name(index)


def test_what_cannot_be_held_is_told(photo_folder, pair_folder):
    photos = FolderPhotos(photo_folder)
    with pytest.raises(UserError, match=r"data.loader=device: the decoded photographs take more than .* GiB; give"):
        PreloadedPhotos(photos, limit_bytes=7 * 40 * 40 * 3)
    truncate(next(photo_folder.rglob("3.png")))
    with pytest.raises(UserError, match=r"3\.png: .*truncated"):
        PreloadedPhotos(photos)
    pairs = PairCrops(FolderPairs(pair_folder), crop=16)
    for kind, stream in {"pairs": pairs, "layers": ProceduralLayers()}.items():
        with pytest.raises(UserError, match=rf"data.loader=device cuts crops.*{kind}.*choose data.loader=threads"):
            build_loader({kind: stream}, {kind: 2}, loader="device", seed=0, start_step=0)


def test_all_kinds_are_cut_from_the_same_table(photo_folder):
    streams = {kind: streams_over(PreloadedPhotos(FolderPhotos(photo_folder)))[kind] for kind in ("layers", "single")}
    with pytest.raises(UserError, match="holds one set of photographs"):
        build_loader(streams, {"layers": 2, "single": 2}, loader="device", seed=0, start_step=0)
