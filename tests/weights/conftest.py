"""Fixtures of the tests of Keras files."""

from __future__ import annotations

import pytest

from sirr_jax.weights.keras import convert
from tests.helpers.keras_files import DISCRIMINATOR, save_weights
from tests.helpers.narrow_edge_gan import layers, small, traced


@pytest.fixture
def trace_once(monkeypatch):
    """Traces each network once, not for each file."""
    monkeypatch.setattr(convert, "variable_shapes", traced)


@pytest.fixture(scope="session")
def discriminator(tmp_path_factory):
    """Variables of a narrow discriminator."""
    return small(DISCRIMINATOR, path=save_weights(tmp_path_factory.mktemp("d") / "w.h5", layers(DISCRIMINATOR)))
