"""AttentiveGAN's recipe: stages, losses, and one short run of all its stages."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

import sirr_jax
from sirr_jax.errors import UserError
from sirr_jax.losses.attentive_gan import attention_loss, map_loss, multiscale_loss
from sirr_jax.models.registry import build
from sirr_jax.recipes.attentive_gan.recipe import AttentiveGan
from sirr_jax.training import parallel, trainer
from sirr_jax.training.checkpoints import Checkpoints
from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.state import create_state, learning_networks
from sirr_jax.training.train_step import Settings, build_step
from sirr_jax.weights import detect
from sirr_jax.weights.convert import expected_shapes
from sirr_jax.weights.model_file import load_model
from tests.helpers.recipe_runs import config_of

SIZE = 16
GENERATOR, DISCRIMINATOR, TOTAL = 16, 20, 21  # steps after which the stages of the short run end


def small_config():
    config = config_of("attentive_gan")("tiny")
    config.width, config.data.crop, config.batch_size = "tiny", SIZE, 4
    return config


@pytest.fixture
def config():
    return small_config()


# --- stages and losses ------------------------------------------------------------------------------------------------


def learns(config):
    return {s.name: (s.steps, [u.learns for u in s.updates]) for s in AttentiveGan(config).stages}


def test_the_schedule(config):
    config.steps.generator, config.steps.discriminator, config.steps.adversarial = 30, 5, 40
    generator, discriminator = ("generator",), ("discriminator",)
    assert learns(config) == {
        "generator": (30, [generator]),
        "discriminator": (5, [discriminator]),
        "adversarial": (40, [discriminator, generator]),
    }
    config.steps.discriminator = 0
    assert list(learns(config)) == ["generator", "adversarial"]
    config.ablate.discriminator = True
    assert learns(config) == {"generator": (70, [generator])}


@pytest.mark.parametrize(
    ("share", "mix", "validation"),
    [
        (0.0, {"photos": 1.0}, "photos"),
        (0.25, {"photos": 0.75, "pairs": 0.25}, "photos"),
        (1.0, {"pairs": 1.0}, "pairs"),
    ],
)
def test_the_mix_follows_pairs_share(config, share, mix, validation):
    config.data.pairs_share = share
    recipe = AttentiveGan(config)
    assert [stage.mix for stage in recipe.stages] == [mix] * 3
    assert recipe.validation == validation


def shapes_of(recipe, config):
    """Shapes of the parameters and of a batch."""
    image = jax.ShapeDtypeStruct((2, config.data.crop, config.data.crop, 3), jnp.float32)
    params = {role: jax.eval_shape(n.init, jax.random.key(0), image)["params"] for role, n in recipe._network.items()}
    mask = jax.ShapeDtypeStruct((*image.shape[:3], 1), jnp.float32)
    return params, {"mixture": image, "target": image, "mask": mask, "progress": jnp.zeros(())}


def terms(config):
    """Stage and network -> names of the loss terms, by tracing alone."""
    recipe = AttentiveGan(config)
    params, batch = shapes_of(recipe, config)
    names = {}
    for stage in recipe.stages:
        for update in stage.updates:
            _, aux = jax.eval_shape(update.loss, params, {}, batch, jax.random.key(0))
            logged = {name.split("/")[1] for name in aux.scalars}
            names[f"{stage.name}/{update.learns[0]}"] = logged - {"loss", "margin"}
    return names


GENERATOR_TERMS = {"attention", "multiscale", "perceptual"}
DISCRIMINATOR_TERMS = {"cross_entropy", "map"}


@pytest.mark.parametrize(
    ("switches", "generator", "discriminator"),
    [
        ((), GENERATOR_TERMS, DISCRIMINATOR_TERMS),
        (("attention",), GENERATOR_TERMS - {"attention"}, DISCRIMINATOR_TERMS),
        (("attention", "discriminator_map"), GENERATOR_TERMS - {"attention"}, {"cross_entropy"}),
        (("attention", "discriminator"), GENERATOR_TERMS - {"attention"}, None),
        (("map_loss",), GENERATOR_TERMS, {"cross_entropy"}),
    ],
)
def test_every_ablation_removes_its_loss_terms(config, switches, generator, discriminator):
    for switch in switches:
        config.ablate[switch] = True
    expected = {"generator/generator": generator}
    if discriminator is not None:
        expected |= {
            "discriminator/discriminator": discriminator,
            "adversarial/discriminator": discriminator,
            "adversarial/generator": generator | {"adversarial"},
        }
    assert terms(config) == expected
    recipe = AttentiveGan(config)
    assert recipe.maps == (() if "attention" in switches else tuple(f"attention_{t}" for t in (1, 2, 3, 4)))
    assert recipe.panels == ("input", *recipe.maps, "restored", "target")
    assert all(switch in recipe.notes[1] for switch in switches)


def test_the_released_preset_has_the_losses_and_optimizer_of_the_authors_code():
    config = config_of("attentive_gan")("released")
    config.width, config.data.crop = "tiny", SIZE
    names = terms(config)
    assert names["adversarial/generator"] == {"attention", "multiscale", "adversarial"}
    assert names["adversarial/discriminator"] == {"cross_entropy"}
    optimizers = {name: make_optimizer(config.optimizer, name, 10) for name in ("generator", "discriminator")}
    for name, rate in (("generator", 2e-5), ("discriminator", 1e-5)):
        step, _ = optimizers[name].update(jnp.ones(3), optimizers[name].init(jnp.ones(3)))
        np.testing.assert_allclose(step, -rate / np.sqrt(0.01), rtol=1e-4)


@pytest.mark.parametrize(("preset", "torch_start"), [("paper", False), ("released", True)])
def test_the_released_preset_has_pytorchs_initial_values(config, preset, torch_start, monkeypatch):
    layer = {"kernel": jnp.zeros((3, 3, 4, 2)), "bias": jnp.zeros(2)}
    monkeypatch.setattr("sirr_jax.recipes.attentive_gan.recipe.initialize", lambda *_: {"params": {"layer": layer}})
    config.preset = preset
    params, _ = AttentiveGan(config).init(jax.random.key(0))
    for leaf in jax.tree.leaves(params):
        assert bool(jnp.all(leaf != 0)) == torch_start
        assert jnp.abs(leaf).max() <= 1 / 6


@pytest.mark.parametrize(("preset", "preprocessing"), [("paper", ""), ("released", ", preprocessing raw_bgr01")])
def test_the_preset_selects_the_preprocessing_of_vgg(config, preset, preprocessing, tmp_path):
    generator, arrays, channels = np.random.default_rng(0), {}, 3
    for position, width in ((0, 64), (2, 64), (5, 128), (7, 128)):
        arrays[f"features.{position}.weight"] = generator.random((width, channels, 3, 3), np.float32)
        arrays[f"features.{position}.bias"] = generator.random(width, np.float32)
        channels = width
    save_file(arrays, tmp_path / "vgg16.safetensors")
    config.preset, config.perceptual_weights = preset, str(tmp_path / "vgg16.safetensors")
    layers = "perceptual loss: VGG-16 (torchvision weights) at relu1_1, relu1_2, relu2_1, relu2_2"
    recipe = AttentiveGan(config)
    assert recipe.notes[0] == f"{layers}{preprocessing}, weight 1"
    assert recipe._perceptual.params.keys() == {"conv1_1", "conv1_2", "conv2_1", "conv2_2"}


def test_the_published_discriminator_needs_the_published_crop(config):
    assert AttentiveGan(config)._model_args["discriminator"] == {"width": "tiny", "head": "gap"}
    config.data.crop, config.width = 224, "base"
    # The arguments of a converted file; otherwise config.init_from would reject it.
    assert AttentiveGan(config)._model_args == {"generator": {}, "discriminator": {}}


@pytest.mark.parametrize("width", ["base", "small", "tiny"])
@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_conversion_detects_networks_of_every_width(role, width):
    shapes = expected_shapes(f"attentive_gan/{role}", width=width)
    network_id, model_args = detect({key: jax.ShapeDtypeStruct(shape, jnp.float32) for key, shape in shapes.items()})
    assert (network_id, model_args.get("width", "base")) == (f"attentive_gan/{role}", width)


def test_wrong_config_values_are_errors_before_any_data_is_read(config):
    for name, value, message in (
        ("preset", "official", r"config\.preset is 'official'; choose paper or released"),
        ("compute_dtype", "half", r"config\.compute_dtype is 'half'; choose float32 or bfloat16"),
        ("map_target", "target", r"config\.map_target is 'target'; choose attention or mask"),
        ("width", "huge", "no width 'huge'; choose one of base, small, tiny"),
        ("data.crop", 30, r"config\.data\.crop=30; choose a multiple of 4, at least 16"),
        ("data.pairs_share", 1.5, r"config\.data\.pairs_share=1\.5; choose a fraction between 0 and 1"),
        ("data.mask.reduce", "mean", "reduce is 'mean'"),
        ("data.raindrops.count", (9, 3), r"count is \(9, 3\)"),
    ):
        wrong = small_config()
        with wrong.unlocked():
            wrong.update_from_flattened_dict({name: value})
        with pytest.raises(UserError, match=message):
            AttentiveGan(wrong)


class Echo:
    """A network that returns its input and records it."""

    def __init__(self):
        self.inputs = []

    def apply(self, variables, image):
        self.inputs.append(np.asarray(image))
        maps = tuple(image[..., i % 3 : i % 3 + 1] for i in range(4))
        quarter, half = image[:, ::4, ::4], image[:, ::2, ::2]
        outputs = {"restored": image, "restored_half": half, "restored_quarter": quarter, "logits": image[:, 0, 0, :1]}
        return outputs | {"attention": maps if image.shape[0] == 2 else maps[0]}


@pytest.fixture
def echo(config):
    recipe = AttentiveGan(config)
    recipe._network = {"generator": Echo(), "discriminator": Echo()}
    image, target, mask = (np.random.default_rng(i).random((2, 8, 8, 3)).astype(np.float32) for i in range(3))
    batch = {"mixture": jnp.asarray(image), "target": jnp.asarray(target), "mask": jnp.asarray(mask[..., :1])}
    return recipe, batch


PARAMS = {"generator": {}, "discriminator": {}}


def test_networks_take_bgr_and_the_recipe_returns_rgb(echo):
    recipe, batch = echo
    images = recipe.compare(PARAMS, {}, batch)
    np.testing.assert_array_equal(recipe._network["generator"].inputs[0], np.asarray(batch["mixture"])[..., ::-1])
    np.testing.assert_array_equal(images["restored"], batch["mixture"])
    assert tuple(images) == recipe.panels
    assert {x.shape for x in images.values()} == {(2, 8, 8, 3)}
    recipe._discriminator_loss(PARAMS, {}, batch, jax.random.key(0))
    both = np.concatenate([batch["target"], batch["mixture"]])
    np.testing.assert_array_equal(recipe._network["discriminator"].inputs[0], both[..., ::-1])


def test_losses_match_the_specification(echo):
    recipe, batch = echo
    image, target, mask = (batch[name] for name in ("mixture", "target", "mask"))
    bgr = image[..., ::-1]
    maps = [bgr[..., i % 3 : i % 3 + 1] for i in range(4)]
    _, aux = recipe._generator_loss(PARAMS, {}, batch, jax.random.key(0), adversarial=True)
    terms = {name.removeprefix("generator/"): float(x) for name, x in aux.scalars.items()}
    images = [image[:, ::4, ::4], image[:, ::2, ::2], image]
    fake, real = (np.asarray(x[:, 0, 0, 2]) for x in (image, target))
    expected = {
        "attention": float(attention_loss(maps, mask, theta=0.8, last=0)),
        "multiscale": float(multiscale_loss(images, target, scales=(0.6, 0.8, 1.0))),
        "adversarial": 0.01 * float(np.mean(np.log1p(np.exp(-fake)))),
    }
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, rel=1e-5), name
    assert terms["loss"] == pytest.approx(sum(expected.values()) + terms["perceptual"], rel=1e-5)

    for map_target, drops in (("attention", maps[-1]), ("mask", mask)):
        recipe._config.map_target = map_target
        _, aux = recipe._discriminator_loss(PARAMS, {}, batch, jax.random.key(0))
        entropy = np.mean(np.log1p(np.exp(-real))) + np.mean(np.log1p(np.exp(fake)))
        assert float(aux.scalars["discriminator/cross_entropy"]) == pytest.approx(entropy, rel=1e-5)
        expected = 0.05 * float(map_loss(target[..., 2:], image[..., 2:], drops))
        assert float(aux.scalars["discriminator/map"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])
def test_the_step_is_traced_with_replication_checks(config, compute_dtype):
    config.compute_dtype = compute_dtype
    config.data.pairs_share = 0.5
    recipe = AttentiveGan(config)
    params, _ = shapes_of(recipe, config)
    optimizers = optimizers_of(recipe, config)
    state = jax.eval_shape(lambda: create_state(_Drawn(recipe, params), optimizers, jax.random.key(0)))
    image = np.zeros((2, 2, SIZE, SIZE, 3), np.uint8)
    photos = {"transmission": image, "index": np.zeros((2, 2), np.uint32)}
    step = build_step(recipe, len(recipe.stages) - 1, 0, optimizers, Settings(0))
    parallel.trace_checked(step, state, {"photos": photos, "pairs": photos | {"mixture": image}})


class _Drawn:
    """A recipe whose parameters are zeros, which is fast to trace."""

    def __init__(self, recipe, shapes):
        self.stages, self._shapes = recipe.stages, shapes

    def init(self, key):
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), self._shapes), {}


def optimizers_of(recipe, config):
    return {n: make_optimizer(config.optimizer, n, u) for n, u in learning_networks(recipe).items()}


# --- one short run ----------------------------------------------------------------------------------------------------


class Run:
    """A finished run, its saved states and its training batches."""

    def __init__(self, folder):
        self.folder, self.saved, self.batches = folder, {}, []
        config = small_config()
        # Plain gradient descent does not magnify rounding, which matters where two runs are compared.
        config.optimizer.name, config.optimizer.learning_rate = "sgd", 0.1
        config.optimizer.networks.discriminator.learning_rate = 0.1
        config.steps.generator, config.steps.discriminator = GENERATOR, DISCRIMINATOR - GENERATOR
        config.steps.adversarial = TOTAL - DISCRIMINATOR
        config.validation_samples, config.log_every = 2, 1
        config.eval_every, config.log_images_every, config.checkpoint_every = 100, 100, 100
        self.config = config
        shard, save = parallel.shard_batch, Checkpoints.save
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parallel, "shard_batch", lambda raw: self.batches.append(raw) or shard(raw))
            patch.setattr(
                Checkpoints,
                "save",
                lambda c, step, state, **more: self.saved.update({step: state}) or save(c, step, state, **more),
            )
            trainer.train(config, folder)

    def lines(self, name):
        lines = [json.loads(line) for line in (self.folder / "scalars.jsonl").read_text().splitlines()]
        return [line[name] for line in lines if name in line]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("run"))


def bits(tree):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


def test_every_update_changes_its_networks_alone(run):
    start, _ = jax.device_get(AttentiveGan(run.config).init(jax.random.key(run.config.seed)))
    first, second, third = (run.saved[step].params for step in (GENERATOR, DISCRIMINATOR, TOTAL))
    assert bits(first["discriminator"]) == bits(start["discriminator"])
    assert bits(second["generator"]) == bits(first["generator"])
    for before, after, role in (
        (start, first, "generator"),
        (first, second, "discriminator"),
        (second, third, "generator"),
        (second, third, "discriminator"),
    ):
        assert bits(before[role]) != bits(after[role])


def test_the_losses_fall(run):
    losses = run.lines("generator/loss")
    assert len(losses) == GENERATOR + TOTAL - DISCRIMINATOR
    assert losses[GENERATOR - 1] < 0.7 * losses[0]
    entropy = run.lines("discriminator/cross_entropy")
    assert len(entropy) == TOTAL - GENERATOR
    assert entropy[DISCRIMINATOR - GENERATOR - 1] < entropy[0]
    assert len(run.lines("generator/adversarial")) == TOTAL - DISCRIMINATOR


def test_one_device_gives_the_same_step_as_two(run):
    recipe = AttentiveGan(run.config)
    step = build_step(
        recipe, 2, DISCRIMINATOR, optimizers_of(recipe, run.config), Settings(run.config.seed, 1, run.config.ema_decay)
    )
    alone = jax.pmap(step, parallel.AXIS, in_axes=(None, 0), out_axes=(None, None), devices=jax.devices()[:1])
    batch = jax.tree.map(lambda x: x[None], run.batches[DISCRIMINATOR])
    state, _ = alone(run.saved[DISCRIMINATOR], batch)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6),
        jax.device_get(state.params),
        run.saved[TOTAL].params,
    )


def test_the_run_folder_has_notes_scores_and_panels(run):
    metadata = (run.folder / "metadata.txt").read_text()
    note = "3-scale gradient L1 (config.perceptual_weights is empty; it takes a VGG-16 file), weight 0.1"
    assert f"perceptual loss: {note}" in metadata
    assert "preset paper, ablations: none" in metadata
    assert list(json.loads((run.folder / "scores.json").read_text())) == ["input", "restored"]
    from PIL import Image

    with Image.open(max((run.folder / "panels").iterdir())) as panel:
        assert panel.size == (7 * SIZE + 6 * 2, 2 * SIZE + 2)


def test_the_exported_networks_are_the_moving_averages(run):
    for role, model_args in (("generator", {"width": "tiny"}), ("discriminator", {"width": "tiny", "head": "gap"})):
        model = load_model(run.folder / "models" / f"{role}.safetensors")
        assert model.recipe == "attentive_gan"
        network = model.networks[role]
        assert (network.id, network.model_args) == (f"attentive_gan/{role}", model_args)
        assert build(network.id, **network.model_args).width == "tiny"
        assert bits(network.variables["params"]) == bits(run.saved[TOTAL].ema[role])


def test_the_exported_generator_restores(run):
    photo = np.random.default_rng(0).integers(0, 256, (17, 22, 3), np.uint8)
    outputs = sirr_jax.load(run.folder / "models" / "generator.safetensors")(photo)
    assert outputs.restored.shape == photo.shape
    assert np.ptp(outputs.restored) > 0
    assert {name: x.shape for name, x in outputs.maps.items()} == {f"attention_{t}": (17, 22, 1) for t in (1, 2, 3, 4)}


def test_init_from_accepts_a_generator_alone(run, config):
    config.init_from = str(run.folder / "models" / "generator.safetensors")
    params, _ = AttentiveGan(config).init(jax.random.key(run.config.seed + 1))
    assert bits(params["generator"]) == bits(run.saved[TOTAL].ema["generator"])
    assert bits(params["discriminator"]) != bits(run.saved[TOTAL].ema["discriminator"])
    config.width = "small"
    with pytest.raises(UserError, match=r"'width': 'tiny'.*'width': 'small'.*init_from"):
        AttentiveGan(config).init(jax.random.key(0))
