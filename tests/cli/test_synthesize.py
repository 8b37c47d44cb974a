"""`sirr synthesize`: files, determinism, unusable photos, errors."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sirr_jax.cli.main import main
from sirr_jax.data.sources.pairs import FolderPairs


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in "abcd":
        small = rng.integers(30, 256, (5, 6, 3), np.uint8)
        Image.fromarray(small).resize((60, 48), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    return folder


OTHERS = {
    "fog": {"degraded", "clean"},
    "rain": {"degraded", "clean"},
    "watermark": {"degraded", "clean", "mask"},
    "irregular_mask": {"degraded", "clean", "mask"},
    "window_reflection": {"degraded", "clean", "reflection"},
}


def synthesize(*arguments):
    return main(["synthesize", *map(str, arguments)])


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_mixtures_are_pairs_with_manifest_and_contact_sheet(photos, tmp_path, capsys):
    out = tmp_path / "set"
    assert synthesize("ceilnet", photos, out, "--count", 3, "--size", 32, "--seed", 5) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == (f"{out}\n", "")
    assert len(FolderPairs(out)) == 3
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["kind"], manifest["seed"], manifest["count"]) == ("ceilnet", 5, 3)
    assert manifest["options"]["sigma"] == [2.0, 5.0]
    for sample in manifest["samples"]:
        assert set(sample["photographs"]) <= {"a.png", "b.png", "c.png", "d.png"}
        assert 2 <= sample["parameters"]["sigma"] <= 5
        layers = {layer: out / layer / sample["name"] for layer in sample["sha256"]}
        assert layers.keys() == {"blended", "transmission_layer", "reflection_layer"}
        for layer, path in layers.items():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == sample["sha256"][layer]
        mixture, transmission, reflection = (pixels(path).astype(int) for path in layers.values())
        assert mixture.shape == (32, 32, 3)
        assert np.abs(np.clip(transmission + reflection, 0, 255) - mixture).max() <= 1
    assert pixels(out / "contact_sheet.png").shape == (3 * 32 + 2 * 4, 3 * 32 + 2 * 4, 3)
    assert not list(tmp_path.glob("set.*"))


@pytest.mark.parametrize("kind", ["raindrops", "zhang", "gaussian_noise", *OTHERS])
def test_same_seed_gives_the_same_bytes(photos, tmp_path, kind):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert synthesize(kind, photos, tmp_path / name, "--count", 2, "--size", 32, "--seed", seed) == 0
    a, b, c = (content(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert all(a[name] != c[name] for name in a)
    if kind in OTHERS:
        assert {name.split("/")[0] for name in a if "/" in name} == OTHERS[kind]


def test_unusable_photos_are_an_error_or_skipped_and_counted(photos, tmp_path, capsys):
    dark = np.full((48, 60, 3), 7, np.uint8)
    cases = {
        "black.png": (lambda path: Image.fromarray(dark).save(path), "black.png is nearly black: 99 of 100 pixels"),
        "cut.png": (lambda path: path.write_bytes((photos / "a.png").read_bytes()[:900]), "cut.png: the image is"),
        "none.jpg": (lambda path: path.write_text("<html>"), "none.jpg: not an image"),
        "small.png": (lambda path: Image.fromarray(dark[:20] + 99).save(path), "small.png is 60x20 pixels"),
    }
    for name, (make, message) in cases.items():
        make(photos / name)
        assert synthesize("jpeg", photos, tmp_path / "out", "--count", 2, "--size", 32) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert message in error
        assert not list(tmp_path.glob("out*"))
        if name != "small.png":
            (photos / name).unlink()
    for name, (make, _) in cases.items():
        make(photos / name)
    assert synthesize("jpeg", photos, tmp_path / "out", "--count", 8, "--size", 32, "--on-corrupt", "skip") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "skipped: 4 of 8 photographs (2 unreadable, 1 nearly black, 1 too small)"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["skipped"] == [
        {"name": "black.png", "fault": "nearly black"},
        {"name": "cut.png", "fault": "unreadable"},
        {"name": "none.jpg", "fault": "unreadable"},
        {"name": "small.png", "fault": "too small"},
    ]
    used = {name for sample in manifest["samples"] for name in sample["photographs"]}
    assert used <= {"a.png", "b.png", "c.png", "d.png"}


def test_folder_called_partial_is_left_alone(photos, tmp_path):
    mine = tmp_path / "out.partial"
    mine.mkdir()
    (mine / "precious.txt").write_text("mine")
    assert synthesize("jpeg", photos, tmp_path / "out", "--count", 1, "--size", 32) == 0
    assert (mine / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_no_neighbor_stands_under_the_name_of_a_damaged_photo(photos, tmp_path, form):
    (photos / "b.png").write_bytes((photos / "b.png").read_bytes()[:900])
    (photos / "c.png").write_text("no image")
    source = photos
    if form == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", photos))
    out = tmp_path / "out"
    assert synthesize("jpeg", source, out, "--count", 6, "--size", 32, "--on-corrupt", "skip") == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["skipped"] == [{"name": f"{name}.png", "fault": "unreadable"} for name in "bc"]
    assert {name for sample in manifest["samples"] for name in sample["photographs"]} == {"a.png", "d.png"}


def test_progress_of_a_terminal_is_drawn_on_the_standard_error(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the streams for terminals
    assert synthesize("jpeg", photos, tmp_path / "out", "--count", 2, "--size", 32) == 0
    output = capsys.readouterr()
    assert output.out == f"{tmp_path / 'out'}\n"
    assert "jpeg" in output.err
    assert "100%" in output.err


def test_unusable_photos_do_not_change_the_other_samples(photos, tmp_path, capsys):
    arguments = ("--count", 3, "--size", 32, "--on-corrupt", "skip")
    assert synthesize("jpeg", photos, tmp_path / "a", *arguments) == 0
    assert "skipped" not in capsys.readouterr().err
    (photos / "b2.png").write_text("no image")
    assert synthesize("jpeg", photos, tmp_path / "b", *arguments) == 0
    a, b = (content(tmp_path / name) for name in "ab")
    assert a.pop("manifest.json") != b.pop("manifest.json")
    assert a == b


def test_options_of_a_kind(photos, tmp_path):
    arguments = ("--count", 2, "--size", 32, "--option", "transmittance=[0.5,0.5]")
    assert synthesize("bdn", photos, tmp_path / "set", *arguments) == 2
    arguments = ("--count", 2, "--size", 32, "--option", "sigma=[1,1.5]")
    assert synthesize("bdn", photos, tmp_path / "set", *arguments) == 0
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["options"]["sigma"] == [1, 1.5]
    assert all(1 <= sample["parameters"]["sigma"] <= 1.5 for sample in manifest["samples"])


def test_levels_of_degradations(photos, tmp_path):
    arguments = ("--count", 2, "--size", 32, "--option", "level=4", "--option", "resave_jpeg=true")
    assert synthesize("gaussian_noise", photos, tmp_path / "set", *arguments) == 0
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["options"] == {"level": 4, "resave_jpeg": True}
    assert all(sample["parameters"] == {"level": 4} for sample in manifest["samples"])


def test_list_prints_kinds_and_options(capsys):
    assert synthesize("list") == 0
    lines = capsys.readouterr().out.splitlines()
    options = {name: rest for name, *rest in map(str.split, lines)}
    assert {"ceilnet", "zhang", "raindrops", "gaussian_noise", *OTHERS} <= options.keys()
    assert options["watermark"] == ["logos", "tiled", "size", "margin", "opacity", "angle"]
    assert options["jpeg"] == ["level", "resave_jpeg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zang", "photos", "out"], "no kind of generated sample is called 'zang'; did you mean 'zhang'?"),
        (["zhang"], "PHOTOS and OUT are required; see sirr synthesize --help"),
        (["zhang", "photos", "out", "--on-corrupt", "skp"], "--on-corrupt is 'skp'; did you mean 'skip'?"),
        (["zhang", "nothing", "out"], "nothing"),
        (["zhang", "photos", "photos"], "photos exists; choose another folder"),
        (["zhang", "photos", "out", "--size", "64"], "48"),
        (["zhang", "photos", "out", "--size", "8"], "size 8; expected at least 1 sample of at least 16 px"),
        (["zhang", "photos", "out", "--size", "32", "--option", "sigma"], "--option sigma has no value"),
        (["zhang", "photos", "out", "--size", "32", "--option", "sgma=1"], "zhang has no option 'sgma'; it takes "),
        (["zhang", "photos", "out", "--size", "32", "--option", "sigma=[5,1]"], "sigma"),
        (
            ["jpeg", "photos", "out", "--size", "32", "--option", "level=9"],
            "level 9 of jpeg: use a whole number from 1 to 4",
        ),
        (
            ["window_reflection", "photos", "out", "--option", "form=zang"],
            "form is 'zang': use one of cityscapes, zhang, ceil",
        ),
        (["watermark", "photos", "out", "--option", "logos=nowhere"], "nowhere has no .png file"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(photos, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert synthesize(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("sirr synthesize: ")
    assert message in error
    assert not (tmp_path / "out").exists()
