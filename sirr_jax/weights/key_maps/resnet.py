"""Key maps of torchvision's ResNet-50 and ResNet-101."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.resnet import ResNet, ResNet50, ResNet101
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv, nested, passthrough

_STEM = {64: "base", 16: "small", 4: "tiny"}


def backbone_rules(network: type[ResNet]) -> list[KeyRule]:
    """Makes the rules of a ResNet without its classifier."""
    rules = [*conv("conv1", "stem_conv", bias=False), *batch_norm("bn1", "stem_norm")]
    for stage, count in enumerate(network.blocks, start=1):
        for block in range(count):
            key = f"layer{stage}.{block}"
            layers = []
            for i in (1, 2, 3):
                layers += [*conv(f"{key}.conv{i}", f"conv{i}", bias=False), *batch_norm(f"{key}.bn{i}", f"norm{i}")]
            if block == 0:
                layers += conv(f"{key}.downsample.0", "project_conv", bias=False)
                layers += batch_norm(f"{key}.downsample.1", "project_norm")
            rules += nested(f"stage{stage}_block{block}", layers)
    return rules


def infer_backbone_width(shapes: Shapes, network: type[ResNet], *, prefix: str = "") -> str | None:
    """Infers the `width` of the ResNet under `prefix`; None if it is another network."""
    channels = shapes[f"{prefix}conv1.weight"][0]
    planes = {shapes[f"{prefix}layer1.0.conv{i}.weight"] for i in (1, 2)}
    width = _STEM.get(channels)
    fits = (
        width is not None
        and shapes[f"{prefix}conv1.weight"] == (channels, 3, 7, 7)
        # Wide and grouped variants differ in the first block.
        and planes == {(channels, channels, 1, 1), (channels, channels, 3, 3)}
        and f"{prefix}layer1.0.downsample.0.weight" in shapes
        and f"{prefix}layer3.{network.blocks[2] - 1}.conv3.weight" in shapes
        and f"{prefix}layer3.{network.blocks[2]}.conv3.weight" not in shapes
    )
    return width if fits else None


def _key_map(network: type[ResNet]) -> KeyMap:
    def make_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
        return [*backbone_rules(network), *passthrough("fc.weight", "fc.bias", optional=True)]

    def infer_model_args(shapes: Shapes) -> Mapping[str, Any] | None:
        width = infer_backbone_width(shapes, network)
        if width is None:
            return None
        return {} if width == "base" else {"width": width}

    return KeyMap(make_rules, infer_model_args)


RESNET50 = _key_map(ResNet50)
RESNET101 = _key_map(ResNet101)
