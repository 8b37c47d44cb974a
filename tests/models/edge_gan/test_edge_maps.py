"""Edge maps and attention targets against those of the release, a literal float64 transcription and scikit-image."""

from __future__ import annotations

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.filters import threshold_otsu

from sirr_jax.errors import UserError
from sirr_jax.models.edge_gan.edge_maps import attention_target, edge_map
from tests.helpers import published

edges = jax.jit(edge_map)
contour = jax.jit(attention_target)
mask = jax.jit(functools.partial(attention_target, target="mask"))

SIZE = (9, 11)  # of the random images: one size for one compilation


def unit(image):
    """Converts uint8 [H, W, 3] to the input of training."""
    return image[None].astype(np.float32) / np.float32(255.0)


def compute(function, *images):
    (actual,) = np.asarray(function(*map(unit, images)))
    assert actual.dtype == np.float32
    return actual[..., 0]


def literal_sobel(gray):
    """scikit-image 0.13's `sobel`: true convolution, zero frame."""
    kernel = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]) / 4.0
    result = np.zeros_like(gray)
    for i in range(1, gray.shape[0] - 1):
        for j in range(1, gray.shape[1] - 1):
            patch = gray[i - 1 : i + 2, j - 1 : j + 2][::-1, ::-1]
            result[i, j] = np.sqrt(((kernel * patch).sum() ** 2 + (kernel.T * patch).sum() ** 2) / 2.0)
    return result


def literal_gray(image):
    return image @ np.array([0.2125, 0.7154, 0.0721])


def literal_edges(image):
    x = (image - 127.5) / 127.5
    return np.clip(literal_sobel(127.5 * literal_gray(x) + 127.5), 0, 50) * 255 / 50


def whole_luma(image, background):
    """10000 * 255 times the luma difference, as integers: their histogram edges and centers have no rounding."""
    return (image.astype(np.int64) - background) @ np.array([2125, 7154, 721])


def literal_contour(above):
    return 255.0 * np.minimum(literal_sobel(127.5 * above + 127.5), 1.0)


def exact_scores(luma):
    """Otsu's variance between the classes after each bin, as fractions."""
    counts, _ = np.histogram(luma, bins=256, range=(luma.min(), luma.max()))
    counts = [int(count) for count in counts]
    pixels, total = sum(counts), sum(k * count for k, count in enumerate(counts))
    n = s = 0
    scores = []
    for k, count in enumerate(counts):
        n, s = n + count, s + k * count
        scores.append(Fraction((s * pixels - total * n) ** 2, n * (pixels - n)) if 0 < n < pixels else Fraction(0))
    return scores


# The release ---------------------------------------------------------------------------------------------------------


def test_edge_map_and_attention_target_match_the_release():
    golden = published.golden("edge_gan_preprocessing")
    image, background = golden["input_u8"], golden["background_u8"]
    unpacked = {
        name: np.unpackbits(golden[name]).reshape(image.shape[:2]) for name in ("attention_target", "otsu_mask")
    }
    np.testing.assert_allclose(compute(edges, image)[::2, ::2], golden["edge_input_map"], rtol=0, atol=5e-5)
    np.testing.assert_array_equal(compute(contour, image, background), 255.0 * unpacked["attention_target"])
    np.testing.assert_array_equal(compute(mask, image, background), 255.0 * unpacked["otsu_mask"])


# Random images -------------------------------------------------------------------------------------------------------

BYTES = hnp.arrays(np.uint8, (*SIZE, 3))
# Few values give empty bins and equal scores; many values are on the edges of bins.
FEW = hnp.arrays(np.uint8, (*SIZE, 3), elements=st.sampled_from([0, 1, 2, 100, 254, 255]))
IMAGES = st.one_of(BYTES, FEW)


@given(IMAGES)
@settings(max_examples=60)
def test_edge_map_matches_the_float64_transcription(image):
    np.testing.assert_allclose(compute(edges, image), literal_edges(image.astype(np.float64)), rtol=4e-7, atol=1e-12)


@given(IMAGES, IMAGES)
@settings(max_examples=100)
def test_attention_target_matches_scikit_image_otsu(image, background):
    luma = whole_luma(image, background)
    actual = compute(mask, image, background) > 0
    if luma.min() == luma.max():
        assert not actual.any()
        return
    expected = luma.astype(np.float64) > threshold_otsu(luma.astype(np.float64))
    if (actual != expected).any():  # only where float64 cannot distinguish the best splits
        scores, low, width = exact_scores(luma), luma.min(), (luma.max() - luma.min()) / 256
        near = [k for k in range(256) if scores[k] >= max(scores) * (1 - Fraction(1, 10**14))]
        assert any(np.array_equal(actual, luma > low + (k + 0.5) * width) for k in near)
    np.testing.assert_array_equal(compute(contour, image, background), literal_contour(actual.astype(np.float64)))


