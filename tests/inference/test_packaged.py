"""The bundled student."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

import sirr_jax
from sirr_jax.data.sources.photos import EmbeddedPhotos
from sirr_jax.inference.restorer import PACKAGED
from sirr_jax.metrics import psnr, score
from sirr_jax.synthesis.multiview import MultiviewOptions, synthesize_single
from sirr_jax.training.checkpoints import flatten_config
from sirr_jax.training.renamed_keys import translate
from sirr_jax.weights.model_file import load_model

SIZE = 128


@pytest.fixture(scope="module")
def restorer():
    return sirr_jax.load()


@pytest.fixture(scope="module")
def photos():
    """Photos that the student was not trained on."""
    source = EmbeddedPhotos("train", crop=SIZE)
    crops = [source.read(i)[:SIZE, :SIZE] for i in range(len(source))]
    return np.stack([crop for crop in crops if crop.std() > 30]).astype(np.float32) / 255.0


def test_metadata_of_the_bundled_files():
    model = load_model(PACKAGED)
    assert (model.max_side, model.self_ensemble) == (640, 4)
    assert PACKAGED.stat().st_size < 8 * 2**20
    # CC BY requires attribution.
    assert model.license.startswith("Apache-2.0; its layers of VGG-19: CC BY 4.0, Karen Simonyan")
    assert model.networks["student"].model_args["hypercolumn"] == "caffe"
    assert {role: network.id for role, network in model.networks.items()} == {"student": "dynamics/student"}
    runs = json.loads(PACKAGED.with_name("training.json").read_text())["runs"]
    for run in runs:
        config = translate(flatten_config(run["config"]))  # the runs are of the first edition
        assert config["recipe"] == "dynamics"
        assert config["width"] == model.networks["student"].model_args["width"]
        assert run["log"][-1]["step"] >= 1000
    student_runs = []
    for run in runs:  # a run trains a teacher, or a student with an existing teacher
        config = translate(flatten_config(run["config"]))
        learning = "teacher" if config["teacher.steps"] and not config["teacher.init_from"] else "student"
        assert {name.split("/")[0] for record in run["log"] for name in record if name.endswith("/loss")} == {learning}
        if learning == "student":
            student_runs.append(config)
    initialized = [bool(config["student.init_from"]) for config in student_runs]
    assert initialized == [i > 0 for i in range(len(initialized))]  # each student starts from the one before
    assert PACKAGED.with_name("CARD.md").read_text().startswith("# ")


def test_photos_without_a_reflection_are_hardly_changed(restorer, photos):
    values = [psnr(restored, photo) for restored, photo in zip(restorer(photos).restored, photos, strict=True)]
    assert np.mean(values) > 32.0


def test_scores_of_mixtures_improve(photos):
    """Averages over every pair of photos, because on single small crops the layers may be confused.

    Without self-ensemble, which takes a fourth of the time and gives worse scores.
    """
    restorer = sirr_jax.load(self_ensemble=1)
    options = MultiviewOptions(size=SIZE, model_probabilities=(0.0, 0.0, 0.5, 0.0, 0.5), noise_probability=0.0)
    make = jax.jit(jax.vmap(lambda key, t, r: synthesize_single(key, t, r, options=options)))
    before, after = [], []
    for shift in range(1, len(photos)):
        keys = jax.random.split(jax.random.key(shift - 1), len(photos))
        samples = make(keys, photos, np.roll(photos, shift, axis=0))
        mixtures, targets = np.asarray(samples.frame), np.asarray(samples.transmission)
        before.append(score(mixtures, targets))
        after.append(score(restorer(mixtures).restored, targets))
    for name, sign in {"psnr": 1, "ssim": 1, "lmse": -1}.items():
        gains = [sign * (a[name] - b[name]) for a, b in zip(after, before, strict=True)]
        assert np.mean(gains) > 0.0, name
