"""Key map of the published ADE20K scene parser: one file for its encoder, one for its decoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sirr_jax.models.resnet import ResNet50
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv, nested, passthrough, prefixed
from sirr_jax.weights.key_maps.resnet import backbone_rules

_BINS = (1, 2, 3, 6)
_WIDTHS = {64: "base", 16: "small", 4: "tiny"}
_DEFAULTS = {"width": "base", "classes": 150}


def _conv_norm(conv_key: str, norm_key: str, path: str) -> list[KeyRule]:
    return [*conv(conv_key, f"{path}/conv", bias=False), *batch_norm(norm_key, f"{path}/norm")]


def _encoder() -> list[KeyRule]:
    stem = [rule for i in (1, 2, 3) for rule in _conv_norm(f"conv{i}", f"bn{i}", f"stem{i}")]
    return stem + [rule for rule in backbone_rules(ResNet50) if rule.key.startswith("layer")]


def _decoder() -> list[KeyRule]:
    rules = []
    for i, bins in enumerate(_BINS):
        rules += _conv_norm(f"ppm.{i}.1", f"ppm.{i}.2", f"bins{bins}")
    rules += _conv_norm("cbr_deepsup.0", "cbr_deepsup.1", "fuse_deepsup")
    rules += _conv_norm("conv_last.0", "conv_last.1", "fuse")
    return [*rules, *conv("conv_last.4", "logits"), *conv("conv_last_deepsup", "logits_deepsup")]


def _with_sync_norm_extras(rules: Iterable[KeyRule]) -> Iterator[KeyRule]:
    """Adds the optional arrays that the published synchronized batch normalization has besides torch's five."""
    for rule in rules:
        yield rule
        norm, _, name = rule.key.rpartition(".")
        if name == "num_batches_tracked":
            extras = ("_tmp_running_mean", "_tmp_running_var", "_running_iter")
            yield from passthrough(*(f"{norm}.{extra}" for extra in extras), optional=True)


def _rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    encoder = prefixed("encoder.", nested("encoder", _encoder()))
    decoder = prefixed("decoder.", nested("decoder", _decoder()))
    return list(_with_sync_norm_extras([*encoder, *decoder]))


def _infer_model_args(shapes: Shapes) -> dict[str, Any] | None:
    """Infers the width from either part and the number of classes from the decoder."""
    stem_channels: set[int] = set()
    classes = _DEFAULTS["classes"]
    if "encoder.conv1.weight" in shapes:
        is_resnet50 = "encoder.layer3.5.conv3.weight" in shapes and "encoder.layer3.6.conv3.weight" not in shapes
        if not is_resnet50:
            return None
        stem_channels.add(shapes["encoder.conv1.weight"][0])
    if "decoder.ppm.0.1.weight" in shapes:
        stem_channels.add(shapes["decoder.ppm.0.1.weight"][1] // 32)
        classes = shapes["decoder.conv_last.4.weight"][0]
    if len(stem_channels) != 1 or not stem_channels <= _WIDTHS.keys():
        return None
    model_args = {"width": _WIDTHS[stem_channels.pop()], "classes": classes}
    return {name: value for name, value in model_args.items() if value != _DEFAULTS[name]}


ADE20K_PPM = KeyMap(_rules, _infer_model_args, parts=("encoder.", "decoder."))
