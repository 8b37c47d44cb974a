"""The contextual autoencoder against the layer table of its specification."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.layers.context_autoencoder import ContextDecoder, ContextEncoder, ContextFeatures
from sirr_jax.layers.smooth_upsample import SmoothUpsample
from tests.helpers import literal


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def drawn(module, x):
    """Random nonzero parameters of the module that keep activations near 1."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    rng = np.random.default_rng(5)

    def fill(leaf):
        spread = 0.1 if leaf.ndim == 1 else 1.5 / np.sqrt(np.prod(leaf.shape[:-1]))
        return (spread * rng.standard_normal(leaf.shape)).astype(np.float32)

    return jax.tree.map(fill, shapes)


def features():
    return ContextFeatures(draw(0, 2, 8, 12, 4), draw(1, 2, 4, 6, 6), draw(2, 2, 2, 3, 8))


def test_decoder_without_dropout_needs_no_rng_in_training():
    module, encoded = ContextDecoder(3), features()
    images = jax.eval_shape(lambda: module.apply({"params": drawn(module, encoded)}, encoded, train=True))
    assert images.full.shape == (2, 8, 12, 3)


def compiled(function, *inputs):
    return jax.jit(function).lower(*inputs).compile(compiler_options={"xla_backend_optimization_level": 0})


def test_encoder_matches_the_layer_table():
    module, x = ContextEncoder((3, 4, 5)), draw(0, 2, 12, 20, 2)
    params = drawn(module, x)
    actual = compiled(module.apply, {"params": params}, x)({"params": params}, x)

    def layer(name, x, **options):
        return literal.relu(literal.conv2d(x, **params[name], **options))

    full = layer("full", x)
    half = layer("half", layer("down_half", full, stride=2))
    quarter = layer("quarter2", layer("quarter1", layer("down_quarter", half, stride=2)))
    for dilation in (2, 4, 8, 16):
        quarter = layer(f"dilated{dilation}", quarter, dilation=dilation)
    for name, expected in (("full", full), ("half", half), ("quarter", layer("quarter3", quarter))):
        np.testing.assert_allclose(getattr(actual, name), expected, atol=1e-5)


@pytest.mark.parametrize("rectified", [False, True])
def test_decoder_matches_the_layer_table(rectified):
    module, encoded = ContextDecoder(3, rectified=rectified), features()
    params = drawn(module, encoded)
    actual = compiled(module.apply, {"params": params}, encoded)({"params": params}, encoded)

    def layer(name, x):
        return literal.conv2d(x, **params[name])

    def up(name, x, channels):
        y = jax.jit(SmoothUpsample(channels).apply)({"params": params[name]}, x.astype(np.float32))
        return np.asarray(y, np.float64)

    quarter = literal.relu(layer("quarter", encoded.quarter))
    # The encoder's features are added after the ReLU of the upsampling; no ReLU follows the sum.
    half = literal.relu(layer("half", up("up_half", quarter, 6) + encoded.half))
    full = layer("image", literal.relu(layer("full", up("up_full", half, 4) + encoded.full)))
    assert (full < 0).any()
    np.testing.assert_allclose(actual.full, literal.relu(full) if rectified else full, atol=2e-5)
    np.testing.assert_allclose(actual.half, literal.relu(layer("half_image", half)), atol=2e-5)
    np.testing.assert_allclose(actual.quarter, literal.relu(layer("quarter_image", quarter)), atol=2e-5)


def test_dropout_acts_only_in_training_and_after_the_quarter_resolution():
    module, encoded = ContextDecoder(3, dropout=0.5), features()
    variables = {"params": drawn(module, encoded)}

    def apply(variables, encoded):
        return module.apply(variables, encoded, train=True, rngs={"dropout": jax.random.key(0)})

    without, dropped = (compiled(f, variables, encoded)(variables, encoded) for f in (module.apply, apply))
    np.testing.assert_allclose(dropped.quarter, without.quarter, atol=1e-6)
    assert np.abs(dropped.half - without.half).max() > 1e-3
    assert np.abs(dropped.full - without.full).max() > 1e-3
