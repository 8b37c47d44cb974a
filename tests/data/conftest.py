"""Folders of photographs in every layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.photo_files import labelled_photo, write, write_sequence


@pytest.fixture
def photo_folder(tmp_path) -> Path:
    """Seven photographs, labels 0 to 6, some of them in folders inside."""
    folder = tmp_path / "photos"
    for label in range(7):
        write(
            folder / ("" if label % 2 else "inside") / f"{label}.png",
            labelled_photo(label, 40 + label, 52 - label),
        )
    return folder


@pytest.fixture
def sequence_folder(tmp_path) -> Path:
    """Sequences of 3, 4 and 6 frames, the second without a reflection; labels 10, 20, 30 and up."""
    folder = tmp_path / "sequences"
    for number, frames in enumerate((3, 4, 6)):
        write_sequence(folder / f"s{number}", frames, first_label=10 * (number + 1), reflection=number != 1)
    return folder


@pytest.fixture
def pair_folder(tmp_path) -> Path:
    """Five pairs, labels 0 to 4 and 100 more for the transmission layer."""
    folder = tmp_path / "pairs"
    for label in range(5):
        write(folder / "blended" / f"{label}.png", labelled_photo(label, 26, 33))
        write(folder / "transmission_layer" / f"{label}.png", labelled_photo(100 + label, 26, 33))
    return folder
