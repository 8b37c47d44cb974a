"""Key map of ESPNetv2, as the EdgeNets repository publishes it for segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sirr_jax.models.espnetv2 import plan
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes, batch_norm, conv, passthrough

_SCALES = (0.5, 1.0, 1.25, 1.5, 2.0)


def _prelu(key: str, path: str) -> KeyRule:
    return KeyRule(f"{key}.weight", ("params", *path.split("/"), "slope"))


def _norm_act(norm: str, act: str, path: str) -> list[KeyRule]:
    return [*batch_norm(norm, f"{path}/norm"), _prelu(act, f"{path}/act")]


def _encoder_conv(key: str, path: str, *, act: bool = True) -> list[KeyRule]:
    """Makes the rules of a `ConvBatchNormPReLU` of the encoder."""
    rules = [*conv(f"{key}.conv", f"{path}/conv", bias=False), *batch_norm(f"{key}.bn", f"{path}/norm")]
    return [*rules, _prelu(f"{key}.act", f"{path}/act")] if act else rules


def _decoder_conv(key: str, path: str) -> list[KeyRule]:
    """Makes the rules of a `ConvBatchNormPReLU` of the decoder."""
    return [*conv(f"{key}.cbr.0", f"{path}/conv", bias=False), *_norm_act(f"{key}.cbr.1", f"{key}.cbr.2", path)]


def _unit(key: str, path: str, *, strided: bool = False) -> list[KeyRule]:
    branches = (conv(f"{key}.spp_dw.{i}.conv", f"{path}/branch{i}", bias=False) for i in range(4))
    return [
        *_encoder_conv(f"{key}.proj_1x1", f"{path}/project"),
        *(rule for rules in branches for rule in rules),
        *_encoder_conv(f"{key}.conv_1x1_exp", f"{path}/expand", act=False),
        *_norm_act(f"{key}.br_after_cat.bn", f"{key}.br_after_cat.act", f"{path}/merge"),
        # A strided unit lies inside a reduction, which has an activation of its own.
        *(
            passthrough(f"{key}.module_act.weight", optional=True)
            if strided
            else [_prelu(f"{key}.module_act", f"{path}/act")]
        ),
    ]


def _reduction(key: str, path: str) -> list[KeyRule]:
    return [
        *_unit(f"{key}.eesp", f"{path}/unit", strided=True),
        *_encoder_conv(f"{key}.inp_reinf.0", f"{path}/image_conv"),
        *_encoder_conv(f"{key}.inp_reinf.1", f"{path}/image_expand", act=False),
        _prelu(f"{key}.act", f"{path}/act"),
    ]


def _pyramid(key: str, path: str, *, last: bool) -> list[KeyRule]:
    scales = (conv(f"{key}.stages.{i}", f"{path}/scale{i}", bias=False) for i in range(5))
    merge = f"{key}.merge_layer"
    return [
        *(rule for rules in scales for rule in rules),
        *_decoder_conv(f"{key}.projection_layer", f"{path}/project"),
        *_norm_act(f"{merge}.0.br.0", f"{merge}.0.br.1", f"{path}/merge"),
        *_decoder_conv(f"{merge}.2", f"{path}/mix"),
        *conv(f"{merge}.3", f"{path}/out", bias=last),
        *([] if last else _norm_act(f"{key}.br.br.0", f"{key}.br.br.1", f"{path}/out_norm")),
    ]


def _skip(key: str, path: str) -> list[KeyRule]:
    return [
        *conv(f"{key}.wt_layer.1", f"{path}/gate", bias=False),
        *_decoder_conv(f"{key}.expansion_layer", f"{path}/expand"),
    ]


def _rules(model_args: Mapping[str, Any]) -> list[KeyRule]:
    units = plan(model_args.get("width", "base"), model_args.get("scale", 2.0)).units
    rules = [*_encoder_conv("base_net.level1", "stem"), *_reduction("base_net.level2_0", "reduce2")]
    for level, number in zip((3, 4), units, strict=True):
        rules += _reduction(f"base_net.level{level}_0", f"reduce{level}")
        for i in range(number):
            rules += _unit(f"base_net.level{level}.{i}", f"unit{level}_{i}")
    for i in range(1, 5):
        rules += _pyramid(f"bu_dec_l{i}", f"pyramid{i}", last=i == 4)
    for i in range(2, 5):
        rules += _skip(f"merge_enc_dec_l{i}", f"skip{i}")
    for i in range(2, 5):
        rules += _norm_act(f"bu_br_l{i}.0", f"bu_br_l{i}.1", f"fuse{i}")
    return rules


def _infer_model_args(shapes: Shapes) -> dict[str, Any] | None:
    channels = tuple(shapes[f"base_net.{key}"][0] for key in ("level1.conv.weight", "level4_0.act.weight"))
    classes = shapes["bu_dec_l4.merge_layer.3.bias"][0]
    model_args: dict[str, Any] = {} if classes == 21 else {"classes": classes}
    # The encoder is narrow at width "tiny" alone, and has no scales there.
    sizes = (("tiny", 2.0), *((width, scale) for width in ("base", "small") for scale in _SCALES))
    decoder = shapes["bu_br_l2.0.weight"][0]
    for width, scale in sizes:
        planned = plan(width, scale)
        if (*channels, decoder) == (planned.encoder[0], planned.encoder[-1], planned.decoder[0]):
            size = {"width": width, "scale": scale}
            default = {"width": "base", "scale": 2.0}
            return {name: value for name, value in size.items() if value != default[name]} | model_args
    return None


ESPNETV2 = KeyMap(_rules, _infer_model_args)
