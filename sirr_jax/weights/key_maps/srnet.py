"""SR-Net's networks: nobody published them, so the state dicts are of our own naming, in torch's layouts.

SR-Net specification, sections 2.3, 2.4 and 8 (last paragraph).
"""

from __future__ import annotations

import re
from typing import Any

from sirr_jax.models.width import read_width
from sirr_jax.weights.key_maps.base import Shapes
from sirr_jax.weights.key_maps.mirror import mirror

_CLASSES = 19


def _width(channels: int, designed: int) -> dict[str, Any] | None:
    """The width at which a layer designed with `designed` channels has `channels`."""
    width = read_width(channels, designed)
    if width is None:
        return None
    return {} if width == "base" else {"width": width}


def _weight(shapes: Shapes, layer: str) -> tuple[int, ...]:
    """The shape of a layer's kernel, with or without spectral normalization."""
    plain = f"{layer}.weight"
    return shapes[plain] if plain in shapes else shapes[f"{layer}.weight_orig"]


def _labels(mode: str, channels: int) -> dict[str, Any] | None:
    """The arguments of a label map with `channels` channels."""
    if mode == "palette":
        return {"mode": "palette"} if channels == 3 else None
    return {} if channels == _CLASSES else {"classes": channels}


def _merged(*found: dict[str, Any] | None) -> dict[str, Any] | None:
    """All arguments together; None if one of them could not be read."""
    merged: dict[str, Any] = {}
    for model_args in found:
        if model_args is None:
            return None
        merged |= model_args
    return merged


def _trunk(shapes: Shapes) -> tuple[str, str]:
    """The mode, and the name of the trunk, which tells it."""
    palette = any(key.startswith("palette_trunk.") for key in shapes)
    return ("palette", "palette_trunk") if palette else ("logits", "trunk")


def _read_refiner(shapes: Shapes) -> dict[str, Any] | None:
    mode, trunk = _trunk(shapes)
    stem = _weight(shapes, f"{trunk}.stem")
    correction = {"correction": True} if any(key.startswith("label_correction.") for key in shapes) else {}
    plain = "semantic_logits" if mode == "logits" else "label_map"
    head = _weight(shapes, "label_correction" if correction else plain)
    if stem[1] != head[0] + 3:
        return None
    spectral = {"spectral_norm": True} if f"{trunk}.stem.weight_u" in shapes else {}
    return _merged(_width(stem[0], 64), _labels(mode, head[0]), spectral, correction)


def _read_restorer(shapes: Shapes) -> dict[str, Any] | None:
    mode, trunk = _trunk(shapes)
    stem, modulation = shapes[f"{trunk}.stem.weight"], shapes.get(f"{trunk}.enlarge_modulation1.hidden.weight")
    correction = {"correction": True} if "correction_map.weight" in shapes else {}
    if shapes["correction_map.weight" if correction else "restored.weight"][0] != 3:
        return None
    if modulation is None:
        return _merged(_width(stem[0], 64), _labels(mode, stem[1] - 3), correction)
    return _merged(_width(stem[0], 64), _labels(mode, modulation[1]), {"synthesis": "spade"}, correction)


def _read_discriminator(shapes: Shapes) -> dict[str, Any] | None:
    """What both discriminators have: width, and whether there is spectral normalization."""
    spectral = {} if "conv0.weight_u" in shapes else {"spectral_norm": False}
    return _merged(_width(_weight(shapes, "conv0")[0], 64), spectral)


def _read_map_discriminator(shapes: Shapes) -> dict[str, Any] | None:
    heads = [key for key in shapes if re.fullmatch(r"(map|palette)_scores\.weight(_orig)?", key)]
    mode = "logits" if heads[0].startswith("map") else "palette"
    return _merged(_read_discriminator(shapes), _labels(mode, _weight(shapes, "conv0")[1]))


def _read_image_discriminator(shapes: Shapes) -> dict[str, Any] | None:
    fits = _weight(shapes, "image_scores")[0] == 1 and _weight(shapes, "conv0")[1] == 3
    return _read_discriminator(shapes) if fits else None


def _transposed(path: tuple[str, ...]) -> bool:
    return path[-2] in ("up1", "up2")


REFINER = mirror("srnet/refiner", _read_refiner, transposed=_transposed)
RESTORER = mirror("srnet/restorer", _read_restorer, transposed=_transposed)
MAP_DISCRIMINATOR = mirror("srnet/map_discriminator", _read_map_discriminator)
IMAGE_DISCRIMINATOR = mirror("srnet/image_discriminator", _read_image_discriminator)
