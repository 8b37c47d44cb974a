"""Key maps of ERRNet: `icnn` and `netD` of the published checkpoint. Baselines specification, section 4.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.errnet import DISCRIMINATOR_CONVS, PYRAMID, RESIDUALS, input_channels
from sirr_jax.models.width import WIDTHS, scaled
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, conv, conv_transpose, linear, norm


def _generator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:
    base = model_args.get("base", False)
    rules = [rule for i, name in enumerate(("stem", "full", "down"), 1) for rule in conv(f"conv{i}.conv2d", name)]
    for i in range(RESIDUALS):
        for layer in ("conv1", "conv2"):
            rules += conv(f"res_module.{i}.{layer}.conv2d", f"residual{i}/{layer}")
        if not base:
            rules += linear(f"res_module.{i}.se_layer.fc.0", f"residual{i}/excite/squeeze")
            rules += linear(f"res_module.{i}.se_layer.fc.2", f"residual{i}/excite/excite")
    rules += conv_transpose("deconv1.conv2d", "up")
    rules += conv("deconv2.conv2d", "refine")
    if not base:
        for i, side in enumerate(PYRAMID):
            rules += conv(f"pyramid_module.stages.{i}.1", f"pyramid/pool{side}", bias=False)
        rules += conv("pyramid_module.bottleneck", "pyramid/merge")
    return [*rules, *conv("deconv3.conv2d", "out")]


def _infer_generator_args(shapes: Shapes) -> dict[str, Any] | None:
    if f"res_module.{RESIDUALS - 1}.conv2.conv2d.weight" not in shapes:
        return None
    base = {} if "pyramid_module.bottleneck.weight" in shapes else {"base": True}
    for width in WIDTHS:
        narrow = {} if width == "base" else {"width": width}
        for hypercolumn, plain in ((True, {}), (False, {"hypercolumn": False})):
            stem = (scaled(256, width), input_channels(width, hypercolumn=hypercolumn), 1, 1)
            if tuple(shapes["conv1.conv2d.weight"]) == stem:
                return {**narrow, **plain, **base}
    return None


def _discriminator_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:  # noqa: ARG001
    rules = conv("body.0", "conv0")
    for i in range(1, len(DISCRIMINATOR_CONVS)):
        # The first convolution is followed by a ReLU alone, the others by a normalization and a ReLU.
        rules += conv(f"body.{3 * i - 1}", f"conv{i}") + norm(f"body.{3 * i}", f"norm{i}")
    return [*rules, *conv("tail.1", "hidden"), *conv("tail.3", "logits")]


def _infer_discriminator_args(shapes: Shapes) -> dict[str, Any] | None:
    first, last = tuple(shapes["body.0.weight"]), tuple(shapes["tail.3.weight"])
    for width in WIDTHS:
        if (first, last) == ((scaled(64, width), 3, 3, 3), (1, scaled(1024, width), 1, 1)):
            return {} if width == "base" else {"width": width}
    return None


GENERATOR = KeyMap(_generator_rules, _infer_generator_args)
DISCRIMINATOR = KeyMap(_discriminator_rules, _infer_discriminator_args)
