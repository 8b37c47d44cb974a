"""Key maps of IBCLN (baselines specification, section 5): `final_net_G_T.pth` and `final_net_G_R.pth`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, nested, prefixed
from sirr_jax.weights.key_maps.context_autoencoder import decoder_rules, encoder_rules, infer_width, lstm_rules
from sirr_jax.weights.key_maps.patchgan import infer_patch_discriminator_args, patch_discriminator_rules

_PARTS = {"G_T.": "transmission", "G_R.": "reflection"}


def _cascade_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    refiner = encoder_rules("encoder") + lstm_rules("lstm") + decoder_rules("decoder")
    return [rule for prefix, path in _PARTS.items() for rule in prefixed(prefix, nested(path, refiner))]


def _infer_cascade_args(shapes: Shapes) -> dict[str, Any] | None:
    widths = {infer_width(shapes, (9,), prefix) for prefix in _PARTS if f"{prefix}conv_i.0.weight" in shapes}
    if len(widths) != 1 or None in widths:
        return None
    return {} if widths == {"base"} else {"width": widths.pop()}


CASCADE = KeyMap(_cascade_rules, _infer_cascade_args, parts=tuple(_PARTS))
DISCRIMINATOR = KeyMap(patch_discriminator_rules, infer_patch_discriminator_args)
