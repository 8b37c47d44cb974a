"""BiSeNet: published keys, reference output, output shapes and training.

`golden/bisenet.npz` contains every third pixel of the logits that `Twin` in tests/parity/test_bisenet.py computes in
PyTorch with the weights of `fill_random`; the test there recomputes it.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.weights.convert import expected_shapes, from_torch, to_torch
from sirr_jax.weights.key_maps import key_map
from tests.helpers.networks import count, images, parameter_shapes, run
from tests.helpers.published import fill_random, golden, shapes


@pytest.fixture(scope="module")
def state():
    return fill_random(shapes("bisenet"))


def test_keys_and_parameter_count_match_the_publication():
    assert count(parameter_shapes(build("bisenet"), (1, 64, 64, 3))) == 13_300_416
    published = [(key, shape) for key, shape in shapes("bisenet").items() if not key.endswith("num_batches_tracked")]
    assert len(shapes("bisenet")) == 191
    assert list(expected_shapes("bisenet").items()) == published


def test_published_state_dict_round_trip(state):
    back = to_torch("bisenet", from_torch("bisenet", state))
    assert list(back) == list(state)
    for key, value in state.items():
        assert (back[key].shape, back[key].dtype) == (value.shape, value.dtype), key
        assert back[key].tobytes() == value.tobytes(), key


def test_logits_match_the_reference(state):
    variables = from_torch("bisenet", state)
    del variables["passthrough"]
    outputs = run(build("bisenet"), variables, 4 * images(0, 1, 45, 70, 3) - 2)
    expected = golden("bisenet")["semantic_logits"]
    assert np.std(expected, axis=(1, 2)).min() > 0.2
    assert outputs.keys() == {"semantic_logits"}
    np.testing.assert_allclose(outputs["semantic_logits"][:, ::3, ::3], expected, atol=1e-5)


@pytest.mark.parametrize(("train", "more"), [(False, ()), (True, ("semantic_logits_16", "semantic_logits_32"))])
@pytest.mark.parametrize("size", [(1, 1), (45, 70), (512, 512)])
def test_logits_have_the_size_of_the_image(size, train, more):
    module = build("bisenet", width="tiny", classes=5, dtype=jnp.bfloat16)
    image = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    outputs, _ = jax.eval_shape(functools.partial(module.init_with_output, jax.random.key(0), train=train), image)
    assert outputs.keys() == {"semantic_logits", *more}
    assert {(x.shape, x.dtype) for x in outputs.values()} == {((2, *size, 5), jnp.dtype("float32"))}


@pytest.mark.parametrize(
    ("model_args", "message"),
    [
        ({"width": "huge"}, "no width 'huge'; choose one of base, small, tiny"),
        ({"classes": 0}, "classes is 0; BiSeNet needs at least 1 class"),
    ],
)
def test_invalid_model_args_are_rejected(model_args, message):
    with pytest.raises(UserError, match=message):
        build("bisenet", **model_args)


@pytest.mark.parametrize("model_args", [{}, {"width": "tiny"}, {"classes": 11}], ids=str)
def test_model_args_are_inferred_from_state_dicts(model_args):
    assert key_map("bisenet").infer_model_args(expected_shapes("bisenet", **model_args)) == model_args


def test_unknown_widths_are_not_recognized():
    assert key_map("bisenet").infer_model_args({**shapes("bisenet"), "cp.resnet.conv1.weight": (32, 3, 7, 7)}) is None


def test_training_step_of_the_narrow_network():
    module, image = build("bisenet", width="tiny"), images(1, 2, 32, 48, 3)
    assert module.example_shapes(size=(45, 70)) == ((1, 45, 70, 3),)
    variables = from_torch("bisenet", fill_random(expected_shapes("bisenet", width="tiny")), width="tiny")

    def loss(params, image):
        outputs, updates = module.apply({**variables, "params": params}, image, train=True, mutable=["batch_stats"])
        return sum(jnp.square(logits).mean() for logits in outputs.values()), updates["batch_stats"]

    lowered = jax.jit(jax.grad(loss, has_aux=True)).lower(variables["params"], image)
    gradients, updates = lowered.compile({"xla_backend_optimization_level": 0})(variables["params"], image)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(gradients))
    before = jax.tree.leaves(variables["batch_stats"])
    assert all((new != old).any() for new, old in zip(jax.tree.leaves(updates), before, strict=True))
