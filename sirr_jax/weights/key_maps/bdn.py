"""The published keys of BDN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.width import scaled
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv, conv_transpose, nested

_LEVELS = (7, 5, 5)


def _block_rows(prefix: str, depth: int, levels: int) -> list[KeyRule]:
    """The rows of a U-Net's block, which holds all deeper blocks inside."""
    outermost, innermost = depth == 1, depth == levels
    rows = conv(f"{prefix}.{0 if outermost else 1}", f"down{depth}")
    if not outermost and not innermost:
        rows += batch_norm(f"{prefix}.2", f"down{depth}_norm")
    if not innermost:
        rows += _block_rows(_inside(prefix, depth), depth + 1, levels)
    up = 3 if outermost or innermost else 5
    rows += conv_transpose(f"{prefix}.{up}", f"up{depth}")
    return rows if outermost else [*rows, *batch_norm(f"{prefix}.{up + 1}", f"up{depth}_norm")]


def _inside(prefix: str, depth: int) -> str:
    """The prefix of the block that one at `depth` holds."""
    return f"{prefix}.{1 if depth == 1 else 3}.model"


def _generator_rows(model_args: Mapping[str, Any]) -> list[KeyRule]:
    levels = model_args.get("levels", _LEVELS)
    return [
        row
        for i, count in enumerate(levels, start=1)
        for row in nested(f"unet{i}", _block_rows(f"model{i}.model.model", 1, count))
    ]


def _read_generator(shapes: Shapes) -> dict[str, Any] | None:
    channels = shapes["model1.model.model.0.weight"][0]
    levels: list[int] = []
    while (key := f"model{len(levels) + 1}.model.model.0.weight") in shapes:
        if shapes[key] != (channels, 6 if levels else 3, 4, 4):
            return None
        prefix, depth = key.removesuffix(".0.weight"), 1
        while f"{_inside(prefix, depth)}.1.weight" in shapes:
            prefix, depth = _inside(prefix, depth), depth + 1
        levels.append(depth)
    model_args: dict[str, Any] = {} if tuple(levels) == _LEVELS else {"levels": tuple(levels)}
    if channels == scaled(64, "tiny"):
        return {"width": "tiny", **model_args}
    return model_args if channels == 64 else None


GENERATOR = KeyMap(_generator_rows, _read_generator)
