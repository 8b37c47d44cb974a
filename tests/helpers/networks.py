"""Parameters and cheaply compiled forward passes for tests of networks."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np


@functools.lru_cache(maxsize=64)
def parameter_shapes(module, *shapes):
    """The parameters' shapes and types, by tracing alone."""
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    init = functools.partial(module.init, train=True)
    return jax.eval_shape(init, jax.random.key(0), *inputs)["params"]


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def random_parameters(module, *shapes, seed=0):
    """Parameters that keep activations near 1 and of which none is zero, not even in layers that begin there."""
    rng = np.random.default_rng(seed)

    def draw(leaf):
        fan_in = int(np.prod(leaf.shape[:-1]))
        scale = 0.1 if leaf.ndim == 1 else 1.5 / np.sqrt(fan_in)
        return (scale * rng.standard_normal(leaf.shape)).astype(np.float32)

    return jax.tree.map(draw, parameter_shapes(module, *shapes))


def compile_apply(module, params, *inputs, train=False):
    """`f(params, *inputs)`: compiled without optimization, which takes a third of the time."""
    compiled = compile_variables(module, {"params": params}, *inputs, train=train)
    return lambda params, *inputs: compiled({"params": params}, *inputs)


def compile_variables(module, variables, *inputs, train=False, mutable=False):
    """`f(variables, *inputs)`, compiled without optimization; returns what `module.apply` does."""

    def apply(variables, *inputs):
        keywords = {"train": train} if train else {}
        return module.apply(variables, *inputs, mutable=mutable, **keywords)

    lowered = jax.jit(apply).lower(variables, *inputs)
    return lowered.compile(compiler_options={"xla_backend_optimization_level": 0})


def run(module, variables, *inputs, train=False, mutable=False):
    """What the network answers, once; the outputs as NumPy arrays."""
    compiled = compile_variables(module, variables, *inputs, train=train, mutable=mutable)
    return jax.tree.map(np.asarray, compiled(variables, *inputs))


def images(seed, *shape):
    return np.random.default_rng(seed).random(shape).astype(np.float32)
