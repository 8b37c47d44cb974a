"""Fixtures: folders of photos, sequences and pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.photo_files import labelled_photo, write, write_sequence


@pytest.fixture
def photo_folder(tmp_path) -> Path:
    """Seven photos with labels 0 to 6, some of them in a subfolder."""
    folder = tmp_path / "photos"
    for label in range(7):
        write(
            folder / ("" if label % 2 else "inside") / f"{label}.png",
            labelled_photo(label, 40 + label, 52 - label),
        )
    return folder


@pytest.fixture
def sequence_folder(tmp_path) -> Path:
    """Sequences of 3, 4 and 6 frames with labels from 10, 20 and 30; the second has no reflection."""
    folder = tmp_path / "sequences"
    for number, frames in enumerate((3, 4, 6)):
        write_sequence(folder / f"s{number}", frames, first_label=10 * (number + 1), reflection=number != 1)
    return folder


@pytest.fixture
def pair_folder(tmp_path) -> Path:
    """Five pairs with labels 0 to 4; the transmission has label + 100."""
    folder = tmp_path / "pairs"
    for label in range(5):
        write(folder / "blended" / f"{label}.png", labelled_photo(label, 26, 33))
        write(folder / "transmission_layer" / f"{label}.png", labelled_photo(100 + label, 26, 33))
    return folder
