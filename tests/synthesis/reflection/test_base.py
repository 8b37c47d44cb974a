"""Properties common to all mixing models."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.reflection import SYNTHESES, WenOptions, ZhangOptions, get_synthesis, synthesize_batch
from tests.helpers.synthesis_layers import layers

# Small kernels and shifts, for small images.
OPTIONS = {"wen": WenOptions(sigma=(1.0, 2.0), shift=(2, 6)), "zhang": ZhangOptions(sigma=(1.0, 2.0))}
INDEX = np.array([3, 11, 7, 400_000_000], np.int32)


def options_of(name):
    return OPTIONS.get(name, get_synthesis(name).options())


@functools.cache
def compiled(name):
    """Mixtures of a batch, and their layers recomposed."""

    @jax.jit
    def run(seed, transmission, reflection, index):
        model, options = get_synthesis(name), options_of(name)
        mixtures = synthesize_batch(jax.random.key(seed), transmission, reflection, index, name=name, options=options)
        return mixtures, jax.vmap(functools.partial(model.recompose, options=options))(mixtures)

    return lambda *arguments: jax.tree.map(np.asarray, run(*arguments))


@pytest.fixture(scope="module")
def batch():
    pairs = [layers(seed) for seed in range(4)]
    return [(255 * np.stack(side)).astype(np.uint8) for side in zip(*pairs, strict=True)]


@pytest.mark.parametrize("name", SYNTHESES)
def test_batch_of_mixtures_has_shapes_ranges_and_recomposes(name, batch):
    transmission, reflection = batch
    mixtures, again = compiled(name)(5, transmission, reflection, INDEX)
    # One 255th where a half is rounded the other way.
    np.testing.assert_allclose(again, mixtures.mixture, atol=1e-5 if name != "bdn" else 1.01 / 255)
    np.testing.assert_allclose(mixtures.transmission, transmission / 255, atol=1e-7)
    for image in (mixtures.mixture, mixtures.transmission, mixtures.reflection):
        assert image.shape == (4, 24, 30, 3)
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
    assert mixtures.reflection.std() > 0.01
    assert np.abs(mixtures.mixture - mixtures.transmission).max() > 0.05
    assert mixtures.kept.shape == (4,)
    assert mixtures.kept.dtype == bool
    assert mixtures.kept.all()
    for leaf in mixtures.parameters.values():
        assert leaf.shape[0] == 4
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize("name", SYNTHESES)
def test_draws_depend_on_key_and_index_and_not_on_the_position(name, batch):
    run = compiled(name)
    mixtures, _ = run(5, *batch, INDEX)
    order = np.array([2, 0, 3, 1])
    permuted, _ = run(5, *(layer[order] for layer in batch), INDEX[order])
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[order], b), mixtures, permuted)
    other_batch = [layer.copy() for layer in batch]
    for layer in other_batch:
        layer[1:] = 255 - layer[1:]
    in_other_batch, _ = run(5, *other_batch, INDEX)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[0]), mixtures, in_other_batch)
    for changed in (run(6, *batch, INDEX)[0], run(5, *batch, INDEX + 1)[0]):
        drawn = [np.any(changed.parameters[name] != leaf) for name, leaf in mixtures.parameters.items()]
        assert any(drawn)
        assert np.any(changed.mixture != mixtures.mixture)


def test_float_layers_and_single_calls_equal_the_batch(batch):
    model = get_synthesis("corrn")
    floats = [layer.astype(np.float32) / np.float32(255) for layer in batch]
    mixtures, _ = compiled("corrn")(5, *batch, INDEX)
    from_floats, _ = compiled("corrn")(5, *floats, INDEX)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), mixtures, from_floats)
    key = jax.random.fold_in(jax.random.key(5), INDEX[1])
    single = model.synthesize(key, jnp.asarray(floats[0][1]), jnp.asarray(floats[1][1]), options=model.options())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[1], atol=1e-6), single, mixtures)


@pytest.mark.parametrize("name", SYNTHESES)
def test_black_and_white_layers_give_finite_mixtures(name):
    flat = np.zeros((4, 24, 30, 3), np.uint8)
    flat[2:] = 255
    mixtures, again = compiled(name)(0, flat, flat[[0, 2, 1, 3]], INDEX)
    assert np.isfinite(mixtures.mixture).all()
    assert np.isfinite(again).all()
    np.testing.assert_array_equal(mixtures.mixture[0], 0)
    assert mixtures.mixture.max() <= 1


def test_unknown_name_raises_with_a_suggestion():
    with pytest.raises(UserError, match=r"'zang'; did you mean 'zhang'\?"):
        get_synthesis("zang")
    with pytest.raises(UserError, match="known names: bdn, ceilnet, corrn, dsrnet, glass, wen, zhang"):
        get_synthesis("x")


@pytest.mark.parametrize("name", SYNTHESES)
def test_default_options_are_hashable(name):
    options = get_synthesis(name).options()
    assert hash(options) == hash(get_synthesis(name).options())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transmission": np.zeros((2, 8, 8), np.float32)}, r"transmission has shape \(8, 8\)"),
        ({"reflection": np.zeros((2, 8, 9, 3), np.float32)}, "expected that of the transmission"),
        ({"transmission": np.zeros((2, 8, 8, 3), np.int32)}, "transmission is int32"),
        ({"index": np.zeros(3, np.int32)}, "one integer for each of the 2 samples"),
        ({"index": np.zeros(2, np.float32)}, "index is float32"),
        ({"options": ZhangOptions()}, "options of 'corrn' are ZhangOptions, expected CorrnOptions"),
        ({"name": "corn"}, "did you mean 'corrn'"),
    ],
)
def test_invalid_arguments_raise(change, message):
    layer = np.zeros((2, 8, 8, 3), np.float32)
    arguments = {"transmission": layer, "reflection": layer, "index": np.arange(2, dtype=np.int32), "name": "corrn"}
    with pytest.raises(UserError, match=message):
        synthesize_batch(jax.random.key(0), **(arguments | change))
