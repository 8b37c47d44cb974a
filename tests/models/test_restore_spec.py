"""Inference of each system: inputs of its networks, and conversion of their outputs, also through the Restorer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.inference.restorer import Restorer
from sirr_jax.models.edge_gan.edge_maps import edge_map
from sirr_jax.models.registry import NETWORKS, build, get_restoration
from sirr_jax.weights.convert import expected_shapes, from_torch
from sirr_jax.weights.model_file import Model, StoredNetwork
from tests.helpers.published import fill_random

# Systems are those of the registry; arguments make some of them smaller.
ARGS = {
    "sgrrn/generator": {"backbone": "resnet50"},
    "bdn/generator": {"levels": (3, 2, 2)},
    "srnet/refiner": {"classes": 7},
    "srnet/restorer": {"classes": 7},
}
SYSTEMS = sorted(name.split("/")[0] for name, info in NETWORKS.items() if info.restore)
WITHOUT_REFLECTION = ("attentive_gan", "dynamics", "edge_gan", "errnet", "srnet")
MAPS = {
    "attentive_gan": {f"attention_{step}" for step in (1, 2, 3, 4)},
    "edge_gan": {"edge", "attention"},
    "rmnet": {"mask"},
    "sgrrn": {"labels"},
    "corrn": {"contour"},
    "srnet": {"segmented", "refined"},
}


def model(recipe):
    def stored(role):
        network_id = f"{recipe}/{role}" if f"{recipe}/{role}" in NETWORKS else role
        model_args = {"width": "tiny"} | ARGS.get(network_id, {})
        state_dict = fill_random(expected_shapes(network_id, **model_args))
        return StoredNetwork(network_id, model_args, from_torch(network_id, state_dict, **model_args))

    restoration = get_restoration(recipe)
    networks = {role: stored(role) for role in restoration.roles}
    modules = {role: build(network.id, **network.model_args) for role, network in networks.items()}
    networks |= {role: stored(role) for role in restoration.required(modules) if role not in networks}
    return Model(recipe, networks, license="-", description="-")


@pytest.mark.parametrize("recipe", SYSTEMS)
def test_restored_images_have_the_size_of_the_photograph(recipe):
    photo = np.random.default_rng(0).integers(0, 256, (19, 34, 3), np.uint8)
    outputs = Restorer(model(recipe))(photo)
    assert outputs.restored.shape == photo.shape
    assert np.ptp(outputs.restored) > 0
    assert (outputs.reflection is None) == (recipe in WITHOUT_REFLECTION)
    assert outputs.maps.keys() == MAPS.get(recipe, set())
    for image in (outputs.restored, outputs.reflection, *outputs.maps.values()):
        if image is not None:
            assert image.shape[:2] == photo.shape[:2]
            assert 0 <= image.min() <= image.max() <= 1


def identity():
    """A network that returns its input, and the list of its inputs."""
    inputs = []

    def network(image):
        inputs.append(np.asarray(image))
        outputs = dict.fromkeys(("restored", "reflection", "contour", "mask"), image)
        return outputs | {"attention": (image[..., :1],)}

    return network, inputs


IMAGE = np.random.default_rng(1).random((1, 30, 41, 3), np.float32)


@pytest.mark.parametrize(
    ("recipe", "role", "size", "convert"),
    [
        ("dynamics", "student", (30, 41), lambda x: x),
        ("attentive_gan", "generator", (32, 44), lambda x: x[..., ::-1]),
        ("sgrrn", "generator", (32, 41), lambda x: 2 * x - 1),
        ("ibcln", "cascade", (32, 44), lambda x: x),
        ("bdn", "generator", (128, 128), lambda x: 2 * x - 1),
        ("rmnet", "generator", (64, 64), lambda x: 2 * x - 1),
        ("corrn", "generator", (32, 64), lambda x: x),
    ],
)
def test_inputs_have_the_networks_range_channel_order_and_size(recipe, role, size, convert):
    network, inputs = identity()
    outputs = get_restoration(recipe).restore({role: network}, jnp.asarray(IMAGE))
    assert inputs[0].shape == (1, *size, 3)
    np.testing.assert_allclose(inputs[0][:, :30, :41], convert(IMAGE), atol=1e-6)
    np.testing.assert_allclose(outputs["restored"][:, :30, :41], IMAGE, atol=1e-6)


def test_edge_gan_concatenates_the_earlier_maps_to_its_inputs():
    maps, inputs = {"edge_net": 51.0, "attention_net": 102.0}, {}

    def network(role, output, value=None):
        def apply(x):
            inputs[role] = np.asarray(x)
            return {output: x[..., :3] if value is None else jnp.full_like(x[..., :1], value)}

        return apply

    networks = {role: network(role, role.removesuffix("_net"), value) for role, value in maps.items()}
    outputs = get_restoration("edge_gan").restore(networks | {"generator": network("generator", "restored")}, IMAGE)
    padded = np.pad(IMAGE, ((0, 0), (0, 2), (0, 3), (0, 0)), mode="reflect")
    np.testing.assert_allclose(inputs["edge_net"], edge_map(padded), atol=1e-3)
    np.testing.assert_allclose(inputs["generator"][..., :3], 2 * padded - 1, atol=1e-6)
    np.testing.assert_array_equal(inputs["attention_net"], inputs["generator"][..., :4])
    for i, value in enumerate(maps.values(), start=3):
        np.testing.assert_array_equal(inputs["generator"][..., i], value)
    np.testing.assert_allclose(outputs["restored"], padded, atol=1e-6)
    np.testing.assert_allclose(outputs["edge"], 0.2, atol=1e-6)
    np.testing.assert_allclose(outputs["attention"], 0.4, atol=1e-6)


def test_an_error_names_the_missing_network():
    incomplete = model("errnet")
    del incomplete.networks["vgg19"]
    with pytest.raises(
        UserError, match="errnet/generator, which does not restore single images without errnet's vgg19"
    ):
        Restorer(incomplete)
    with pytest.raises(
        UserError, match="vgg19 does not restore photographs by itself; systems that do: attentive_gan, "
    ):
        get_restoration("vgg19")


def test_half_precision_files_are_computed_in_float32():
    network = model("attentive_gan").networks["generator"]
    halves = jax.tree.map(lambda x: x.astype(np.float16), network.variables)
    restorer = Restorer(Model("attentive_gan", {"generator": network._replace(variables=halves)}, "-", "-"))
    for full, half in zip(jax.tree.leaves(restorer._variables), jax.tree.leaves(halves), strict=True):
        assert full.dtype == np.float32
        np.testing.assert_array_equal(full, half.astype(np.float32))