def test_otsu_splits_closer_than_float32_precision_are_distinguished():
    # Smooth histograms with flat optima for which sums and products in float32 choose another bin.
    draws = [np.random.default_rng(seed).normal(120.0, 40.0, (60, 60, 1)) for seed in (1657, 1924, 3058, 3367)]
    images = np.stack(draws).clip(0, 255).round().astype(np.uint8).repeat(3, axis=-1)
    scaled = images.astype(np.float32) / np.float32(255.0)
    actual = np.asarray(mask(scaled, np.zeros_like(scaled)))[..., 0] > 0
    for image, each in zip(images, actual, strict=True):
        luma = whole_luma(image, np.zeros_like(image)).astype(np.float64)
        np.testing.assert_array_equal(each, luma > threshold_otsu(luma))
        best, second = sorted(map(float, set(exact_scores(luma))), reverse=True)[:2]
        assert best - second < 1e-6 * best


# Behavior -----------------------------------------------------------------------------------------------------------


def test_each_image_of_a_batch_has_its_own_threshold():
    generator = np.random.default_rng(1)
    images, backgrounds = generator.random((2, 3, *SIZE, 3)).astype(np.float32) * np.array(
        [1.0, 0.1, 0.5], np.float32
    ).reshape(1, 3, 1, 1, 1)
    together = np.asarray(contour(images, backgrounds))
    for i in range(3):
        np.testing.assert_array_equal(together[i], contour(images[i : i + 1], backgrounds[i : i + 1])[0])


def test_constant_differences_have_no_reflection():
    image = np.random.default_rng(2).integers(0, 200, (*SIZE, 3), np.uint8)
    for brighter in (image, image + 40):
        for function in (contour, mask):
            assert not compute(function, brighter, image).any()


def test_only_added_light_is_a_reflection():
    background = np.full((12, 12, 3), 100, np.uint8)
    image = background.copy()
    image[2:5, 2:5] += 60
    image[7:10, 7:10] -= 60
    image[0, :] -= 60
    marked = compute(mask, image, background)
    # Darker areas are not marked: the threshold is between them and the rest.
    assert (marked[7:10, 7:10] == 0).all()
    assert (marked[2:5, 2:5] == 255).all()
    outline = compute(contour, image, background)
    assert set(np.unique(outline)) == {0.0, 255.0}
    assert not outline[[0, -1]].any()
    assert not outline[:, [0, -1]].any()


def test_values_outside_the_range_are_clipped():
    generator = np.random.default_rng(3)
    image, background = generator.uniform(-0.5, 1.5, (2, 1, *SIZE, 3)).astype(np.float32)
    cut = [np.clip(x, 0.0, 1.0) for x in (image, background)]
    np.testing.assert_array_equal(mask(image, background), mask(*cut))


def test_maps_under_pmap():
    assert jax.local_device_count() == 2
    images = np.random.default_rng(4).random((2, 2, *SIZE, 3)).astype(np.float32)
    split = jax.pmap(lambda x: (edge_map(x), attention_target(x, x[:, ::-1])))(images)
    for device in range(2):
        np.testing.assert_array_equal(split[1][device], contour(images[device], images[device][:, ::-1]))
        np.testing.assert_allclose(split[0][device], edges(images[device]), rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4, 3), (1, 2, 4, 3), (1, 4, 4, 1)])
def test_arrays_of_other_shapes_are_rejected(shape):
    with pytest.raises(UserError, match=r"expected RGB images \[B, H, W, 3\] of at least 3x3 pixels"):
        edge_map(jnp.zeros(shape))
    with pytest.raises(UserError, match="expected RGB images"):
        attention_target(jnp.zeros(shape), jnp.zeros(shape))


def test_unknown_targets_and_unequal_shapes_are_rejected():
    image = jnp.zeros((1, 4, 4, 3))
    with pytest.raises(UserError, match="no attention target 'area'; choose one of contour, mask"):
        attention_target(image, image, target="area")
    with pytest.raises(UserError, match="they must be equal"):
        attention_target(image, image[:, :3])
