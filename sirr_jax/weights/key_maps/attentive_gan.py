"""AttentiveGAN's state dicts (specification, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, conv, linear, nested, passthrough
from sirr_jax.weights.key_maps.context_autoencoder import decoder_rows, encoder_rows, lstm_rows, read_width


def _attention_rows() -> list[KeyRule]:
    rows = conv("det_conv0.0", "stem")
    for i in range(1, 6):
        rows += conv(f"det_conv{i}.0", f"residual{i}/conv1") + conv(f"det_conv{i}.2", f"residual{i}/conv2")
    return nested("attention", rows + lstm_rows("lstm") + conv("det_conv_mask.0", "map"))


def _generator_rows(model_args: Mapping[str, Any]) -> list[KeyRule]:
    attention = _attention_rows()
    if not model_args.get("attentive", True):
        # The published ablation declares them all the same.
        attention = passthrough(*(row.key for row in attention), optional=True)
    return attention + encoder_rows("encoder") + decoder_rows("decoder")


def _read_generator(shapes: Shapes) -> dict[str, Any] | None:
    width = read_width(shapes, (3, 4))
    attentive = shapes["conv1.0.weight"][1] == 4
    if width is None or (attentive and "det_conv0.0.weight" not in shapes):
        return None
    return _model_args(width, attentive)


def _discriminator_rows(model_args: Mapping[str, Any]) -> list[KeyRule]:
    rows = [row for i in range(1, 7) for row in conv(f"conv{i}.0", f"conv{i}")]
    if model_args.get("attentive", True):
        rows += conv("conv_mask.0", "map")
    rows += conv("conv7.0", "conv7") + conv("conv8.0", "conv8")
    return rows + linear("fc.0", "hidden") + linear("fc.1", "logits")


def _read_discriminator(shapes: Shapes) -> dict[str, Any] | None:
    widths = {(64, 32): "base", (16, 8): "small", (4, 2): "tiny"}
    width = widths.get((shapes["conv7.0.weight"][0], shapes["conv8.0.weight"][0]))
    if width is None or shapes["conv1.0.weight"][1:] != (3, 5, 5) or shapes["conv7.0.weight"][2:] != (5, 5):
        return None
    channels, inputs = shapes["conv8.0.weight"][0], shapes["fc.0.weight"][1]
    head = {channels * 14 * 14: {}, channels: {"head": "gap"}}.get(inputs)
    return None if head is None else _model_args(width, "conv_mask.0.weight" in shapes) | head


def _model_args(width: str, attentive: bool) -> dict[str, Any]:
    return ({} if width == "base" else {"width": width}) | ({} if attentive else {"attentive": False})


GENERATOR = KeyMap(_generator_rows, _read_generator)
DISCRIMINATOR = KeyMap(_discriminator_rows, _read_discriminator)
