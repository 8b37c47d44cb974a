"""SGRRN's recipe: one short run of both stages, with discriminators, and its run folder."""

from __future__ import annotations

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sirr_jax
from sirr_jax.errors import UserError
from sirr_jax.losses.exclusion import exclusion
from sirr_jax.losses.pixel import multiscale_gradient_l1
from sirr_jax.models import build
from sirr_jax.models.sgrrn.encoder import BACKBONES
from sirr_jax.recipes.sgrrn.recipe import Sgrrn
from sirr_jax.training import parallel, trainer
from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.state import learning_networks
from sirr_jax.training.train_step import Settings, build_step
from sirr_jax.weights.model_file import load_model
from sirr_jax.weights.variables import flatten
from tests.helpers.recipe_runs import Run, recording
from tests.helpers.small_sgrrn import DISCRIMINATORS, SIZE, STEPS, Shallow, draw_zeros, small_config, use_shallow

pytestmark = pytest.mark.slow

STAGES = ("semantic", "joint")


@pytest.fixture(scope="module", autouse=True)
def shallow():
    with pytest.MonkeyPatch.context() as patch:
        use_shallow(patch)
        yield


@pytest.fixture
def config():
    return small_config()


@pytest.fixture
def drawn(config, monkeypatch):
    """A config whose networks start as zeros, without compilation."""
    return draw_zeros(config, monkeypatch)


# --- a short run of both stages ---------------------------------------------------------------------------------------


def loop_config():
    config = small_config()
    config.validation_samples, config.max_to_keep = 2, 2 * STEPS
    config.eval_every = config.log_images_every = 100
    config.checkpoint_every = 1
    return config


@pytest.fixture(scope="module")
def run(shallow, tmp_path_factory):
    config, folder, steps, compiled = loop_config(), tmp_path_factory.mktemp("run"), [], {}
    with pytest.MonkeyPatch.context() as patch:
        recording(patch, steps, compiled)
        trainer.train(config, folder)
        yield Run(folder, config, STAGES, STEPS, steps)


def changed(before, after):
    return {place for place, x in flatten(before).items() if x.tobytes() != flatten(after)[place].tobytes()}


def test_the_first_stage_changes_encoder_and_semantic_branch(run):
    for step in run.of("semantic"):
        places = changed(step.before.params, step.after.params)
        assert {place[:2] for place in places} == {("generator", "encoder"), ("generator", "semantic")}
        assert {place[1] for place in changed(step.before.collections, step.after.collections)} == {
            "encoder",
            "semantic",
        }
        assert jax.tree.structure(step.before.collections) == jax.tree.structure(step.after.collections)


def test_the_second_stage_changes_all_parameters_in_use(run):
    for step in run.of("joint"):
        places = changed(step.before.params, step.after.params)
        assert {place[0] for place in places} == {"generator"} | DISCRIMINATORS
        unchanged = flatten(step.before.params).keys() - places
        frozen = {place for place in unchanged if place[:3] == ("generator", "encoder", "backbone")}
        assert all("norm" in place[-2] for place in frozen)
        assert {place[-2] for place in unchanged - frozen} == {"unused_norm"}
        assert all(np.isfinite(value) for value in step.scalars.values())
        statistics = flatten(step.before.collections).keys() - changed(step.before.collections, step.after.collections)
        assert {place[-2] for place in statistics} == {"unused_norm"}


def test_the_backbones_norm_parameters_are_frozen_to_the_bit(run):
    first, last = (
        flatten(state.params["generator"]["encoder"]) for state in (run.steps[0].before, run.steps[-1].after)
    )
    norms = {place for place in first if place[0] == "backbone" and "norm" in place[-2]}
    assert len(norms) == 2 * (1 + 4 * 4)
    assert all(first[place].tobytes() == last[place].tobytes() for place in norms)


