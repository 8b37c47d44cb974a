"""What a network costs: parameters and MACs, counted without running it."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn


class Cost(NamedTuple):
    """Of one forward pass in evaluation mode.

    Attributes:
        parameters: numbers that are trained (no running statistics).
        macs: of the convolutions and matrix products, as they are executed.
        shapes: of the inputs that it was counted for.
    """

    parameters: int
    macs: int
    shapes: tuple[tuple[int, ...], ...]


def cost(module: nn.Module, *, size: tuple[int, int] = (256, 256)) -> Cost:
    """Count a network's cost by tracing.

    Args:
        module: a network of `sirr_jax.build`.
        size: height and width of its images; networks that are tied to a size take theirs.
    """
    shapes = module.example_shapes(size=size)
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    variables = jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), *inputs)
    program = jax.make_jaxpr(module.apply)(variables, *inputs)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return Cost(parameters, _count(program.jaxpr), shapes)


def _count(jaxpr: jax.extend.core.Jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "conv_general_dilated":
            output, kernel = equation.outvars[0].aval.shape, equation.invars[1].aval.shape
            numbers = equation.params["dimension_numbers"].rhs_spec
            # Of a dilated input (transposed convolution) only every s-th pixel is not zero.
            taps = math.prod(kernel) // kernel[numbers[0]]
            total += math.prod(output) * taps // math.prod(equation.params["lhs_dilation"])
        elif name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in contracted)
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if hasattr(inner, "jaxpr"):
                    total += _count(inner.jaxpr)
                elif hasattr(inner, "eqns"):
                    total += _count(inner)
    return total
