"""What kind of file lies there."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from sirr_jax.weights.readers.file_type import detect_file_type
from sirr_jax.weights.readers.safetensors_file import read_safetensors


@pytest.mark.parametrize("length", [128, 384, 640, 1408, 19280])
def test_a_header_of_any_length_is_safetensors(tmp_path, length):
    """128 begins as a pickle does, 19280 as a zip archive."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", length) + header.ljust(length) + np.float32([1.0, 2.0]).tobytes())
    assert detect_file_type(path) == "safetensors"
    np.testing.assert_array_equal(read_safetensors(path)[0]["w"], [1.0, 2.0])
