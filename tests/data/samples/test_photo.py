from __future__ import annotations

import shutil

import numpy as np
import pytest

from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.random_access import StreamKey
from sirr_jax.data.samples.photo import PairCrops, PhotoCrops, PhotoLayers, ProceduralLayers, SequenceCrops
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import EmbeddedPhotos, FolderPhotos
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo, truncate, write

KEY = StreamKey(5, "layers")


def streams(photo_folder, sequence_folder, pair_folder):
    return {
        "layers": PhotoLayers(FolderPhotos(photo_folder), crop=12, margin=4),
        "single": PhotoLayers(FolderPhotos(photo_folder), crop=16),
        "photos": PhotoCrops(FolderPhotos(photo_folder), crop=16),
        "sequences": SequenceCrops(FolderSequences(sequence_folder), crop=16),
        "pairs": PairCrops(FolderPairs(pair_folder), crop=16),
        "procedural": ProceduralLayers(),
    }


@pytest.fixture
def every_stream(photo_folder, sequence_folder, pair_folder):
    return streams(photo_folder, sequence_folder, pair_folder)


def label(image):
    return int(image[..., 2].flat[0])


def test_samples_match_their_spec_and_are_reproducible(every_stream, tmp_path):
    held = {kind: stream.held(DecodeCache(10**8)) for kind, stream in every_stream.items()}
    for kind, stream in every_stream.items():
        key = StreamKey(-1, kind)
        for position in (0, 3, 10**12):
            sample = stream.sample(position, key)
            assert sample.keys() == stream.spec.keys()
            for name, array in sample.items():
                assert (array.shape, array.dtype) == stream.spec[name]
                np.testing.assert_array_equal(stream.sample(position, key)[name], array)
                np.testing.assert_array_equal(held[kind].sample(position, key)[name], array)


def test_a_sample_decodes_each_photograph_once(photo_folder):
    photos = FolderPhotos(photo_folder)
    read, taken = photos.read, []
    photos.read = lambda index: taken.append(index) or read(index)
    for stream, pictures in ((PhotoLayers(photos, crop=16), 2), (PhotoCrops(photos, crop=16), 1)):
        taken.clear()
        stream.sample(3, KEY)
        assert len(taken) == len(set(taken)) == pictures


def test_specs_are_the_contract(every_stream):
    shapes = {kind: {name: spec.shape for name, spec in stream.spec.items()} for kind, stream in every_stream.items()}
    assert shapes == {
        "layers": {"transmission": (20, 20, 3), "reflection": (20, 20, 3)},
        "single": {"transmission": (16, 16, 3), "reflection": (16, 16, 3)},
        "photos": {"transmission": (16, 16, 3)},
        "sequences": {
            "mixture": (3, 16, 16, 3),
            "transmission": (3, 16, 16, 3),
            "reflection": (3, 16, 16, 3),
            "has_reflection": (),
        },
        "pairs": {"mixture": (16, 16, 3), "transmission": (16, 16, 3)},
        "procedural": {},
    }


def test_each_photo_once_per_epoch_as_each_layer(photo_folder):
    stream = PhotoLayers(FolderPhotos(photo_folder), crop=16)
    for epoch in (0, 1, 30):
        samples = [stream.sample(position, KEY) for position in range(7 * epoch, 7 * epoch + 7)]
        for layer in ("transmission", "reflection"):
            assert sorted(label(sample[layer]) for sample in samples) == list(range(7))
        assert all(label(sample["transmission"]) != label(sample["reflection"]) for sample in samples)


def test_crops_are_the_photos_own_pixels_at_scale_one(photo_folder):
    photos = FolderPhotos(photo_folder)
    by_label = {label(photos.read(index)): photos.read(index) for index in range(len(photos))}
    stream = PhotoLayers(photos, crop=16, max_scale=1.0)
    corners = set()
    for position in range(70):
        for crop in stream.sample(position, KEY).values():
            top, left, which = (int(value) for value in crop[0, 0])
            np.testing.assert_array_equal(crop, by_label[which][top : top + 16, left : left + 16])
            corners.add((top, left))
    assert len(corners) > 100


