from __future__ import annotations

from pathlib import Path

import pytest

from sirr_jax.data.storage.tfds.place import INFO, new_folder, prepared_folder, resolve
from sirr_jax.errors import UserError


def prepare(*folders):
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / INFO).write_text("{}")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    prepare(*(tmp_path / "plain" / version for version in ("1.0.0", "2.0.0", "10.0.0")))
    prepare(*(tmp_path / "several" / config / "1.0.0" for config in ("large", "small")))
    prepare(tmp_path / "single" / "only" / "1.0.0")
    (tmp_path / "plain" / "incomplete.XX_11.0.0").mkdir()
    (tmp_path / "plain" / "12.0.0").mkdir()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "folder"),
    [
        ("tfds:plain", "plain/10.0.0"),
        ("tfds:plain#train", "plain/10.0.0#train"),
        ("tfds:plain:2.0.0#test", "plain/2.0.0#test"),
        ("tfds:several/small", "several/small/1.0.0"),
        ("tfds:several/large:1.0.0", "several/large/1.0.0"),
        ("tfds:single", "single/only/1.0.0"),
    ],
)
def test_names_become_folders(home, reference, folder):
    assert resolve(reference) == f"{home}/{folder}"
    assert resolve(Path(reference)) == f"{home}/{folder}"


def test_default_config(home):
    (home / "several" / ".config").mkdir()
    (home / "several" / ".config" / "metadata.json").write_text('{"default_config_name": "small"}')
    assert resolve("tfds:several") == f"{home}/several/small/1.0.0"
    assert prepared_folder(home / "several") == home / "several" / "small" / "1.0.0"


def test_data_dir_and_paths(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "elsewhere"))
    assert resolve("tfds:plain:1.0.0", home) == f"{home}/plain/1.0.0"
    assert resolve("plain#train") == "plain#train"
    assert resolve(home) == home
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert new_folder("tfds:mine") == tmp_path / "me" / "tensorflow_datasets" / "mine" / "1.0.0"


def test_folders_of_sets(home):
    assert prepared_folder(home / "plain") == home / "plain" / "10.0.0"
    assert prepared_folder(home / "plain" / "1.0.0") == home / "plain" / "1.0.0"
    assert prepared_folder(home) is None
    assert prepared_folder(home / "missing") is None


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("tfds:", r"tfds:: expected tfds:NAME"),
        ("tfds:plain:latest", "expected tfds:NAME, tfds:NAME/CONFIG or tfds:NAME/CONFIG:1.0.0"),
        ("tfds:../x", "expected tfds:NAME"),
        ("tfds:plain:3.0.0", "has the versions 1.0.0, 2.0.0, 10.0.0"),
        ("tfds:several", "tfds:several has the configs large, small; select one: tfds:several/large"),
        ("tfds:mine", r"tfds:mine: no such set is prepared in .*sirr data pack SET .*mine/1\.0\.0.*: plain, several"),
        ("tfds:sirr_real20", r"builder\('sirr_real20', manual_dir=\.\.\., prepare=True\)"),
        ("tfds:plain/small", "no such set is prepared"),
    ],
)
def test_mistakes_end_in_one_line(home, reference, message):
    with pytest.raises(UserError, match=message) as caught:
        resolve(reference)
    assert "\n" not in str(caught.value)
