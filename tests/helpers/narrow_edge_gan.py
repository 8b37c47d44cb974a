"""Narrow edge_gan networks: their arrays under the specification's names, and what their Keras files hold."""

from __future__ import annotations

import functools

import jax
import numpy as np

from sirr_jax.weights.keras.convert import from_keras
from sirr_jax.weights.key_maps.edge_gan import KERAS_NETWORKS, LAYER_ARRAYS
from sirr_jax.weights.variables import flatten, variable_shapes
from tests.helpers import keras_files
from tests.helpers.keras_files import ATTENTION_NET, DISCRIMINATOR, EDGE_NET, GENERATOR

NETWORKS = (EDGE_NET, ATTENTION_NET, GENERATOR, DISCRIMINATOR)


@functools.cache
def traced(network_id, **model_args):
    return variable_shapes(network_id, **model_args)


@functools.cache
def keras_shapes(network_id, **model_args):
    """`{"step2.gate_f/kernel": shape}` in the saved order, from the network itself."""
    flat = flatten(traced(network_id, **model_args))
    found = {}
    for layer in KERAS_NETWORKS[network_id].layers:
        for part in LAYER_ARRAYS[layer.class_name]:
            shape = flat[layer.variable(part)].shape
            transposed = layer.class_name == "conv2d_transpose" and part == "kernel"
            found[f"{layer.name}/{part}"] = (*shape[:2], shape[3], shape[2]) if transposed else shape
    return found


@functools.cache
def arrays(network_id, **model_args):
    """Random numbers for each array, by the specification's names; of a narrow network if not told otherwise."""
    rng = np.random.default_rng(7)
    model_args = {"width": "tiny"} | model_args
    return {
        name: rng.standard_normal(s).astype(np.float32) for name, s in keras_shapes(network_id, **model_args).items()
    }


def small(network_id, *, path):
    return from_keras(network_id, path, width="tiny")


def layers(network_id, first=None, changes=None):
    return keras_files.layers(network_id, arrays(network_id) | (changes or {}), first)


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype == np.float32
        assert a.tobytes() == np.asarray(b).tobytes()
