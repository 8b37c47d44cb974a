"""Key maps of RmNet and SynNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.width import scaled
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, conv, conv_transpose
from sirr_jax.weights.key_maps.patchgan import infer_patch_discriminator_args, patch_discriminator_rules

_DECODERS = {"back": "restored", "refl": "reflection", "W": "mask"}


def _generator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    rules = conv("model_d_0.0.model.0", "down0")
    for i, level in enumerate((1, 2, 3, 4, "inner"), start=1):
        rules += conv(f"model_d_{level}.0.model.1", f"down{i}")
    for suffix, name in _DECODERS.items():
        for i, level in enumerate((0, 1, 2, 3, 4, "inner")):
            rules += conv_transpose(f"model_u_{level}_{suffix}.0.model.1", f"{name}_decoder/up{i}")
    return rules


def _infer_generator_args(shapes: Shapes) -> dict[str, Any] | None:
    if shapes["model_u_0_W.0.model.1.weight"][1:] != (3, 4, 4):
        return None
    return _width(shapes["model_d_0.0.model.0.weight"], (3, 4, 4))


def _synnet_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    rules = [*conv("model.1", "stem"), *conv("model.4", "down1"), *conv("model.7", "down2")]
    for i in range(9):
        rules += conv(f"model.{10 + i}.conv_block.1", f"residual{i}/conv1")
        rules += conv(f"model.{10 + i}.conv_block.5", f"residual{i}/conv2")
    return [*rules, *conv_transpose("model.19", "up2"), *conv_transpose("model.22", "up1"), *conv("model.26", "mask")]


def _infer_synnet_args(shapes: Shapes) -> dict[str, Any] | None:
    if "model.18.conv_block.5.weight" not in shapes or shapes["model.26.weight"][0] != 3:
        return None
    return _width(shapes["model.1.weight"], (6, 7, 7))


def _width(shape: tuple[int, ...], rest: tuple[int, ...]) -> dict[str, Any] | None:
    """Infers the width from the shape of the first kernel: output channels, followed by `rest`."""
    widths: dict[tuple[int, ...], dict[str, Any]] = {(64, *rest): {}, (scaled(64, "tiny"), *rest): {"width": "tiny"}}
    return widths.get(shape)


GENERATOR = KeyMap(_generator_rules, _infer_generator_args)
SYNNET = KeyMap(_synnet_rules, _infer_synnet_args)
SYNNET_DISCRIMINATOR = KeyMap(patch_discriminator_rules, infer_patch_discriminator_args)
