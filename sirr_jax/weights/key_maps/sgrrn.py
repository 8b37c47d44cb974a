"""Key maps of the authors' SGRRN. Its `encoder.backbone` is torchvision's ResNet, with torchvision's keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.sgrrn.encoder import BACKBONES
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv, linear, nested, prefixed
from sirr_jax.weights.key_maps.resnet import backbone_rules, infer_backbone_width

_ASPP = {
    "branch1.0": "point",
    "branch2.0": "dilated6",
    "branch3.0": "dilated12",
    "branch4.0": "dilated18",
    "branch5_conv": "whole",
}
_FUSION = {f"fuse_{name}": name for name in ("out", "deep", "mid", "low", "shallow", "input")} | {
    "fusion_layers.0": "refine0",
    "fusion_layers.1": "refine1",
}
_GUIDANCE = {
    "conv_fea": "read_features",
    "conv_sem": "read_logits",
    "conv1": "conv1",
    "conv2": "conv2",
    "fuse_conv": "merge",
}
_SEMANTIC = (("shortcut_conv", 0, "shortcut"), ("cat_conv", 0, "mix1"), ("cat_conv", 4, "mix2"))


def _conv_norm(key: str, path: str) -> list[KeyRule]:
    return [*conv(f"{key}.conv2d", f"{path}/conv"), *batch_norm(f"{key}.norm", f"{path}/norm")]


def _encoder(backbone: str) -> list[KeyRule]:
    rules = nested("backbone", prefixed("backbone.", backbone_rules(BACKBONES[backbone][0])))
    for key, name in _ASPP.items():
        rules += conv(f"aspp.{key}", f"aspp/{name}")
    rules += batch_norm("aspp.branch5_bn", "aspp/unused_norm")
    return [*rules, *conv("aspp.conv_cat.0", "aspp/merge")]


def _separation() -> list[KeyRule]:
    rules = []
    for key, name in _FUSION.items():
        rules += _conv_norm(f"fusion_block.{key}", f"fusion/{name}")
    rules += conv("fusion_block.fusion_layers.2.conv2d", "fusion/refine2")
    for i in range(3):
        key, path = f"channel_attention_block.{i}", f"attention{i}"
        rules += [*_conv_norm(f"{key}.conv1", f"{path}/conv1"), *_conv_norm(f"{key}.conv2", f"{path}/conv2")]
        rules += [*linear(f"{key}.se_layer.fc.0", f"{path}/squeeze"), *linear(f"{key}.se_layer.fc.2", f"{path}/excite")]
    for i, side in enumerate((4, 8, 16, 32)):
        rules += conv(f"pyramid_block.stages.{i}.1", f"pyramid/mean{side}", bias=False)
    rules += conv("pyramid_block.bottleneck", "pyramid/merge")
    for key, name in _GUIDANCE.items():
        rules += _conv_norm(f"guidance_block.{key}", f"guidance/{name}")
    return [*rules, *_conv_norm("output_layer.0", "hidden"), *conv("output_layer.1.conv2d", "layers")]


def _semantic() -> list[KeyRule]:
    rules = []
    for key, i, name in _SEMANTIC:
        rules += [*conv(f"{key}.{i}", f"{name}/conv"), *batch_norm(f"{key}.{i + 1}", f"{name}/norm")]
    return [*rules, *conv("cls_conv", "classify")]


def _generator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:
    return [
        *nested("encoder", prefixed("encoder.", _encoder(model_args.get("backbone", "resnet101")))),
        *nested("separation", prefixed("decoder_sep.", _separation())),
        *nested("semantic", prefixed("decoder_sem.", _semantic())),
    ]


def _infer_generator_args(shapes: Shapes) -> Mapping[str, Any] | None:
    if "decoder_sep.guidance_block.fuse_conv.conv2d.weight" not in shapes:
        return None
    for backbone, (network, _) in BACKBONES.items():
        width = infer_backbone_width(shapes, network, prefix="encoder.backbone.")
        if width is not None:
            model_args = {"width": width, "backbone": backbone, "classes": shapes["decoder_sem.cls_conv.weight"][0]}
            defaults = {"width": "base", "backbone": "resnet101", "classes": 21}
            return {name: value for name, value in model_args.items() if value != defaults[name]}
    return None


def _discriminator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    rules = []
    for s in range(3):
        rules += conv(f"models.{s}.0.conv", f"scale{s}/conv0")
        rules += conv(f"models.{s}.1.conv", f"scale{s}/conv1")
        rules += conv(f"models.{s}.2", f"scale{s}/logits")
    return rules


def _infer_discriminator_args(shapes: Shapes) -> Mapping[str, Any] | None:
    widths = {(64, 128): {}, (16, 32): {"width": "small"}, (4, 8): {"width": "tiny"}}
    first, second = (shapes[f"models.2.{i}.conv.weight"] for i in (0, 1))
    if first[1:] != (3, 4, 4) or second[1:] != (first[0], 4, 4) or shapes["models.2.2.weight"] != (1, second[0], 1, 1):
        return None
    return widths.get((first[0], second[0]))


GENERATOR = KeyMap(_generator_rules, _infer_generator_args, undetectable=("mode",))
DISCRIMINATOR = KeyMap(_discriminator_rules, _infer_discriminator_args)
