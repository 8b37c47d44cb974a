"""The recipe that trains any network which restores single images."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from sirr_jax.errors import UserError
from sirr_jax.inference.restorer import Restorer
from sirr_jax.losses.adversarial import relativistic_generator
from sirr_jax.losses.pixel import gradient_l1, mse
from sirr_jax.losses.registry import LOSSES
from sirr_jax.recipes import get_recipe
from sirr_jax.training.supervised_config import stage, supervised_config
from sirr_jax.weights.convert import expected_shapes, from_torch
from sirr_jax.weights.model_file import Model, StoredNetwork, save_model
from tests.helpers.published import fill_random
from tests.helpers.recipe_runs import config_of


def config(network="errnet/generator", **stages):
    """A tiny config without a hypercolumn."""
    result = supervised_config(network)
    result.width = "tiny"
    if network == "errnet/generator":
        result.model_args.hypercolumn = False
    result.data.crop = 32
    result.discriminator.network = "errnet/discriminator"
    result.losses = ConfigDict({"mse": 0.2, "gradient_l1": 0.4})
    result.stages = ConfigDict(stages or {"only": stage(3)})
    result.stage_order = tuple(stages or ("only",))
    return result


@functools.cache
def recipe_and_state():
    recipe = get_recipe("supervised")(
        config(pixels=stage(2, pairs=0.5), gan=stage(1, rate=0.5, pairs=0.5, adversarial=True))
    )
    return recipe, *recipe.init(jax.random.key(0))


def raw(kind, count=2):
    generator = np.random.default_rng(len(kind))
    names = ("transmission", "reflection") if kind == "single" else ("mixture", "transmission")
    images = {name: generator.integers(0, 256, (count, 32, 32, 3), np.uint8) for name in names}
    return {kind: images | {"index": np.arange(count, dtype=np.uint32)}}


def test_stages_follow_the_config():
    recipe, _, _ = recipe_and_state()
    pixels, gan = recipe.stages
    assert (pixels.name, pixels.steps, dict(pixels.mix)) == ("pixels", 2, {"single": 0.5, "pairs": 0.5})
    assert [update.learns for update in pixels.updates] == [("generator",)]
    assert [update.learns for update in gan.updates] == [("discriminator",), ("generator",)]
    assert (gan.rate_of("generator"), gan.rate_of("discriminator")) == (0.5, 1.0)


def test_the_loss_is_the_weighted_sum_of_its_terms():
    recipe, params, collections = recipe_and_state()
    batch = recipe.prepare(raw("single") | raw("pairs"), jax.random.key(1))
    assert batch["synthetic"].tolist() == [1.0, 1.0, 0.0, 0.0]
    loss, aux = recipe.stages[1].updates[1].loss(params, collections, batch, jax.random.key(2))
    restored = recipe._modules["generator"].apply({"params": params["generator"]}, batch["mixture"])["restored"]
    real, fake = (
        recipe._modules["discriminator"].apply({"params": params["discriminator"]}, x)["logits"]
        for x in (batch["target"], restored)
    )
    expected = {
        "mse": 0.2 * mse(restored, batch["target"]),
        "gradient_l1": 0.4 * gradient_l1(restored, batch["target"]),
        "adversarial": 0.01 * relativistic_generator(real, fake),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(aux.scalars[f"generator/{name}"], value, rtol=1e-5)
    np.testing.assert_allclose(loss, sum(expected.values()), rtol=1e-5)


def test_exports_restore_as_the_recipe_compares():
    recipe, params, collections = recipe_and_state()
    batch = recipe.prepare(raw("single"), jax.random.key(1), train=False)
    images = recipe.compare(params, collections, batch)
    assert tuple(images) == recipe.panels
    files = recipe.exports(params, collections)
    assert {stem: tuple(networks) for stem, networks in files.items()} == {
        "generator": ("generator",),
        "discriminator": ("discriminator",),
    }
    restorer = Restorer(Model(recipe.name, files["generator"], license="-", description="-"))
    np.testing.assert_allclose(restorer(np.asarray(batch["mixture"])).restored, images["restored"], atol=1e-5)


@pytest.fixture
def traced(monkeypatch):
    """Initial values that can be traced instead of computed."""

    def initialize(module, key, *shapes):
        return dict(module.init(key, *map(jnp.zeros, shapes), train=True))

    monkeypatch.setattr("sirr_jax.recipes.supervised.initialize", initialize)


@pytest.mark.usefixtures("traced")
def test_a_network_with_running_statistics_and_a_reflection_layer_trains():
    of_bdn = config("bdn/generator")
    of_bdn.model_args = ConfigDict({"levels": (3, 2, 2)})
    of_bdn.discriminator.network = ""
    of_bdn.reflection_losses = ConfigDict({"l1": 1.0})
    recipe = get_recipe("supervised")(of_bdn)
    params, collections = jax.eval_shape(recipe.init, jax.random.key(0))
    batch = jax.eval_shape(lambda key: recipe.prepare(raw("single"), key), jax.random.key(1))
    loss = recipe.stages[0].updates[0].loss
    value, aux = jax.eval_shape(loss, params, collections, batch, jax.random.key(2))
    assert value.shape == ()
    assert params.keys() == {"generator"}
    assert "generator/reflection_l1" in aux.scalars
    assert jax.tree.structure(aux.collections) == jax.tree.structure(collections)


@pytest.fixture(scope="module")
def vgg19(tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    variables = from_torch("vgg19", fill_random(expected_shapes("vgg19", width="tiny")), width="tiny")
    save_model(path, Model("vgg19", {"vgg19": StoredNetwork("vgg19", {"width": "tiny"}, variables)}, "-", "-"))
    return str(path)


@pytest.mark.usefixtures("traced")
def test_errnets_hypercolumn_comes_from_its_companion(vgg19):
    of_errnet = config()
    of_errnet.model_args = ConfigDict()
    with pytest.raises(UserError, match=r"config.companions.vgg19 is missing; give the weight file of vgg19"):
        get_recipe("supervised")(of_errnet)
    of_errnet.companions.vgg19 = vgg19
    recipe = get_recipe("supervised")(of_errnet)
    params, collections = jax.eval_shape(recipe.init, jax.random.key(0))
    assert params.keys() == {"generator", "discriminator", "vgg19"}
    assert recipe.exports(params, collections)["generator"].keys() == {"generator", "vgg19"}
    assert recipe.ancestries["vgg19"].complete
    batch = jax.eval_shape(lambda key: recipe.prepare(raw("single"), key), jax.random.key(1))
    assert jax.eval_shape(recipe.compare, params, collections, batch)["restored"].shape == (2, 32, 32, 3)


@pytest.mark.parametrize("variant", ["tiny", "base", "finetune"])
def test_errnets_config_is_complete(variant, monkeypatch):
    monkeypatch.setattr("sirr_jax.recipes.supervised.read_companions", lambda files, roles: ({}, {}))
    monkeypatch.setattr("sirr_jax.recipes.supervised.PerceptualTerm", Frozen)
    of_errnet = config_of("errnet")(variant)
    of_errnet.perceptual_weights = "vgg19"
    recipe = get_recipe("supervised")(of_errnet)
    published = {"tiny": {}, "base": {"pixels": 15_464, "balanced_tenth": 7_732}, "finetune": {"full": 9_665}}[variant]
    steps = {stage.name: stage.steps for stage in recipe.stages}
    assert steps | published == steps
    assert all(LOSSES.find(name) for name in of_errnet.losses)
    assert any("unaligned" in stage.mix for stage in recipe.stages) == (variant == "finetune")


class Frozen:
    """A perceptual loss without weights."""

    def __init__(self, path, *, features, dtype):
        self.params, self.description = {}, path


@pytest.mark.slow
def test_pairs_that_are_not_aligned_have_a_loss_of_their_own(monkeypatch):
    class Term(Frozen):
        def __init__(self, path, *, features, dtype):
            super().__init__(path, features=features, dtype=dtype)
            self.params = {"weight": jnp.ones(())}

        def __call__(self, params, estimate, target):
            return params["weight"] * jnp.abs(estimate - target).mean()

    monkeypatch.setattr("sirr_jax.recipes.supervised.PerceptualTerm", Term)
    mixed = config(only=stage(3, unaligned=0.5))
    mixed.perceptual_weights = "vgg19"
    recipe = get_recipe("supervised")(mixed)
    params, collections = recipe.init(jax.random.key(0))
    batch = recipe.prepare(raw("single", 1) | raw("unaligned", 3), jax.random.key(1), train=False)
    _, aux = recipe.stages[0].updates[0].loss(params, collections, batch, jax.random.key(2))
    variables = {"params": params["generator"]}
    restored = recipe._modules["generator"].apply(variables, batch["unaligned_mixture"])["restored"]
    expected = 0.75 * jnp.abs(restored - batch["unaligned_target"]).mean()
    np.testing.assert_allclose(aux.scalars["generator/unaligned"], expected, rtol=1e-5)
    assert aux.scalars.keys() == {f"generator/{name}" for name in ("loss", "mse", "gradient_l1", "unaligned")}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("network", "errnet/discriminator", "errnet's generator restore photographs; name one of them"),
        ("network", "vgg19", "vgg19 does not restore photographs by itself; systems that do: attentive_gan"),
        ("losses", {"l2": 1.0}, "no loss is called 'l2'; known names: gradient_l1, l1, "),
        ("losses", {}, "config.losses is empty"),
        ("stage_order", ("onyl",), r"config.stage_order names 'onyl'; did you mean 'only'\?"),
        ("stage_order", (), "no stage of config.stage_order has steps"),
        ("companions", {"vgg16": "x"}, "config.companions.vgg16 is given, and the system has no such role"),
        ("discriminator.loss", "wasserstein", "config.discriminator.loss is 'wasserstein'; choose"),
        ("stages.only.pairs", 1.5, "choose a fraction between 0 and 1"),
        ("stages.only.unaligned", 0.5, "need config.perceptual_weights"),
        ("data.synthesis.name", "ceil", "no synthesis is called 'ceil'; did you mean 'ceilnet'"),
    ],
)
def test_mistakes_in_the_config_are_one_line(key, value, message):
    wrong = config()
    *parents, name = key.split(".")
    section = wrong
    for parent in parents:
        section = section[parent]
    section[name] = ConfigDict(value) if isinstance(value, dict) else value
    with pytest.raises(UserError, match=message) as caught:
        get_recipe("supervised")(wrong)
    assert "\n" not in str(caught.value)


def test_a_gan_without_a_discriminator_is_refused():
    wrong = config(only=stage(3, adversarial=True))
    wrong.discriminator.network = ""
    with pytest.raises(UserError, match=r"config.stages.only.adversarial is True without a discriminator"):
        get_recipe("supervised")(wrong)
