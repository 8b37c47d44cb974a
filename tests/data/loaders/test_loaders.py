from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.samples.photo import PairCrops, PhotoLayers, ProceduralLayers, SequenceCrops
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.errors import UserError
from tests.helpers.photo_files import truncate

LOADERS = ("tf", "threads")
COUNTS = {"layers": 4, "single": 2, "sequences": 2, "pairs": 6}


@pytest.fixture
def streams(photo_folder, sequence_folder, pair_folder):
    photos = FolderPhotos(photo_folder)
    return {
        "layers": PhotoLayers(photos, crop=12, margin=2),
        "single": PhotoLayers(photos, crop=16),
        "sequences": SequenceCrops(FolderSequences(sequence_folder), crop=16),
        "pairs": PairCrops(FolderPairs(pair_folder), crop=16),
    }


def run(streams, counts=COUNTS, *, loader, steps=3, start_step=0, seed=1, **options):
    with build_loader(streams, counts, loader=loader, seed=seed, start_step=start_step, **options) as batch_loader:
        return list(itertools.islice(batch_loader, steps))


def assert_equal(one, other):
    assert len(one) == len(other)
    for batch, other_batch in zip(one, other, strict=True):
        assert batch.keys() == other_batch.keys()
        for kind in batch:
            assert batch[kind].keys() == other_batch[kind].keys()
            for name in batch[kind]:
                assert batch[kind][name].dtype == other_batch[kind][name].dtype
                np.testing.assert_array_equal(batch[kind][name], other_batch[kind][name], err_msg=f"{kind} {name}")


def data_threads():
    return [thread for thread in threading.enumerate() if thread.name == "sirr-data"]


@pytest.mark.parametrize("loader", LOADERS)
def test_batch_shapes_and_dtypes(streams, loader):
    (batch,) = run(streams, loader=loader, steps=1, start_step=7)
    assert {k: {name: (array.shape, array.dtype.name) for name, array in v.items()} for k, v in batch.items()} == {
        "layers": {
            "transmission": ((4, 16, 16, 3), "uint8"),
            "reflection": ((4, 16, 16, 3), "uint8"),
            "index": ((4,), "uint32"),
        },
        "single": {
            "transmission": ((2, 16, 16, 3), "uint8"),
            "reflection": ((2, 16, 16, 3), "uint8"),
            "index": ((2,), "uint32"),
        },
        "sequences": {
            "mixture": ((2, 3, 16, 16, 3), "uint8"),
            "transmission": ((2, 3, 16, 16, 3), "uint8"),
            "reflection": ((2, 3, 16, 16, 3), "uint8"),
            "has_reflection": ((2,), "bool"),
            "index": ((2,), "uint32"),
        },
        "pairs": {
            "mixture": ((6, 16, 16, 3), "uint8"),
            "transmission": ((6, 16, 16, 3), "uint8"),
            "index": ((6,), "uint32"),
        },
    }
    assert batch["pairs"]["index"].tolist() == list(range(42, 48))


def test_loaders_give_the_same_bytes_for_the_same_seed(streams):
    tf_batches = run(streams, loader="tf", steps=6)
    assert_equal(tf_batches, run(streams, loader="threads", steps=6))
    other = run(streams, loader="threads", steps=6, seed=2)
    assert (tf_batches[0]["layers"]["transmission"] != other[0]["layers"]["transmission"]).any()


@pytest.mark.parametrize("loader", LOADERS)
def test_resuming_continues_the_uninterrupted_run(streams, loader):
    whole = run(streams, loader=loader, steps=7)
    for start in (1, 5):
        assert_equal(run(streams, loader=loader, steps=7 - start, start_step=start), whole[start:])


@pytest.mark.parametrize("loader", LOADERS)
def test_process_slices_form_the_global_batch(streams, loader):
    whole = run(streams, loader=loader, steps=3, start_step=2)
    parts = [
        run(streams, loader=loader, steps=3, start_step=2, process_index=process, process_count=2)
        for process in range(2)
    ]
    joined = [
        {k: {name: np.concatenate([one[k][name], two[k][name]]) for name in one[k]} for k in one}
        for one, two in zip(*parts, strict=True)
    ]
    assert_equal(joined, whole)


@pytest.mark.parametrize("loader", LOADERS)
def test_each_epoch_contains_every_photo_once(streams, loader):
    # Seven steps of four samples are four epochs of seven photos.
    batches = run({"layers": streams["layers"]}, {"layers": 4}, loader=loader, steps=7)
    for layer in ("transmission", "reflection"):
        labels = np.concatenate([batch["layers"][layer][:, 0, 0, 2] for batch in batches]).reshape(4, 7)
        np.testing.assert_array_equal(np.sort(labels, axis=1), np.tile(np.arange(7), (4, 1)))


