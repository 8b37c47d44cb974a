"""IBCLN's state dicts (baselines specification, section 5): `final_net_G_T.pth` and `final_net_G_R.pth`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, nested, prefixed
from sirr_jax.weights.key_maps.context_autoencoder import decoder_rows, encoder_rows, lstm_rows, read_width
from sirr_jax.weights.key_maps.patchgan import patch_discriminator_rows, read_patch_discriminator

_PARTS = {"G_T.": "transmission", "G_R.": "reflection"}


def _cascade_rows(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    refiner = encoder_rows("encoder") + lstm_rows("lstm") + decoder_rows("decoder")
    return [row for prefix, path in _PARTS.items() for row in prefixed(prefix, nested(path, refiner))]


def _read_cascade(shapes: Shapes) -> dict[str, Any] | None:
    widths = {read_width(shapes, (9,), prefix) for prefix in _PARTS if f"{prefix}conv_i.0.weight" in shapes}
    if len(widths) != 1 or None in widths:
        return None
    return {} if widths == {"base"} else {"width": widths.pop()}


CASCADE = KeyMap(_cascade_rows, _read_cascade, parts=tuple(_PARTS))
DISCRIMINATOR = KeyMap(patch_discriminator_rows, read_patch_discriminator)
