"""Keys of the published ADE20K parser: one file for its encoder, one for its decoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sirr_jax.models.resnet import ResNet50
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv, nested, passthrough, prefixed
from sirr_jax.weights.key_maps.resnet import backbone_rows

_BINS = (1, 2, 3, 6)
_WIDTHS = {64: "base", 4: "tiny"}
_DEFAULTS = {"width": "base", "classes": 150}


def _conv_norm(conv_key: str, norm_key: str, path: str) -> list[KeyRule]:
    return [*conv(conv_key, f"{path}/conv", bias=False), *batch_norm(norm_key, f"{path}/norm")]


def _encoder() -> list[KeyRule]:
    stem = [row for i in (1, 2, 3) for row in _conv_norm(f"conv{i}", f"bn{i}", f"stem{i}")]
    return stem + [row for row in backbone_rows(ResNet50) if row.key.startswith("layer")]


def _decoder() -> list[KeyRule]:
    rows = []
    for i, bins in enumerate(_BINS):
        rows += _conv_norm(f"ppm.{i}.1", f"ppm.{i}.2", f"bins{bins}")
    rows += _conv_norm("cbr_deepsup.0", "cbr_deepsup.1", "fuse_deepsup")
    rows += _conv_norm("conv_last.0", "conv_last.1", "fuse")
    return [*rows, *conv("conv_last.4", "logits"), *conv("conv_last_deepsup", "logits_deepsup")]


def _synchronised(rows: Iterable[KeyRule]) -> Iterator[KeyRule]:
    """The same rows and what the published batch normalization holds besides torch's five arrays, where present."""
    for row in rows:
        yield row
        norm, _, name = row.key.rpartition(".")
        if name == "num_batches_tracked":
            extras = ("_tmp_running_mean", "_tmp_running_var", "_running_iter")
            yield from passthrough(*(f"{norm}.{extra}" for extra in extras), optional=True)


def _rows(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    encoder = prefixed("encoder.", nested("encoder", _encoder()))
    decoder = prefixed("decoder.", nested("decoder", _decoder()))
    return list(_synchronised([*encoder, *decoder]))


def _infer_model_args(shapes: Shapes) -> dict[str, Any] | None:
    """Either part alone tells the width; the decoder tells the classes."""
    widths, classes = set(), _DEFAULTS["classes"]
    if "encoder.conv1.weight" in shapes:
        is_resnet50 = "encoder.layer3.5.conv3.weight" in shapes and "encoder.layer3.6.conv3.weight" not in shapes
        widths.add(shapes["encoder.conv1.weight"][0] if is_resnet50 else None)
    if "decoder.ppm.0.1.weight" in shapes:
        widths.add(shapes["decoder.ppm.0.1.weight"][1] // 32)
        classes = shapes["decoder.conv_last.4.weight"][0]
    if len(widths) != 1 or not widths <= _WIDTHS.keys():
        return None
    model_args = {"width": _WIDTHS[widths.pop()], "classes": classes}
    return {name: value for name, value in model_args.items() if value != _DEFAULTS[name]}


PARSER = KeyMap(_rows, _infer_model_args, parts=("encoder.", "decoder."))
