from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.logos import draw_logo, load_logos, logo_silhouette
from sirr_jax.synthesis.degradations.watermark import draw_watermark, lay_over, watermark

BLACK = np.zeros((1024, 1024, 3), np.uint8)


def box_logo(height=100, width=200):
    """A black box with a white border of an eighth of its width."""
    logo = np.full((height, width, 4), 255, np.uint8)
    edge = width // 8
    logo[edge:-edge, edge:-edge, :3] = 0
    return logo


def extent(image):
    rows, columns = np.nonzero(image.max(axis=-1))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_logo_silhouette_equals_the_literal_rule():
    logo = np.random.default_rng(0).integers(150, 256, (9, 11, 4), np.uint8)
    logo[..., 3] = np.where(np.random.default_rng(1).random((9, 11)) < 0.8, 255, 254)
    reference = [int(v) for v in logo[9 - 2, 11 - 2]]
    for y in range(9):
        for x in range(11):
            pixel = [int(v) for v in logo[y, x]]
            near = all(reference[c] - pixel[c] <= 35 for c in range(3))
            assert logo_silhouette(logo)[y, x] == (not (near and pixel[3] == reference[3]))


def test_pixels_brighter_than_the_reference_are_background():
    logo = np.full((4, 4, 4), 100, np.uint8)
    logo[0, :3, 0] = (255, 65, 64)
    assert logo_silhouette(logo)[0].tolist() == [False, False, True, False]


