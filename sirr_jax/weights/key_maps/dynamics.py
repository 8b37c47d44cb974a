"""Teacher, student and discriminator of our reconstruction of Zheng et al. (2021): state dicts of our own naming."""

from __future__ import annotations

from typing import Any

from sirr_jax.models.dynamics.widths import WIDTHS
from sirr_jax.models.patchgan import PatchDiscriminator
from sirr_jax.models.width import scaled
from sirr_jax.weights.key_maps.base import Shapes
from sirr_jax.weights.key_maps.mirror import mirror


def _width(shapes: Shapes) -> dict[str, Any] | None:
    """The width, from the first and last convolution of the encoder; None if it is neither teacher nor student."""
    found = (shapes["encoder.conv1.weight"], shapes["encoder.conv4.weight"])
    for name, width in WIDTHS.items():
        if found == ((width.full, 3, 5, 5), (width.quarter, width.half, 3, 3)):
            return {} if name == "base" else {"width": name}
    return None


def _has(shapes: Shapes, part: str) -> bool:
    return any(key.startswith(part) for key in shapes)


def _column(shapes: Shapes) -> dict[str, Any]:
    """A hypercolumn; the convention of its VGG-19 is no matter of shapes: Caffe's, as the packaged student's."""
    return {"hypercolumn": "caffe"} if _has(shapes, "hypercolumn.") else {}


def _read_teacher(shapes: Shapes) -> dict[str, Any] | None:
    width = _width(shapes)
    if width is None:
        return None
    said = width | ({"grown": True} | _column(shapes) if _has(shapes, "addition.") else {})
    if "knowledge.weight" in shapes:
        return said | {"mkl": False}
    if not _has(shapes, "fusion."):
        return None
    said |= {"aligned_frames": True} if _has(shapes, "fusion.aligned_frames.") else {}
    parts = {
        "decouple_net": "decouple.mask1.weight",
        "flow_net": "flow.pyramid.project.weight",
        "fusion_net": "fusion.theta.weight",
    }
    return said | {switch: False for switch, key in parts.items() if key not in shapes}


def _read_student(shapes: Shapes) -> dict[str, Any] | None:
    width = _width(shapes)
    if width is None:
        return None
    said = width | _column(shapes)
    if "hallucination.out.weight" in shapes:
        return None if _has(shapes, "addition.") else said  # a teacher that has grown has all of a student
    plain = all(key.startswith(("encoder.", "decoder.", "hypercolumn.")) for key in shapes)
    return said | {"hallucination": False} if plain else None


def _read_discriminator(shapes: Shapes) -> dict[str, Any] | None:
    if shapes["conv0.weight"][1:] != (3, 4, 4) or shapes["logits.weight"][0] != 1:
        return None
    count = sum(key.startswith("conv") and key.endswith(".weight") for key in shapes)
    features = tuple(shapes[f"conv{i}.weight"][0] for i in range(count))
    if features == PatchDiscriminator.features:
        return {}
    if features == tuple(scaled(n, "tiny") for n in PatchDiscriminator.features):
        return {"width": "tiny"}
    return {"features": features}


TEACHER = mirror("dynamics/teacher", _read_teacher, undetectable=("hypercolumn",))
STUDENT = mirror("dynamics/student", _read_student, undetectable=("hypercolumn",))
DISCRIMINATOR = mirror("dynamics/discriminator", _read_discriminator)
