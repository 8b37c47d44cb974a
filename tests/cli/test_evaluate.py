"""`sirr evaluate`: files in, scores out; without a network, so that nothing is compiled."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from sirr_jax.cli.main import main
from sirr_jax.metrics import score

NAMES = ("a", "b c", "d")


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture
def pairs(tmp_path):
    """Three pairs, and restored pictures of another program: the first better, the second worse, no third."""
    generator = np.random.default_rng(0)
    for i, name in enumerate(NAMES):
        target = generator.integers(0, 200, (24 + i, 31, 3), np.uint8)
        write(tmp_path / "real/transmission_layer" / f"{name}.png", target)
        write(tmp_path / "real/blended" / f"{name}.png", target + np.uint8(20))
        if i < 2:
            write(tmp_path / "theirs" / f"{name}.png", target + np.uint8((10, 40)[i]))
    return tmp_path


def evaluate(folder, *arguments, sets=("real",)):
    places = [str(folder / name) for name in sets]
    return main(["evaluate", *places, "--restored", str(folder / "theirs"), "--out", str(folder / "out"), *arguments])


def rows(folder):
    with (folder / "out/scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_scores_are_those_of_the_metrics(pairs, capsys):
    assert evaluate(pairs, "--protocol", "sirr", "--protocol", "ntire") == 0
    table = rows(pairs)
    assert [(row["image"], row["model"], row["protocol"]) for row in table] == [
        (name, model, protocol)
        for name in NAMES
        for model in ("input", "theirs")
        for protocol in ("errnet", "ntire")
        if (name, model) != ("d", "theirs")
    ]
    for row in table:
        folder = {"input": "real/blended", "theirs": "theirs"}[row["model"]]
        images = [
            np.asarray(Image.open(pairs / place / f"{row['image']}.png"), np.float64) / 255
            for place in (folder, "real/transmission_layer")
        ]
        for name, value in score(*images, protocol=row["protocol"]).items():
            assert float(row[name]) == pytest.approx(value, rel=1e-6)
    assert "theirs has no picture for 1 of the sets' pictures" in capsys.readouterr().err


def test_summary_counts_what_became_worse(pairs):
    evaluate(pairs)
    summary = json.loads((pairs / "out/summary.json").read_text())
    theirs = summary["sets"]["real"]["models"]["theirs"]["errnet"]
    scores = [float(row["psnr"]) for row in rows(pairs) if row["model"] == "theirs"]
    assert summary["sets"]["real"]["images"] == 3
    assert (theirs["images"], theirs["worse"], theirs["worst"]) == (2, 1, "b c")
    assert theirs["psnr"] == pytest.approx(np.mean(scores))
    assert theirs["interval"]["psnr"][0] <= theirs["psnr"] <= theirs["interval"]["psnr"][1]
    (comparison,) = summary["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("input", "theirs")
    assert (comparison["better"], comparison["worse"], comparison["p"]) == (1, 1, 1.0)
    assert "| theirs | 2 | " in (pairs / "out/table.md").read_text()


def test_several_sets_are_weighted_by_their_images(pairs):
    for name in NAMES[:2]:
        for layer, gray in (("blended", 90), ("transmission_layer", 60)):
            write(pairs / "other" / layer / f"{name}.png", np.full((24, 24, 3), gray, np.uint8))
    assert evaluate(pairs, sets=("real", "other")) == 2  # the flat pictures are those of the first set
    write(pairs / "theirs/other/a.png", np.full((24, 24, 3), 61, np.uint8))
    write(pairs / "theirs/other/b c.png", np.full((24, 24, 3), 62, np.uint8))
    again = pairs / "again"  # with more pictures it is another method
    assert evaluate(pairs, "--out", str(again), sets=("real", "other")) == 0
    summary = json.loads((again / "summary.json").read_text())
    means = [summary["sets"][name]["models"]["input"]["errnet"]["psnr"] for name in ("real", "other")]
    overall = summary["overall"]["models"]["input"]["errnet"]
    assert overall["psnr"] == pytest.approx((3 * means[0] + 2 * means[1]) / 5)
    assert overall["images"] == 5


def test_an_interrupted_evaluation_continues(pairs):
    evaluate(pairs)
    complete = (pairs / "out/scores.csv").read_text()
    lines = complete.splitlines(keepends=True)
    (pairs / "out/scores.csv").write_text("".join(lines[:3]) + lines[3][:20])  # killed amid a line
    evaluate(pairs)
    assert sorted((pairs / "out/scores.csv").read_text().splitlines()) == sorted(complete.splitlines())
    evaluate(pairs)
    assert sorted((pairs / "out/scores.csv").read_text().splitlines()) == sorted(complete.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "errnt"], "no protocol is called 'errnt'; did you mean 'errnet'?"),
        (["--model", "missing.safetensors"], "no model at missing.safetensors; give a .safetensors file, 'bundled'"),
        (["--restored", "nowhere"], "--restored nowhere: no such folder"),
    ],
)
def test_mistakes_are_one_line(pairs, arguments, message, capsys):
    assert evaluate(pairs, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_pictures_of_another_size_are_named(pairs, capsys):
    write(pairs / "theirs/a.png", np.zeros((8, 31, 3), np.uint8))
    assert evaluate(pairs) == 2
    assert "theirs: the picture a of real is 31x8 px, and its target" in capsys.readouterr().err


def test_scores_of_another_model_of_the_same_name_are_refused(pairs, capsys):
    evaluate(pairs)
    path = pairs / "out/scores.csv"
    path.write_text(re.sub("theirs,[0-9a-f]{64},", "theirs,abc123,", path.read_text()))
    assert evaluate(pairs) == 2
    assert "scores of another model called 'theirs' (sha256 abc123" in capsys.readouterr().err


def test_changed_pictures_do_not_keep_their_scores(pairs, capsys):
    evaluate(pairs)
    write(pairs / "theirs/a.png", np.zeros((24, 31, 3), np.uint8))
    assert evaluate(pairs) == 2
    assert "scores of another model called 'theirs'" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_an_evaluation_killed_amid_any_line_continues(pairs, kept):
    evaluate(pairs)
    path = pairs / "out/scores.csv"
    complete = path.read_text()
    path.write_text(complete[:kept])
    assert evaluate(pairs) == 0
    assert sorted(path.read_text().splitlines()) == sorted(complete.splitlines())


def test_a_folder_of_sets_names_what_it_leaves_out(pairs, caplog):
    (pairs / "sets").mkdir()
    (pairs / "real").rename(pairs / "sets" / "real")
    (pairs / "sets" / "notes").mkdir()
    assert evaluate(pairs, sets=("sets",)) == 0
    assert {row["set"] for row in rows(pairs)} == {"real"}
    assert f"{pairs / 'sets' / 'notes'} is left out: " in caplog.text
