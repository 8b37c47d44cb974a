"""Key map of our own segmenter; the state dict mirrors its modules, in torch's layouts."""

from __future__ import annotations

from typing import Any

from sirr_jax.models.segmenter import FEATURES, Segmenter
from sirr_jax.models.width import read_width
from sirr_jax.weights.key_maps.base import Shapes
from sirr_jax.weights.key_maps.mirror import mirror


def _infer_model_args(shapes: Shapes) -> dict[str, Any] | None:
    width = read_width(shapes["enter0.conv.weight"][0], FEATURES[0])
    classes = shapes["semantic_logits.weight"][0]
    if width is None:
        return None
    return ({} if width == "base" else {"width": width}) | (
        {} if classes == Segmenter.classes else {"classes": classes}
    )


SEGMENTER = mirror("segmenter", _infer_model_args)
