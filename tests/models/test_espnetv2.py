"""ESPNetv2: published keys, reference output, valid sizes and model arguments.

`golden/espnetv2.npz` contains every third pixel of the logits that `EspNet` in tests/parity/test_espnetv2.py computes
in PyTorch with the weights of `fill` below; the test there recomputes it. With the published weights of scale 2.0, the
logits of that model and of ours for a 256x256 photograph differ by at most 1.5e-5; the largest logit is 14.
"""

from __future__ import annotations

import functools
import gzip
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers.networks import count, images, parameter_shapes, run
from tests.helpers.published import GOLDEN, fill_random, golden

SCALES = (0.5, 1.0, 1.25, 1.5, 2.0)
SHAPES = (1, 64, 64, 3)


@functools.cache
def published(scale):
    """Keys and shapes of a published file, in order."""
    lists = json.loads(gzip.decompress((GOLDEN / "espnetv2_keys.json.gz").read_bytes()))
    return {key: tuple(shape) for key, shape in lists[str(scale)]}


def unused(key):
    return key.endswith(("num_batches_tracked", "eesp.module_act.weight"))


def fill(shapes):
    """`fill_random`, but with PReLU slopes about 0.25 and norm scales about 1.25.

    Slopes near 1 have no effect; with scales near 1 the signal fades.
    """
    state = fill_random(shapes)
    for key, value in state.items():
        if value.ndim == 1 and key.endswith("weight"):
            norm = key.removesuffix("weight") + "bias" in shapes
            state[key] = np.float32(1.25 if norm else 0.25) * value
    return state


@pytest.mark.parametrize(("scale", "parameters"), [(0.5, 80_241), (2.0, 788_773)])
def test_keys_and_parameter_count_match_the_publication(scale, parameters):
    shapes = published(scale)
    statistics = ("running_mean", "running_var")
    learned = {key: shape for key, shape in shapes.items() if not unused(key) and not key.endswith(statistics)}
    assert count(parameter_shapes(build("espnetv2", scale=scale), SHAPES)) == parameters
    assert sum(int(np.prod(shape)) for shape in learned.values()) == parameters
    expected = expected_shapes("espnetv2", scale=scale)
    assert list(expected.items()) == [(key, shape) for key, shape in shapes.items() if not unused(key)]


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_published_state_dict_round_trip(scale):
    state = fill(published(scale))
    variables = from_torch("espnetv2", state, scale=scale)
    assert set(variables["passthrough"]) == {key for key in state if unused(key)}
    back = to_torch("espnetv2", variables, scale=scale)
    assert list(back) == list(state)
    for key, value in state.items():
        assert (back[key].shape, back[key].dtype) == (value.shape, value.dtype), key
        assert back[key].tobytes() == value.tobytes(), key


def test_logits_match_the_reference():
    variables = from_torch("espnetv2", fill(published(2.0)))
    del variables["passthrough"]
    outputs = run(build("espnetv2"), variables, 4 * images(0, 1, 47, 64, 3) - 2)
    assert outputs.keys() == {"semantic_logits"}
    expected = golden("espnetv2")["semantic_logits"]
    assert np.std(expected, axis=(0, 1, 2)).min() > 0.1
    np.testing.assert_allclose(outputs["semantic_logits"][:, ::3, ::3], expected, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (47, 63), (32, 1024)])
def test_logits_have_the_size_of_the_image(size):
    module = build("espnetv2", width="tiny", classes=5, dtype=jnp.bfloat16)
    image = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    outputs, _ = jax.eval_shape(functools.partial(module.init_with_output, jax.random.key(0), train=True), image)
    assert {name: (x.shape, x.dtype) for name, x in outputs.items()} == {
        "semantic_logits": ((2, *size, 5), jnp.float32)
    }


@pytest.mark.parametrize("size", [(33, 32), (64, 70), (8, 16), (14, 16)])
def test_invalid_sizes_are_rejected(size):
    module = build("espnetv2", width="tiny")
    with pytest.raises(
        UserError, match=rf"{size[0]}x{size[1]} does not fit ESPNetv2: sides must be multiples of 16 or one"
    ):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, *size, 3)))


@pytest.mark.parametrize(
    ("model_args", "message"),
    [
        ({"width": "narrow"}, "no width 'narrow'; choose one of base, "),
        ({"scale": 3.0}, "no scale 3.0; choose one of 0.5, 1.0, 1.25, 1.5, 2.0"),
        ({"classes": 1}, "classes is 1; ESPNetv2 needs at least 2 classes"),
    ],
)
def test_invalid_model_args_are_rejected(model_args, message):
    with pytest.raises(UserError, match=message):
        build("espnetv2", **model_args)


@pytest.mark.parametrize(
    "model_args",
    [*({} if scale == 2.0 else {"scale": scale} for scale in SCALES), {"width": "tiny"}, {"scale": 0.5, "classes": 7}],
    ids=str,
)
def test_model_args_are_inferred_from_state_dicts(model_args):
    assert key_map("espnetv2").infer_model_args(expected_shapes("espnetv2", **model_args)) == model_args


def test_unknown_widths_are_not_recognized():
    shapes = dict(published(2.0))
    shapes["base_net.level4_0.act.weight"] = (500,)
    assert key_map("espnetv2").infer_model_args(shapes) is None


@pytest.mark.slow
def test_training_step_of_the_narrow_network():
    module, image = build("espnetv2", width="tiny"), images(1, 2, 32, 48, 3)
    assert module.example_shapes(size=(20, 48)) == ((1, 32, 48, 3),)
    variables = from_torch("espnetv2", fill(expected_shapes("espnetv2", width="tiny")), width="tiny")
    assert count(variables["params"]) < 10_000

    def loss(params, image):
        outputs, updates = module.apply({**variables, "params": params}, image, train=True, mutable=["batch_stats"])
        return jnp.square(outputs["semantic_logits"]).mean(), updates["batch_stats"]

    lowered = jax.jit(jax.grad(loss, has_aux=True)).lower(variables["params"], image)
    gradients, updates = lowered.compile({"xla_backend_optimization_level": 0})(variables["params"], image)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(gradients))
    before = jax.tree.leaves(variables["batch_stats"])
    assert all((new != old).all() for new, old in zip(jax.tree.leaves(updates), before, strict=True))