@pytest.mark.parametrize("loader", LOADERS)
def test_procedural_layers_have_an_index_only_and_empty_kinds_are_left_out(streams, loader):
    some = {"layers": ProceduralLayers(), "pairs": streams["pairs"]}
    batches = run(some, {"layers": 3, "pairs": 0}, loader=loader, steps=2, start_step=2**32 // 3)
    assert [list(batch) for batch in batches] == [["layers"], ["layers"]]
    assert [list(batch["layers"]) for batch in batches] == [["index"], ["index"]]
    # 2^32 = 3 * (2^32 // 3) + 1: the index wraps around.
    assert batches[0]["layers"]["index"].tolist() == [2**32 - 1, 0, 1]


@pytest.mark.parametrize("loader", LOADERS)
def test_data_errors_reach_the_consumer(streams, photo_folder, loader):
    expected = run({"layers": streams["layers"]}, {"layers": 1}, loader="threads", steps=7)
    labels = [int(batch["layers"]["transmission"][0, 0, 0, 2]) for batch in expected]
    partners = [int(batch["layers"]["reflection"][0, 0, 0, 2]) for batch in expected]
    # Damage a photo that step 2 needs and earlier steps do not.
    victim = next(v for v in (labels[2], partners[2]) if v not in labels[:2] + partners[:2])
    truncate(next(photo_folder.rglob(f"{victim}.png")))
    with build_loader(
        {"layers": streams["layers"]}, {"layers": 1}, loader=loader, seed=1, start_step=0
    ) as batch_loader:
        assert_equal([next(batch_loader), next(batch_loader)], expected[:2])
        for _ in range(2):
            with pytest.raises(UserError, match=rf"{victim}\.png: .*truncated") as caught:
                next(batch_loader)
            assert "\n" not in str(caught.value)
    assert not data_threads()


def test_batches_do_not_depend_on_the_number_of_threads(streams, monkeypatch):
    expected = run(streams, loader="threads", steps=4)
    monkeypatch.setattr("sirr_jax.data.loaders.threads.usable_cores", lambda: 16)
    assert_equal(run(streams, loader="threads", steps=4), expected)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sirr-")]


class Broken(ProceduralLayers):
    def sample(self, position, key):
        raise ZeroDivisionError(f"position {position}")


@pytest.mark.parametrize("loader", LOADERS)
def test_other_exceptions_reach_the_consumer_unchanged(loader):
    with (
        build_loader({"layers": Broken()}, {"layers": 2}, loader=loader, seed=0, start_step=3) as batch_loader,
        pytest.raises(ZeroDivisionError, match="position 6"),
    ):
        next(batch_loader)


class BrokenOnce(ProceduralLayers):
    def sample(self, position, key):
        if position == 6:
            raise ZeroDivisionError(f"position {position}")
        return {}


@pytest.mark.parametrize("loader", LOADERS)
def test_error_in_the_middle_of_a_batch(loader):
    with build_loader({"layers": BrokenOnce()}, {"layers": 4}, loader=loader, seed=0, start_step=0) as batch_loader:
        next(batch_loader)
        with pytest.raises(ZeroDivisionError, match="position 6"):
            next(batch_loader)


def test_samples_keep_their_order_in_parallel():
    class Uneven(ProceduralLayers):
        def sample(self, position, key):
            time.sleep(0.02 * (position % 2 == 0))
            return {}

    batches = run({"layers": Uneven()}, {"layers": 8}, loader="tf", steps=2)
    assert [batch["layers"]["index"].tolist() for batch in batches] == [list(range(8)), list(range(8, 16))]


def test_kinds_have_independent_random_streams(photo_folder):
    stream = PhotoLayers(FolderPhotos(photo_folder), crop=16)
    (batch,) = run({"layers": stream, "single": stream}, {"layers": 6, "single": 6}, loader="threads", steps=1)
    assert (batch["layers"]["transmission"][..., 2] != batch["single"]["transmission"][..., 2]).any()


@pytest.mark.parametrize("loader", LOADERS)
def test_skipping_is_the_same_in_both_loaders_and_after_resuming(photo_folder, loader, caplog):
    truncate(photo_folder / "3.png")

    def layers():
        return {"layers": PhotoLayers(FolderPhotos(photo_folder, on_corrupt="skip"), crop=16)}

    whole = run(layers(), {"layers": 2}, loader="threads", steps=8)
    assert_equal(run(layers(), {"layers": 2}, loader=loader, steps=4, start_step=4), whole[4:])
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


@pytest.mark.parametrize("loader", LOADERS)
def test_closing(streams, loader):
    threads = threading.active_count()
    batch_loader = build_loader(streams, COUNTS, loader=loader, seed=0, start_step=0, prefetch=1)
    next(batch_loader)
    started = time.monotonic()
    batch_loader.close()
    batch_loader.close()
    assert time.monotonic() - started < 2
    assert next(batch_loader, None) is None
    assert threading.active_count() == threads


def test_abandoned_loader_ends_its_thread(streams):
    batch_loader = build_loader(streams, COUNTS, loader="threads", seed=0, start_step=0, prefetch=1)
    next(batch_loader)
    assert data_threads()
    del batch_loader
    gc.collect()
    assert not data_threads()


def test_closing_ends_a_waiting_consumer():
    entered, release = threading.Event(), threading.Event()

    class Slow(ProceduralLayers):
        def sample(self, position, key):
            entered.set()
            release.wait(10)
            return {}

    batch_loader = build_loader({"layers": Slow()}, {"layers": 1}, loader="threads", seed=0, start_step=0)
    results = []
    consumer = threading.Thread(target=lambda: results.append(next(batch_loader, "ended")))
    consumer.start()
    assert entered.wait(10)
    threading.Timer(0.2, release.set).start()
    batch_loader.close()
    consumer.join(10)
    assert results == ["ended"]


def test_thread_loader_decodes_each_photo_once_for_all_kinds(photo_folder, monkeypatch):
    read_indices = []
    photos = FolderPhotos(photo_folder)
    read = FolderPhotos.read

    def counting(self, index):
        read_indices.append(index)
        return read(self, index)

    monkeypatch.setattr(FolderPhotos, "read", counting)
    streams = {"layers": PhotoLayers(photos, crop=12), "single": PhotoLayers(photos, crop=16)}
    run(streams, {"layers": 7, "single": 7}, loader="threads", steps=3)
    assert sorted(read_indices) == list(range(7))


def test_memory_limit_is_respected_and_logged_once(streams, caplog):
    full = run(streams, loader="threads", steps=4)
    caplog.clear()
    assert_equal(run(streams, loader="threads", steps=4, memory_limit=20_000), full)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "data.loader=threads" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loader": "grain"}, r"data\.loader='grain': expected one of tf, threads, device"),
        (
            {"counts": {"layers": 3}, "process_count": 2},
            r"3 samples of kind 'layers'.*2 processes.*multiple of 2",
        ),
        ({"counts": {"layers": -2}}, "-2 samples of kind 'layers'"),
        ({"counts": {"layers": 0}}, "without a single sample"),
        ({"counts": {"pairs": 2}}, r"\['pairs'\].*\['layers'\]"),
        ({"process_index": 1}, "process 1 of 1"),
        ({"start_step": -1}, "start_step=-1"),
        ({"prefetch": 0}, r"data\.prefetch=0"),
    ],
)
def test_arguments_out_of_range(change, message):
    arguments = {"counts": {"layers": 2}, "loader": "threads", "seed": 0, "start_step": 0} | change
    with pytest.raises(UserError, match=message):
        build_loader({"layers": ProceduralLayers()}, **arguments)


def test_without_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match=r"pip install 'sirr_jax\[train\]', or set config\.data\.loader=threads"):
        build_loader({"layers": ProceduralLayers()}, {"layers": 1}, loader="tf", seed=0, start_step=0)


def test_only_tf_loader_imports_tensorflow_and_an_open_loader_does_not_block_exit():
    program = """
import sys
from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.samples.photo import PhotoLayers
from sirr_jax.data.sources.photos import EmbeddedPhotos
streams = {"single": PhotoLayers(EmbeddedPhotos("validation"), crop=32)}
memory = build_loader(streams, {"single": 2}, loader="threads", seed=0, start_step=0)
next(memory)
assert not {"tensorflow", "skimage.io"} & set(sys.modules), "a heavy import"
tf = build_loader(streams, {"single": 2}, loader="tf", seed=0, start_step=0, prefetch=8)
assert (next(tf)["single"]["index"] == [0, 1]).all()
import tensorflow
assert tensorflow.config.get_visible_devices("GPU") == []
print("done")
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    assert not any(word in result.stderr for word in ("TensorFlow", "oneDNN", "absl")), result.stderr
