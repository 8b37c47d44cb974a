"""SR-Net's recipe: one short run of all its stages, and its run folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sirr_jax
from sirr_jax.errors import UserError
from sirr_jax.recipes.srnet.recipe import SrNet
from sirr_jax.training import parallel, trainer
from sirr_jax.training.checkpoints import Checkpoints
from sirr_jax.training.train_step import Settings, build_step
from sirr_jax.weights.model_file import load_model
from tests.helpers.recipe_runs import Run, changed_networks, recording, same_bits
from tests.helpers.small_srnet import DISCRIMINATORS, LEARNS, SIZE, STEPS, draw_quickly, optimizers_of, small_config

pytestmark = pytest.mark.slow


@pytest.fixture
def config():
    return small_config()


@pytest.fixture
def quick_start(monkeypatch):
    draw_quickly(monkeypatch)


# --- a short run of all stages ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config, folder, steps = small_config(), tmp_path_factory.mktemp("run"), []
    config.optimizer.learning_rate, config.joint_rate = 4e-3, 0.5
    config.validation_samples, config.max_to_keep, config.checkpoint_every = 2, 100, 1
    config.eval_every = config.log_images_every = 100

    with pytest.MonkeyPatch.context() as patch:
        recording(patch, steps, {})
        draw_quickly(patch)
        trainer.train(config, folder)
    return Run(folder, config, tuple(LEARNS), STEPS, steps)


@pytest.mark.parametrize("stage", LEARNS)
def test_each_stage_changes_its_networks_alone(run, stage):
    for step in run.of(stage):
        assert changed_networks(step.before.params, step.after.params) == LEARNS[stage]
        # Only the discriminators have spectral normalization.
        assert changed_networks(step.before.collections, step.after.collections) == DISCRIMINATORS & LEARNS[stage]
        assert all(np.isfinite(value) for value in step.scalars.values())


def test_the_segmenter_is_frozen_as_its_moving_average(run):
    trained, end = run.of("segmenter")[-1].after, run.steps[-1].after
    assert same_bits(trained.ema["segmenter"], end.params["segmenter"])
    assert not same_bits(trained.params["segmenter"], end.params["segmenter"])


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("segmenter", "segmenter/loss"),
        ("refine", "refiner/supervised"),
        ("restore", "restorer/l1"),
        ("joint", "refiner/supervised"),
    ],
)
def test_the_loss_falls(run, stage, name):
    step, losses = run.of(stage)[-1], []
    state = parallel.replicate(step.before)
    for _ in range(12):
        state, scalars = step.compiled(state, step.raw)
        losses.append(float(scalars[name]))
    assert min(losses[-3:]) < 0.99 * losses[0]


@pytest.mark.parametrize("stage", LEARNS)
def test_a_run_resumes_inside_each_stage(run, stage, tmp_path):
    """A checkpoint from the middle of a stage reproduces the next step."""
    step = run.of(stage)[-1]
    saved = Path("checkpoints") / str(int(step.before.step))
    for part in (saved, "frozen"):
        shutil.copytree(run.folder / part, tmp_path / part)
    checkpoints = Checkpoints(tmp_path, run.config.to_dict(), max_to_keep=1)
    restored = checkpoints.restore(step.before)
    checkpoints.close()
    assert int(restored.stage) == list(LEARNS).index(stage)
    assert same_bits(restored, step.before)
    after, _ = step.compiled(parallel.replicate(restored), step.raw)
    assert same_bits(parallel.to_host(after), step.after)


@pytest.mark.parametrize("stage", ["segmenter", "joint"])
def test_one_device_gives_the_same_step_as_two(run, stage):
    step, recipe = run.of(stage)[0], SrNet(run.config)
    index = list(LEARNS).index(stage)
    settings = Settings(run.config.seed, 1, run.config.ema_decay)
    alone = build_step(recipe, index, index * STEPS, optimizers_of(recipe, run.config), settings)
    whole = jax.tree.map(lambda x: np.asarray(x).reshape(1, -1, *x.shape[2:]), step.raw)
    compiled = jax.pmap(alone, parallel.AXIS, in_axes=(None, 0), out_axes=(None, None), devices=jax.devices()[:1])
    after, scalars = jax.device_get(compiled(step.before, whole))
    for name, value in scalars.items():
        np.testing.assert_allclose(value, step.scalars[name], rtol=2e-3, atol=1e-5, err_msg=name)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), after.collections, step.after.collections
    )


# --- run folder -------------------------------------------------------------------------------------------------------


def test_scores_include_images_and_label_maps(run):
    scores = json.loads((run.folder / "scores.json").read_text())
    assert scores.keys() == {"input", "restored", "clean", "refined"}
    assert all("miou" in values for values in scores.values())
    assert {name for name, values in scores.items() if "psnr" in values} == {"input", "restored"}
    from PIL import Image

    with Image.open(max((run.folder / "panels").iterdir())) as panel:
        assert panel.size == (6 * SIZE + 5 * 2, 2 * SIZE + 2)


def test_the_exported_model_restores_as_the_recipe_does(run):
    file = run.folder / "models" / "srnet.safetensors"
    model = load_model(file)
    assert (model.recipe, model.networks.keys()) == ("srnet", {"segmenter", "refiner", "restorer"})
    assert load_model(run.folder / "models" / "discriminators.safetensors").networks.keys() == DISCRIMINATORS
    recipe, last = SrNet(run.config), run.steps[-1].after
    image = np.random.default_rng(0).random((1, SIZE, SIZE, 3), np.float32)
    batch = {"mixture": jnp.asarray(image), "target": jnp.zeros(image.shape)}
    batch["labels"] = jnp.zeros(image.shape[:3], jnp.int32)
    expected = jax.jit(recipe.compare)(last.params | last.ema, last.collections, batch)
    assert set(expected) == set(recipe.panels)
    restorer = sirr_jax.load(file)
    outputs = restorer(image)
    assert outputs.maps.keys() == {"segmented", "refined"}
    np.testing.assert_allclose(outputs.restored, expected["restored"], atol=3e-4)
    for name, value in outputs.maps.items():
        assert (np.abs(value - expected[name]) > 1e-3).mean() < 0.01


def test_init_from_loads_the_networks_of_a_file(run, config, quick_start):
    config.seed, config.init_from = 5, str(run.folder / "models" / "srnet.safetensors")
    params, _ = SrNet(config).init(jax.random.key(1))
    last = run.steps[-1].after
    for role in ("segmenter", "refiner", "restorer"):
        assert same_bits(params[role], last.ema[role])
    assert not same_bits(params["map_discriminator"], last.params["map_discriminator"])
    config.restorer.correction = False
    with pytest.raises(UserError, match=r"correct config\.init_from or the config's arguments"):
        SrNet(config).init(jax.random.key(1))
