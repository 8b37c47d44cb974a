"""Key map of CoRRN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.width import read_width
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv, conv_transpose

_VGG16 = (2, 2, 3, 3, 3)
# Blocks of the published inception modules: path, and position in it where the path has several blocks.
_INCEPTION_A = ("path1.0", "path1.1", "path2", "path3.0", "path3.1", "path3.2")
_INCEPTION_B = ("path1.0", "path1.1", "path2.0", "path2.1", "path3.0", "path3.1", "path4.0", "path4.1", "path4.2")


def _block(key: str, path: str) -> list[KeyRule]:
    return [*conv(f"{key}.conv", f"{path}/conv", bias=False), *batch_norm(f"{key}.bn", f"{path}/norm")]


def _up(key: str, path: str, name: str) -> list[KeyRule]:
    return [*conv_transpose(f"{key}.{name}", f"{path}/conv", bias=False), *batch_norm(f"{key}.bn", f"{path}/norm")]


def _inception(key: str, path: str, blocks: tuple[str, ...]) -> list[KeyRule]:
    rules = []
    for block in blocks:
        chain, _, position = block.partition(".")
        rules += _block(f"{key}.{block}", f"{path}/{chain}_{int(position or 0) + 1}")
    return rules


def _encoder_rules() -> list[KeyRule]:
    rules = []
    for block, count in enumerate(_VGG16, start=1):
        for i in range(count):
            rules += conv(f"convs{block}R.{3 * i}", f"encoder/conv{block}_{i + 1}")
            rules += batch_norm(f"convs{block}R.{3 * i + 1}", f"encoder/norm{block}_{i + 1}")
    return rules


def _image_rules() -> list[KeyRule]:
    branch = "image_branch"
    return [
        *_block("conv6R", f"{branch}/bottom"),
        *_inception("featureExtractionA", f"{branch}/inception_a", _INCEPTION_A),
        *_up("deconv0R.0", f"{branch}/up0", "transconv"),
        *_up("deconv1R.0", f"{branch}/up1", "transconv"),
        *_inception("featureExtractionB", f"{branch}/inception_b", _INCEPTION_B),
        *_up("deconv2R.0", f"{branch}/up2", "transconv"),
        *_up("deconv3R.0", f"{branch}/up3", "transconv"),
        *_up("deconv4R.0", f"{branch}/up4", "transconv"),
        *_block("output.0", f"{branch}/out1"),
        *_block("output.1", f"{branch}/out2"),
    ]


def _gradient_rules() -> list[KeyRule]:
    branch = "gradient_branch"
    rules = [
        *_block("conv6_1", f"{branch}/bottom1"),
        *_block("conv6_2", f"{branch}/bottom2"),
        *_block("deconv5_1", f"{branch}/refine5_1"),
        *_block("deconv5_2", f"{branch}/refine5_2"),
        *_block("featureEnhance5", f"{branch}/enhance5"),
    ]
    for level in (4, 3, 2):
        rules += _block(f"deconv{level}_1", f"{branch}/refine{level}")
        rules += _up(f"deconv{level}_2", f"{branch}/up{level}", "conv")
        rules += _block(f"featureEnhance{level}", f"{branch}/enhance{level}")
    return [*rules, *_up("deconv1", f"{branch}/up1", "conv"), *conv("pred1_contour", f"{branch}/contour")]


def _generator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    return [*_encoder_rules(), *_image_rules(), *_gradient_rules()]


def _infer_generator_args(shapes: Shapes) -> dict[str, Any] | None:
    if "deconv4R.0.transconv.weight" not in shapes or shapes["pred1_contour.weight"][0] != 1:
        return None
    stem = shapes["convs1R.0.weight"]
    width = read_width(stem[0], 64)
    if width is None or stem[1:] != (3, 3, 3):
        return None
    return {} if width == "base" else {"width": width}


GENERATOR = KeyMap(_generator_rules, _infer_generator_args)
