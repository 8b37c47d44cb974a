"""BiSeNet, as zllrunning/face-parsing.PyTorch publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv

_WIDTHS = {64: "base", 4: "tiny"}


def _conv_norm(kernel: str, norm: str, path: str) -> list[KeyRule]:
    return [*conv(kernel, f"{path}/conv", bias=False), *batch_norm(norm, f"{path}/norm")]


def _block(key: str, path: str, *, projects: bool) -> list[KeyRule]:
    return [
        *_conv_norm(f"{key}.conv1", f"{key}.bn1", f"{path}/first"),
        *_conv_norm(f"{key}.conv2", f"{key}.bn2", f"{path}/second"),
        *(_conv_norm(f"{key}.downsample.0", f"{key}.downsample.1", f"{path}/project") if projects else []),
    ]


def _named(key: str, path: str) -> list[KeyRule]:
    return _conv_norm(f"{key}.conv", f"{key}.bn", path)


def _rows(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    rows = _conv_norm("cp.resnet.conv1", "cp.resnet.bn1", "stem")
    for stage in range(1, 5):
        for i in range(2):
            projects = stage > 1 and i == 0
            rows += _block(f"cp.resnet.layer{stage}.{i}", f"block{stage}_{i}", projects=projects)
    for stride in (16, 32):
        key, path = f"cp.arm{stride}", f"attention{stride}"
        rows += _named(f"{key}.conv", f"{path}/refine")
        rows += _conv_norm(f"{key}.conv_atten", f"{key}.bn_atten", f"{path}/attend")
    rows += _named("cp.conv_head32", "enlarge32") + _named("cp.conv_head16", "enlarge16")
    rows += _named("cp.conv_avg", "scene")
    rows += _named("ffm.convblk", "fusion/merge")
    rows += conv("ffm.conv1", "fusion/squeeze", bias=False) + conv("ffm.conv2", "fusion/excite", bias=False)
    for stride in ("", "16", "32"):
        rows += _named(f"conv_out{stride}.conv", f"head{stride}/hidden")
        rows += conv(f"conv_out{stride}.conv_out", f"head{stride}/logits", bias=False)
    return rows


def _infer_model_args(shapes: Shapes) -> dict[str, Any] | None:
    stem, attention = shapes["cp.resnet.conv1.weight"], shapes["cp.arm16.conv_atten.weight"]
    classes = shapes["conv_out.conv_out.weight"][0]
    width = _WIDTHS.get(stem[0])
    if width is None or attention[0] != 2 * stem[0]:
        return None
    return ({} if width == "base" else {"width": width}) | ({} if classes == 19 else {"classes": classes})


BISENET = KeyMap(_rows, _infer_model_args)
