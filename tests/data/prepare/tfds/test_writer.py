from __future__ import annotations

from pathlib import Path

import pytest

from sirr_jax.data.prepare.pack import pack
from sirr_jax.data.prepare.tfds.writer import name_and_version
from sirr_jax.data.sources.sequences import FolderSequences
from tests.helpers import set_files as sets

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("sets/rain", ("rain", "1.0.0")),
        ("sets/rain/2.10.0", ("rain", "2.10.0")),
        ("My Photos (2024)", ("my_photos_2024", "1.0.0")),
        ("2024", ("set_2024", "1.0.0")),
        ("写真", ("set", "1.0.0")),
    ],
)
def test_names_are_valid_in_tfds(folder, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name_and_version(Path(folder)) == expected
    assert name_and_version(tmp_path / folder) == expected


def test_tfds_finds_a_packed_set_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    root = sets.sequences(tmp_path / "s")
    packed = pack(root, "tfds:bursts", shard_bytes=2000)
    assert packed.folder == tmp_path / "sets" / "bursts" / "1.0.0"
    assert packed.shards > 1
    built = tfds.builder("bursts", data_dir=tmp_path / "sets")
    assert built.info.full_name == "bursts/1.0.0"
    assert built.info.splits["train"].num_examples == 7
    examples = list(built.as_data_source("train"))
    assert [example["name"].decode() for example in examples[:2]] == ["s0/8", "s0/9"]
    assert examples[0]["mixture"].shape == (10, 12, 3)
    # The second sequence has no reflection, so that the layer is encoded.
    for example, name in ((examples[0], "s0/reflection/8.png"), (examples[-1], "")):
        assert example["files"]["reflection"].decode() == name
        assert example["reflection"] == ((root / name).read_bytes() if name else b"")
    assert [FolderSequences("tfds:bursts").read(i, 0).reflection is None for i in range(2)] == [False, True]
