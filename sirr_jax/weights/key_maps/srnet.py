"""Key maps of SR-Net. No weights were published: the state dicts mirror our modules, in torch's layouts.

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
    """Infers the width at which a layer designed with `designed` channels has `channels`."""
    width = read_width(channels, designed)
    if width is None:
        return None
    return {} if width == "base" else {"width": width}


def _weight(shapes: Shapes, layer: str) -> tuple[int, ...]:
    """Returns the shape of a layer's kernel, with or without spectral normalization."""
    plain = f"{layer}.weight"
    return shapes[plain] if plain in shapes else shapes[f"{layer}.weight_orig"]


def _labels(mode: str, channels: int) -> dict[str, Any] | None:
    """Infers the arguments of a label map with `channels` channels."""
    if mode == "palette":
        return {"mode": "palette"} if channels == 3 else None
    return {} if channels == _CLASSES else {"classes": channels}


def _merge(*inferred: dict[str, Any] | None) -> dict[str, Any] | None:
    """Merges arguments; None if some could not be inferred."""
    merged: dict[str, Any] = {}
    for model_args in inferred:
        if model_args is None:
            return None
        merged |= model_args
    return merged


def _trunk(shapes: Shapes) -> tuple[str, str]:
    """Returns the mode and the name of the trunk, which implies it."""
    palette = any(key.startswith("palette_trunk.") for key in shapes)
    return ("palette", "palette_trunk") if palette else ("logits", "trunk")


def _infer_refiner_args(shapes: Shapes) -> dict[str, Any] | None:
    mode, trunk = _trunk(shapes)
    stem = _weight(shapes, f"{trunk}.stem")
    correction = {"correction": True} if any(key.startswith("label_correction.") for key in shapes) else {}
    plain = "semantic_logits" if mode == "logits" else "label_map"
    head = _weight(shapes, "label_correction" if correction else plain)
    if stem[1] != head[0] + 3:
        return None
    spectral = {"spectral_norm": True} if f"{trunk}.stem.weight_u" in shapes else {}
    return _merge(_width(stem[0], 64), _labels(mode, head[0]), spectral, correction)


def _infer_restorer_args(shapes: Shapes) -> dict[str, Any] | None:
    mode, trunk = _trunk(shapes)
    stem, modulation = shapes[f"{trunk}.stem.weight"], shapes.get(f"{trunk}.enlarge_modulation1.hidden.weight")
    correction = {"correction": True} if "correction_map.weight" in shapes else {}
    if shapes["correction_map.weight" if correction else "restored.weight"][0] != 3:
        return None
    if modulation is None:
        return _merge(_width(stem[0], 64), _labels(mode, stem[1] - 3), correction)
    return _merge(_width(stem[0], 64), _labels(mode, modulation[1]), {"synthesis": "spade"}, correction)


def _infer_discriminator_args(shapes: Shapes) -> dict[str, Any] | None:
    """Infers the arguments that both discriminators have: width and spectral normalization."""
    spectral = {} if "conv0.weight_u" in shapes else {"spectral_norm": False}
    return _merge(_width(_weight(shapes, "conv0")[0], 64), spectral)


def _infer_map_discriminator_args(shapes: Shapes) -> dict[str, Any] | None:
    heads = [key for key in shapes if re.fullmatch(r"(map|palette)_scores\.weight(_orig)?", key)]
    mode = "logits" if heads[0].startswith("map") else "palette"
    return _merge(_infer_discriminator_args(shapes), _labels(mode, _weight(shapes, "conv0")[1]))


def _infer_image_discriminator_args(shapes: Shapes) -> dict[str, Any] | None:
    fits = _weight(shapes, "image_scores")[0] == 1 and _weight(shapes, "conv0")[1] == 3
    return _infer_discriminator_args(shapes) if fits else None


def _is_transposed(path: tuple[str, ...]) -> bool:
    return path[-2] in ("up1", "up2")


REFINER = mirror("srnet/refiner", _infer_refiner_args, is_transposed=_is_transposed)
RESTORER = mirror("srnet/restorer", _infer_restorer_args, is_transposed=_is_transposed)
MAP_DISCRIMINATOR = mirror("srnet/map_discriminator", _infer_map_discriminator_args)
IMAGE_DISCRIMINATOR = mirror("srnet/image_discriminator", _infer_image_discriminator_args)
