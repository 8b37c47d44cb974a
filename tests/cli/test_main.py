from __future__ import annotations

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
