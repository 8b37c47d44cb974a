"""Cost of a network in parameters and multiply-accumulate operations (MACs), counted without running it."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn


class Cost(NamedTuple):
    """Cost of one forward pass in evaluation mode.

    Attributes:
        parameters: number of trained parameters, without running statistics.
        macs: number of MACs of the convolutions and matrix products, as they are executed.
        shapes: shapes of the inputs.
    """

    parameters: int
    macs: int
    shapes: tuple[tuple[int, ...], ...]


def cost(module: nn.Module, *, size: tuple[int, int] = (256, 256)) -> Cost:
    """Counts the cost of a network by tracing it.

    Args:
        module: network of `sirr_jax.build`.
        size: height and width of the images; ignored by networks of a fixed size.
    """
    shapes = module.example_shapes(size=size)
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    variables = jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), *inputs)
    program = jax.make_jaxpr(module.apply)(variables, *inputs)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return Cost(parameters, _count(program.jaxpr), shapes)


def _shape(variable: Any) -> tuple[int, ...]:
    """Returns the shape of a variable of a jaxpr."""
    return variable.aval.shape


def _count(jaxpr: jax.extend.core.Jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "conv_general_dilated":
            output, kernel = _shape(equation.outvars[0]), _shape(equation.invars[1])
            numbers = equation.params["dimension_numbers"].rhs_spec
            # In a dilated input (transposed convolution) only every s-th pixel is not zero.
            taps = math.prod(kernel) // kernel[numbers[0]]
            total += math.prod(output) * taps // math.prod(equation.params["lhs_dilation"])
        elif name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = _shape(equation.invars[0])
            total += math.prod(_shape(equation.outvars[0])) * math.prod(left[axis] for axis in contracted)
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if hasattr(inner, "jaxpr"):
                    total += _count(inner.jaxpr)
                elif hasattr(inner, "eqns"):
                    total += _count(inner)
    return total
