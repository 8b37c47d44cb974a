"""Key map of BiSeNet, as zllrunning/face-parsing.PyTorch publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv

_WIDTHS = {64: "base", 16: "small", 4: "tiny"}


def _conv_norm(kernel: str, norm: str, path: str) -> list[KeyRule]:
    return [*conv(kernel, f"{path}/conv", bias=False), *batch_norm(norm, f"{path}/norm")]


def _block(key: str, path: str, *, projects: bool) -> list[KeyRule]:
    return [
        *_conv_norm(f"{key}.conv1", f"{key}.bn1", f"{path}/first"),
        *_conv_norm(f"{key}.conv2", f"{key}.bn2", f"{path}/second"),
        *(_conv_norm(f"{key}.downsample.0", f"{key}.downsample.1", f"{path}/project") if projects else []),
    ]


def _conv_bn_relu(key: str, path: str) -> list[KeyRule]:
    return _conv_norm(f"{key}.conv", f"{key}.bn", path)


def _rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    rules = _conv_norm("cp.resnet.conv1", "cp.resnet.bn1", "stem")
    for stage in range(1, 5):
        for i in range(2):
            projects = stage > 1 and i == 0
            rules += _block(f"cp.resnet.layer{stage}.{i}", f"block{stage}_{i}", projects=projects)
    for stride in (16, 32):
        key, path = f"cp.arm{stride}", f"attention{stride}"
        rules += _conv_bn_relu(f"{key}.conv", f"{path}/refine")
        rules += _conv_norm(f"{key}.conv_atten", f"{key}.bn_atten", f"{path}/attend")
    rules += _conv_bn_relu("cp.conv_head32", "enlarge32") + _conv_bn_relu("cp.conv_head16", "enlarge16")
    rules += _conv_bn_relu("cp.conv_avg", "scene")
    rules += _conv_bn_relu("ffm.convblk", "fusion/merge")
    rules += conv("ffm.conv1", "fusion/squeeze", bias=False) + conv("ffm.conv2", "fusion/excite", bias=False)
    for suffix in ("", "16", "32"):
        rules += _conv_bn_relu(f"conv_out{suffix}.conv", f"head{suffix}/hidden")
        rules += conv(f"conv_out{suffix}.conv_out", f"head{suffix}/logits", bias=False)
    return rules


def _infer_model_args(shapes: Shapes) -> dict[str, Any] | None:
    stem, attention = shapes["cp.resnet.conv1.weight"], shapes["cp.arm16.conv_atten.weight"]
    classes = shapes["conv_out.conv_out.weight"][0]
    width = _WIDTHS.get(stem[0])
    if width is None or attention[0] != 2 * stem[0]:
        return None
    return ({} if width == "base" else {"width": width}) | ({} if classes == 19 else {"classes": classes})


BISENET = KeyMap(_rules, _infer_model_args)
