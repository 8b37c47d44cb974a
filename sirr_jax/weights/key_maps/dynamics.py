"""Key maps of our reconstruction of Zheng et al. (2021).

No weights were published: the state dicts mirror our modules, in torch's layouts.
"""

from __future__ import annotations

from typing import Any

from sirr_jax.models.dynamics.widths import WIDTHS
from sirr_jax.models.patchgan import PatchDiscriminator
from sirr_jax.weights.key_maps.base import Shapes
from sirr_jax.weights.key_maps.mirror import mirror
from sirr_jax.weights.key_maps.patchgan import infer_features


def _width(shapes: Shapes) -> dict[str, Any] | None:
    """Infers the width from the encoder's first and last convolution; None if it is neither teacher nor student."""
    first_and_last = (shapes["encoder.conv1.weight"], shapes["encoder.conv4.weight"])
    for name, width in WIDTHS.items():
        if first_and_last == ((width.full, 3, 5, 5), (width.quarter, width.half, 3, 3)):
            return {} if name == "base" else {"width": name}
    return None


def _has(shapes: Shapes, part: str) -> bool:
    return any(key.startswith(part) for key in shapes)


def _hypercolumn(shapes: Shapes) -> dict[str, Any]:
    """Infers the hypercolumn.

    Shapes do not determine the convention of its VGG-19. Caffe's is assumed, as in the packaged student.
    """
    return {"hypercolumn": "caffe"} if _has(shapes, "hypercolumn.") else {}


def _infer_teacher_args(shapes: Shapes) -> dict[str, Any] | None:
    width = _width(shapes)
    if width is None:
        return None
    model_args = width | ({"grown": True} | _hypercolumn(shapes) if _has(shapes, "addition.") else {})
    if "knowledge.weight" in shapes:
        return model_args | {"mkl": False}
    if not _has(shapes, "fusion."):
        return None
    model_args |= {"aligned_frames": True} if _has(shapes, "fusion.aligned_frames.") else {}
    parts = {
        "decouple_net": "decouple.mask1.weight",
        "flow_net": "flow.pyramid.project.weight",
        "fusion_net": "fusion.theta.weight",
    }
    return model_args | {switch: False for switch, key in parts.items() if key not in shapes}


def _infer_student_args(shapes: Shapes) -> dict[str, Any] | None:
    width = _width(shapes)
    if width is None:
        return None
    model_args = width | _hypercolumn(shapes)
    if "hallucination.out.weight" in shapes:
        # A teacher initialized from a student contains all of the student, and an addition.
        return None if _has(shapes, "addition.") else model_args
    is_plain = all(key.startswith(("encoder.", "decoder.", "hypercolumn.")) for key in shapes)
    return model_args | {"hallucination": False} if is_plain else None


def _infer_discriminator_args(shapes: Shapes) -> dict[str, Any] | None:
    if shapes["conv0.weight"][1:] != (3, 4, 4) or shapes["logits.weight"][0] != 1:
        return None
    count = sum(key.startswith("conv") and key.endswith(".weight") for key in shapes)
    features = tuple(shapes[f"conv{i}.weight"][0] for i in range(count))
    return infer_features(features, PatchDiscriminator.features)


TEACHER = mirror("dynamics/teacher", _infer_teacher_args, undetectable=("hypercolumn",))
STUDENT = mirror("dynamics/student", _infer_student_args, undetectable=("hypercolumn",))
DISCRIMINATOR = mirror("dynamics/discriminator", _infer_discriminator_args)
