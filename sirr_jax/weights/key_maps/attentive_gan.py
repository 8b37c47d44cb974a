"""Key maps of AttentiveGAN (specification, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, conv, linear, nested, passthrough
from sirr_jax.weights.key_maps.context_autoencoder import decoder_rules, encoder_rules, infer_width, lstm_rules


def _attention_rules() -> list[KeyRule]:
    rules = conv("det_conv0.0", "stem")
    for i in range(1, 6):
        rules += conv(f"det_conv{i}.0", f"residual{i}/conv1") + conv(f"det_conv{i}.2", f"residual{i}/conv2")
    return nested("attention", rules + lstm_rules("lstm") + conv("det_conv_mask.0", "map"))


def _generator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:
    attention = _attention_rules()
    if not model_args.get("attentive", True):
        # The published ablation has the parameters of the attention net, although it does not use them.
        attention = passthrough(*(rule.key for rule in attention), optional=True)
    return attention + encoder_rules("encoder") + decoder_rules("decoder")


def _infer_generator_args(shapes: Shapes) -> dict[str, Any] | None:
    width = infer_width(shapes, (3, 4))
    attentive = shapes["conv1.0.weight"][1] == 4
    if width is None or (attentive and "det_conv0.0.weight" not in shapes):
        return None
    return _model_args(width, attentive)


def _discriminator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:
    rules = [rule for i in range(1, 7) for rule in conv(f"conv{i}.0", f"conv{i}")]
    if model_args.get("attentive", True):
        rules += conv("conv_mask.0", "map")
    rules += conv("conv7.0", "conv7") + conv("conv8.0", "conv8")
    return rules + linear("fc.0", "hidden") + linear("fc.1", "logits")


def _infer_discriminator_args(shapes: Shapes) -> dict[str, Any] | None:
    widths = {(64, 32): "base", (16, 8): "small", (4, 2): "tiny"}
    width = widths.get((shapes["conv7.0.weight"][0], shapes["conv8.0.weight"][0]))
    if width is None or shapes["conv1.0.weight"][1:] != (3, 5, 5) or shapes["conv7.0.weight"][2:] != (5, 5):
        return None
    channels, inputs = shapes["conv8.0.weight"][0], shapes["fc.0.weight"][1]
    head = {channels * 14 * 14: {}, channels: {"head": "gap"}}.get(inputs)
    return None if head is None else _model_args(width, "conv_mask.0.weight" in shapes) | head


def _model_args(width: str, attentive: bool) -> dict[str, Any]:
    return ({} if width == "base" else {"width": width}) | ({} if attentive else {"attentive": False})


GENERATOR = KeyMap(_generator_rules, _infer_generator_args)
DISCRIMINATOR = KeyMap(_discriminator_rules, _infer_discriminator_args)
