"""Stages of the variants of configs/release.py, without a run."""

from __future__ import annotations

import pytest

from sirr_jax.errors import UserError
from sirr_jax.recipes import get_recipe
from sirr_jax.training.config_checks import check_training
from tests.helpers.recipe_runs import config_of

release = config_of("release")


@pytest.mark.parametrize(
    ("variant", "stages", "scan_steps"),
    [
        ("cpu", ["decouple", "teacher", "measure", "student"], 1),
        ("gpu", ["first", "teacher", "measure", "student", "alone"], 10),
    ],
)
def test_stages_of_a_training_from_scratch(variant, stages, scan_steps):
    config = release(variant)
    recipe = get_recipe(config.recipe)(config)
    assert [stage.name for stage in recipe.stages] == stages
    check_training(config, recipe.stages)
    assert config.scan_steps == scan_steps


def test_the_polish_variant_trains_a_student_from_a_file(tmp_path):
    config = release("polish")
    with pytest.raises(UserError, match=r"needs a trained student.*give config\.student\.init_from"):
        get_recipe(config.recipe)(config)
    config.student.init_from = str(tmp_path / "student.safetensors")
    stages = get_recipe(config.recipe)(config).stages
    assert [(stage.name, dict(stage.mix)) for stage in stages] == [("student", {"single": 1.0})]