@pytest.mark.parametrize("width", [1024, 512])
def test_position_size_and_gray_of_an_upright_logo(width):
    image = np.zeros((width, width, 3), np.uint8)
    scale = width / 1024
    places, grays = [], set()
    for seed in range(40):
        # The box is 300 x 100 in a stamp of 400 x 200; the border around it is transparent.
        marked = watermark(image, np.random.default_rng(seed), logos=[box_logo()], angle=0.0, size=400)
        top, bottom, left, right = extent(marked)
        assert abs((right - left) - 300 * scale) <= 4
        assert abs((bottom - top) - 100 * scale) <= 4
        places.append((left - 50 * scale, top - 50 * scale, right + 50 * scale, bottom + 50 * scale))
        gray = int(marked[(top + bottom) // 2, (left + right) // 2, 0])
        assert (marked[(top + bottom) // 2, (left + right) // 2] == gray).all()
        grays.add(gray)
    places = np.array(places) / scale
    assert places[:, :2].min() >= 80 - 4
    assert places[:, 2:].max() <= 1024 - 80 + 4
    assert places[:, 0].std() > 80
    assert min(grays) >= 128 * 0.976 - 1
    assert max(grays) <= 250
    assert len(grays) > 25


def test_opacity_below_1_keeps_a_trace_of_the_image():
    white = np.full((1024, 1024, 3), 255, np.uint8)
    rng = np.random.default_rng(5)
    rng.integers(1)
    gray = rng.integers(128, 256)
    over_white = watermark(white, np.random.default_rng(5), logos=[box_logo()])
    over_black = watermark(BLACK, np.random.default_rng(5), logos=[box_logo()])
    # 255 * 0.98 is 249.9, and an alpha of 249.
    assert abs(int(over_black.max()) - gray * 249 / 255) <= 1
    assert abs(int(over_white.min()) - (gray * 249 + 255 * 6) / 255) <= 1


def test_layer_is_rotated_by_ten_degrees_counter_clockwise_about_the_center():
    upright = watermark(BLACK, np.random.default_rng(2), logos=[box_logo()], angle=0.0)
    rotated = watermark(BLACK, np.random.default_rng(2), logos=[box_logo()])

    def middle_and_slope(image):
        y, x = np.nonzero(image[..., 0])
        axes = np.linalg.eigh(np.cov(np.stack([x, y])))[1]
        return np.array([x.mean(), y.mean()]) - 511.5, axes[1, 1] / axes[0, 1]

    (before, flat), (after, slope) = middle_and_slope(upright), middle_and_slope(rotated)
    assert abs(flat) < 1e-6
    assert abs(np.degrees(np.arctan(-slope)) - 10.0) < 0.1
    cosine, sine = np.cos(np.radians(10)), np.sin(np.radians(10))
    np.testing.assert_allclose(
        after, [cosine * before[0] + sine * before[1], cosine * before[1] - sine * before[0]], atol=1
    )


def test_tiles_form_two_interleaved_grids():
    logo = np.zeros((50, 100, 4), np.uint8)
    logo[:, :, 3] = 255
    logo[-2, -2] = 255
    marked = watermark(BLACK, np.random.default_rng(0), logos=[logo], tiled=True, angle=0.0)[..., 0] > 0
    y, x = np.mgrid[:1024, :1024]
    expected = (x % 400 < 100) & (y % 300 < 50)
    expected |= (x >= 200) & (y >= 150) & ((x - 200) % 400 < 100) & ((y - 150) % 300 < 50)
    # The reference pixel itself is transparent in each stamp, and bicubic resizing is the identity here.
    assert np.mean(marked != expected) < 1e-4


@pytest.mark.parametrize("shape", [(512, 768), (300, 1024), (64, 64), (1024, 300)])
@pytest.mark.parametrize("tiled", [False, True])
def test_watermark_accepts_any_image_size_and_depends_on_the_seed(shape, tiled):
    image = np.full((*shape, 3), 30, np.uint8)
    marked = watermark(image, np.random.default_rng(1), tiled=tiled)
    assert marked.shape == image.shape
    assert marked.dtype == np.uint8
    assert (marked != image).any()
    np.testing.assert_array_equal(marked, watermark(image, np.random.default_rng(1), tiled=tiled))
    assert (marked != watermark(image, np.random.default_rng(2), tiled=tiled)).any()
    assert (image == 30).all()


def test_layer_contains_the_drawn_values():
    logos = [box_logo(), box_logo(160, 160)]
    logo_indices = set()
    for seed in range(20):
        layer = draw_watermark(np.random.default_rng(seed), 512, 768, logos=logos, angle=0.0, size=400)
        logo_indices.add(layer.logo)
        shape = logos[layer.logo].shape
        assert layer.size == (300, int(300 * shape[0] / shape[1]))
        ((x, y),) = layer.places
        stamp = layer.pixels[y : y + layer.size[1], x : x + layer.size[0]]
        assert stamp[..., 3].any()
        assert layer.pixels[..., 3].astype(int).sum() == stamp[..., 3].astype(int).sum()
        assert (stamp[..., :3][stamp[..., 3] > 0] == layer.gray).all()
        image = np.random.default_rng(9).integers(0, 256, (512, 768, 3), np.uint8)
        marked = lay_over(image, layer)
        np.testing.assert_array_equal(
            marked, watermark(image, np.random.default_rng(seed), logos=logos, angle=0.0, size=400)
        )
        share = layer.pixels[..., 3:] / 255.0
        np.testing.assert_allclose(marked, share * layer.gray + (1.0 - share) * image, atol=1.0)
    assert logo_indices == {0, 1}
    assert draw_watermark(np.random.default_rng(0), 64, 64).logo is None


def test_drawn_logos_have_silhouettes():
    for seed in range(30):
        logo = draw_logo(np.random.default_rng(seed))
        assert logo.shape[1] >= 100
        assert logo.shape[2:] == (4,)
        assert 0.02 < logo_silhouette(logo).mean() < 0.8


def test_load_logos(tmp_path):
    with pytest.raises(UserError, match=r"no \.png file"):
        load_logos(tmp_path)
    Image.fromarray(box_logo()).save(tmp_path / "b.png")
    Image.fromarray(box_logo(32, 64)).convert("RGB").save(tmp_path / "a.png")
    logos = load_logos(tmp_path)
    assert {name: logo.shape for name, logo in logos.items()} == {"a.png": (32, 64, 4), "b.png": (100, 200, 4)}
    Image.new("RGB", (1, 1)).save(tmp_path / "c.png")
    with pytest.raises(UserError, match=r"c\.png has \(1, 1\) pixels"):
        load_logos(tmp_path)
    Image.new("RGB", (9, 9)).save(tmp_path / "c.png")
    with pytest.raises(UserError, match=r"c\.png is background all over"):
        load_logos(tmp_path)
    data = (tmp_path / "b.png").read_bytes()
    for broken in (b"no image", data[: len(data) // 2], b""):
        (tmp_path / "c.png").write_bytes(broken)
        with pytest.raises(UserError, match=r"c\.png cannot be read"):
            load_logos(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"opacity": 1.0}, {"opacity": 0.0}, {"size": 0}, {"size": 900}, {"margin": -1}, {"logos": []}]
)
def test_invalid_arguments_raise(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        watermark(BLACK, np.random.default_rng(0), **wrong)


def test_image_too_low_for_the_margins_raises():
    with pytest.raises(UserError, match="margin of 80"):
        watermark(np.zeros((100, 1024, 3), np.uint8), np.random.default_rng(0))
