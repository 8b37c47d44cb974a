from __future__ import annotations

import shutil

import pytest

from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo, truncate, write


def labels(pairs):
    return [tuple(int(image[0, 0, 2]) for image in pairs.read(index)) for index in range(len(pairs))]


def test_pairs_are_matched(pair_folder):
    pairs = FolderPairs(pair_folder, crop=26)
    assert labels(pairs) == [(label, 100 + label) for label in range(5)]
    assert pairs.name(3).endswith("blended/3.png")


@pytest.mark.parametrize("layer", ["blended", "transmission_layer"])
def test_error_names_a_missing_folder(pair_folder, layer):
    shutil.rmtree(pair_folder / layer)
    with pytest.raises(UserError, match=f"pairs has no folder '{layer}'"):
        FolderPairs(pair_folder)


def test_reflection_layer_must_match(pair_folder):
    for label in range(4):
        write(pair_folder / "reflection_layer" / f"{label}.png", labelled_photo(label, 26, 33))
    with pytest.raises(UserError, match=r"reflection_layer has no image '4'"):
        FolderPairs(pair_folder)
    write(pair_folder / "reflection_layer" / "4.png", labelled_photo(0, 26, 32))
    with pytest.raises(UserError, match=r"reflection_layer/4\.png is 32x26 .*blended/4\.png is 33x26"):
        FolderPairs(pair_folder)
    write(pair_folder / "reflection_layer" / "4.png", labelled_photo(0, 26, 33))
    assert len(FolderPairs(pair_folder)) == 5


def test_sizes_must_match_within_a_pair_only(pair_folder):
    for layer in ("blended", "transmission_layer"):
        write(pair_folder / layer / "2.png", labelled_photo(0, 40, 50))
    FolderPairs(pair_folder)
    write(pair_folder / "transmission_layer" / "2.png", labelled_photo(0, 50, 40))
    with pytest.raises(UserError, match=r"transmission_layer/2\.png is 40x50 .*50x40"):
        FolderPairs(pair_folder)


def test_too_small_pair(pair_folder):
    with pytest.raises(UserError, match=r"blended/0\.png is 33x26 .*27x27"):
        FolderPairs(pair_folder, crop=27)


def test_corrupt_pairs(pair_folder, caplog):
    truncate(pair_folder / "transmission_layer" / "4.png", keep=0.5)
    with pytest.raises(UserError, match=r"transmission_layer/4\.png"):
        FolderPairs(pair_folder).read(4)
    (pair_folder / "blended" / "1.png").write_text("no image")
    with pytest.raises(UserError, match=r"blended/1\.png: not an image"):
        FolderPairs(pair_folder)
    caplog.clear()
    pairs = FolderPairs(pair_folder, on_corrupt="skip")
    assert [blended for blended, _ in labels(pairs)] == [0, 2, 2, 3, 0]
    assert len(caplog.records) == 2


def test_skipping_leaves_out_incomplete_and_invalid_pairs(pair_folder, caplog):
    write(pair_folder / "transmission_layer" / "0.png", labelled_photo(1, 26, 30))
    (pair_folder / "blended" / "3.png").unlink()
    write(pair_folder / "blended" / "4.png", labelled_photo(4, 20, 20))
    write(pair_folder / "transmission_layer" / "4.png", labelled_photo(104, 20, 20))
    pairs = FolderPairs(pair_folder, crop=26, on_corrupt="skip")
    assert [int(pairs.read(i)[0][0, 0, 2]) for i in range(len(pairs))] == [1, 2]
    assert "no file '3' in blended" in caplog.text
    assert "skipped (2 so far)" in caplog.text
    with pytest.raises(UserError, match="no usable pair is left; `sirr data check "):
        FolderPairs(pair_folder, crop=27, on_corrupt="skip")
