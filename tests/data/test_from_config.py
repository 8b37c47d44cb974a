from __future__ import annotations

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from sirr_jax.data.from_config import (
    KINDS,
    multiview_options,
    random_degradation,
    training_streams,
    validation_stream,
)
from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.prepare.pack import pack
from sirr_jax.data.random_access import StreamKey
from sirr_jax.errors import UserError
from tests.helpers.photo_files import write


@pytest.fixture
def data(dynamics_config, tmp_path):
    """A config whose kinds of samples all exist on disk."""
    rng = np.random.default_rng(0)

    def image(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 44, 3), np.uint8)).save(path)

    for i in range(3):
        image(tmp_path / "photos" / f"{i}.png")
        for layer in ("blended", "transmission"):
            image(tmp_path / "sequences" / "a" / layer / f"{i}.png")
        for layer in ("blended", "transmission_layer"):
            image(tmp_path / "pairs" / layer / f"{i}.png")
        image(tmp_path / "labelled" / "img" / f"{i}.png")
        write(tmp_path / "labelled" / "seg" / f"{i}.png", rng.integers(0, 7, (40, 44), np.uint8))
    data = dynamics_config("tiny").data
    data.crop = 32
    # What recipes with labels add to a config.
    data.labelled = str(tmp_path / "labelled")
    data.classes = 7
    data.scenes = ConfigDict({"count": 5, "size": 40, "seed": 0})
    data.degradations = ConfigDict({"kinds": ("jpeg", "window_reflection"), "levels": (1, 2), "resave_jpeg": False})
    data.unaligned = str(tmp_path / "pairs")  # the recipe `supervised` adds it
    data.photos, data.sequences, data.pairs = (str(tmp_path / n) for n in ("photos", "sequences", "pairs"))
    return data


def test_every_kind_comes_from_its_folder(data):
    streams = training_streams(data, KINDS)
    counts = dict.fromkeys(KINDS, 2)
    with build_loader(streams, counts, loader="threads", seed=0, start_step=0) as pipeline:
        batch = next(pipeline)
    canvas = 32 + 2 * multiview_options(data).border
    assert batch["layers"]["transmission"].shape == (2, canvas, canvas, 3)
    assert batch["single"]["reflection"].shape == (2, 32, 32, 3)
    assert batch["sequences"]["mixture"].shape == (2, 3, 32, 32, 3)
    assert not batch["sequences"]["has_reflection"].any()
    assert batch["pairs"]["transmission"].shape == (2, 32, 32, 3)
    assert batch["photos"].keys() == {"transmission", "index"}
    assert batch["labelled"]["labels"].shape == batch["labelled_pairs"]["reflection_labels"].shape == (2, 32, 32)
    assert batch["degraded"]["mixture"].shape == (2, 32, 32, 3)
    assert batch["degraded"]["kind"].dtype == np.int32


@pytest.mark.parametrize("loader", ["threads", "tf"])
def test_every_key_takes_a_tfds_set(data, tmp_path, loader):
    if loader == "tf":
        pytest.importorskip("tensorflow")
    kinds = ("layers", "photos", "sequences", "pairs", "labelled")
    keys = ("photos", "sequences", "pairs", "labelled", "validation")

    def batches(steps=3, **options):
        counts = dict.fromkeys(kinds, 2)
        streams = training_streams(data, kinds)
        with build_loader(streams, counts, loader=loader, seed=0, **{"start_step": 0, **options}) as pipeline:
            return [next(pipeline) for _ in range(steps)]

    def validation():
        stream = validation_stream(data, "pairs")
        return stream.sample(0, StreamKey(0, "pairs"))

    data.validation = data.pairs
    expected, expected_validation = batches(), validation()
    data.tfds_data_dir = str(tmp_path / "sets")
    for key in keys:
        pack(data[key], tmp_path / "sets" / key / "1.0.0", shard_bytes=3000)
        data[key] = f"tfds:{key}"
    for batch, other in zip(batches(), expected, strict=True):
        assert_equal(batch, other)
    assert_equal({"pairs": validation()}, {"pairs": expected_validation})
    # Resumed, and the second of two processes.
    assert_equal(batches(1, start_step=2)[0], expected[2])
    halves = {kind: {name: array[1:] for name, array in arrays.items()} for kind, arrays in expected[0].items()}
    assert_equal(batches(1, process_index=1, process_count=2)[0], halves)
    data.pairs = "tfds:peers"
    with pytest.raises(UserError, match=r"tfds:peers: no such set is prepared in .*; prepared there: labelled, pairs"):
        training_streams(data, ["pairs"])


def assert_equal(batch, expected):
    assert batch.keys() == expected.keys()
    for kind, arrays in expected.items():
        assert batch[kind].keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(batch[kind][name], array, err_msg=f"{kind} {name}")


@pytest.mark.parametrize("kind", ["single", "photos"])
def test_the_smallest_scale_comes_from_the_config(data, kind):
    def sides():
        stream = training_streams(data, [kind])[kind]
        return [stream.regions(i, StreamKey(0, kind))["transmission"].region.side for i in range(50)]

    assert min(sides()) == 32
    data.min_scale = 0.5
    assert 16 <= min(sides()) < 20


def test_only_what_is_asked_for_is_opened(data):
    data.sequences = data.pairs = "/no/such/folder"
    assert training_streams(data, ["layers"]).keys() == {"layers"}
    with pytest.raises(UserError, match="/no/such/folder"):
        training_streams(data, ["sequences"])
    data.pairs = ""
    with pytest.raises(UserError, match=r"config\.data\.pairs is empty; .* config\.data\.pairs_share=0"):
        training_streams(data, ["pairs"])


