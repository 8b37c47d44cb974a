"""Writers of scalars and panels."""

from __future__ import annotations

import contextlib
import json

import numpy as np
from PIL import Image

from sirr_jax.training.metric_writers import Writer


def test_scalars_are_appended_as_json_lines(tmp_path):
    for step in (1, 2):
        with contextlib.closing(Writer(tmp_path)) as writer:
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
