"""Key map of BDN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.width import read_width
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv, conv_transpose, nested

_LEVELS = (7, 5, 5)


def _block_rules(prefix: str, depth: int, levels: int) -> list[KeyRule]:
    """Makes the rules of a U-Net block, which contains all deeper blocks."""
    outermost, innermost = depth == 1, depth == levels
    rules = conv(f"{prefix}.{0 if outermost else 1}", f"down{depth}")
    if not outermost and not innermost:
        rules += batch_norm(f"{prefix}.2", f"down{depth}_norm")
    if not innermost:
        rules += _block_rules(_inner_prefix(prefix, depth), depth + 1, levels)
    up = 3 if outermost or innermost else 5
    rules += conv_transpose(f"{prefix}.{up}", f"up{depth}")
    return rules if outermost else [*rules, *batch_norm(f"{prefix}.{up + 1}", f"up{depth}_norm")]


def _inner_prefix(prefix: str, depth: int) -> str:
    """Returns the prefix of the block inside the one at `depth`."""
    return f"{prefix}.{1 if depth == 1 else 3}.model"


def _generator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:
    levels = model_args.get("levels", _LEVELS)
    return [
        rule
        for i, count in enumerate(levels, start=1)
        for rule in nested(f"unet{i}", _block_rules(f"model{i}.model.model", 1, count))
    ]


def _infer_generator_args(shapes: Shapes) -> dict[str, Any] | None:
    channels = shapes["model1.model.model.0.weight"][0]
    levels: list[int] = []
    while (key := f"model{len(levels) + 1}.model.model.0.weight") in shapes:
        if shapes[key] != (channels, 6 if levels else 3, 4, 4):
            return None
        prefix, depth = key.removesuffix(".0.weight"), 1
        while f"{_inner_prefix(prefix, depth)}.1.weight" in shapes:
            prefix, depth = _inner_prefix(prefix, depth), depth + 1
        levels.append(depth)
    model_args: dict[str, Any] = {} if tuple(levels) == _LEVELS else {"levels": tuple(levels)}
    width = read_width(channels, 64)
    if width is None:
        return None
    return model_args if width == "base" else {"width": width, **model_args}


GENERATOR = KeyMap(_generator_rules, _infer_generator_args)
