"""`Restorer`: inputs, outputs and errors."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax import UserError
from sirr_jax.inference.restorer import Restorer
from sirr_jax.weights.model_file import Model, StoredNetwork


def model_of(params, network_id="dynamics/student", **model_args):
    network = StoredNetwork(network_id, {"width": "tiny"} | model_args, {"params": params})
    return Model("dynamics", {network_id.split("/")[1]: network}, license="-", description="-")


@pytest.fixture(scope="module")
def restorer(student_params):
    return Restorer(model_of(student_params))


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (20, 33, 3), np.uint8)


def test_untrained_student_returns_the_photo(restorer, photo):
    outputs = restorer(photo)
    np.testing.assert_array_equal(outputs.restored, photo.astype(np.float32) / np.float32(255))
    assert outputs.restored.dtype == np.float32
    assert outputs.reflection is None
    assert outputs.maps == {}


def test_uint8_and_float_single_and_batch_inputs_agree(restorer, photo):
    one = restorer(photo).restored
    np.testing.assert_array_equal(restorer(photo.astype(np.float64) / 255).restored, one)
    np.testing.assert_array_equal(restorer(photo[None]).restored[0], one)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((20, 20)), r"shape \(20, 20\); expected RGB"),
        (np.zeros((20, 20, 4)), r"shape \(20, 20, 4\); expected RGB"),
        (np.zeros((15, 40, 3)), "40x15 px; at least 16 px"),
        (np.zeros((20, 20, 3), np.int32), "dtype int32; expected uint8"),
        (np.full((20, 20, 3), 200.0), r"\[200, 200\]; expected \[0, 1\]"),
        (np.full((20, 20, 3), np.nan), r"\[nan, nan\]"),
    ],
)
def test_invalid_images_are_errors(restorer, image, message):
    with pytest.raises(UserError, match=message):
        restorer(image)


def test_parameters_must_fit_the_network(student_params):
    with pytest.raises(UserError, match="do not fit dynamics/student"):
        Restorer(model_of(student_params, width="small"))
    with pytest.raises(UserError, match="does not restore single images"):
        Restorer(model_of(student_params, "dynamics/teacher"))
