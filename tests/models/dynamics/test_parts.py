"""Sizes of the parts, and properties of modules that tests of whole networks do not cover."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.dynamics.decoder import Decoder
from sirr_jax.models.dynamics.encoder import Encoder
from sirr_jax.models.dynamics.fusion_net import FusionNet, align
from sirr_jax.models.dynamics.widths import widths
from tests.helpers.networks import compile_apply, count, images, parameter_shapes

SHAPES = {"teacher": (1, 3, 16, 16, 3), "student": (1, 16, 16, 3)}


@pytest.mark.parametrize(
    ("network", "width", "expected"),
    [
        ("teacher", "base", 9_695_761),
        ("teacher", "small", 2_502_929),
        ("teacher", "tiny", 186_015),
        ("student", "base", 6_051_971),
        ("student", "small", 1_516_867),
        ("student", "tiny", 96_209),
    ],
)
def test_parameter_counts_match_the_specification(network, width, expected):
    assert count(parameter_shapes(build(f"dynamics/{network}", width=width), SHAPES[network])) == expected


def test_parameter_counts_of_parts_match_the_specification():
    trees = {name: parameter_shapes(build(f"dynamics/{name}"), shape) for name, shape in SHAPES.items()}
    millions = {name: {part: round(count(p) / 1e6, 2) for part, p in tree.items()} for name, tree in trees.items()}
    heads = count(trees["teacher"]["head_t"]) + count(trees["teacher"]["head_r"])
    assert round(heads / 1e6, 2) == 0.15
    assert millions["teacher"].pop("head_t") == millions["teacher"].pop("head_r")
    assert millions == {
        "teacher": {"encoder": 2.34, "decouple": 1.36, "flow": 2.45, "fusion": 1.49, "decoder": 1.90},
        "student": {"encoder": 2.34, "hallucination": 1.81, "decoder": 1.90},
    }


def test_align_warps_the_outer_frames():
    psi = np.arange(3, dtype=np.float32).reshape(1, 3, 1, 1, 1) * np.ones((2, 3, 4, 5, 2), np.float32)
    flow = np.zeros((2, 2, 4, 5, 2), np.float32)
    flow[:, 1, :, :, 0] = 2.0
    aligned, valid = jax.jit(align)(psi, flow)
    assert np.all(aligned[:, 0] == 0.0)
    assert np.all(aligned[:, 1] == 2.0)
    assert np.all(valid[:, 0] == 1.0)
    assert valid[0, 1, 0, :, 0].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_fusion_ignores_neighbors_outside_the_frame():
    psi = tuple(images(i, 1, 3, 4, 4, 8) for i in range(2))
    features, frames = images(2, 1, 4, 4, 8), images(3, 1, 3, 16, 16, 3)
    away = np.full((1, 2, 4, 4, 2), 100.0, np.float32)
    variables = jax.eval_shape(FusionNet().init, jax.random.key(0), psi, (away, away), features, frames)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda p: 0.2 * rng.standard_normal(p.shape).astype(np.float32), variables["params"])
    fuse = compile_apply(FusionNet(), params, psi, (away, away), features, frames)
    others = tuple(np.concatenate([1 - p[:, :1], p[:, 1:2], 1 - p[:, 2:]], axis=1) for p in psi)
    np.testing.assert_array_equal(
        fuse(params, others, (away, away), features, frames), fuse(params, psi, (away, away), features, frames)
    )
    zero_flow = np.zeros_like(away)
    fused = [fuse(params, p, (zero_flow, zero_flow), features, frames) for p in (psi, others)]
    assert np.abs(fused[0] - fused[1]).max() > 0.01


def test_encoder_halves_the_resolution_twice():
    shapes = jax.eval_shape(
        lambda x: Encoder(widths("tiny")).init_with_output(jax.random.key(0), x)[0], jnp.zeros((2, 16, 32, 3))
    )
    assert (shapes.full.shape, shapes.half.shape) == ((2, 16, 32, 8), (2, 8, 16, 12))
    assert shapes.quarter.shape == (2, 4, 8, 16)


def test_decoder_rejects_knowledge_of_another_width():
    decoder = Decoder(widths("tiny"))
    inputs = (jnp.zeros((1, 4, 4, 8)), jnp.zeros((1, 8, 8, 12)), jnp.zeros((1, 16, 16, 8)), jnp.zeros((1, 16, 16, 3)))
    with pytest.raises(ValueError, match="knowledge has 8 channels, expected 16"):
        jax.eval_shape(decoder.init, jax.random.key(0), *inputs)


def test_unknown_widths_are_rejected():
    with pytest.raises(UserError, match="there is no width 'huge'; choose one of base, medium, small, compact, tiny"):
        widths("huge")
