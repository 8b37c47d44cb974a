from __future__ import annotations

import io
import warnings

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from sirr_jax.data.images.decode import UnreadableImageError, image_size, read_image
from sirr_jax.errors import UserError

# Stored pixels that the value of the orientation tag turns upright (EXIF 2.3, tag 274).
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("extension", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", list(STORED))
def test_exif_orientation_is_applied_to_pixels_and_size(tmp_path, orientation, extension):
    upright = noise(5, 8, 3)
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"photo.{extension}"
    options = {"lossless": True} if extension == "webp" else {}
    Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))).save(path, exif=exif, **options)
    np.testing.assert_array_equal(read_image(path), upright)
    assert image_size(path) == (5, 8)


def test_rotated_jpeg_matches_the_upright_image(tmp_path):
    # Smooth and gray: the files differ only by the direction of the JPEG blocks.
    upright = np.repeat(np.add.outer(np.arange(16) * 4, np.arange(32) * 3)[..., None], 3, 2).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "photo.JPG"
    Image.fromarray(np.ascontiguousarray(np.rot90(upright, 1))).save(path, exif=exif, quality=100)
    assert image_size(path) == (16, 32)
    assert np.abs(read_image(path).astype(int) - upright).max() <= 3


def test_damaged_exif_counts_as_upright(tmp_path):
    image = noise(4, 6, 3)
    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path, exif=b"Exif\x00\x00II*\x00\xff\xff")
    np.testing.assert_array_equal(read_image(path), image)
    assert image_size(path) == (4, 6)


def test_result_is_rgb_uint8_and_read_only(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(noise(4, 6, 3)).save(path)
    image = read_image(path)
    assert image.dtype == np.uint8
    assert not image.flags.writeable


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
def test_color_modes_become_rgb(tmp_path, mode):
    # Saturated corners of the color cube survive a palette; gray and two-level images keep black and white.
    corners = np.array([[0, 0, 0], [255, 255, 255]] + [[255, 0, 0], [0, 0, 255]] * (mode not in "L1"), np.uint8)
    image = np.repeat(np.repeat(corners[None], 8, 0), 8, 1)
    path = tmp_path / "photo.tif"
    Image.fromarray(image).convert(mode).save(path)
    result = read_image(path)
    assert result.shape == image.shape
    assert np.abs(result.astype(int) - image).max() <= 2


def test_cmyk_jpeg(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, quality=95)
    np.testing.assert_allclose(read_image(path).astype(int), np.broadcast_to([255, 0, 0], (16, 16, 3)), atol=3)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_over_white(tmp_path, mode):
    image = noise(9, 7, len(mode))
    image[0, :, -1], image[1, :, -1] = 0, 255
    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path)
    alpha = image[..., -1:].astype(float) / 255
    over_white = np.broadcast_to(image[..., :-1], (9, 7, 3)) * alpha + 255 * (1 - alpha)
    result = read_image(path)
    np.testing.assert_allclose(result, over_white, atol=1)
    assert (result[0] == 255).all()


def test_transparent_palette_entry_becomes_white(tmp_path):
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).convert("P")
    image.putpalette([0, 0, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150])
    path = tmp_path / "photo.png"
    image.save(path, transparency=1)
    expected = np.array([[0, 0, 0], [255] * 3, [40, 50, 60], [70, 80, 90], [100, 110, 120], [130, 140, 150]])
    np.testing.assert_array_equal(read_image(path).reshape(6, 3), expected)


def test_color_key_becomes_white(tmp_path):
    image = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path, transparency=(4, 5, 6))
    np.testing.assert_array_equal(read_image(path), [[[1, 2, 3], [255, 255, 255]]])


@pytest.mark.parametrize("extension", ["png", "tif", "pgm"])
def test_sixteen_bits_are_rounded_to_eight(tmp_path, extension):
    values = np.array([[0, 128, 129, 257], [32896, 65406, 65407, 65535]], np.uint16)
    path = tmp_path / f"photo.{extension}"
    Image.fromarray(values).save(path)
    expected = np.rint(values / 257.0).astype(np.uint8)
    np.testing.assert_array_equal(read_image(path), np.repeat(expected[..., None], 3, 2))


def test_floats_are_scaled_from_zero_to_one(tmp_path):
    path = tmp_path / "photo.tif"
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(path)
    np.testing.assert_array_equal(read_image(path)[0, :, 0], [0, 128, 255])


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan")])
def test_floats_out_of_range_are_rejected(tmp_path, value):
    path = tmp_path / "photo.tif"
    Image.fromarray(np.array([[0.0, value]], np.float32)).save(path)
    with pytest.raises(UnreadableImageError, match=r"photo\.tif.*expected 0 to 1"):
        read_image(path)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(noise(4, 4, 3, seed=seed)) for seed in range(2)]
    path = tmp_path / "photo.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(read_image(path), np.asarray(frames[0]))


def test_truncated_file_has_a_size_but_cannot_be_read(tmp_path):
    for extension in ("png", "jpg", "webp", "bmp", "tif"):
        path = tmp_path / f"photo.{extension}"
        Image.fromarray(noise(40, 50, 3)).save(path)
        data = path.read_bytes()
        # The header of a TIFF is at its end; WebP checks its length when opened.
        path.write_bytes(data[: len(data) // 2])
        if extension in ("png", "jpg", "bmp"):
            assert image_size(path) == (40, 50)
        with pytest.raises(UnreadableImageError, match=f"photo\\.{extension}") as caught:
            read_image(path)
        assert "\n" not in str(caught.value)


def test_errors_name_files_that_are_not_images(tmp_path):
    text = tmp_path / "note.png"
    text.write_text("not an image")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    folder = tmp_path / "folder.png"
    folder.mkdir()
    for path in (text, empty, folder, tmp_path / "gone.png"):
        for read in (read_image, image_size):
            with pytest.raises(UserError, match=path.name):
                read(path)


def test_decompression_bombs_are_rejected(tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    Image.fromarray(noise(30, 30, 3)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(UnreadableImageError, match=r"photo\.png: more than 800 pixels"):
        read_image(path)


def _encoded(extension):
    stream = io.BytesIO()
    Image.fromarray(noise(12, 11, 3)).save(stream, extension)
    return stream.getvalue()


ENCODED = {extension: _encoded(extension) for extension in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM")}


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(data=st.data(), extension=st.sampled_from(sorted(ENCODED)))
def test_damaged_files_give_an_image_or_an_unreadable_image_error(data, extension):
    damaged = bytearray(ENCODED[extension])
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    for read in (read_image, image_size):
        result = _result_or_message(read, bytes(damaged))
        if isinstance(result, str):
            assert result.startswith("holiday: ")
        elif read is image_size:
            assert len(result) == 2
        else:
            assert (result.dtype, result.shape[2:]) == (np.uint8, (3,))


def _result_or_message(read, content):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read(io.BytesIO(content), name="holiday")
        except UnreadableImageError as error:
            return str(error)
