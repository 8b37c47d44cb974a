"""Cross-entropy of label maps against a literal loop."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.segmentation import cross_entropy


def case(seed, *, ignore=255, share=0.3):
    rng = np.random.default_rng(seed)
    logits = (3.0 * rng.standard_normal((4, 3, 5, 6))).astype(np.float32)
    labels = rng.integers(0, 6, (4, 3, 5))
    return logits, np.where(rng.random(labels.shape) < share, ignore, labels).astype(np.uint8)


def literal(logits, labels, ignore):
    errors = []
    for place in np.ndindex(labels.shape):
        if labels[place] != ignore:
            z = logits[place].astype(np.float64)
            errors.append(np.log(np.exp(z - z.max()).sum()) + z.max() - z[labels[place]])
    return np.mean(errors)


@pytest.mark.parametrize(("ignore", "dtype"), [(255, np.uint8), (255, np.int32), (2, np.int32)])
def test_cross_entropy_is_the_mean_over_labelled_pixels(ignore, dtype):
    logits, labels = case(0, ignore=ignore)
    loss = cross_entropy(logits, labels.astype(dtype), ignore=ignore)
    assert loss.dtype == np.float32
    assert float(loss) == pytest.approx(literal(logits, labels, ignore), rel=1e-5)


def test_ignored_pixels_have_no_gradient():
    logits, labels = case(1)
    gradient = np.asarray(jax.grad(cross_entropy)(logits, labels))
    assert not gradient[labels == 255].any()
    # Probabilities minus the target, divided by the count.
    exponentials = np.exp(logits.astype(np.float64))
    expected = exponentials / exponentials.sum(-1, keepdims=True) - np.eye(6)[np.where(labels == 255, 0, labels)]
    expected = expected[labels != 255] / np.count_nonzero(labels != 255)
    np.testing.assert_allclose(gradient[labels != 255], expected, atol=1e-6)


def test_loss_is_finite_without_labels_and_for_large_logits():
    logits, _ = case(2)
    value, gradient = jax.value_and_grad(cross_entropy)(logits, np.full(logits.shape[:3], 255))
    assert float(value) == 0.0
    assert not np.any(gradient)
    value, gradient = jax.value_and_grad(cross_entropy)(1e4 * logits, np.zeros(logits.shape[:3], np.int32))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_loss_on_two_devices_with_unequal_counts_equals_one_device():
    logits, labels = case(3)
    labels[2:] = 255
    labels[2, 0, 0] = 1

    def loss(logits, labels):
        return jax.value_and_grad(lambda x: cross_entropy(x, labels, axis_name="part"))(logits)

    halves = [x.reshape(2, 2, *x.shape[1:]) for x in (logits, labels)]
    values, gradients = jax.pmap(loss, axis_name="part")(*halves)
    value, gradient = jax.value_and_grad(cross_entropy)(logits, labels)
    assert float(jnp.mean(values)) == pytest.approx(float(value), rel=1e-5)
    # Training averages the gradients of the devices, each of its own images.
    np.testing.assert_allclose(np.asarray(gradients).reshape(logits.shape) / 2, gradient, atol=1e-7)
