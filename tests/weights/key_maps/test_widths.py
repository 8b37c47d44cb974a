"""Every width of every network is inferred from the shapes of its weights."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.models import list_networks
from sirr_jax.models.width import WIDTHS
from sirr_jax.weights.convert import expected_shapes
from sirr_jax.weights.detect import fitting

pytestmark = pytest.mark.slow  # a minute of tracing


def hollow(shapes):
    """Makes arrays of these shapes that occupy no memory."""
    return {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}


@pytest.mark.parametrize("network_id", list_networks())
def test_every_width_is_inferred(network_id):
    for width in WIDTHS:
        model_args = {} if width == "base" else {"width": width}
        (fit,) = fitting(hollow(expected_shapes(network_id, **model_args)), network_id)
        assert (fit.model_args, fit.part) == (model_args, None)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.25, 1.5])
def test_scales_of_espnet_are_inferred(scale):
    for width in ("base", "small"):
        model_args = {"scale": scale} | ({} if width == "base" else {"width": width})
        (fit,) = fitting(hollow(expected_shapes("espnetv2", **model_args)), "espnetv2")
        assert fit.model_args == model_args


@pytest.mark.parametrize("network_id", ["attentive_gan/discriminator", "edge_gan/discriminator"])
@pytest.mark.parametrize("width", WIDTHS)
def test_widths_of_discriminators_without_a_dense_layer_are_inferred(network_id, width):
    model_args = {"head": "gap"} | ({} if width == "base" else {"width": width})
    (fit,) = fitting(hollow(expected_shapes(network_id, **model_args)), network_id)
    assert fit.model_args == model_args
