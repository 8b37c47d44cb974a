"""Detection of file types."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from sirr_jax.weights.readers.file_type import detect_file_type
from sirr_jax.weights.readers.safetensors_file import read_safetensors


@pytest.mark.parametrize("length", [128, 384, 640, 1408, 19280])
def test_safetensors_headers_of_any_length_are_detected(tmp_path, length):
    """Length 128 starts like a pickle, 19280 like a zip archive."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", length) + header.ljust(length) + np.float32([1.0, 2.0]).tobytes())
    assert detect_file_type(path) == "safetensors"
    np.testing.assert_array_equal(read_safetensors(path)[0]["w"], [1.0, 2.0])
