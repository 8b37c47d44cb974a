"""Key maps of torchvision's VGG-16 and VGG-19."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

from sirr_jax.models.vgg import VGG16_BLOCKS, VGG19_BLOCKS, convolutions
from sirr_jax.models.width import read_width, scaled
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, conv, passthrough

Blocks = tuple[tuple[int, ...], ...]

_CLASSIFIER = [f"classifier.{layer}.{part}" for layer in (0, 3, 6) for part in ("weight", "bias")]


def feature_indices(blocks: Blocks) -> dict[str, int]:
    """Returns the index of each convolution in `features`: `{"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, ...}`."""
    indices: dict[str, int] = {}
    index = 0
    for b, block in enumerate(blocks, 1):
        for i in range(1, len(block) + 1):
            indices[f"conv{b}_{i}"] = index
            index += 2  # the convolution and its ReLU
        index += 1  # the pooling
    return indices


def _rules(blocks: Blocks, model_args: Mapping[str, Any]) -> list[KeyRule]:
    """Makes rules for the convolutions; those beyond `layers` and the classifier are optional and passed through."""
    layers = model_args.get("layers", tuple(convolutions(blocks)))
    rules: list[KeyRule] = []
    for name, index in feature_indices(blocks).items():
        key = f"features.{index}"
        rules += conv(key, name) if name in layers else passthrough(f"{key}.weight", f"{key}.bias", optional=True)
    return [*rules, *passthrough(*_CLASSIFIER, optional=True)]


def _infer_model_args(blocks: Blocks, shapes: Shapes) -> dict[str, Any] | None:
    """Infers `width`, and `layers` from the last key; None if there are keys that the network does not have."""
    width = read_width(shapes["features.0.weight"][0], 64)
    if width is None:
        return None
    expected: dict[str, tuple[int, ...]] = {}
    before = 3
    for channels, index in zip(convolutions(blocks).values(), feature_indices(blocks).values(), strict=True):
        after = scaled(channels, width)
        expected |= {f"features.{index}.weight": (after, before, 3, 3), f"features.{index}.bias": (after,)}
        before = after
    present = {key: tuple(shape) for key, shape in shapes.items() if key.startswith("features.")}
    complete = list(itertools.takewhile(present.__contains__, expected))
    layers = tuple(convolutions(blocks))[: len(complete) // 2]
    if not layers or len(complete) < len(present) or any(present[key] != expected[key] for key in complete):
        return None
    model_args: dict[str, Any] = {} if len(complete) == len(expected) else {"layers": layers}
    return model_args | ({} if width == "base" else {"width": width})


def _key_map(blocks: Blocks) -> KeyMap:
    return KeyMap(functools.partial(_rules, blocks), functools.partial(_infer_model_args, blocks))


VGG16 = _key_map(VGG16_BLOCKS)
VGG19 = _key_map(VGG19_BLOCKS)
