"""Model files of a run: trained networks alone, with their steps, parents and licenses."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from sirr_jax.recipes.base import Ancestry, Stage, Update
from sirr_jax.training.export import export, trained_steps
from sirr_jax.weights.model_file import Parent, StoredNetwork, load_model

VGG = Parent("vgg19", "CC BY 4.0", "1" * 64)
RESEARCH = Parent("sgrrn/generator", "CC-BY-NC-4.0", "2" * 64)
STUDENT, TEACHER, DISCRIMINATOR = "student", "teacher", "discriminator"


def update(*learns):
    return Update(learns, lambda *_: None)


def recipe(**ancestries):
    stages = (
        Stage("teacher", 4, (update(TEACHER),), {}),
        Stage("measure", 2, (update(),), {}),
        Stage("student", 6, (update(DISCRIMINATOR), update(STUDENT), update(STUDENT)), {}),
    )

    def exports(params, collections):
        return {
            "student": {STUDENT: StoredNetwork("dynamics/student", {}, {"params": params[STUDENT]})},
            "rest": {
                name: StoredNetwork(f"dynamics/{name}", {}, {"params": params[name]})
                for name in (TEACHER, DISCRIMINATOR)
            },
        }

    return SimpleNamespace(name="dynamics", stages=stages, ancestries=ancestries, exports=exports)


def state(step):
    params = {name: {"x": np.zeros(2, np.float32)} for name in (STUDENT, TEACHER, DISCRIMINATOR)}
    return SimpleNamespace(step=np.int32(step), params=params, ema={}, collections={})


def files(folder):
    return {path.stem: load_model(path) for path in (folder / "models").glob("*.safetensors")}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, {}),
        (3, {TEACHER: 3}),
        (6, {TEACHER: 4}),
        (8, {TEACHER: 4, DISCRIMINATOR: 2, STUDENT: 2}),
        (12, {TEACHER: 4, DISCRIMINATOR: 6, STUDENT: 6}),
    ],
)
def test_steps_are_counted_per_network(step, expected):
    assert trained_steps(recipe(), step) == expected


def test_networks_that_were_not_trained_are_not_written(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        export(recipe(), state(3), tmp_path, ["a note", "another"])
    written = files(tmp_path)
    assert written.keys() == {"rest"}
    assert {role: network.steps for role, network in written["rest"].networks.items()} == {TEACHER: 3}
    assert written["rest"].license == "the user's"
    assert written["rest"].description == "trained with sirr_jax; a note"
    assert "models/student.safetensors: student is not written, because it has not been trained" in caplog.text
    assert "(3 of 12 steps of the run are done)" in caplog.text
    assert "models/rest.safetensors: discriminator is not written" in caplog.text


def test_all_networks_are_written_at_the_end(tmp_path, caplog):
    export(recipe(), state(12), tmp_path, ["a note"])
    steps = {role: network.steps for model in files(tmp_path).values() for role, network in model.networks.items()}
    assert steps == {STUDENT: 6, TEACHER: 4, DISCRIMINATOR: 6}
    assert not caplog.text


def test_networks_from_files_are_written_and_keep_their_steps(tmp_path):
    ancestries = {STUDENT: Ancestry((VGG,), 100, complete=True), TEACHER: Ancestry((RESEARCH,), None, complete=True)}
    export(recipe(**ancestries), state(0), tmp_path, [])
    written = files(tmp_path)
    assert written["student"].networks[STUDENT].steps == 100
    assert written["rest"].networks.keys() == {TEACHER}
    assert written["rest"].networks[TEACHER].steps is None
    export(recipe(**ancestries), state(12), tmp_path, [])
    assert files(tmp_path)["student"].networks[STUDENT].steps == 106
    assert files(tmp_path)["rest"].networks[TEACHER].steps == 4


def test_parts_from_files_do_not_make_a_trained_network(tmp_path):
    export(recipe(student=Ancestry((VGG,))), state(3), tmp_path, [])
    assert files(tmp_path).keys() == {"rest"}


def test_licenses_of_all_parents_are_named(tmp_path):
    export(recipe(student=Ancestry((VGG, RESEARCH)), teacher=Ancestry((VGG,))), state(12), tmp_path, [])
    student, rest = (files(tmp_path)[stem] for stem in ("student", "rest"))
    assert student.networks[STUDENT].parents == (VGG, RESEARCH)
    assert student.license == student.networks[STUDENT].license
    assert student.license.startswith("non-commercial")
    for text in ("CC-BY-NC-4.0 (from sgrrn/generator)", "CC BY 4.0 (from vgg19)"):
        assert text in student.license
    assert f"from sgrrn/generator, license CC-BY-NC-4.0, SHA-256 {'2' * 16}" in student.description
    assert rest.license == "the user's; CC BY 4.0 (from vgg19)"
    assert rest.networks[DISCRIMINATOR].license == "the user's"
