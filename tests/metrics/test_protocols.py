"""The named protocols against published values, scikit-image, and themselves on the device."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sirr_jax.errors import UserError
from sirr_jax.metrics import PROTOCOLS, score

KEYS = {
    "errnet": ["psnr", "ssim", "lmse", "ncc"],
    "rgb": ["psnr", "ssim", "lmse", "ncc"],
    "y": ["psnr", "ssim"],
    "srnet": ["psnr", "ssim"],
    "ntire": ["psnr", "ssim"],
    "windowseat": ["psnr", "ssim", "ms_ssim"],
}
EACH = pytest.mark.parametrize("protocol", list(KEYS))

# Benchmark protocol, section 2.
GOLDEN = {
    (64, 96): {
        "errnet": {"psnr": 22.145226, "ssim": 0.90279520, "ncc": 0.90079165, "lmse": 0.00850958},
        "rgb": {"psnr": 20.892563, "ssim": 0.89481087, "ncc": 0.90079165, "lmse": 0.00850958},
        "truncated": {"psnr": 22.136355, "ssim": 0.90250917},
    },
    (53, 75): {
        "errnet": {"psnr": 22.168139, "ssim": 0.90294012, "ncc": 0.90103357, "lmse": 0.00861092},
        "rgb": {"psnr": 20.901655, "ssim": 0.89501353, "ncc": 0.90103357, "lmse": 0.00861092},
        "truncated": {"psnr": 22.159730, "ssim": 0.90263263},
    },
}


def golden_pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimate and target of section 2, on the 0..255 scale."""
    i, j, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    target = 127.5 + 100 * np.sin(0.21 * i + 0.13 * j * (1 + c) + 0.7 * c) * np.cos(0.05 * i - 0.09 * j + c)
    ripple = 12 * np.sin(0.31 * i - 0.17 * j + 0.5 * c) + 6 * np.cos(1.7 * i + 2.3 * j)
    return np.clip((0.95 - 0.15 * c) * target + 18 + ripple, 0, 255), target


@pytest.mark.parametrize("size", list(GOLDEN))
@pytest.mark.parametrize("row", ["errnet", "rgb", "truncated"])
def test_protocols_equal_golden_values(size, row):
    estimate, target = golden_pair(*size)
    if row == "truncated":
        estimate = np.floor(estimate)
    scores = score(estimate / 255, target / 255, protocol="rgb" if row == "rgb" else "errnet")
    for name, expected in GOLDEN[size][row].items():
        assert scores[name] == pytest.approx(expected, abs=6e-7 if name == "psnr" else 6e-9), name


def test_y_matches_scikit_image_on_studio_swing_luma():
    estimate, target = (image / 255 for image in golden_pair(24, 31))
    luma = [16 + image @ np.array([65.481, 128.553, 24.966]) for image in (estimate, target)]
    scores = score(estimate, target, protocol="y")
    assert scores["psnr"] == pytest.approx(peak_signal_noise_ratio(*luma[::-1], data_range=255.0), rel=1e-12)
    assert scores["ssim"] == pytest.approx(structural_similarity(*luma[::-1], data_range=255.0), rel=1e-12)


def test_srnet_matches_scikit_image_on_8_bit_images_and_their_gray():
    pair = [image / 255 for image in golden_pair(24, 31)]
    estimate, target = (np.floor(255 * image + 0.5).astype(np.uint8) for image in pair)
    gray = [
        ((image.astype(int) @ np.array([4899, 9617, 1868]) + 8192) >> 14).astype(np.uint8)
        for image in (target, estimate)
    ]
    scores = score(*pair, protocol="srnet")
    assert scores["psnr"] == pytest.approx(peak_signal_noise_ratio(target, estimate), rel=1e-12)
    assert scores["ssim"] == pytest.approx(structural_similarity(*gray), rel=1e-12)


def test_ntire_matches_scikit_image_inside_the_border():
    pair = [image / 255 for image in golden_pair(40, 31)]
    estimate, target = (np.floor(255 * image + 0.5)[4:-4, 4:-4] for image in pair)
    scores = score(*pair, protocol="ntire")
    error = np.square((estimate - target) / 255).mean()
    assert scores["psnr"] == pytest.approx(10 * math.log10(1 / (error + 1e-8)), rel=1e-12)
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = structural_similarity(target, estimate, data_range=255, channel_axis=-1, **gaussian)
    assert scores["ssim"] == pytest.approx(expected, rel=1e-9)


def test_windowseat_matches_scikit_image_on_8_bit_images():
    pair = [image / 255 for image in golden_pair(170, 181)]
    estimate, target = (np.floor(255 * image + 0.5) / 255 for image in pair)
    scores = score(*pair, protocol="windowseat")
    assert scores["psnr"] == pytest.approx(peak_signal_noise_ratio(target, estimate, data_range=1), rel=1e-12)
    expected = structural_similarity(target, estimate, data_range=1, channel_axis=-1)
    assert scores["ssim"] == pytest.approx(expected, rel=1e-9)
    assert scores["ms_ssim"] == pytest.approx(literal_ms_ssim(estimate, target), rel=1e-9)
    assert math.isnan(score(*(image[:160] for image in pair), protocol="windowseat")["ms_ssim"])


