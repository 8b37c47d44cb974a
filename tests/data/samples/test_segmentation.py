"""Tests of streams of labelled photos: aligned crops, pairs with disjoint classes, and degradations."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.prepare.pack import pack
from sirr_jax.data.random_access import StreamKey
from sirr_jax.data.samples.segmentation import DegradedCrops, LabelledCrops, LabelledPairs
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.segmentation import FolderLabelled
from sirr_jax.data.sources.synthetic_scenes import SceneSource
from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.random_degradation import RandomDegradation
from tests.helpers.photo_files import labelled_photo, truncate, write

KEY = StreamKey(5, "labelled")
COUNT = 9


def classes_of(number):
    """Foreground classes of a picture; every third picture has one in common."""
    return {1 + number % 3, 10 + number}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Pictures with pixels (row, column, number), and labels that depend on row and column."""
    root = tmp_path / "set"
    for number in range(COUNT):
        size = (40 + number, 52 - number)
        write(root / "img" / f"{number}.png", labelled_photo(number, *size))
        rows, columns = np.mgrid[: size[0], : size[1]]
        write(root / "seg" / f"{number}.png", expected_labels(number, rows, columns))
    return root


def expected_labels(number, rows, columns):
    """Returns a pattern of background, the two classes of the picture and pixels without a class."""
    values = np.array([0, 1 + number % 3, 10 + number, 255], np.uint8)
    return values[(np.asarray(rows).astype(int) * 7 + np.asarray(columns).astype(int) * 3) // 5 % 4]


def streams(where, **options):
    source = FolderLabelled(where, **options)
    return {
        "labelled": LabelledCrops(source, crop=16),
        "labelled_pairs": LabelledPairs(source, crop=16),
        "degraded": DegradedCrops(source, RandomDegradation("mixed"), crop=16),
    }


def number_of(photo):
    return int(photo[0, 0, 2])


def test_samples_match_their_spec_and_are_reproducible(folder):
    image, labels = ((16, 16, 3), "uint8"), ((16, 16), "uint8")
    expected = {
        "labelled": {"transmission": image, "labels": labels},
        "labelled_pairs": {
            "transmission": image,
            "labels": labels,
            "reflection": image,
            "reflection_labels": labels,
        },
        "degraded": {"target": image, "mixture": image, "labels": labels, "kind": ((), "int32")},
    }
    for kind, stream in streams(folder).items():
        assert {n: (s.shape, s.dtype.name) for n, s in stream.spec.items()} == expected[kind]
        cached = stream.held(DecodeCache(10**8))
        # In another order, and with an empty cache.
        fresh = streams(folder)[kind]
        positions = (0, 3, 25, 10**12)
        samples = {position: stream.sample(position, KEY) for position in positions}
        for position in reversed(positions):
            for other in (cached, fresh, stream):
                again = other.sample(position, KEY)
                assert again.keys() == stream.spec.keys()
                for name, array in again.items():
                    assert (array.shape, array.dtype) == stream.spec[name]
                    np.testing.assert_array_equal(array, samples[position][name])


def test_labels_are_aligned_with_the_crop(folder):
    source = FolderLabelled(folder)
    stream, pairs = LabelledCrops(source, crop=16, max_scale=1.0), LabelledPairs(source, crop=16, max_scale=1.0)
    for position in range(30):
        sample = stream.sample(position, KEY) | {
            f"pair {name}": array for name, array in pairs.sample(position, KEY).items()
        }
        for photo, labels in (
            ("transmission", "labels"),
            ("pair transmission", "pair labels"),
            ("pair reflection", "pair reflection_labels"),
        ):
            rows, columns = sample[photo][..., 0], sample[photo][..., 1]
            expected = expected_labels(number_of(sample[photo]), rows, columns)
            np.testing.assert_array_equal(sample[labels], expected)


def test_downscaled_labels_are_aligned_with_the_downscaled_photo(tmp_path):
    # The white half has class 1: both edges agree within half a pixel.
    for number in range(2):
        photo = np.zeros((60, 60, 3), np.uint8)
        photo[:, 31:] = 255
        write(tmp_path / "img" / f"{number}.png", photo)
        write(tmp_path / "seg" / f"{number}.png", (photo[..., 0] > 0).astype(np.uint8))
    stream = LabelledCrops(FolderLabelled(tmp_path), crop=21, max_scale=3.0)
    for position in range(30):
        sample = stream.sample(position, KEY)
        assert set(np.unique(sample["labels"])) <= {0, 1}
        gray = sample["transmission"][..., 0].astype(float)
        assert abs(sample["labels"].mean() - gray.mean() / 255.0) <= 0.75 / 21


def test_each_epoch_contains_every_photo_once(folder):
    for name, stream in streams(folder).items():
        layer = "target" if name == "degraded" else "transmission"
        for epoch in (0, 7):
            visited = [number_of(stream.sample(COUNT * epoch + place, KEY)[layer]) for place in range(COUNT)]
            assert sorted(visited) == list(range(COUNT))


def test_partners_share_no_class_if_possible(folder):
    pairs = LabelledPairs(FolderLabelled(folder), crop=16)
    partners = set()
    for position in range(5 * COUNT):
        sample = pairs.sample(position, KEY)
        one, other = (number_of(sample[layer]) for layer in ("transmission", "reflection"))
        assert not classes_of(one) & classes_of(other)
        partners.add((one, other))
    assert len(partners) > 20


def test_partner_is_any_other_photo_if_all_share_a_class(tmp_path):
    for number in range(4):
        write(tmp_path / "img" / f"{number}.png", labelled_photo(number % 3, 20, 20))
        write(tmp_path / "seg" / f"{number}.png", np.full((20, 20), 7, np.uint8))
    pairs = LabelledPairs(FolderLabelled(tmp_path), crop=16)
    for position in range(20):
        sample = pairs.sample(position, KEY)
        # Pictures 0 and 3 are copies of each other.
        assert number_of(sample["transmission"]) != number_of(sample["reflection"])


def test_single_photo_cannot_be_both_layers(tmp_path):
    write(tmp_path / "img" / "0.png", labelled_photo(3, 20, 20))
    write(tmp_path / "seg" / "0.png", np.ones((20, 20), np.uint8))
    reflection = RandomDegradation(("window_reflection",))
    for make in (LabelledPairs, lambda source, crop: DegradedCrops(source, reflection, crop=crop)):
        with pytest.raises(UserError, match=r"0\.png is the only photograph and cannot be both layers"):
            make(FolderLabelled(tmp_path), crop=8)
    DegradedCrops(FolderLabelled(tmp_path), RandomDegradation(("gaussian_noise",)), crop=8)  # needs no other
    for kind in ("img", "seg"):
        shutil.copy(tmp_path / kind / "0.png", tmp_path / kind / "1.png")
    with pytest.raises(UserError, match="show the same and cannot be both layers"):
        LabelledPairs(FolderLabelled(tmp_path), crop=8).sample(2, KEY)


def test_kind_is_the_index_of_the_degradation(folder):
    stream = DegradedCrops(FolderLabelled(folder), RandomDegradation(("irregular_mask", "window_reflection")), crop=16)
    kinds = set()
    for position in range(40):
        sample = stream.sample(position, KEY)
        clean, degraded, kind = sample["target"].astype(float), sample["mixture"], int(sample["kind"])
        kinds.add(kind)
        if kind == 0:
            assert ((degraded == clean) | (degraded == 0)).all()
        else:
            # 0.7 B + 0.3 R, where the last channel of R is another picture's number, darkened at the border.
            added = degraded.astype(float) - 0.7 * clean
            assert (added >= -0.5 - 1e-9).all()
            assert (added <= 0.3 * 60 + 0.5).all()
            assert (added[..., :2] > 1.0).any()
    assert kinds == {0, 1}


@pytest.mark.parametrize("change", [{"crop": 0}, {"crop": 8, "max_scale": 0.5}])
def test_values_out_of_range(folder, change):
    with pytest.raises(UserError, match=r"data\.(crop=0|max_scale=0\.5)"):
        LabelledCrops(FolderLabelled(folder), **change)


COUNTS = {"labelled": 4, "labelled_pairs": 2, "degraded": 6}


def batches(streams, kind, *, steps=4, start_step=0, **options):
    with build_loader(streams, COUNTS, loader=kind, seed=1, start_step=start_step, **options) as batch_loader:
        return list(itertools.islice(batch_loader, steps))


def assert_equal(one, other):
    assert len(one) == len(other)
    for batch, other_batch in zip(one, other, strict=True):
        assert batch.keys() == other_batch.keys()
        for kind, arrays in batch.items():
            for name, array in arrays.items():
                assert array.dtype == other_batch[kind][name].dtype
                np.testing.assert_array_equal(array, other_batch[kind][name], err_msg=f"{kind} {name}")


@pytest.mark.parametrize("kind", ["tf", "threads"])
def test_loaders_resuming_and_packed_sets_give_the_same_bytes(folder, kind, tmp_path):
    whole = batches(streams(folder), "threads")
    assert_equal(batches(streams(folder), kind), whole)
    assert_equal(batches(streams(folder), kind, steps=2, start_step=2), whole[2:])
    pack(folder, tmp_path / "packed", shard_bytes=3000)
    assert_equal(batches(streams(tmp_path / "packed"), kind), whole)
    shares = batches(streams(tmp_path / "packed"), kind, process_index=1, process_count=2)
    halves = [{k: {n: a[len(a) // 2 :] for n, a in v.items()} for k, v in batch.items()} for batch in whole]
    assert_equal(shares, halves)


@pytest.mark.parametrize("kind", ["tf", "threads"])
def test_skipping_is_the_same_in_both_loaders(folder, kind, caplog):
    truncate(folder / "img" / "3.png")
    write(folder / "seg" / "5.png", np.zeros((45, 47, 3), np.uint8))
    whole = batches(streams(folder, on_corrupt="skip"), "threads")
    assert_equal(batches(streams(folder, on_corrupt="skip"), kind, steps=2, start_step=2), whole[2:])
    numbers = {n for batch in whole for n in batch["labelled"]["transmission"][:, 0, 0, 2].tolist()}
    assert not numbers & {3, 5}
    assert {record.message.partition(": ")[0] for record in caplog.records} == {
        "skipped (1 so far)",
        "skipped (2 so far)",
    }


@pytest.mark.parametrize("kind", ["tf", "threads"])
def test_scenes_are_the_same_in_both_loaders(photo_folder, kind):
    def streams():
        source = SceneSource(FolderPhotos(photo_folder), count=6, size=24, seed=0)
        return {
            "labelled": LabelledCrops(source, crop=16),
            "labelled_pairs": LabelledPairs(source, crop=16),
            "degraded": DegradedCrops(source, RandomDegradation("regular"), crop=16),
        }

    assert_equal(batches(streams(), kind, steps=2), batches(streams(), "threads", steps=2))
