"""What SGRRN's networks start from: ImageNet's backbone, and the released initial values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.weights.load_weights import load_any


def with_backbone(variables: Mapping[str, Any], path: str, *, backbone: str, width: str) -> dict[str, Any]:
    """Put a ResNet's weights into a generator.

    Args:
        variables: the generator's, `{"params": ..., "batch_stats": ...}`.
        path: torchvision's `resnet101-5d3b4d8f.pth` or `resnet50-19c8e357.pth`, or a model file made of it.
        backbone: "resnet101" or "resnet50".
        width: of the generator.

    Returns:
        The variables with float32 copies of the file's parameters and running statistics.

    Raises:
        UserError: if the file cannot be read or holds another network.
    """
    networks = load_any([path]).networks
    found = networks.get(backbone)
    if found is None or found.model_args.get("width", "base") != width:
        held = ", ".join(f"{network.id} {network.model_args}" for network in networks.values())
        raise UserError(
            f"{path} holds {held}; expected a {backbone} of width {width}: correct config.backbone_weights, or "
            "config.backbone or config.width"
        )
    result = dict(variables)
    for name in ("params", "batch_stats"):
        own = jax.tree.map(lambda x: jnp.array(np.asarray(x, np.float32)), dict(found.variables[name]))
        result[name] = variables[name] | {"encoder": variables[name]["encoder"] | {"backbone": own}}
    return result


def released_start(key: jax.Array, params: Mapping[str, Any], *, discriminator: bool) -> dict[str, Any]:
    """Draw kernels and biases as the released code does (SGRRN specification, section 8).

    The discriminators' kernels are normal, of deviation 0.02, their biases 0. The backbone's and the semantic branch's
    kernels are He-normal of the fan-out. All else is PyTorch's default, uniform in +-1/sqrt(n); n is the number of
    values that make up an output. Normalization stays as it is.

    Args:
        key: a typed PRNG key.
        params: of the generator or of a discriminator.
        discriminator: which.
    """

    def draw(key: jax.Array) -> dict[str, Any]:
        return _drawn(key, params, (), discriminator=discriminator)

    # Many small draws that run once, as in `initialize`.
    return jax.jit(draw).lower(key).compile(compiler_options={"xla_backend_optimization_level": 0})(key)


def _drawn(key: jax.Array, params: Mapping[str, Any], place: tuple[str, ...], *, discriminator: bool) -> dict[str, Any]:
    result = {}
    for i, (name, value) in enumerate(sorted(params.items())):
        own = jax.random.fold_in(key, i)
        if isinstance(value, Mapping):
            result[name] = _drawn(own, value, (*place, name), discriminator=discriminator)
        elif "kernel" not in params:
            result[name] = value
        elif discriminator:
            drawn = 0.02 * jax.random.normal(own, value.shape)
            result[name] = drawn if name == "kernel" else jnp.zeros_like(value)
        elif name == "kernel" and (place[0] == "semantic" or place[:2] == ("encoder", "backbone")):
            result[name] = math.sqrt(2.0 / math.prod((*value.shape[:-2], value.shape[-1]))) * jax.random.normal(
                own, value.shape
            )
        else:
            bound = 1.0 / math.sqrt(math.prod(params["kernel"].shape[:-1]))
            result[name] = jax.random.uniform(own, value.shape, minval=-bound, maxval=bound)
    return result
