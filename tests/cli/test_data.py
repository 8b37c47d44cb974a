"""`sirr data`: `check` and `pack`."""

from __future__ import annotations

import os
import shutil

import pytest

from sirr_jax.cli.main import main
from tests.helpers import set_files as sets


def check(*arguments):
    return main(["data", "check", *map(str, arguments)])


def test_check_of_a_data_set_without_mistakes(tmp_path, capsys):
    root = sets.layer_folders(tmp_path / "mine", (1, 2))
    assert check(root, "--thorough", "--crop", "8") == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"{root}: real pairs (pairs)",
        "  images     2",
        "  sizes      12x10 (2)",
        "  checked    every pixel",
    ]
    assert captured.err == ""


def test_check_prints_parts_sequences_and_notes(tmp_path, capsys):
    assert check(sets.rsir2(tmp_path / "r")) == 0
    assert "  train      3\n  test       2\n" in capsys.readouterr().out
    assert check(sets.sequences(tmp_path / "s")) == 0
    assert "  sequences  2\n" in capsys.readouterr().out
    assert check(sets.sgrrn(tmp_path / "g", palette=True)) == 0
    assert "notes:\n  train/bg-semantic/1-person-pottedplant.png: has a palette" in capsys.readouterr().out


def test_mistakes_of_a_data_set_are_listed_and_end_in_exit_code_2(tmp_path, capsys):
    root = sets.layer_folders(tmp_path / "nature", range(30))
    shutil.rmtree(root / "transmission_layer")
    sets.picture(root / "transmission_layer" / "0.png", size=(8, 8))
    assert check(root) == 2
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert "  images     1 of 20 or 200" in lines
    assert "  blended/1.jpg: no file '1' in transmission_layer" in lines
    assert "  ... and 9 more (unpaired); --all lists them" in lines
    assert "  .: 1 complete picture, but the published set has 20 or 200" in lines
    assert captured.err == f"sirr data: {root}: 31 mistakes, listed above; correct them and check again\n"
    check(root, "--all")
    assert "  blended/29.jpg: no file '29' in transmission_layer" in capsys.readouterr().out


def test_file_names_that_are_not_utf8_are_printed(tmp_path, capsys):
    root = sets.layer_folders(tmp_path / "mine", (1,))
    name = os.fsdecode(b"\xff\xfe.jpg")
    shutil.copy(root / "blended" / "1.jpg", root / "blended" / name)
    assert check(root) == 2
    assert "blended/??.jpg: no file" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: no such folder"),
        (["empty"], "empty: no data set of a known layout; known layouts"),
        (["."], "is not a data set, but contains some: use one of mine"),
        (["mine", "--crop", "0"], "a crop of 0 pixels: expected 1 or more"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    sets.layer_folders(tmp_path / "mine", (1,))
    (tmp_path / "empty").mkdir()
    assert check(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("sirr data: ")
    assert message in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND; see sirr data --help"),
        (["chek", "x"], "COMMAND is 'chek'; did you mean 'check'?"),
        (["pack", "a", "b", "--licence", "mine"], "unrecognized arguments: --licence; did you mean --license?"),
        (["check", "a", "--corp=3"], "unrecognized arguments: --corp; did you mean --crop?"),
        (["check", "a", "b"], "unrecognized arguments: b; see sirr data --help"),
    ],
)
def test_wrong_arguments_end_in_one_line_and_exit_code_2(capsys, arguments, message):
    assert main(["data", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"sirr data: {message}\n"


def test_pack_prints_a_summary(tmp_path, capsys):
    root = sets.deraindrop(tmp_path / "rain")
    sets.picture(root / "train" / "data" / "0_rain.png").write_bytes(b"not an image")
    pack = ["data", "pack", str(root), str(tmp_path / "packed")]
    assert main(pack) == 2
    assert "0_rain.png: not an image" in capsys.readouterr().err
    assert main([*pack, "--license", "mine", "--on-corrupt", "skip"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tmp_path / 'packed'}: DeRaindrop (deraindrop)"
    assert lines[1:4] == ["  train      10", "  test_a     3", "  test_b     2"]
    assert lines[4].startswith("  shards     3, ")
    assert lines[5] == "  license    mine"
    assert lines[6].startswith("  skipped    1 images")
    assert check(tmp_path / "packed", "--thorough") == 0
    assert "a TFDS set (tfds)" in capsys.readouterr().out
    assert main(pack) == 2
    assert "packed exists; choose another folder" in capsys.readouterr().err


def test_as_selects_the_layout(tmp_path, capsys):
    sets.picture(tmp_path / "photos" / "a" / "1.png")
    assert check(tmp_path / "photos") == 2
    assert "or pass --as photos" in capsys.readouterr().err
    assert check(tmp_path / "photos", "--as", "photos") == 0
    assert "photographs (photos)" in capsys.readouterr().out
