"""Rules of the published patch discriminators (pix2pix's `NLayerDiscriminator`), which several families share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.width import WIDTHS, scaled
from sirr_jax.weights.key_maps.base import KeyRule, Shapes, conv, instance_norm, is_statistic

_FEATURES = (64, 128, 256, 512)


def patch_discriminator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:
    """Makes the rules of a `PatchDiscriminator`: `model.{0,2,5,8,11}`, between them activations and normalization."""
    count = len(model_args.get("features", _FEATURES))
    paths = [*(f"conv{i}" for i in range(count)), "logits"]
    positions = [0, *range(2, 3 * count, 3)]
    rules = []
    for i, path in zip(positions, paths, strict=True):
        rules += conv(f"model.{i}", path)
        # The first convolution and the last have no normalization.
        rules += instance_norm(f"model.{i + 1}") if path not in ("conv0", "logits") else []
    return rules


def infer_patch_discriminator_args(shapes: Shapes) -> dict[str, Any] | None:
    """Infers the arguments of a `PatchDiscriminator` with five convolutions; None if it is another network."""
    keys = [f"model.{i}.{part}" for i in (0, 2, 5, 8, 11) for part in ("weight", "bias")]
    used = {key for key in shapes if not is_statistic(key)}
    if used != set(keys) or any(shapes[key][2:] != (4, 4) for key in keys[::2]):
        return None
    if shapes["model.0.weight"][1] != 3 or shapes["model.11.weight"][0] != 1:
        return None
    features = tuple(shapes[key][0] for key in keys[:-2:2])
    return infer_features(features, _FEATURES)


def infer_features(features: tuple[int, ...], published: tuple[int, ...]) -> dict[str, Any]:
    """Infers the arguments of a `PatchDiscriminator`: a width where there is one, else the numbers of channels.

    Args:
        features: output channels of all convolutions but the last.
        published: the same of the published network.
    """
    width = next((width for width in WIDTHS if features == tuple(scaled(n, width) for n in published)), None)
    if width is None:
        return {"features": features}
    return {} if width == "base" else {"width": width}
