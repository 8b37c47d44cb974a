from __future__ import annotations

import os
import subprocess
import sys

import pytest

import sirr_jax
from sirr_jax.cli.main import main


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f"sirr_jax {sirr_jax.__version__}"


def test_without_a_verb_the_verbs_are_told(capsys):
    assert main([]) == 2
    out = capsys.readouterr().out
    for verb in ("remove", "train", "models"):
        assert f"{verb}:" in out


def test_an_unknown_verb(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["polish"])
    assert stop.value.code == 2
    assert "polish" in capsys.readouterr().err


def test_models_lists_every_network(capsys):
    assert main(["models"]) == 0
    assert tuple(capsys.readouterr().out.split()) == sirr_jax.list_networks()


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "photo.png"), OSError(28, "No space left")])
def test_what_the_disk_refuses_is_one_line(monkeypatch, capsys, error):
    def refuse(argv):
        raise error

    monkeypatch.setattr("sirr_jax.cli.models.run", refuse)
    assert main(["models"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"sirr models: {error.filename or error.strerror}")
    assert said.endswith("check the path, the permissions and the space that is left\n")


def test_a_reader_that_has_gone_ends_it_quietly():
    command = f"{sys.executable} -c 'import sirr_jax.cli.main as m; raise SystemExit(m.main([\"models\"]))'"
    script = f"trap '' PIPE; ({command}; echo $? >&2) | true"
    # Unbuffered, the error would come earlier than it does for users.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == "1\n"