LABELLED = ("labelled", "labelled_pairs", "degraded")


def labels_of(stream, kind, key="labels"):
    with build_loader({kind: stream}, {kind: 4}, loader="threads", seed=0, start_step=0) as pipeline:
        return next(pipeline)[kind][key]


def test_configs_without_labels_need_none_of_their_fields(dynamics_config):
    data = dynamics_config("tiny").data
    assert "labelled" not in data
    assert training_streams(data, ["layers", "photos"]).keys() == {"layers", "photos"}
    assert validation_stream(data, "single").spec.keys() == {"transmission", "reflection"}


@pytest.mark.parametrize("kind", LABELLED)
def test_scenes_are_made_of_the_layers_photographs(data, kind):
    data.labelled = "scenes"
    (stream,) = training_streams(data, [kind]).values()
    labels = labels_of(stream, kind)
    assert 0 < labels.max() < 7
    # To validate on: of the user's photographs, or of the held-out one; not the outlines trained on.
    for validation in (data.photos, ""):
        data.validation = validation
        held_out = labels_of(validation_stream(data, kind), kind)
        assert 0 < held_out.max() < 7
        assert (held_out != labels).any()
    data.photos = "procedural"
    with pytest.raises(UserError, match=r"config\.data\.photos is 'procedural'"):
        training_streams(data, [kind])


def test_scenes_of_embedded_photographs(data):
    data.labelled, data.photos = "scenes", "embedded"
    (stream,) = training_streams(data, ["labelled"]).values()
    assert stream.sample(0, StreamKey(0, "labelled"))["transmission"].std() > 1.0


@pytest.mark.parametrize("kind", LABELLED)
def test_a_labelled_set_is_validated_on_another(data, kind):
    data.validation = data.labelled
    assert labels_of(validation_stream(data, kind), kind).max() < 7
    data.validation = ""
    with pytest.raises(
        UserError, match=r"config\.data\.validation is empty; .* config\.eval_every=0 and config\.log_images_every=0"
    ):
        validation_stream(data, kind)


def test_classes_must_be_those_of_the_data(data):
    data.classes = 3
    (stream,) = training_streams(data, ["labelled"]).values()
    with pytest.raises(UserError, match="expected 0 to 2"):
        labels_of(stream, "labelled")
    data.labelled = "scenes"
    with pytest.raises(UserError, match=r"config\.data\.classes=3, and procedural scenes have 7"):
        training_streams(data, ["labelled"])
    data.classes = 0
    data.scenes.size = 31
    with pytest.raises(UserError, match=r"config\.data\.scenes\.size=31 is below config\.data\.crop=32"):
        training_streams(data, ["labelled"])


def test_degradations_come_from_the_config(data):
    assert random_degradation(data).kinds == ("jpeg", "window_reflection")
    kinds = labels_of(training_streams(data, ["degraded"])["degraded"], "degraded", "kind")
    assert set(kinds.tolist()) <= {0, 1}
    data.degradations.levels = (1, 5)
    with pytest.raises(UserError, match="level 5 of jpeg"):
        training_streams(data, ["degraded"])


def test_no_labelled_set(data):
    data.labelled = ""
    with pytest.raises(UserError, match=r"config\.data\.labelled is empty; .* config\.data\.labelled=scenes"):
        training_streams(data, ["labelled"])


def test_procedural_layers_carry_no_images(data):
    data.photos = "procedural"
    streams = training_streams(data, ["layers", "single"])
    with build_loader(streams, {"layers": 2, "single": 2}, loader="threads", seed=0, start_step=3) as pipeline:
        batch = next(pipeline)
    assert batch.keys() == {"layers", "single"}
    assert batch["layers"].keys() == {"index"}
    np.testing.assert_array_equal(batch["layers"]["index"], [6, 7])


def test_validation_photographs_of_the_user(data):
    data.validation = data.photos
    streams = {"layers": validation_stream(data, "layers")}
    with build_loader(streams, {"layers": 1}, loader="threads", seed=0, start_step=0) as pipeline:
        assert next(pipeline)["layers"]["transmission"].shape == (1, 48, 48, 3)
    data.validation = "/no/such/folder"
    with pytest.raises(UserError, match="/no/such/folder"):
        validation_stream(data, "layers")


def test_pairs_to_validate_on(data):
    data.validation = data.pairs
    assert validation_stream(data, "pairs").spec["mixture"].shape == (32, 32, 3)
    data.validation = ""
    with pytest.raises(
        UserError, match=r"config\.data\.validation is empty; .* config\.eval_every=0 and config\.log_images_every=0"
    ):
        validation_stream(data, "pairs")


def test_photographs_to_degrade_cannot_be_procedural(data):
    data.photos = "procedural"
    with pytest.raises(UserError, match=r"config\.data\.photos is 'procedural'"):
        training_streams(data, ["photos"])


def test_options_of_the_generator_come_from_the_config(data):
    data.margin = 5
    data.synthesis.jpeg_probability = 0.7
    options = multiview_options(data)
    assert options.canvas == (42, 42)
    assert options.jpeg_probability == 0.7
    data.synthesis.jpeg_probability = 1.7
    with pytest.raises(UserError, match=r"jpeg_probability is 1\.7"):
        multiview_options(data)
