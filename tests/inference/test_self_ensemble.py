"""Self-ensemble: means over flips and rotations."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax import Restorer, UserError
from sirr_jax.inference.self_ensemble import COUNTS, self_ensemble
from sirr_jax.weights.model_file import Model, StoredNetwork

TRANSFORMS = {  # functions of [H, W, C]: transform and inverse
    "itself": (lambda x: x, lambda x: x),
    "mirrored": (np.fliplr, np.fliplr),
    "upside down": (np.flipud, np.flipud),
    "half a turn": (lambda x: np.rot90(x, 2), lambda x: np.rot90(x, -2)),
    "a quarter": (lambda x: np.rot90(x, 1), lambda x: np.rot90(x, -1)),
    "three quarters": (lambda x: np.rot90(x, 3), lambda x: np.rot90(x, -3)),
    "mirrored, a quarter": (lambda x: np.rot90(np.fliplr(x)), lambda x: np.fliplr(np.rot90(x, -1))),
    "upside down, a quarter": (lambda x: np.rot90(np.flipud(x)), lambda x: np.flipud(np.rot90(x, -1))),
}


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(size=(2, 5, 8, 3)).astype(np.float32)


def running_sums(batch):
    """Has different outputs for any two symmetries of its input."""
    return {"restored": batch.cumsum(axis=1) + 2.0 * batch.cumsum(axis=2), "labels": batch[:, ::-1]}


@pytest.mark.parametrize("count", COUNTS)
def test_self_ensemble_is_the_mean_of_predictions_transformed_back(images, count):
    restored = self_ensemble(running_sums, images, count)["restored"]
    for image, mean in zip(images, restored, strict=True):
        predictions = [
            back(running_sums(there(image)[None])["restored"][0]) for there, back in list(TRANSFORMS.values())[:count]
        ]
        np.testing.assert_allclose(mean, np.mean(predictions, axis=0), rtol=1e-5)


def test_other_maps_are_not_averaged(images):
    np.testing.assert_array_equal(self_ensemble(running_sums, images, 8)["labels"], images[:, ::-1])


def test_eight_symmetries_make_predictions_equivariant_to_rotation(images):
    straight = self_ensemble(running_sums, images, 8)["restored"]
    turned = self_ensemble(running_sums, np.rot90(images, 1, (1, 2)), 8)["restored"]
    np.testing.assert_allclose(turned, np.rot90(straight, 1, (1, 2)), rtol=1e-5)


def test_inputs_are_not_changed(images):
    before = images.copy()
    self_ensemble(lambda batch: {"restored": batch}, images, 8)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("count", [0, 3, -1, 16])
def test_other_counts_are_errors(images, count):
    with pytest.raises(UserError, match=f"self_ensemble is {count}; choose 1"):
        self_ensemble(running_sums, images, count)


@pytest.fixture(scope="module")
def model(student_params):
    """A student that changes its input, in a different way for every symmetry."""
    keys = iter(jax.random.split(jax.random.key(0), 200))
    params = jax.tree.map(lambda x: np.asarray(x + 0.05 * jax.random.normal(next(keys), x.shape)), student_params)
    return Model(
        "dynamics", {"student": StoredNetwork("dynamics/student", {"width": "tiny"}, {"params": params})}, "-", "-"
    )


def test_restorer_uses_the_number_of_the_model_unless_it_is_given(model):
    photo = np.random.default_rng(1).uniform(size=(20, 20, 3)).astype(np.float32)
    alone = Restorer(model)
    named = Restorer(model._replace(self_ensemble=2))
    mirrored = np.fliplr(alone(np.fliplr(photo)).restored)
    assert np.abs(alone(photo).restored - mirrored).max() > 1e-3
    np.testing.assert_allclose(named(photo).restored, (alone(photo).restored + mirrored) / 2, atol=1e-6)
    assert [Restorer(model._replace(self_ensemble=2), self_ensemble=n).self_ensemble for n in (None, 1, 8)] == [2, 1, 8]
    with pytest.raises(UserError, match="self_ensemble is 3; choose 1"):
        Restorer(model, self_ensemble=3)
