from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo, truncate, write, write_sequence


def test_frames_are_in_natural_order(sequence_folder):
    sequences = FolderSequences(sequence_folder, crop=24)
    assert [sequences.triples(index) for index in range(3)] == [1, 2, 4]
    triple = sequences.read(2, 1)
    # Frames are named 8, 9, 10, ...: in alphabetical order, 10 would come first.
    assert [int(frame[0, 0, 2]) for frame in triple.mixture] == [31, 32, 33]
    assert [int(frame[0, 0, 2]) for frame in triple.transmission] == [131, 132, 133]
    assert [int(frame[0, 0, 2]) for frame in triple.reflection] == [231, 232, 233]
    assert sequences.read(1, 0).reflection is None
    assert sequences.name(2).endswith("s2")


def test_layers_may_have_different_extensions(tmp_path):
    write_sequence(tmp_path / "s", 3, first_label=0, reflection=False)
    path = tmp_path / "s" / "transmission" / "8.png"
    Image.open(path).save(path.with_suffix(".bmp"))
    path.unlink()
    assert FolderSequences(tmp_path).read(0, 0).transmission[0][0, 0, 2] == 100


def break_no_sequences(root):
    shutil.rmtree(root)
    root.mkdir()


def break_too_short(root):
    for layer in ("blended", "transmission", "reflection"):
        (root / "s0" / layer / "10.png").unlink()


def break_duplicated(root):
    for number in (10, 11):
        shutil.copy(root / "s2/blended/9.png", root / f"s2/blended/{number}.png")


def break_names(root):
    (root / "s1/transmission/8.png").rename(root / "s1/transmission/x.png")


def break_counts(root):
    (root / "s2/reflection/11.png").unlink()


def break_extra(root):
    write(root / "s2/reflection/99.png", labelled_photo(0, 24, 30))


def break_size(root):
    write(root / "s2/transmission/11.png", labelled_photo(0, 25, 30))


def break_small(root):
    for layer in ("blended", "transmission"):
        for number in range(8, 12):
            write(root / f"s1/{layer}/{number}.png", labelled_photo(number, 15, 30))


def break_no_transmission(root):
    shutil.rmtree(root / "s1/transmission")


def break_empty_layer(root):
    for path in (root / "s1/transmission").iterdir():
        path.unlink()


def break_twin(root):
    write(root / "s0/blended/8.bmp", labelled_photo(0, 24, 30))


def break_header(root):
    (root / "s1/blended/9.png").write_text("no image")


def break_link(root):
    for number in (8, 9):
        (root / f"s1/blended/{number}.png").unlink()
        (root / f"s1/blended/{number}.png").symlink_to(root / "gone")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_no_sequences, r"sequences: no sequences.*<sequence>/blended/<frame>"),
        (break_too_short, r"s0 has 2 frames; a sequence needs three"),
        (break_duplicated, r"s2/blended/9\.png.*copies of one image are not a burst"),
        (break_names, r"s1/transmission has no image '8' to match \S*s1/blended/8\.png \(1 missing\)"),
        (break_counts, r"s2/reflection has no image '11' to match"),
        (break_extra, r"s2/blended has no image '99' to match \S*s2/reflection/99\.png"),
        (break_size, r"s2/transmission/11\.png is 30x25 .*30x24"),
        (break_small, r"s1/blended/8\.png is 30x15 .*20x20"),
        (break_no_transmission, r"s1 has no folder 'transmission'"),
        (break_empty_layer, r"s1/transmission: no images"),
        (break_twin, r"8\.png and 8\.bmp have the same name"),
        (break_header, r"s1/blended/9\.png: not an image"),
        (break_link, r"s1/blended/8\.png: cannot be opened"),
    ],
)
def test_errors_name_invalid_sequences(sequence_folder, damage, message):
    damage(sequence_folder)
    with pytest.raises(UserError, match=message) as caught:
        FolderSequences(sequence_folder, crop=20)
    assert "\n" not in str(caught.value)


def test_sequence_instead_of_the_folder_of_sequences(sequence_folder):
    with pytest.raises(UserError, match="s0 is itself a sequence; use the folder that contains"):
        FolderSequences(sequence_folder / "s0")


def test_two_equal_frames_are_allowed(sequence_folder):
    shutil.copy(sequence_folder / "s2/blended/9.png", sequence_folder / "s2/blended/10.png")
    sequences = FolderSequences(sequence_folder)
    assert [int(frame[0, 0, 2]) for frame in sequences.read(2, 0).mixture] == [30, 31, 31]
    assert [int(frame[0, 0, 2]) for frame in sequences.read(2, 1).mixture] == [31, 31, 33]


def test_three_equal_frames_in_different_files_raise_on_read(sequence_folder):
    picture = Image.open(sequence_folder / "s2/blended/9.png")
    for number, level in ((9, 1), (10, 6), (11, 9)):
        picture.save(sequence_folder / f"s2/blended/{number}.png", compress_level=level)
    sequences = FolderSequences(sequence_folder)
    sequences.read(2, 0)
    with pytest.raises(UserError, match=r"s2/blended/9\.png and the two frames after it are equal"):
        sequences.read(2, 1)


def test_skipping_returns_the_next_sequence(sequence_folder, caplog):
    for path in (sequence_folder / "s2/blended/11.png", sequence_folder / "s0/reflection/8.png"):
        truncate(path)
    with pytest.raises(UserError, match=r"11\.png"):
        FolderSequences(sequence_folder).read(2, 3)
    caplog.clear()

    def labels(sequences, triples):
        return [[int(frame[0, 0, 2]) for frame in sequences.read(*triple).mixture] for triple in triples]

    triples = [(2, 0), (2, 1), (2, 2), (2, 3), (1, 1), (0, 0)]
    sequences = FolderSequences(sequence_folder, on_corrupt="skip")
    expected = labels(sequences, triples)
    # Triples 1 to 3 of s2 contain its damaged frame and s0 is entirely damaged, so s1 replaces them.
    assert expected == [[30, 31, 32], [21, 22, 23], [20, 21, 22], [21, 22, 23], [21, 22, 23], [20, 21, 22]]
    assert len(caplog.records) == 2
    fresh = FolderSequences(sequence_folder, on_corrupt="skip")
    assert labels(fresh, triples[::-1])[::-1] == expected
    assert labels(fresh.held(DecodeCache(10**8)), triples) == expected


def test_cached_frames_are_decoded_once(sequence_folder):
    sequences = FolderSequences(sequence_folder).held(DecodeCache(10**8))
    first = sequences.read(2, 0)
    shutil.rmtree(sequence_folder / "s2")
    np.testing.assert_array_equal(sequences.read(2, 0).mixture, first.mixture)
    with pytest.raises(UserError):
        sequences.read(2, 1)