def test_each_pass_of_the_generator_updates_the_running_statistics(run):
    """Twice in a step with discriminators; checked at the first normalization, behind the stem."""
    recipe, step = Sgrrn(small_config()), run.of("joint")[0]
    before, after = (s.collections["generator"]["encoder"]["backbone"]["stem_norm"] for s in (step.before, step.after))
    batch = prepared(recipe, step)
    image = 2 * batch["mixture"] - 1
    kernel = step.before.params["generator"]["encoder"]["backbone"]["stem_conv"]["kernel"]
    later = step.after.params["generator"]["encoder"]["backbone"]["stem_conv"]["kernel"]
    mean = before["mean"]
    for k in (kernel, later):
        padded = jnp.pad(image, ((0, 0), (3, 3), (3, 3), (0, 0)))
        y = jax.lax.conv_general_dilated(padded, k, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        mean = 0.95 * mean + 0.05 * np.asarray(y).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(after["mean"], mean, atol=1e-5)


def prepared(recipe, step):
    raw = jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), step.raw)
    return jax.jit(recipe.prepare)(raw, jax.random.key(small_config().seed))


def test_one_device_gives_the_same_step_as_two(run):
    """Running statistics, dropout and the mean over labelled pixels included."""
    config, step = small_config(), run.of("joint")[0]
    recipe = Sgrrn(config)
    optimizers = {n: make_optimizer(config.optimizer, n, u) for n, u in learning_networks(recipe).items()}
    alone = build_step(recipe, 1, STEPS, optimizers, Settings(config.seed, 1, config.ema_decay))
    whole = jax.tree.map(lambda x: np.asarray(x).reshape(1, -1, *x.shape[2:]), step.raw)
    compiled = jax.pmap(alone, parallel.AXIS, in_axes=(None, 0), out_axes=(None, None), devices=jax.devices()[:1])
    after, scalars = jax.device_get(compiled(step.before, whole))
    for name, value in scalars.items():
        np.testing.assert_allclose(value, step.scalars[name], rtol=2e-3, atol=1e-5, err_msg=name)
    # Adam's first steps are as large as the learning rate for any gradient; for gradients near 0 the sign may differ,
    # so the moments are compared.
    moments = [jax.tree.leaves(optax.tree.get(s.opt_state["generator"], "mu")) for s in (after, step.after)]
    for a, b in zip(*moments, strict=True):
        np.testing.assert_allclose(a, b, rtol=5e-3, atol=1e-2 * max(np.abs(b).max(), 1e-4))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), after.collections, step.after.collections
    )


@pytest.mark.parametrize(("stage", "name"), [("semantic", "generator/semantic"), ("joint", "generator/loss")])
def test_the_loss_falls(run, stage, name):
    step, losses = run.of(stage)[0], []
    state = parallel.replicate(step.before)
    for _ in range(12):
        state, scalars = step.compiled(state, step.raw)
        losses.append(float(scalars[name]))
    assert np.mean(losses[-2:]) < 0.85 * losses[0]


def test_losses_match_the_specification(run):
    """The losses of the first joint step, computed from its state and its batch."""
    config, step = small_config(), run.of("joint")[0]
    recipe = Sgrrn(config)
    batch = prepared(recipe, step)
    params, model_args = step.before.params, recipe._model_args
    generator = build("sgrrn/generator", **model_args["generator"])
    discriminator = build("sgrrn/discriminator", **model_args["discriminator_background"])

    def forward(params, statistics, batch):
        outputs, _ = generator.apply(
            {"params": params["generator"], "batch_stats": statistics},
            2 * batch["mixture"] - 1,
            samples=batch["sample"],
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(0)},
        )
        probabilities = {
            layer: discriminator.apply({"params": params[role]}, outputs[layer])["probability"]
            for layer, role in (
                ("restored", "discriminator_background"),
                ("reflection", "discriminator_reflection"),
            )
        }
        return outputs, probabilities

    outputs, probabilities = jax.jit(forward)(params, step.before.collections["generator"], batch)
    expected = {}
    for layer, target in (("restored", "target"), ("reflection", "reflection")):
        estimate, target, probability = outputs[layer], 2 * batch[target] - 1, probabilities[layer]
        expected |= {
            f"pixel_{layer}": jnp.abs(estimate - target).mean(),
            f"gradient_{layer}": multiscale_gradient_l1(estimate, target) / 2,
            f"adversarial_{layer}": 0.01 * jnp.square(probability - 1).mean(),
        }
    likelihood = jax.nn.log_softmax(outputs["semantic_logits"])
    expected["semantic"] = -jnp.take_along_axis(likelihood, batch["labels"][..., None], axis=-1).mean()
    expected["exclusion"] = 0.1 * exclusion(outputs["restored"], outputs["reflection"])
    expected["loss"] = sum(expected.values())
    for name, value in expected.items():
        np.testing.assert_allclose(step.scalars[f"generator/{name}"], value, rtol=2e-3, err_msg=name)


