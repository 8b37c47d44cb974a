from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.images.decode import UnreadableImageError
from sirr_jax.data.images.label_maps import FACE_PARTS, read_face_parts, read_labels, uses_palette
from sirr_jax.errors import UserError
from tests.helpers import set_files as sets
from tests.helpers.photo_files import truncate


@pytest.mark.parametrize("palette", [False, True])
def test_indices_come_back(tmp_path, palette):
    path = sets.labels(tmp_path / "1.png", (0, 3, 20, 255), palette=palette)
    found = read_labels(path, 21)
    np.testing.assert_array_equal(found, np.resize(np.array([0, 3, 20, 255], np.uint8), sets.SIZE))
    assert found.dtype == np.uint8
    assert uses_palette(path) == palette


def gray_png(path, bits, values):
    """A gray PNG of few bits, which Pillow does not write: two lines of `values`."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = 0
    for value in values:
        packed = packed << bits | value
    row = b"\0" + packed.to_bytes(len(values) * bits // 8, "big")
    header = struct.pack(">IIBBBBB", len(values), 2, bits, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(row * 2)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_values_of_files_with_few_bits_are_not_scaled(tmp_path, bits):
    values = [index % 2**bits for index in range(16)]
    gray_png(tmp_path / "few.png", bits, values)
    np.testing.assert_array_equal(read_labels(tmp_path / "few.png", 16), [values, values])


def test_errors_list_values_out_of_range(tmp_path):
    path = sets.labels(tmp_path / "1.png", (0, 20, 21, 37, 255))
    with pytest.raises(UserError, match=r"1\.png: contains the labels 21, 37; expected 0 to 20, or 255 for no class"):
        read_labels(path, 21)
    with pytest.raises(UserError, match=r"contains the label 255; expected 0 to 99$"):
        read_labels(path, 100, ignore=None)
    assert read_labels(path, 38).max() == 255


@pytest.mark.parametrize(
    ("mode", "extension", "message"),
    [
        ("RGB", "png", r"a color image \(RGB\), expected class indices; convert"),
        ("RGBA", "png", "a color image"),
        ("LA", "png", "image mode LA"),
        ("I;16", "png", "image mode I;16"),
        ("L", "jpg", "JPEG compression changes class indices"),
    ],
)
def test_files_that_are_not_label_images(tmp_path, mode, extension, message):
    path = tmp_path / f"1.{extension}"
    Image.new(mode, (8, 8)).save(path)
    with pytest.raises(UserError, match=rf"1\.{extension}: {message}"):
        read_labels(path, 21)


def test_damaged_label_images(tmp_path):
    path = tmp_path / "1.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 20, (40, 40), np.uint8)).save(path)
    truncate(path)
    with pytest.raises(UnreadableImageError, match=r"1\.png: the labels are truncated"):
        read_labels(path, 21)
    with pytest.raises(UnreadableImageError, match=r"none\.png"):
        read_labels(tmp_path / "none.png", 21)


def test_face_parts_are_drawn_in_order(tmp_path):
    skin, brow, hair = np.zeros((3, 8, 8), np.uint8)
    skin[2:], brow[3:5, :4], hair[:4] = 255, 225, 255
    masks = {"hair": hair, "skin": skin, "l_brow": brow}
    for name, mask in masks.items():
        Image.fromarray(mask if name == "skin" else np.repeat(mask[..., None], 3, axis=2)).save(
            tmp_path / f"{name}.png"
        )
    expected = np.zeros((8, 8), np.uint8)
    expected[2:] = 1
    expected[3:5, :4] = 2
    expected[:4] = 17
    np.testing.assert_array_equal(read_face_parts({name: tmp_path / f"{name}.png" for name in masks}), expected)
    assert FACE_PARTS.index("hat") == 17


def test_face_part_errors(tmp_path):
    with pytest.raises(UserError, match="unknown face part 'beard'"):
        read_face_parts({"beard": tmp_path / "1.png"})
    with pytest.raises(UserError, match="no mask of a face part"):
        read_face_parts({})
    small = sets.picture(tmp_path / "1.png", size=(8, 8))
    with pytest.raises(UserError, match=r"2\.png is 9x8 pixels and the previous masks 8x8"):
        read_face_parts({"skin": small, "hat": sets.picture(tmp_path / "2.png", size=(8, 9))})
