"""Initial values of SGRRN's networks: the backbone from ImageNet, and the released initialization."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.recipes.common.pretrained import ancestry_of, load_file
from sirr_jax.weights.model_file import Parent


def with_backbone(
    variables: Mapping[str, Any], path: str, *, backbone: str, width: str
) -> tuple[dict[str, Any], tuple[Parent, ...]]:
    """Puts the weights of a ResNet into a generator.

    Args:
        variables: variables of the generator, `{"params": ..., "batch_stats": ...}`.
        path: torchvision's `resnet101-5d3b4d8f.pth` or `resnet50-19c8e357.pth`, or a model file made of it.
        backbone: "resnet101" or "resnet50".
        width: width of the generator.

    Returns:
        The variables with float32 copies of the file's parameters and running statistics, and the ResNet's ancestry.

    Raises:
        UserError: The file cannot be read or contains another network.
    """
    model = load_file(path, "config.backbone_weights")
    networks = model.networks
    stored = networks.get(backbone)
    if stored is None or stored.model_args.get("width", "base") != width:
        contents = ", ".join(f"{network.id} {network.model_args}" for network in networks.values())
        raise UserError(
            f"{path} contains {contents}; expected a {backbone} of width {width}: correct config.backbone_weights, or "
            "config.backbone or config.width"
        )
    result = dict(variables)
    for name in ("params", "batch_stats"):
        tree = jax.tree.map(lambda x: jnp.array(np.asarray(x, np.float32)), dict(stored.variables[name]))
        result[name] = variables[name] | {"encoder": variables[name]["encoder"] | {"backbone": tree}}
    return result, ancestry_of(model, stored, path).parents


def released_start(key: jax.Array, params: Mapping[str, Any], *, discriminator: bool) -> dict[str, Any]:
    """Draws kernels and biases as the released code does (SGRRN specification, section 8).

    The discriminators' kernels are normal with deviation 0.02, their biases 0. The kernels of the backbone and of the
    semantic branch are He-normal by the fan-out. All else is PyTorch's default, uniform in +-1/sqrt(n) with the
    fan-in n. Normalization stays as it is.

    Args:
        key: typed PRNG key.
        params: parameters of the generator or of a discriminator.
        discriminator: whether they are a discriminator's.

    Returns:
        Parameters of the same structure.
    """

    def draw(key: jax.Array) -> dict[str, Any]:
        return _drawn(key, params, (), discriminator=discriminator)

    # Without optimization, as in `initialize`: the many small draws run once.
    options: dict[str, Any] = {"xla_backend_optimization_level": 0}
    return jax.jit(draw).lower(key).compile(compiler_options=options)(key)


def _drawn(key: jax.Array, params: Mapping[str, Any], place: tuple[str, ...], *, discriminator: bool) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for i, (name, value) in enumerate(sorted(params.items())):
        value_key = jax.random.fold_in(key, i)
        if isinstance(value, Mapping):
            result[name] = _drawn(value_key, value, (*place, name), discriminator=discriminator)
        elif "kernel" not in params:
            result[name] = value
        elif discriminator:
            drawn = 0.02 * jax.random.normal(value_key, value.shape)
            result[name] = drawn if name == "kernel" else jnp.zeros_like(value)
        elif name == "kernel" and (place[0] == "semantic" or place[:2] == ("encoder", "backbone")):
            fan_out = math.prod((*value.shape[:-2], value.shape[-1]))
            result[name] = math.sqrt(2.0 / fan_out) * jax.random.normal(value_key, value.shape)
        else:
            bound = 1.0 / math.sqrt(math.prod(params["kernel"].shape[:-1]))
            result[name] = jax.random.uniform(value_key, value.shape, minval=-bound, maxval=bound)
    return result
