"""Keras files as the h5py beside TensorFlow 1.12 wrote them, of EdgeGAN's networks."""

from __future__ import annotations

import h5py
import numpy as np

from sirr_jax.weights.key_maps.edge_gan import KERAS_NETWORKS, LAYER_ARRAYS
from tests.helpers import published

EDGE_NET, ATTENTION_NET = "edge_gan/edge_net", "edge_gan/attention_net"
GENERATOR, DISCRIMINATOR = "edge_gan/generator", "edge_gan/discriminator"
# What the original script numbers its layers from, where one process builds all four networks.
FRESH = {
    EDGE_NET: {},
    ATTENTION_NET: {"conv2d": 31},
    GENERATOR: {"conv2d": 94, "conv2d_transpose": 1},
    DISCRIMINATOR: {"conv2d": 109},
}


def reference_arrays(network_id):
    """`{"step2.gate_f/kernel": array}` in the saved order: the weights of the reference outputs."""
    gain = 0.5 if network_id == EDGE_NET else 2.0
    return published.fill_edge_gan(published.shapes(f"{network_id} keras"), gain)


def layers(network_id, arrays, first=None):
    """`[[layer, [[weight, array], ...]], ...]` in the saved order, with a layer without weights after each."""
    first = FRESH[network_id] if first is None else first
    found = [["input_1", []]]
    for layer in KERAS_NETWORKS[network_id].layers:
        number = first.get(layer.class_name, 0) + layer.relative_index
        name = f"{layer.class_name}_{number}" if number else layer.class_name
        weights = [[f"{name}/{part}:0", arrays[f"{layer.name}/{part}"]] for part in LAYER_ARRAYS[layer.class_name]]
        found += [[name, weights], [f"after_{name}", []]]
    return found


def write_layers(group, layers, *, names="S"):
    """`names`: how they are stored, "S" (bytes of fixed length) or "O" (text)."""
    group.attrs["layer_names"] = np.array([name for name, _ in layers], names)
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = b"2.1.6-tf"
    for name, weights in layers:
        inner = group.create_group(name)
        # Of a layer without weights Keras stores an empty list, which becomes one of float64.
        inner.attrs["weight_names"] = np.array([weight for weight, _ in weights], names) if weights else np.zeros(0)
        for weight, array in weights:
            inner.create_dataset(weight, data=array)


def save_weights(path, layers, **options):
    """`edgeMap.h5`, `attentionMap.h5`: layers at the root."""
    with h5py.File(path, "w") as file:
        write_layers(file, layers, **options)
    return path


def save_model(path, layers):
    """`generator.h5`, `discriminator.h5`: layers under /model_weights, beside the optimizer's state."""
    with h5py.File(path, "w") as file:
        write_layers(file.create_group("model_weights"), layers)
        file.attrs["model_config"] = b'{"class_name": "Model"}'
        file.attrs["training_config"] = b'{"loss": "MSE"}'
        optimizer = file.create_group("optimizer_weights")
        optimizer.attrs["weight_names"] = [b"Adam/iterations:0"]
        optimizer.create_dataset("Adam/iterations:0", data=np.int64(3))
    return path


def save_combined(path, generator, discriminator, *, uniquifier=""):
    """`combined.h5`: two models inside a model; `uniquifier`: what a second copy in the graph adds to names."""

    def flat(layers):
        return [[weight.replace("/", f"{uniquifier}/"), array] for _, weights in layers for weight, array in weights]

    return save_model(path, [["input_5", []], ["model_2", flat(generator)], ["model_3", flat(discriminator)]])