def literal_ms_ssim(estimate, target):
    """MS-SSIM from scikit-image's maps and the identity SSIM = luminance x contrast."""
    values = []
    for channel in range(3):
        x, y, product = estimate[..., channel], target[..., channel], 1.0
        for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            if scale:
                x, y = (np.pad(image, [(0, side % 2) for side in image.shape], mode="edge") for image in (x, y))
                x, y = (image.reshape(len(image) // 2, 2, -1, 2).mean(axis=(1, 3)) for image in (x, y))
            taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
            window = np.outer(taps, taps) / taps.sum() ** 2
            patches_x, patches_y = (np.lib.stride_tricks.sliding_window_view(image, (11, 11)) for image in (x, y))
            mean_x, mean_y = (np.einsum("ijkl,kl", patches, window) for patches in (patches_x, patches_y))
            var_x, var_y, both = (
                np.einsum("ijkl,ijkl,kl->ij", a, b, window) - c * d
                for a, b, c, d in (
                    (patches_x, patches_x, mean_x, mean_x),
                    (patches_y, patches_y, mean_y, mean_y),
                    (patches_x, patches_y, mean_x, mean_y),
                )
            )
            contrast = (2 * both + 0.03**2) / (var_x + var_y + 0.03**2)
            luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
            term = (contrast * luminance if scale == 4 else contrast).mean()
            product *= max(term, 0.0) ** weight
        values.append(product)
    return np.mean(values)


def test_y_psnr_has_a_known_offset_from_full_range_luma():
    estimate, target = (image / 255 for image in golden_pair(24, 31))
    full_range = [255 * image @ np.array([0.299, 0.587, 0.114]) for image in (target, estimate)]
    expected = peak_signal_noise_ratio(*full_range, data_range=255.0) + 20 * math.log10(255 / 219)
    assert score(estimate, target, protocol="y")["psnr"] == pytest.approx(expected, abs=1e-9)
    assert f"{20 * math.log10(255 / 219):.4f} dB" in PROTOCOLS["y"].description


def awkward_batch() -> tuple[np.ndarray, np.ndarray]:
    """Pairs that are difficult in float32: noise, near copies, flat, dark, half black, out of range, identical."""
    rng = np.random.default_rng(7)
    shape = (24, 33, 3)
    noise, photo = rng.random(shape), golden_pair(*shape[:2])[1] / 255
    half = np.where(np.arange(33)[None, :, None] < 21, 0.0, noise)
    pairs = [
        (noise, photo),
        (np.clip(photo + 0.002 * rng.standard_normal(shape), 0, 1), photo),
        (0.9 + 0.004 * noise, np.full(shape, 0.92)),
        (np.full(shape, 0.3), 0.31 + 0.002 * noise),
        (0.01 * noise, 0.01 * photo),
        (half, photo),
        (photo, half),
        (1.4 * photo - 0.2, photo),
        (photo, photo),
    ]
    estimates, targets = (np.stack(images).astype(np.float32) for images in zip(*pairs, strict=True))
    return estimates, targets


# Largest error in float32. PSNR in dB; LMSE relative, since it spans five decades here.
TOLERANCE = {
    "psnr": {"atol": 1e-4},
    "ssim": {"atol": 5e-7},
    "ncc": {"atol": 5e-7},
    "lmse": {"rtol": 1e-5},
    "ms_ssim": {},  # NaN at this size
}


@EACH
def test_jit_and_vmap_agree_with_double_precision(protocol):
    estimates, targets = awkward_batch()
    double = score(estimates, targets, protocol=protocol)
    single = jax.jit(jax.vmap(partial(score, protocol=protocol)))(jnp.asarray(estimates), jnp.asarray(targets))
    assert list(double) == sorted(single, key=KEYS[protocol].index) == KEYS[protocol]
    for name, expected in double.items():
        assert single[name].dtype == jnp.float32
        assert single[name].shape == expected.shape == (len(estimates),)
        np.testing.assert_allclose(single[name], expected, **({"rtol": 0.0, "atol": 0.0} | TOLERANCE[name]))


@EACH
def test_scores_of_identical_images_are_perfect(protocol):
    image = np.random.default_rng(8).random((20, 21, 3))
    psnr = 80.0 if protocol == "ntire" else math.inf
    perfect = {"psnr": psnr, "ssim": 1.0, "lmse": 0.0, "ncc": 1.0, "ms_ssim": math.nan}
    scores = score(image, image, protocol=protocol)
    assert scores == pytest.approx({name: perfect[name] for name in KEYS[protocol]}, abs=1e-12, nan_ok=True)


def test_errnet_is_the_default_and_every_protocol_has_a_description():
    pair = [image / 255 for image in golden_pair(20, 20)]
    assert score(*pair) == score(*pair, protocol="errnet") != score(*pair, protocol="rgb")
    assert list(PROTOCOLS) == sorted(KEYS)
    assert all(len(protocol.description) > 50 for protocol in PROTOCOLS.values())


def test_unknown_protocol_and_luma_of_gray_images_raise():
    gray = np.zeros((20, 20, 1))
    with pytest.raises(UserError, match="'ycbcr'; known names: errnet, ntire, rgb, srnet, windowseat, y"):
        score(gray, gray, protocol="ycbcr")
    for protocol in ("y", "srnet"):
        with pytest.raises(UserError, match=f"protocol {protocol}: the images have 1 channels, expected 3"):
            score(gray, gray, protocol=protocol)


def test_importing_metrics_loads_no_heavy_packages():
    heavy = "{'tensorflow', 'torch', 'skimage', 'scipy'}"
    code = f"import sys, sirr_jax.metrics; print(sorted({heavy} & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert process.stdout.strip() == "[]"
