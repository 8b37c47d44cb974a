"""The `sirr` command: help, verbs, exit codes, errors of the operating system."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

import sirr_jax
from sirr_jax.cli.main import VERBS, main


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f"sirr_jax {sirr_jax.__version__}"


def test_help_lists_one_verb_per_line(capsys):
    assert main([]) == 2
    without_verb = capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == without_verb
    lines = without_verb.splitlines()
    for verb, text in VERBS.items():
        assert [line.split(maxsplit=1) for line in lines if line.split()[:1] == [verb]] == [[verb, text]]


def test_each_verb_has_a_module_with_its_command_line(capsys):
    for verb in VERBS:
        module = importlib.import_module(f"sirr_jax.cli.{verb}")
        assert module.flag_values() if verb == "train" else module.parser().prog == f"sirr {verb}"
        if verb == "train":
            assert main([verb, "--help"]) == 0
        else:
            with pytest.raises(SystemExit) as stop:
                main([verb, "--help"])
            assert stop.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: sirr {verb} ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["modls"], "no verb 'modls'; did you mean 'models'?"),
        (["polish"], "no verb 'polish'; choose remove, evaluate, train, convert, data, synthesize, models"),
        (["--verbose"], "unrecognized arguments: --verbose; did you mean --version?"),
    ],
)
def test_unknown_verb_ends_in_one_line_and_exit_code_2(capsys, arguments, message):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"sirr: {message}\n"


def test_models_lists_every_network_with_year_license_and_source(capsys):
    assert main(["models"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["ID", "YEAR", "LICENSE", "SOURCE", "OF", "THE", "WEIGHTS"]
    cells = {row[: header.index("YEAR")].strip(): row[header.index("YEAR") :] for row in rows}
    assert tuple(cells) == sirr_jax.list_networks()
    assert cells["bdn/generator"].split() == ["2018", "MIT", "github.com/yangj1e/bdn-refremv"]
    assert cells["sgrrn/generator"].endswith("github.com/DreamtaleCore/SGRRN (no published weights)")
    assert cells["dynamics/teacher"].endswith("none published; train with `sirr train`")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "photo.png"), OSError(28, "No space left")])
def test_errors_of_the_file_system_are_one_line(monkeypatch, capsys, error):
    def refuse(argv):
        raise error

    monkeypatch.setattr("sirr_jax.cli.models.run", refuse)
    assert main(["models"]) == 2
    error_line = capsys.readouterr().err
    assert error_line.count("\n") == 1
    assert error_line.startswith(f"sirr models: {error.filename or error.strerror}")
    assert error_line.endswith("check the path, the permissions and the free space\n")


def test_broken_pipe_prints_no_error():
    command = f"{sys.executable} -c 'import sirr_jax.cli.main as m; raise SystemExit(m.main([\"models\"]))'"
    script = f"trap '' PIPE; ({command}; echo $? >&2) | true"
    # With unbuffered output the error would occur earlier than it does for users.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == "1\n"
