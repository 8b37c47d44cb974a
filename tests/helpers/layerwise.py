"""What every layer of a PyTorch network and of its Flax counterpart answers, paired through the key map."""

from __future__ import annotations

import contextlib

import jax
import numpy as np

from sirr_jax.weights.key_maps import key_map


@contextlib.contextmanager
def listening(network):
    """`{layer name: [its answers in turn, NHWC]}` of the convolutions and linear layers of a PyTorch network."""
    heard, handles = {}, []
    for name, layer in network.named_modules():
        if hasattr(layer, "weight"):
            heard[name] = []
            handles.append(layer.register_forward_hook(lambda _, __, y, into=heard[name]: into.append(nhwc(y))))
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def answers(module, variables, *inputs):
    """The outputs, and `{path of a layer: (its answers in turn)}`; compiled without optimization."""

    def apply(variables, *inputs):
        return module.apply(variables, *inputs, capture_intermediates=True)

    lowered = jax.jit(apply).lower(variables, *inputs)
    compiled = lowered.compile(compiler_options={"xla_backend_optimization_level": 0})
    outputs, state = compiled(variables, *inputs)
    found = {}
    for keys, leaf in jax.tree_util.tree_leaves_with_path(state["intermediates"]):
        *path, call, turn = (getattr(key, "key", getattr(key, "idx", None)) for key in keys)
        if call == "__call__":
            found.setdefault("/".join(path), {})[turn] = np.asarray(leaf)
    return outputs, {path: [turns[i] for i in sorted(turns)] for path, turns in found.items()}


def pairs(network_id, model_args):
    """`(PyTorch name, path)` of every layer with a kernel."""
    rules = key_map(network_id).rules(model_args)
    return [
        (rule.key.removesuffix(".weight"), "/".join(rule.path[1:-1]))
        for rule in rules
        if rule.path[0] == "params" and rule.path[-1] == "kernel"
    ]


def gradients(loss, *arguments):
    """`jax.grad` with respect to all arguments, compiled without optimization."""
    lowered = jax.jit(jax.grad(loss, argnums=tuple(range(len(arguments))))).lower(*arguments)
    return lowered.compile(compiler_options={"xla_backend_optimization_level": 0})(*arguments)


def nhwc(tensor):
    array = tensor.detach().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def error(found, expected):
    """Largest difference, relative to the largest expected value (or to 1, if that is smaller)."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / max(1.0, np.abs(expected).max())


def gradient_error(found, expected):
    """Largest difference, relative to the largest expected value, which is not 0."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    assert scale > 0
    return np.abs(found - expected).max() / scale