def test_sequence_and_pair_layers_share_one_crop(sequence_folder, pair_folder):
    sequences = SequenceCrops(FolderSequences(sequence_folder), crop=16)
    pairs = PairCrops(FolderPairs(pair_folder), crop=16)
    middles = set()
    for position in range(60):
        sample = sequences.sample(position, KEY)
        labels = sample["mixture"][:, 0, 0, 2].astype(int)
        assert (np.diff(labels) == 1).all()
        middles.add(labels[1])
        np.testing.assert_array_equal(sample["transmission"][:, 0, 0, 2], labels + 100)
        assert sample["has_reflection"] == (labels[0] // 10 != 2)
        layers = ["mixture", "transmission"]
        if sample["has_reflection"]:
            np.testing.assert_array_equal(sample["reflection"][:, 0, 0, 2], labels + 200)
            layers.append("reflection")
        else:
            assert not sample["reflection"].any()
        for layer in layers:
            np.testing.assert_array_equal(
                sample[layer][..., :2], np.broadcast_to(sample["mixture"][:1, ..., :2], (3, 16, 16, 2))
            )
        pair = pairs.sample(position, KEY)
        assert label(pair["transmission"]) == label(pair["mixture"]) + 100
        np.testing.assert_array_equal(pair["transmission"][..., :2], pair["mixture"][..., :2])
    assert middles == {11, 21, 22, 31, 32, 33, 34}


def test_each_epoch_contains_every_sequence_pair_and_photo_once(sequence_folder, pair_folder, photo_folder):
    photos = PhotoCrops(FolderPhotos(photo_folder), crop=16)
    sequences = SequenceCrops(FolderSequences(sequence_folder), crop=16)
    pairs = PairCrops(FolderPairs(pair_folder), crop=16)
    for epoch in range(3):
        visited = [label(sequences.sample(3 * epoch + place, KEY)["mixture"]) // 10 for place in range(3)]
        assert sorted(visited) == [1, 2, 3]
        visited = [label(pairs.sample(5 * epoch + place, KEY)["mixture"]) for place in range(5)]
        assert sorted(visited) == list(range(5))
        visited = [label(photos.sample(7 * epoch + place, KEY)["transmission"]) for place in range(7)]
        assert sorted(visited) == list(range(7))


def test_small_photos_are_upscaled_and_smaller_ones_rejected(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.png", labelled_photo(number, 18, 30))
    sample = PhotoLayers(FolderPhotos(tmp_path), crop=18, margin=3).sample(0, KEY)
    rows = sample["transmission"][..., 0]
    # The whole short side, 0 to 17, is resized to 24 pixels.
    assert (rows.min(), rows.max()) == (0, 17)
    with pytest.raises(UserError, match=r"\d\.png is 30x18 .*19x19"):
        PhotoLayers(FolderPhotos(tmp_path), crop=19).sample(0, KEY)


def test_single_photo_cannot_be_both_layers(tmp_path):
    write(tmp_path / "0.png", labelled_photo(9, 30, 30))
    photos = FolderPhotos(tmp_path)
    with pytest.raises(UserError, match=r"0\.png is the only photograph and cannot be both layers"):
        PhotoLayers(photos, crop=8)
    shutil.copy(tmp_path / "0.png", tmp_path / "1.png")
    with pytest.raises(UserError, match=r"all 2 photographs show the same as .*png, .*add a different one"):
        PhotoLayers(FolderPhotos(tmp_path), crop=8).sample(4, KEY)


def test_two_photos_are_mixed_with_each_other(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.png", labelled_photo(number, 30, 30))
    stream = PhotoLayers(FolderPhotos(tmp_path), crop=8)
    for position in range(9):
        sample = stream.sample(position, KEY)
        assert {label(sample["transmission"]), label(sample["reflection"])} == {0, 1}


def test_layers_differ_with_copied_or_damaged_files(tmp_path, caplog):
    for number in range(4):
        write(tmp_path / f"{number}.png", labelled_photo(number, 40, 40))
    shutil.copy(tmp_path / "1.png", tmp_path / "1 copy.png")
    truncate(tmp_path / "3.png")
    stream = PhotoLayers(FolderPhotos(tmp_path, on_corrupt="skip"), crop=8)
    for position in range(100):
        sample = stream.sample(position, KEY)
        assert label(sample["transmission"]) != label(sample["reflection"])
    assert len(caplog.records) == 1


def test_validation_layers_come_from_different_halves():
    halves = EmbeddedPhotos("validation")
    windows = [np.lib.stride_tricks.sliding_window_view(halves.read(index)[..., 0], (8, 8)) for index in range(2)]
    stream = PhotoLayers(halves, crop=64, max_scale=1.0)
    matches = set()
    for position in range(4):
        matching_halves = {
            name: [bool((window == crop[:8, :8, 0]).all((-1, -2)).any()) for window in windows]
            for name, crop in stream.sample(position, KEY).items()
        }
        assert sum(matching_halves["transmission"]) == sum(matching_halves["reflection"]) == 1
        assert matching_halves["transmission"] != matching_halves["reflection"]
        matches.add(tuple(matching_halves["transmission"]))
    assert len(matches) == 2


def test_samples_differ_between_positions_seeds_and_kinds(photo_folder):
    stream = PhotoLayers(FolderPhotos(photo_folder), crop=16)
    keys = [(0, KEY), (1, KEY), (0, StreamKey(6, "layers")), (0, StreamKey(5, "single"))]
    samples = {stream.sample(position, key)["transmission"].tobytes() for position, key in keys}
    assert len(samples) == len(keys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 0}, r"data\.crop=0"),
        ({"crop": 8, "max_scale": 0.5}, r"data\.max_scale=0\.5"),
        ({"crop": 8, "min_scale": 1.5}, r"data\.min_scale=1\.5"),
        ({"crop": 8, "min_scale": 0.0}, r"data\.min_scale=0\.0"),
        ({"crop": 8, "margin": -1}, "margin=-1"),
    ],
)
def test_values_out_of_range(photo_folder, options, message):
    with pytest.raises(UserError, match=message):
        PhotoLayers(FolderPhotos(photo_folder), **options)
