"""Writers of scalars and panels."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from PIL import Image

from sirr_jax.training.metric_writers import Writer


def test_scalars_are_appended_as_json_lines(tmp_path):
    for step in (1, 2):
        with contextlib.closing(Writer(tmp_path, step - 1)) as writer:
            writer.scalars(step, {"loss": np.float32(0.5)})
    lines = [json.loads(line) for line in (tmp_path / "scalars.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 0.5), (2, 0.5)]
    assert any((tmp_path / "tensorboard").iterdir())


def test_panels_are_png_files(tmp_path):
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    with contextlib.closing(Writer(tmp_path)) as writer:
        path = writer.panel(7, "validation", image)
    assert path.name == "validation-0000007.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)


def test_scalars_are_written_without_tensorboardx(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", logger="sirr_jax")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with contextlib.closing(Writer(tmp_path)) as writer:
        writer.scalars(1, {"x": 1.0})
    assert (tmp_path / "scalars.jsonl").stat().st_size
    assert not (tmp_path / "tensorboard").exists()
    assert "tensorboardX is not installed" in caplog.text


def test_later_and_damaged_lines_are_removed_with_one_warning(tmp_path, caplog):
    with contextlib.closing(Writer(tmp_path)) as writer:
        for step in (2, 4, 6, 8):
            writer.scalars(step, {"loss": 1.0})
    path = tmp_path / "scalars.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"step": 4, "lo{"step": 4}\n[4]\n' + '{"step": 4, "loss": 2')
    with contextlib.closing(Writer(tmp_path, 4)) as writer:
        writer.scalars(6, {"loss": 3.0})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(2, 1.0), (4, 1.0), (6, 3.0)]
    (record,) = caplog.records
    assert "removed 5 lines that are damaged or later than step 4" in record.getMessage()


def test_file_that_ends_where_the_run_goes_on_is_not_touched(tmp_path, caplog):
    with contextlib.closing(Writer(tmp_path)) as writer:
        writer.scalars(2, {"loss": 1.0})
    before = (tmp_path / "scalars.jsonl").stat().st_ino
    with contextlib.closing(Writer(tmp_path, 2)):
        pass
    assert (tmp_path / "scalars.jsonl").stat().st_ino == before
    assert not caplog.records


def test_tensorboard_hides_what_was_written_after_the_step(tmp_path):
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    with contextlib.closing(Writer(tmp_path)) as writer:
        writer.scalars(6, {"loss": 1.0})
    (earlier,) = (tmp_path / "tensorboard").iterdir()
    earlier.rename(earlier.with_name("earlier"))  # names hold the second of the start
    with contextlib.closing(Writer(tmp_path, 4)) as writer:
        writer.scalars(6, {"loss": 2.0})
    (later,) = (tmp_path / "tensorboard").glob("events*")
    content, events = later.read_bytes(), []
    while content:  # records of TFRecord: length, its checksum, event, its checksum
        length = int.from_bytes(content[:8], "little")
        events.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    assert [event.step for event in events if event.session_log.status == SessionLog.START] == [5]


def test_values_that_are_not_finite_are_null(tmp_path):
    with contextlib.closing(Writer(tmp_path)) as writer:
        writer.scalars(1, {"a": float("nan"), "b": np.float32("inf"), "c": 1.5})
    line = json.loads((tmp_path / "scalars.jsonl").read_text(), parse_constant=pytest.fail)
    assert (line["a"], line["b"], line["c"]) == (None, None, 1.5)
