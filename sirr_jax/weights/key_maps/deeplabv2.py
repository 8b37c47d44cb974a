"""Key map of the published PyTorch DeepLabV2-ResNet101-MSC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv

_BLOCKS = (3, 4, 23, 3)
_RATES = (6, 12, 18, 24)
_WIDTHS = {64: "base", 16: "small", 4: "tiny"}
_DEFAULTS = {"width": "base", "classes": 21}


def _conv_norm(key: str, convolution: str, norm: str) -> list[KeyRule]:
    return [*conv(f"{key}.conv", convolution, bias=False), *batch_norm(f"{key}.bn", norm)]


def _rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    rules = _conv_norm("base.layer1.conv1", "base/stem", "base/stem_norm")
    for stage, blocks in enumerate(_BLOCKS, start=1):
        for block in range(blocks):
            key, path = f"base.layer{stage + 1}.block{block + 1}", f"base/stage{stage}_block{block}"
            for i, part in enumerate(("reduce", "conv3x3", "increase"), start=1):
                rules += _conv_norm(f"{key}.{part}", f"{path}/conv{i}", f"{path}/norm{i}")
            if block == 0:
                rules += _conv_norm(f"{key}.shortcut", f"{path}/project_conv", f"{path}/project_norm")
    for i, rate in enumerate(_RATES):
        rules += conv(f"base.aspp.c{i}", f"base/aspp_rate{rate}")
    return rules


def _infer_model_args(shapes: Shapes) -> dict[str, Any] | None:
    stem = shapes["base.layer1.conv1.conv.weight"]
    classes, features, *_ = shapes["base.aspp.c3.weight"]
    deepest = "base.layer4.block23.increase.conv.weight"
    if stem[0] not in _WIDTHS or features != 32 * stem[0] or deepest not in shapes:
        return None
    model_args = {"width": _WIDTHS[stem[0]], "classes": classes}
    return {name: value for name, value in model_args.items() if value != _DEFAULTS[name]}


DEEPLABV2 = KeyMap(_rules, _infer_model_args)
