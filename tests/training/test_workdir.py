"""The folder of a run."""

from __future__ import annotations

import jax
import pytest

from sirr_jax.errors import UserError
from sirr_jax.training.workdir import claimed


def test_second_run_in_one_folder_is_refused(tmp_path):
    run = tmp_path / "run"
    with claimed(run), pytest.raises(UserError, match=r"another run is writing to workdir .*run"), claimed(run):
        pytest.fail("two runs write to one folder")
    with claimed(tmp_path / "run"):
        pass


def test_other_processes_of_the_run_share_the_folder(tmp_path, monkeypatch):
    with claimed(tmp_path):
        monkeypatch.setattr(jax, "process_index", lambda: 1)
        with claimed(tmp_path):
            pass


def test_file_systems_without_locks(tmp_path, monkeypatch):
    import fcntl

    def refuse(file, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with claimed(tmp_path):
        pass


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    message = r"cannot write to workdir .*choose another --workdir"
    with pytest.raises(UserError, match=message), claimed(tmp_path / "file" / "run"):
        pytest.fail("there is no folder")
