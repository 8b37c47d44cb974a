"""torchvision's VGG-16 and VGG-19."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

from sirr_jax.models.vgg import VGG16_BLOCKS, VGG19_BLOCKS, convolutions
from sirr_jax.models.width import scaled
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, conv, passthrough

Blocks = tuple[tuple[int, ...], ...]

_CLASSIFIER = [f"classifier.{layer}.{part}" for layer in (0, 3, 6) for part in ("weight", "bias")]


def positions(blocks: Blocks) -> dict[str, int]:
    """Where torchvision's `features` has each convolution: `{"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, ...}`."""
    found, position = {}, 0
    for b, block in enumerate(blocks, 1):
        for i in range(1, len(block) + 1):
            found[f"conv{b}_{i}"] = position
            position += 2  # the ReLU counts too,
        position += 1  # and the pooling
    return found


def _rows(blocks: Blocks, model_args: Mapping[str, Any]) -> list[KeyRule]:
    """The convolutions; those beyond `layers` and the classifier are carried where they are present."""
    layers = model_args.get("layers", tuple(convolutions(blocks)))
    rows: list[KeyRule] = []
    for name, position in positions(blocks).items():
        key = f"features.{position}"
        rows += conv(key, name) if name in layers else passthrough(f"{key}.weight", f"{key}.bias", optional=True)
    return [*rows, *passthrough(*_CLASSIFIER, optional=True)]


def _infer_model_args(blocks: Blocks, shapes: Shapes) -> dict[str, Any] | None:
    """`layers` end where the keys do; keys that the network does not have mean that it is another one."""
    width = "base" if shapes["features.0.weight"][0] == scaled(64, "base") else "tiny"
    before, expected = 3, {}
    for channels, position in zip(convolutions(blocks).values(), positions(blocks).values(), strict=True):
        after = scaled(channels, width)
        expected |= {f"features.{position}.weight": (after, before, 3, 3), f"features.{position}.bias": (after,)}
        before = after
    present = {key: tuple(shape) for key, shape in shapes.items() if key.startswith("features.")}
    complete = list(itertools.takewhile(present.__contains__, expected))
    layers = tuple(convolutions(blocks))[: len(complete) // 2]
    if not layers or len(complete) < len(present) or any(present[key] != expected[key] for key in complete):
        return None
    model_args: dict[str, Any] = {} if len(complete) == len(expected) else {"layers": layers}
    return model_args | ({} if width == "base" else {"width": width})


def _key_map(blocks: Blocks) -> KeyMap:
    return KeyMap(functools.partial(_rows, blocks), functools.partial(_infer_model_args, blocks))


VGG16 = _key_map(VGG16_BLOCKS)
VGG19 = _key_map(VGG19_BLOCKS)
