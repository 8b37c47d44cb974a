"""Key maps of RmNet and SynNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.width import read_width
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, conv, conv_transpose, instance_norm
from sirr_jax.weights.key_maps.patchgan import infer_patch_discriminator_args, patch_discriminator_rules

_DECODERS = {"back": "restored", "refl": "reflection", "W": "mask"}


def _generator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    rules = conv("model_d_0.0.model.0", "down0")
    for i, level in enumerate((1, 2, 3, 4, "inner"), start=1):
        rules += conv(f"model_d_{level}.0.model.1", f"down{i}")
        rules += instance_norm(f"model_d_{level}.0.model.2") if level != "inner" else []
    for suffix, name in _DECODERS.items():
        for i, level in enumerate((0, 1, 2, 3, 4, "inner")):
            rules += conv_transpose(f"model_u_{level}_{suffix}.0.model.1", f"{name}_decoder/up{i}")
            rules += instance_norm(f"model_u_{level}_{suffix}.0.model.2") if level else []
    return rules


def _infer_generator_args(shapes: Shapes) -> dict[str, Any] | None:
    if shapes["model_u_0_W.0.model.1.weight"][1:] != (3, 4, 4):
        return None
    return _width(shapes["model_d_0.0.model.0.weight"], (3, 4, 4))


def _synnet_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    rules: list[KeyRule] = []
    for i, name in ((1, "stem"), (4, "down1"), (7, "down2")):
        rules += conv(f"model.{i}", name) + instance_norm(f"model.{i + 1}")
    for i in range(9):
        for position, name in ((1, "conv1"), (5, "conv2")):
            key = f"model.{10 + i}.conv_block"
            rules += conv(f"{key}.{position}", f"residual{i}/{name}") + instance_norm(f"{key}.{position + 1}")
    for i, name in ((19, "up2"), (22, "up1")):
        rules += conv_transpose(f"model.{i}", name) + instance_norm(f"model.{i + 1}")
    return [*rules, *conv("model.26", "mask")]


def _infer_synnet_args(shapes: Shapes) -> dict[str, Any] | None:
    if "model.18.conv_block.5.weight" not in shapes or shapes["model.26.weight"][0] != 3:
        return None
    return _width(shapes["model.1.weight"], (6, 7, 7))


def _width(shape: tuple[int, ...], rest: tuple[int, ...]) -> dict[str, Any] | None:
    """Infers the width from the shape of the first kernel: output channels, followed by `rest`."""
    width = read_width(shape[0], 64)
    if width is None or shape[1:] != rest:
        return None
    return {} if width == "base" else {"width": width}


GENERATOR = KeyMap(_generator_rules, _infer_generator_args)
SYNNET = KeyMap(_synnet_rules, _infer_synnet_args)
SYNNET_DISCRIMINATOR = KeyMap(patch_discriminator_rules, infer_patch_discriminator_args)