# --- run folder -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3])
def test_a_run_resumes_in_the_middle_of_a_stage(run, step, tmp_path):
    whole = list(run.steps)
    for name in ("config.json", "metadata.txt"):
        shutil.copy(run.folder / name, tmp_path / name)
    for part in (f"checkpoints/{step}", "frozen"):
        shutil.copytree(run.folder / part, tmp_path / part)
    config = loop_config()
    config.eval_every = 0
    trainer.train(config, tmp_path)
    again = run.steps[len(whole) :]
    del run.steps[len(whole) :]
    assert len(again) == 2 * STEPS - step
    for one, other in zip(again, whole[step:], strict=True):
        assert not changed(one.after.params, other.after.params)
        assert not changed(one.after.collections, other.after.collections)


def test_the_exported_model_restores_as_the_recipe_does(run):
    path = run.folder / "models" / "sgrrn.safetensors"
    model = load_model(path)
    assert model.networks.keys() == {"generator"}
    assert model.networks["generator"].model_args == {"width": "tiny", "backbone": "resnet50", "classes": 7}
    recipe, last = Sgrrn(small_config()), run.steps[-1].after
    batch = prepared(recipe, run.steps[-1])
    expected = recipe.compare(last.params | last.ema, last.collections, batch)
    assert tuple(expected) == recipe.panels
    outputs = sirr_jax.load(path)(np.asarray(batch["mixture"]))
    np.testing.assert_allclose(outputs.restored, expected["restored"], atol=1e-5)
    np.testing.assert_allclose(outputs.reflection, expected["reflection"], atol=1e-5)
    assert outputs.maps.keys() == {"labels"}
    assert np.mean(outputs.maps["labels"] == expected["labels"]) > 0.999
    labels = recipe.segment(last.params | last.ema, last.collections, batch)
    assert {name: (x.shape, x.dtype.name) for name, x in labels.items()} == dict.fromkeys(
        ("target", "labels"), ((4, SIZE, SIZE), "int32")
    )


def test_scores_include_both_layers_and_the_labels(run):
    scores = json.loads((run.folder / "scores.json").read_text())
    assert scores.keys() == {"input", "restored", "reflection", "labels"}
    assert scores["labels"].keys() == {"miou", "image_miou", "pa", "ma", "fwiou"}
    assert "psnr" in scores["reflection"]


def test_init_from_loads_the_networks_of_the_files(run, drawn, monkeypatch):
    monkeypatch.setitem(BACKBONES, "resnet50", (Shallow, (1,)))
    drawn.adversarial = True
    last = run.steps[-1].after
    drawn.init_from = str(run.folder / "models" / "sgrrn.safetensors")
    params, collections = Sgrrn(drawn).init(jax.random.key(1))
    assert not changed(jax.device_get(params["generator"]), last.ema["generator"])
    assert not changed(jax.device_get(collections["generator"]), last.collections["generator"])
    assert not any(np.any(leaf) for role in DISCRIMINATORS for leaf in jax.tree.leaves(params[role]))
    drawn.init_from = str(run.folder / "models" / "discriminators.safetensors")
    params, _ = Sgrrn(drawn).init(jax.random.key(1))
    for role in DISCRIMINATORS:
        assert not changed(jax.device_get(params[role]), last.ema[role])
    drawn.data.classes = 8
    drawn.init_from = str(run.folder / "models" / "sgrrn.safetensors")
    with pytest.raises(UserError, match=r"correct config\.init_from or the config's arguments"):
        Sgrrn(drawn).init(jax.random.key(1))
