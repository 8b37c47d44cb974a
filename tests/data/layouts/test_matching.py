from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, natural_order
from sirr_jax.data.layouts.matching import index_files, match, number_before_underscore, scan_folders
from sirr_jax.data.layouts.sir2_raw import layer_of
from tests.helpers import set_files as sets

# Valid file names: no separators, no leading dot, short enough when encoded.
STEMS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=20
).filter(lambda stem: not stem.startswith(".") and Path(f"{stem}.png").stem == stem)
EXTENSIONS = st.sampled_from(sorted(IMAGE_EXTENSIONS) + [extension.upper() for extension in sorted(IMAGE_EXTENSIONS)])


@settings(max_examples=60)
@given(
    both=st.dictionaries(STEMS, st.tuples(EXTENSIONS, EXTENSIONS), max_size=8),
    left=st.dictionaries(STEMS, EXTENSIONS, max_size=3),
    right=st.dictionaries(STEMS, EXTENSIONS, max_size=3),
)
def test_files_are_paired_by_stem(both, left, right):
    left = {stem: extension for stem, extension in left.items() if stem not in both}
    right = {stem: extension for stem, extension in right.items() if stem not in both and stem not in left}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("I", "T"):
            (root / name).mkdir()
        for stem, (one, other) in both.items():
            (root / "I" / f"{stem}{one}").touch()
            (root / "T" / f"{stem}{other}").touch()
        for stem, extension in left.items():
            (root / "I" / f"{stem}{extension}").touch()
        for stem, extension in right.items():
            (root / "T" / f"{stem}{extension}").touch()
        findings = []
        entries = scan_folders(root, {"mixture": "I", "transmission": "T"}, findings, prefix="p/")
    assert [entry.name for entry in entries] == [f"p/{stem}" for stem in sorted(both, key=natural_order)]
    for entry in entries:
        one, other = both[entry.name.removeprefix("p/")]
        stem = entry.name.removeprefix("p/")
        assert entry.files == {"mixture": root / "I" / f"{stem}{one}", "transmission": root / "T" / f"{stem}{other}"}
    unpaired = {finding.path for finding in findings if finding.kind == "unpaired"}
    assert unpaired == {root / "I" / f"{stem}{extension}" for stem, extension in left.items()} | {
        root / "T" / f"{stem}{extension}" for stem, extension in right.items()
    }
    assert not any(finding.wrong for finding in findings if finding.kind != "unpaired")


@given(st.text(max_size=12))
def test_number_before_underscore_of_any_text(text):
    name = Path(f"x/{text.replace('/', '')}_rain.png").name
    number = number_before_underscore(Path(name))
    before = Path(name).stem.partition("_")[0]
    if number is None:
        assert not (before.isascii() and before.isdigit())
    else:
        assert int(before) == int(number)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("12_rain.png", "12"),
        ("007_clean.jpg", "7"),
        ("0_rain.png", "0"),
        ("12.png", None),
        ("a_1.png", None),
        ("²_r.png", None),
    ],
)
def test_number_before_underscore(name, number):
    assert number_before_underscore(Path(name)) == number


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m.png", ("mixture", False)),
        ("g.jpg", ("transmission", False)),
        ("R.PNG", ("reflection", False)),
        ("12_m.jpg", ("mixture", False)),
        ("m1.jpg", ("mixture", False)),
        ("IMG-3-g.jpg", ("transmission", False)),
        ("m_rs.jpg", ("mixture", True)),
        ("grs.jpg", ("transmission", True)),
        ("rrs.jpg", ("reflection", True)),
        ("rs_r.jpg", ("reflection", True)),
        ("rsm.jpg", ("mixture", True)),
        ("rs.jpg", None),
        ("m_g.jpg", None),
        ("mixture.png", None),
        ("12.png", None),
    ],
)
def test_sir2_layer_of_file_names(name, expected):
    assert layer_of(Path(name)) == expected


def test_hidden_files_and_folders_are_ignored(tmp_path):
    sets.picture(tmp_path / "1.png")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "._1.png").write_bytes(b"x")
    (tmp_path / "inside.png").mkdir()
    findings = []
    assert index_files(tmp_path, findings) == {"1": tmp_path / "1.png"}
    assert findings == []


def test_optional_layer(tmp_path):
    photos = {name: tmp_path / f"{name}.jpg" for name in ("1", "2")}
    labels = {name: tmp_path / f"{name}.png" for name in ("2", "3")}
    findings = []
    folders = {"transmission": tmp_path / "photos", "labels": tmp_path / "labels"}
    entries = match({"transmission": photos, "labels": labels}, folders, findings, may_lack=("labels",))
    assert [entry.name for entry in entries] == ["2"]
    assert [(finding.path, finding.text) for finding in findings] == [(labels["3"], "no file '3' in photos")]
