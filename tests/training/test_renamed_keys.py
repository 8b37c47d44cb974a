"""Config keys of the first edition."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from sirr_jax.cli.find_config import installed_configs
from sirr_jax.inference.restorer import PACKAGED
from sirr_jax.training.checkpoints import flatten_config
from sirr_jax.training.renamed_keys import ADDED, new_key, new_value, translate

FIRST_EDITION = Path(__file__).with_name("first_edition_config.json")
"""`config.json` of a run of dynamics:tiny in the first edition."""

KEYS = {
    "optimiser.kind": "optimizer.name",
    "optimiser.schedule": "optimizer.schedule",
    "optimiser.learning_rate": "optimizer.learning_rate",
    "optimiser.halve_every": "optimizer.step_size",
    "optimiser.epsilon": "optimizer.eps",
    "optimiser.networks.generator.rates": "optimizer.networks.generator.lr_mults",
    "optimiser.networks.discriminator_background.kind": "optimizer.networks.discriminator_background.name",
    "optimiser.networks.discriminator_background.weight_decay": "optimizer.networks.discriminator_background.l2",
    "optimiser.networks.discriminator.learning_rate": "optimizer.networks.discriminator.learning_rate",
    "accumulate": "grad_accum_steps",
    "steps_per_call": "scan_steps",
    "evaluate_every": "eval_every",
    "panels_every": "log_images_every",
    "keep": "max_to_keep",
    "precision": "compute_dtype",
    "reconstruction_error": "pixel_loss",
    "without.mkl": "ablate.mkl",
    "without.discriminator_map": "ablate.discriminator_map",
    "without.transfer": "distill.enabled",
    "start_from": "init_from",
    "teacher.weights_file": "teacher.init_from",
    "student.weights_file": "student.init_from",
    "teacher.grown": "teacher.init_from_student",
    "student.first_steps": "student.pretrain_steps",
    "student.transfer_share": "student.distill_fraction",
    "student.single_share": "student.single_image_fraction",
    "student.measure_samples": "student.feature_stats_samples",
    "data.layers": "data.photos",
    "data.lookalikes": "data.hard_negative_prob",
    "data.procedural": "data.texture_prob",
    "data.colour": "data.color_jitter",
    "data.pipeline": "data.loader",
}
VALUES = [
    ("width", "test", "tiny"),
    ("protocol", "sirr", "errnet"),
    ("reconstruction_error", "log_mse", "psnr"),
    ("data.pipeline", "memory", "threads"),
    ("optimiser.schedule", "halving", "step"),
]


def present_configs():
    """Name of each installed config and variant -> flat config."""
    configs = {}
    for name in installed_configs():
        module = importlib.import_module(f"sirr_jax.configs.{name}")
        for variant in module._VARIANTS:
            values = json.loads(json.dumps(module.get_config(variant).to_dict()))
            configs[f"{name}:{variant}"] = flatten_config(values)
    return configs


@pytest.fixture(scope="module")
def configs():
    return present_configs()


@pytest.mark.parametrize(("old", "new"), KEYS.items())
def test_new_key_exists_in_a_config(configs, old, new):
    assert new_key(old) == new
    assert any(new in config for config in configs.values())
    if old != new:
        assert not any(old in config for config in configs.values())


def test_present_keys_are_not_renamed(configs):
    for config in configs.values():
        assert [key for key in config if new_key(key) not in (None, key)] == []


@pytest.mark.parametrize(("old_key", "old", "new"), VALUES)
def test_new_value_exists_in_a_config(configs, old_key, old, new):
    key = new_key(old_key) or old_key
    assert new_value(key, old) == new
    assert new_value(key, new) == new
    assert translate({old_key: old})[key] == new
    values = {config[key] for config in configs.values() if key in config}
    assert new in values
    assert old not in values


@pytest.mark.parametrize("value", [True, False])
def test_without_transfer_is_the_opposite_of_distill_enabled(value):
    assert translate({"without.transfer": value}) == {"distill.enabled": not value}
    assert translate({"distill.enabled": value}) == {"distill.enabled": value}


def test_halving_is_a_step_schedule_with_gamma_one_half():
    old = {"optimiser.schedule": "halving", "optimiser.halve_every": 100}
    new = {"optimizer.schedule": "step", "optimizer.step_size": 100, "optimizer.gamma": 0.5}
    assert translate(old) == new


@pytest.mark.parametrize("name", list(present_configs()))
def test_translate_of_a_present_config_is_the_identity(configs, name):
    assert translate(configs[name]) == configs[name]


def test_config_of_the_first_edition_translates_to_the_present_one(configs):
    old = flatten_config(json.loads(FIRST_EDITION.read_text()))
    assert "optimiser.kind" in old
    translated, present = {**ADDED, **translate(old)}, configs["dynamics:tiny"]
    assert translated.keys() == present.keys()
    changed = {key for key, value in present.items() if translated[key] != value}
    assert changed == {"teacher.steps", "student.steps", "eval_every", "checkpoint_every", "log_images_every"}


def test_configs_of_the_bundled_student_have_present_keys_after_translation(configs):
    known = {"teacher.inherits"}.union(*configs.values())  # a key that the first edition removed itself
    for run in json.loads(PACKAGED.with_name("training.json").read_text())["runs"]:
        assert translate(flatten_config(run["config"])).keys() <= known
