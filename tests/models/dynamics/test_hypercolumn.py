"""The student's hypercolumn against NumPy, its initialization, and the frozen VGG-19."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.dynamics.encoder import EncoderFeatures
from sirr_jax.models.dynamics.hypercolumn import Hypercolumn
from sirr_jax.models.dynamics.widths import widths
from sirr_jax.models.initialize import initialize
from tests.helpers import literal_dynamics
from tests.helpers.networks import compile_apply, images, random_parameters

IMAGE = (1, 16, 16, 3)


@pytest.fixture(scope="module")
def module():
    return build("dynamics/student", width="tiny", hypercolumn="torchvision")


@pytest.fixture(scope="module")
def params(module):
    return random_parameters(module, IMAGE)


@pytest.fixture(scope="module")
def apply(module, params):
    return compile_apply(module, params, images(2, *IMAGE))


def test_student_with_hypercolumn_matches_numpy(apply, params):
    image = images(2, *IMAGE)
    outputs, expected = apply(params, image), literal_dynamics.student(image, params)
    plain = literal_dynamics.student(image, {name: part for name, part in params.items() if name != "hypercolumn"})
    assert np.abs(expected["restored"] - plain["restored"]).mean() > 1e-2  # otherwise the comparison has no meaning
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, atol=1e-4, rtol=1e-3, err_msg=name)


def test_initial_hypercolumn_does_not_change_the_student(module, params, apply, student):
    fresh = initialize(module, jax.random.key(0), IMAGE)["params"]["hypercolumn"]
    fresh = jax.tree.map(np.asarray, fresh) | {"vgg19": params["hypercolumn"]["vgg19"]}
    image = images(2, *IMAGE)
    outputs = apply(student.params | {"hypercolumn": fresh}, image)
    for name, value in literal_dynamics.student(image, student.params).items():
        np.testing.assert_allclose(outputs[name], value, atol=2e-5, rtol=1e-4, err_msg=name)


def test_vgg19_is_frozen_and_all_other_parts_have_gradients(params):
    column = Hypercolumn(widths("tiny"), "torchvision")
    part, image = params["hypercolumn"], images(2, *IMAGE)
    encoded = literal_dynamics.encoder(image, params["encoder"])

    def total(part):
        from_image, context = column.apply({"params": part}, image, EncoderFeatures(*map(jnp.float32, encoded)))
        return sum(jnp.sum(jnp.sin(x)) for x in (*from_image, context))

    gradients = jax.jit(jax.grad(total)).lower(part).compile({"xla_backend_optimization_level": 0})(part)
    for name, tree in gradients.items():
        largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))
        assert (largest == 0.0) == (name == "vgg19"), name


def test_unknown_conventions_are_rejected():
    for make in (lambda: build("dynamics/student", hypercolumn="keras"), lambda: Hypercolumn(widths("tiny"), "keras")):
        with pytest.raises(UserError, match=r"hypercolumn is 'keras', expected a convention.*caffe, torchvision"):
            make()


def test_both_conventions_give_the_same_output(params, apply):
    """Weights of one convention, converted to the inputs of the other."""
    image, vgg = images(2, *IMAGE), params["hypercolumn"]["vgg19"]
    # Caffe's inputs are BGR, 255 times as large and centered; without padding the first layer could absorb this.
    scale = np.array([0.229, 0.224, 0.225], np.float32) * 255
    first = vgg["conv1_1"]["kernel"] / scale[None, None, :, None]
    shift = np.array([123.68, 116.779, 103.939], np.float32) - 255 * np.array([0.485, 0.456, 0.406], np.float32)
    assert np.abs(shift).max() < 0.5  # of 255: the means nearly agree, and with them the padding
    unit = 255 * 0.226
    caffe = {name: {"kernel": p["kernel"], "bias": p["bias"] * unit} for name, p in vgg.items()}
    caffe["conv1_1"] = {"kernel": first[:, :, ::-1] * unit, "bias": vgg["conv1_1"]["bias"] * unit}
    other = build("dynamics/student", width="tiny", hypercolumn="caffe")
    rewritten = params | {"hypercolumn": params["hypercolumn"] | {"vgg19": caffe}}
    outputs = compile_apply(other, rewritten, image)(rewritten, image)
    np.testing.assert_allclose(outputs["restored"], apply(params, image)["restored"], atol=2e-2)
