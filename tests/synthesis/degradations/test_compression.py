"""Types 10 and 11 against Pillow's files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sirr_jax.synthesis.degradations import degrade


@pytest.fixture(scope="module")
def image():
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    return np.array(coarse.resize((251, 190), Image.Resampling.BICUBIC))


def saved(image, file_format, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, file_format, **options)
    return np.asarray(Image.open(buffer)), len(buffer.getvalue())


@pytest.mark.parametrize(("level", "quality"), [(1, 43), (2, 12), (3, 7), (4, 4)])
def test_jpeg_has_the_published_quality(image, level, quality):
    expected, _ = saved(image, "JPEG", quality=quality, subsampling=2)
    np.testing.assert_array_equal(degrade(image, "jpeg", level=level, generator=np.random.default_rng(0)), expected)


@pytest.mark.parametrize(("level", "ratio"), [(1, 52.2), (2, 150.0), (3, 342.9), (4, 600.0)])
def test_jpeg2000_has_the_published_ratio(image, level, ratio):
    large = np.tile(image, (2, 2, 1))
    exact = 24 / {1: 0.46, 2: 0.16, 3: 0.07, 4: 0.04}[level]
    assert exact == pytest.approx(ratio, abs=0.05)
    expected, size = saved(large, "JPEG2000", quality_mode="rates", quality_layers=[exact], irreversible=True)
    assert size == pytest.approx(large.size / exact, rel=0.1)
    np.testing.assert_array_equal(degrade(large, "jpeg2000", level=level, generator=np.random.default_rng(0)), expected)
