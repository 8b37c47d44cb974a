"""Records of ArrayRecord files: errors of the machine are no damage."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from sirr_jax.data.images import passing_errors
from sirr_jax.data.images.decode import UnreadableImageError
from sirr_jax.data.images.passing_errors import WAITS, passing_error_named
from sirr_jax.data.storage.tfds import records
from sirr_jax.data.storage.tfds.records import Shard


@pytest.fixture
def failing(monkeypatch):
    """A shard of two records whose reader raises the given errors, one after the other, before it works."""

    def shard(*errors):
        waiting = list(errors)

        class Reader:
            def __init__(self, path, options, **more):
                pass

            def num_records(self):
                return 2

            def read(self, indices):
                if waiting:
                    raise RuntimeError(waiting.pop(0))
                return [b"record"]

        monkeypatch.setattr(records, "load_array_record", lambda: SimpleNamespace(ArrayRecordReader=Reader))
        monkeypatch.setattr(records, "bytes_feature", lambda record, name: record)
        monkeypatch.setattr(passing_errors.time, "sleep", lambda seconds: None)
        return Shard("train.array_record", 2)

    return shard


@pytest.mark.parametrize("text", [os.strerror(number) for number in (5, 12, 23, 24, 116)])
def test_a_passing_error_is_tried_again_and_then_raised(failing, text):
    message = f"UNKNOWN: train.array_record; {text}"
    assert failing(*[message] * len(WAITS)).file(0, "image") == b"record"
    with pytest.raises(OSError, match=f"{text} after {len(WAITS) + 1} tries"):
        failing(*[message] * (len(WAITS) + 1)).file(1, "image")


def test_damage_is_an_unreadable_image(failing):
    with pytest.raises(UnreadableImageError, match=r"record 0 cannot be read \(DATA_LOSS: corrupt chunk\)"):
        failing("DATA_LOSS: corrupt chunk").file(0, "image")


def test_messages_without_a_passing_error():
    assert passing_error_named("NOT_FOUND: No such file or directory") is None
    assert passing_error_named("DATA_LOSS: invalid hash") is None
