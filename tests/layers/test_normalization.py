"""Instance and batch normalization against their definitions; updates of the running statistics."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.normalization import BatchNorm, instance_norm
from tests.helpers import literal

RNG = np.random.default_rng(3)
VARIABLES = {
    "params": {"scale": 1.0 + RNG.random(3), "bias": RNG.standard_normal(3)},
    "batch_stats": {"mean": RNG.standard_normal(3), "var": 0.5 + RNG.random(3)},
}
VARIABLES = jax.tree.map(lambda x: x.astype(np.float32), VARIABLES)


def image(seed, *shape):
    return (3.0 + 2.0 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def train(x, variables=VARIABLES, **options):
    layer = BatchNorm(**options)
    return jax.jit(lambda v, x: layer.apply(v, x, train=True, mutable=["batch_stats"]))(variables, x)


def test_instance_norm_normalizes_each_channel_of_each_image():
    x = image(1, 2, 5, 6, 3)
    y = np.asarray(jax.jit(instance_norm)(x))
    np.testing.assert_allclose(y, literal.instance_norm(x), atol=1e-5)
    np.testing.assert_array_equal(jax.jit(instance_norm)(np.full((1, 2, 2, 1), 7.0, np.float32)), 0.0)


def test_instance_norm_computes_bfloat16_in_float32():
    x = jnp.asarray(1000.0 + image(1, 1, 8, 8, 2), jnp.bfloat16)
    y = jax.jit(instance_norm)(x)
    assert y.dtype == jnp.bfloat16
    expected = literal.instance_norm(np.asarray(x.astype(jnp.float32)))
    np.testing.assert_allclose(y.astype(jnp.float32), expected, atol=2e-2)


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
def test_batch_norm_uses_running_statistics_in_evaluation(epsilon):
    x = image(2, 2, 4, 5, 3)
    y = jax.jit(BatchNorm(epsilon=epsilon).apply)(VARIABLES, x)
    expected = literal.batch_norm(x, **VARIABLES["params"], **VARIABLES["batch_stats"], epsilon=epsilon)
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.1, 0.01])
def test_batch_norm_in_training_updates_statistics_with_the_unbiased_variance(momentum):
    x = image(3, 2, 4, 5, 3)
    mean, var = x.mean(axis=(0, 1, 2), dtype=np.float64), x.var(axis=(0, 1, 2), dtype=np.float64)
    y, updates = train(x, momentum=momentum)
    np.testing.assert_allclose(y, literal.batch_norm(x, **VARIABLES["params"], mean=mean, var=var), atol=1e-5)
    before = VARIABLES["batch_stats"]
    expected = {
        "mean": (1 - momentum) * before["mean"] + momentum * mean,
        "var": (1 - momentum) * before["var"] + momentum * x.var(axis=(0, 1, 2), ddof=1, dtype=np.float64),
    }
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), updates["batch_stats"], expected)


def test_batch_norm_of_features_without_spatial_axes():
    x = image(4, 6, 3)
    y, _ = train(x)
    expected = literal.batch_norm(x, **VARIABLES["params"], mean=x.mean(axis=0), var=x.var(axis=0))
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_batch_norm_is_accurate_with_a_large_mean():
    x = image(5, 2, 8, 8, 3) + np.float32(3000.0)
    y, _ = train(x)
    exact = x.astype(np.float64)
    mean, var = exact.mean(axis=(0, 1, 2)), exact.var(axis=(0, 1, 2))
    np.testing.assert_allclose(y, literal.batch_norm(x, **VARIABLES["params"], mean=mean, var=var), atol=5e-3)


def test_batch_norm_of_one_value_per_channel_is_finite():
    _, updates = train(image(6, 1, 1, 1, 3))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(updates))


def test_initialization_and_frozen_statistics_are_not_updated():
    x = image(7, 2, 3, 3, 3)
    drawn = jax.jit(lambda: BatchNorm().init(jax.random.key(0), x, train=True))()
    expected = {"params": {"scale": 1.0, "bias": 0.0}, "batch_stats": {"mean": 0.0, "var": 1.0}}
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, np.full(3, b, np.float32)), drawn, expected)
    frozen = jax.jit(lambda v, x: BatchNorm().apply(v, x, train=True))(VARIABLES, x)
    np.testing.assert_array_equal(frozen, train(x)[0])


def test_synchronized_batch_norm_matches_the_whole_batch():
    x = image(8, 2, 2, 4, 4, 3)
    whole, updates = train(x.reshape(4, 4, 4, 3))
    layer = BatchNorm(axis_name="part")
    apply = jax.vmap(
        lambda x: layer.apply(VARIABLES, x, train=True, mutable=["batch_stats"]), axis_name="part", out_axes=(0, None)
    )
    parts, updates_in_parts = jax.jit(apply)(x)
    np.testing.assert_allclose(parts.reshape(whole.shape), whole, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), updates_in_parts, updates)
    # Networks are initialized outside the mapped axis, where its name does not exist.
    jax.eval_shape(lambda: layer.init(jax.random.key(0), x[0], train=True))


def test_batch_norm_computes_bfloat16_in_float32():
    x = jnp.asarray(image(9, 2, 6, 6, 3), jnp.bfloat16)
    y, updates = train(x)
    exact, _ = train(x.astype(jnp.float32))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y, exact.astype(jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype("float32")}
