"""SR-Net's recipe: stages, losses computed by hand, and the steps of its variants."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.layers.palettes import palette
from sirr_jax.losses.pixel import multiscale_gradient_l1
from sirr_jax.losses.srnet import WEIGHTS
from sirr_jax.models import build
from sirr_jax.models.srnet.forward import LabelCode
from sirr_jax.recipes.base import AXIS, Start
from sirr_jax.recipes.srnet.recipe import SrNet
from sirr_jax.training import parallel
from sirr_jax.training.state import TrainState
from sirr_jax.training.train_step import Settings, build_step
from sirr_jax.weights.model_file import Model, StoredNetwork, load_model, save_model
from tests.helpers.networks import parameter_shapes
from tests.helpers.recipe_runs import config_of, same_bits
from tests.helpers.small_srnet import DISCRIMINATORS, LEARNS, SIZE, draw_quickly, drawn, optimizers_of, small_config


@pytest.fixture
def config():
    return small_config()


@pytest.fixture
def quick_start(monkeypatch):
    draw_quickly(monkeypatch)


def foreign_segmenter(path, **model_args):
    """Writes a model file of an ESPNetv2 with random weights."""
    module = build("espnetv2", width="tiny", **model_args)
    variables = drawn(module, jax.random.key(0), (1, 16, 16, 3))
    network = StoredNetwork("espnetv2", {"width": "tiny", **model_args}, jax.tree.map(np.asarray, variables))
    save_model(path, Model("espnetv2", {"espnetv2": network}, license="-", description="-"))
    return str(path)


# --- stages and networks ----------------------------------------------------------------------------------------------


def test_the_schedule(config):
    config.steps.segmenter, config.steps.refine, config.steps.restore, config.steps.joint = 5, 10, 20, 3
    stages = {s.name: (s.steps, [set(u.learns) for u in s.updates], s.rate) for s in SrNet(config).stages}
    assert stages == {
        "segmenter": (5, [{"segmenter"}], 1.0),
        "refine": (10, [{"map_discriminator"}, {"refiner"}], 1.0),
        "restore": (20, [{"image_discriminator"}, {"restorer"}], 1.0),
        "joint": (3, [{"map_discriminator"}, {"image_discriminator"}, {"refiner", "restorer"}], 0.1),
    }
    assert all(stage.mix == {"degraded": 1.0} for stage in SrNet(config).stages)
    config.steps.restore = 0
    assert [stage.name for stage in SrNet(config).stages] == ["segmenter", "refine", "joint"]


def test_model_args_equal_those_of_converted_files(config):
    recipe = SrNet(config_of("srnet")("base"))
    assert recipe._networks._model_args == {
        "refiner": {"classes": 7},
        "restorer": {"classes": 7, "correction": True},
        "map_discriminator": {"classes": 7},
        "image_discriminator": {},
        "segmenter": {},
    }
    assert recipe.notes[0].startswith("perceptual loss: 3-scale gradient L1")
    assert "no style loss" in recipe.notes[0]
    assert recipe.notes[1].startswith("SR-Net reconstruction, label maps as logits, 7 classes; ")
    assert "transposed synthesis, which predicts a correction" in recipe.notes[1]
    palette_recipe = SrNet(config_of("srnet")("palette"))
    assert palette_recipe._networks._model_args["refiner"] == {"mode": "palette", "classes": 7}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"compute_dtype": "half"}, r"config\.compute_dtype is 'half'; choose float32 or bfloat16"),
        ({"initial": "zeros"}, r"config\.initial is 'zeros'; choose normal or he"),
        ({"mode": "colors"}, "no mode 'colors'; choose one of logits, palette"),
        ({"width": "huge"}, "no width 'huge'"),
        ({"restorer.synthesis": "adain"}, "no synthesis 'adain'"),
        ({"data.crop": 30}, r"config\.data\.crop=30; choose a multiple of 4, at least 24"),
        ({"data.crop": 20}, r"config\.data\.crop=20; choose a multiple of 4, at least 24"),
        ({"data.labelled": "/VOC"}, r"config\.data\.classes=0; give the number of classes of /VOC"),
        ({"segmenter.weights": "/no.safetensors"}, "no model file at /no.safetensors"),
        ({"perceptual_weights": "/no.npz"}, "no VGG-19 weight file"),
    ],
    ids=str,
)
def test_wrong_config_values_are_errors(config, values, message):
    config.update_from_flattened_dict(values)
    with pytest.raises(UserError, match=message):
        SrNet(config)


def test_a_segmenter_from_a_file_is_used_unchanged(config, tmp_path, quick_start):
    config.segmenter.weights = foreign_segmenter(tmp_path / "s.safetensors", classes=7)
    recipe = SrNet(config)
    assert [stage.name for stage in recipe.stages] == ["refine", "restore", "joint"]
    assert "segmenter espnetv2" in recipe.notes[1]
    params, collections = recipe.init(jax.random.key(0))
    stored = load_model(config.segmenter.weights).networks["espnetv2"].variables
    assert same_bits(params["segmenter"], stored["params"])
    assert same_bits(collections["segmenter"], stored["batch_stats"])
    exported = recipe.exports(params, collections)["srnet"]["segmenter"]
    assert (exported.id, exported.model_args) == ("espnetv2", {"width": "tiny", "classes": 7})
    assert exported.variables.keys() == {"params", "batch_stats"}
    config.segmenter.weights = foreign_segmenter(tmp_path / "voc.safetensors")
    with pytest.raises(UserError, match="has 21 classes and the data have 7: choose another"):
        SrNet(config)


def test_the_segmenter_is_frozen_as_its_moving_average(config):
    begin = SrNet(config).stages[1].begin
    params = {role: {"w": jnp.zeros(2)} for role in LEARNS["joint"] | {"segmenter"}}
    ema = {role: {"w": jnp.ones(2)} for role in params}
    started = begin(Start(params, ema, {})).params
    assert {role for role, tree in started.items() if tree["w"][0] == 1.0} == {"segmenter"}
    assert started["segmenter"]["w"].unsafe_buffer_pointer() != ema["segmenter"]["w"].unsafe_buffer_pointer()
    del ema["segmenter"]
    untouched = begin(Start(params, ema, {})).params
    assert all(untouched[role] is params[role] for role in params)


# --- label maps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["logits", "palette"])
def test_decode_inverts_encode(mode):
    code = LabelCode(mode, 19)
    labels = jnp.asarray(np.random.default_rng(0).integers(0, 19, (2, 4, 5)), jnp.int32)
    coded = code.encode(labels)
    np.testing.assert_array_equal(code.decode(coded), labels)
    colors = palette(19)[np.asarray(labels)] / 255.0
    np.testing.assert_allclose(code.colors(labels), colors, atol=1e-6)
    if mode == "palette":
        np.testing.assert_allclose(coded, 2 * colors - 1, atol=1e-6)
        # Other colors are decoded to the nearest one.
        np.testing.assert_array_equal(code.decode(0.95 * coded), labels)
    else:
        np.testing.assert_array_equal(coded, np.eye(19)[np.asarray(labels)])
        assert not np.any(code.encode(jnp.full((1, 1, 1), 255)))
        soft = code.soft({"semantic_logits": 3.0 * coded})
        np.testing.assert_allclose(soft.sum(axis=-1), 1.0, atol=1e-6)
        np.testing.assert_array_equal(code.decode(soft), labels)


# --- losses by hand ---------------------------------------------------------------------------------------------------


class Fake:
    """A network made of a function."""

    def __init__(self, function):
        self._function = function

    def apply(self, variables, *inputs, train=False, mutable=()):
        del variables, train
        outputs = self._function(*inputs)
        return (outputs, {"batch_stats": {}}) if mutable else outputs


def discriminate(x):
    return {"scores": x[:, ::2, ::2, :1], "features": (x[:, ::2], x[:, ::2, ::2, :1])}


def labels_of(image, classes=7):
    return jnp.floor(image[..., 0] * 6.999).astype(jnp.int32) % classes


@pytest.fixture
def with_fakes(config):
    """A recipe whose networks are made of functions, and a batch."""

    def make(mode):
        config.mode = mode
        config.weights.update(WEIGHTS)
        recipe = SrNet(config)
        code = recipe._networks.code
        output = "semantic_logits" if mode == "logits" else "label_map"
        recipe._networks._network = {
            "refiner": Fake(lambda image, labels: {output: 0.5 * labels + 0.1 * image[..., :1]}),
            "restorer": Fake(lambda image, labels: {"restored": 0.8 * image + 0.1 * labels[..., :3]}),
            "map_discriminator": Fake(discriminate),
            "image_discriminator": Fake(discriminate),
        }
        segment = lambda _, image: 2.0 * code_of(labels_of(image)) + image[..., :1]  # noqa: E731
        code_of = functools.partial(jax.nn.one_hot, num_classes=7)
        recipe._networks.segmenter = SimpleNamespace(segment=segment, labels=lambda _, image: labels_of(image))
        generator = np.random.default_rng(0)
        image, target = generator.random((2, 2, 8, 8, 3)).astype(np.float32)
        labels = generator.integers(0, 7, (2, 8, 8))
        labels[:, :2] = 255
        batch = {"mixture": jnp.asarray(image), "target": jnp.asarray(target), "labels": jnp.asarray(labels, jnp.int32)}
        return recipe, code, batch

    return make


ROLES = ("segmenter", "refiner", "restorer", *sorted(DISCRIMINATORS))


def scalars(update, batch):
    """The loss and its terms, on a single device."""
    params = {role: {} for role in ROLES}
    collections = {role: {} for role in DISCRIMINATORS}
    call = lambda batch: update.loss(params, collections, batch, jax.random.key(0))  # noqa: E731
    total, aux = jax.vmap(call, axis_name=AXIS)(jax.tree.map(lambda x: x[None], batch))
    return float(total[0]), {name: float(x[0]) for name, x in aux.scalars.items()}


def entropy(logits, labels):
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    known = labels != 255
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_p, np.where(known, labels, 0)[..., None], axis=-1)[..., 0][known].mean()


@pytest.mark.parametrize("mode", ["logits", "palette"])
def test_losses_match_the_specification(with_fakes, mode):
    recipe, code, batch = with_fakes(mode)
    image, target, labels = batch["mixture"], batch["target"], batch["labels"]
    stages = {stage.name: stage.updates for stage in recipe.stages}
    segmented = code.encode(labels_of(image))
    refined = 0.5 * segmented + 0.1 * (2 * image - 1)[..., :1]
    soft = jax.nn.softmax(refined) if mode == "logits" else refined
    true = code.encode(labels)
    estimate = np.where(np.asarray(labels != 255)[..., None], soft, true)
    real, fake = discriminate(np.asarray(true)), discriminate(estimate)
    half = lambda x, y: 0.5 * np.mean((np.asarray(x) - y) ** 2)  # noqa: E731

    total, terms = scalars(stages["refine"][0], batch)
    assert total == terms["map_discriminator/loss"]
    assert total == pytest.approx(half(real["scores"], 1) + half(fake["scores"], 0), rel=1e-4)

    matched = sum(np.abs(a - b).mean() for a, b in zip(real["features"], fake["features"], strict=True))
    supervised = entropy(refined, labels) if mode == "logits" else 0.5 * np.abs(estimate - np.asarray(true)).mean()
    refiner = {"adversarial": half(fake["scores"], 1), "feature_matching": 10 * matched, "supervised": 10 * supervised}
    total, terms = scalars(stages["refine"][1], batch)
    for name, value in refiner.items():
        assert terms[f"refiner/{name}"] == pytest.approx(value, rel=1e-4), name
    assert total == pytest.approx(sum(refiner.values()), rel=1e-4)

    def restorer(guide):
        restored = np.asarray(0.8 * (2 * image - 1) + 0.1 * guide[..., :3])
        positive = 0.5 * restored + 0.5
        variation = np.abs(np.diff(positive, axis=1)).mean() + np.abs(np.diff(positive, axis=2)).mean()
        return restored, {
            "l1": np.abs(positive - np.asarray(target)).mean(),
            "adversarial": 0.1 * half(discriminate(restored)["scores"], 1),
            "perceptual": 0.1 * float(multiscale_gradient_l1(positive, target)),
            "style": 0.0,
            "total_variation": 0.01 * variation,
        }

    # In the stage "restore", the true labels guide the restorer.
    restored, alone = restorer(true)
    total, terms = scalars(stages["restore"][0], batch)
    expected = half(discriminate(2 * target - 1)["scores"], 1) + half(discriminate(restored)["scores"], 0)
    assert total == pytest.approx(expected, rel=1e-4)
    total, terms = scalars(stages["restore"][1], batch)
    assert {name.split("/")[1]: x for name, x in terms.items()} == pytest.approx(
        alone | {"loss": sum(alone.values())}, rel=1e-4
    )

    # In the stage "joint", the refined labels guide it, and its output is segmented.
    restored, together = restorer(soft)
    total, terms = scalars(stages["joint"][1], batch)
    assert total == pytest.approx(
        half(discriminate(2 * target - 1)["scores"], 1) + half(discriminate(restored)["scores"], 0), rel=1e-4
    )
    total, terms = scalars(stages["joint"][2], batch)
    logits = recipe._networks.segmenter.segment(None, 0.5 * restored + 0.5)
    consistency = 0.1 * entropy(logits, labels)
    assert terms["joint/consistency"] == pytest.approx(consistency, rel=1e-4)
    assert total == pytest.approx(sum(refiner.values()) + sum(together.values()) + consistency, rel=1e-4)
    recipe._weights["joint"]["consistency"] = 0.0
    assert "joint/consistency" not in scalars(stages["joint"][2], batch)[1]

    total, _ = scalars(stages["segmenter"][0], batch)
    logits = recipe._networks.segmenter.segment(None, target)
    assert total == pytest.approx(entropy(logits, labels), rel=1e-4)


# --- steps of the variants --------------------------------------------------------------------------------------------


def raw_samples(*lead):
    image, labels = np.zeros((*lead, SIZE, SIZE, 3), np.uint8), np.zeros((*lead, SIZE, SIZE), np.uint8)
    index = np.zeros(lead, np.uint32)
    return {"degraded": {"target": image, "mixture": image, "labels": labels, "kind": index, "index": index}}


@pytest.mark.slow
def test_the_step_is_traced_with_replication_checks(quick_start):
    """The last stage, which has all losses but one, of the variant that differs most from the trained one."""
    config = small_config("palette")
    config.compute_dtype, config.restorer.synthesis, config.refiner.spectral_norm = "bfloat16", "spade", True
    recipe = SrNet(config)
    optimizers = optimizers_of(recipe, config)
    params, collections = recipe.init(jax.random.key(0))
    assert collections.keys() == DISCRIMINATORS | {"refiner"}
    opt_state = {n: jax.eval_shape(o.init, params[n]) for n, o in optimizers.items()}
    scalar = jax.ShapeDtypeStruct((), jnp.int32)
    state = TrainState(scalar, scalar, scalar, params, collections, {n: params[n] for n in optimizers}, opt_state)
    step = build_step(recipe, list(LEARNS).index("joint"), 0, optimizers, Settings(0))
    parallel.trace_checked(step, state, raw_samples(2, 2))


# --- initial values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("initial", ["normal", "he"])
def test_config_initial_selects_the_distribution_of_kernels(config, initial, quick_start):
    config.initial = initial
    params, _ = SrNet(config).init(jax.random.key(0))
    kernel = params["refiner"]["trunk"]["stem"]["kernel"]
    assert (np.abs(np.std(kernel) - 0.02) < 2e-3) == (initial == "normal")
    assert not np.any(params["refiner"]["trunk"]["stem"]["bias"])
    # A correction is zero at first.
    assert not np.any(params["restorer"]["correction_map"]["kernel"])
    assert not np.any(params["refiner"]["label_correction"]["kernel"])
    shapes = parameter_shapes(build("segmenter", width="tiny"), (1, SIZE, SIZE, 3))
    assert jax.tree.map(lambda x: x.shape, params["segmenter"]) == jax.tree.map(lambda x: x.shape, shapes)
