"""Edge GAN's recipe: stages, losses, and one short run of all its stages."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

import sirr_jax
from sirr_jax.errors import UserError
from sirr_jax.losses.edge_gan import PRESETS, generator_terms
from sirr_jax.losses.pixel import multiscale_gradient_l1
from sirr_jax.models import build
from sirr_jax.models.edge_gan.edge_maps import attention_target, edge_map
from sirr_jax.recipes import get_recipe
from sirr_jax.recipes.base import Start
from sirr_jax.recipes.edge_gan.recipe import EdgeGan
from sirr_jax.training import parallel, trainer
from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.state import TrainState, learning_networks
from sirr_jax.training.train_step import Settings, build_step
from sirr_jax.weights.model_file import Model, StoredNetwork, load_model, save_model
from tests.helpers.recipe_runs import Run, changed_networks, config_of, recording, same_bits

SIZE = 20  # the smallest that LMSE scores
NETWORKS = {"edge_net", "attention_net", "generator", "discriminator"}
LEARNS = {"edge": {"edge_net"}, "attention": {"attention_net"}, "adversarial": {"generator", "discriminator"}}
STEPS = 2  # steps of each stage of the short run


def small_config(variant="tiny"):
    config = config_of("edge_gan")(variant)
    config.width, config.data.crop, config.batch_size = "tiny", SIZE, 4
    config.discriminator_steps = 5
    config.optimizer.schedule, config.optimizer.learning_rate = "constant", 4e-3
    config.optimizer.networks = ConfigDict({"edge_net": {"learning_rate": 1e-2}})
    for stage in config.steps:
        config.steps[stage] = STEPS
    return config


@pytest.fixture
def config():
    return small_config()


@pytest.fixture(scope="module", autouse=True)
def _quick_draws():
    """Initial variables from NumPy: compiling the networks' initialization takes longer than the rest of `init`."""

    def draw(network, key, *shapes):
        traced = jax.eval_shape(lambda: network.init(key, *(jnp.zeros(shape) for shape in shapes), train=True))
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))

        def fill(path, leaf):
            if path[-1].key == "kernel":
                bound = np.sqrt(6 / np.prod(leaf.shape[:-1]))
                return jnp.asarray(rng.uniform(-bound, bound, leaf.shape).astype(np.float32))
            return jnp.full(leaf.shape, float(path[-1].key in ("scale", "var")))

        return jax.tree_util.tree_map_with_path(fill, traced)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sirr_jax.recipes.edge_gan.recipe.initialize", draw)
        yield


# --- stages and networks ----------------------------------------------------------------------------------------------


def learns(config):
    return {s.name: (s.steps, [(u.learns, u.times) for u in s.updates]) for s in EdgeGan(config).stages}


def test_the_schedule(config):
    config.steps.edge, config.steps.attention, config.steps.adversarial = 30, 20, 40
    edge, attention = (30, [(("edge_net",), 1)]), (20, [(("attention_net",), 1)])
    adversarial = (40, [(("discriminator",), 5), (("generator",), 1)])
    assert learns(config) == {"edge": edge, "attention": attention, "adversarial": adversarial}
    assert learning_networks(get_recipe("edge_gan")(config))["discriminator"] == 200
    config.preset, config.steps.attention, config.discriminator_steps = "release", 0, 2
    # Separate steps for targets and restored images.
    adversarial = (40, [(("discriminator",), 1)] * 4 + [(("generator",), 1)])
    assert learns(config) == {"edge": edge, "adversarial": adversarial}


def test_the_mix_follows_pairs_share(config):
    assert {name: stage.mix for name, stage in _stages(config).items()} == {name: {"single": 1.0} for name in LEARNS}
    config.data.pairs_share = 0.25
    recipe = EdgeGan(config)
    assert recipe.stages[0].mix == {"single": 0.75, "pairs": 0.25}
    assert recipe.validation == "single"
    config.data.pairs_share = 1.0
    recipe = EdgeGan(config)
    assert recipe.stages[2].mix == {"pairs": 1.0}
    assert recipe.validation == "pairs"


def _stages(config):
    return {stage.name: stage for stage in EdgeGan(config).stages}


def test_model_args_of_the_released_config_equal_those_of_converted_files():
    config = config_of("edge_gan")("released")
    recipe = EdgeGan(config)
    assert recipe._model_args == {role: {} for role in NETWORKS}
    assert "preset release; attention net released, target contour; aux_scale 1; MS-SSIM of 5" in recipe.notes[1]
    assert recipe.notes[0].startswith("perceptual loss: none")
    recipe = EdgeGan(config_of("edge_gan")("base"))
    assert recipe._model_args["attention_net"] == {"variant": "corrected", "aux_scale": 1 / 255}
    assert recipe._model_args["discriminator"] == {"head": "gap"}
    assert recipe.notes[0].startswith("perceptual loss: 3-scale gradient L1")


@pytest.mark.parametrize(
    ("crop", "scales"), [(16, 1), (20, 1), (24, 2), (80, 3), (84, 4), (160, 4), (164, 5), (400, 5)]
)
def test_the_crop_determines_the_scales_of_ms_ssim(config, crop, scales):
    config.data.crop = crop
    assert f"MS-SSIM of {scales} scales" in EdgeGan(config).notes[1]
    image = jax.ShapeDtypeStruct((1, crop, crop, 3), jnp.float32)
    one = jnp.zeros(())
    jax.eval_shape(lambda x: generator_terms(PRESETS["balanced"], x, x, one, one, scales=scales), image)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "released"}, r"config\.preset is 'released'; choose release or balanced"),
        ({"compute_dtype": "half"}, r"config\.compute_dtype is 'half'; choose float32 or bfloat16"),
        ({"attention.target": "edges"}, r"config\.attention\.target is 'edges'; choose contour or mask"),
        ({"attention.variant": "fixed"}, "no variant 'fixed'"),
        ({"width": "huge"}, "no width 'huge'"),
        ({"aux_scale": 0.0}, "aux_scale is 0.0"),
        ({"data.crop": 30}, r"config\.data\.crop=30; choose a multiple of 4, at least 16"),
        ({"data.crop": 12}, r"config\.data\.crop=12; choose a multiple of 4, at least 16"),
        ({"data.pairs_share": 1.5}, r"config\.data\.pairs_share=1\.5"),
        ({"data.synthesis.name": "screen"}, "no synthesis is called 'screen'"),
        ({"discriminator_steps": 0}, r"config\.discriminator_steps=0; choose 1 or more"),
        ({"perceptual_weights": "/no.npz"}, "no VGG-16 weight file"),
    ],
    ids=str,
)
def test_wrong_config_values_are_errors(config, values, message):
    config.update_from_flattened_dict(values)
    with pytest.raises(UserError, match=message):
        EdgeGan(config)


def test_a_stage_freezes_networks_as_their_moving_averages(config):
    begin = _stages(config)["adversarial"].begin
    params = {role: {"w": jnp.zeros(2)} for role in NETWORKS}
    ema = {role: {"w": jnp.ones(2)} for role in NETWORKS - {"edge_net"}}  # the edge net was not trained
    started = begin(Start(params, ema, {})).params
    assert {role for role, tree in started.items() if tree["w"][0] == 1.0} == {"attention_net"}
    assert started["attention_net"]["w"].unsafe_buffer_pointer() != ema["attention_net"]["w"].unsafe_buffer_pointer()


def shapes_of(recipe):
    """Shapes of the state, by tracing alone."""

    def init():
        key, params, statistics = jax.random.key(0), {}, {}
        for role, network in recipe._network.items():
            (shape,) = network.example_shapes(size=(SIZE, SIZE))
            drawn = network.init(key, jnp.zeros(shape), train=True)
            params[role] = drawn["params"]
            statistics |= {role: drawn["batch_stats"]} if "batch_stats" in drawn else {}
        return params, statistics

    return jax.eval_shape(init)


@pytest.mark.parametrize(
    ("variant", "compute_dtype", "stage"),
    [("tiny", "bfloat16", 0), ("tiny", "bfloat16", 2), ("released", "float32", 2)],
)
def test_the_step_is_traced_with_replication_checks(variant, compute_dtype, stage):
    config = small_config(variant)
    config.compute_dtype, config.discriminator_steps = compute_dtype, 1
    recipe = EdgeGan(config)
    optimizers = {n: make_optimizer(config.optimizer, n, u) for n, u in learning_networks(recipe).items()}
    params, collections = shapes_of(recipe)
    opt_state = {n: jax.eval_shape(o.init, params[n]) for n, o in optimizers.items()}
    scalar = jax.ShapeDtypeStruct((), jnp.int32)
    state = TrainState(scalar, scalar, scalar, params, collections, {n: params[n] for n in optimizers}, opt_state)
    image = np.zeros((2, 2, SIZE, SIZE, 3), np.uint8)
    index = np.zeros((2, 2), np.uint32)
    kinds = {"single": ("transmission", "reflection"), "pairs": ("mixture", "transmission")}
    raw = {kind: dict.fromkeys(kinds[kind], image) | {"index": index} for kind in recipe.stages[stage].mix}
    parallel.trace_checked(build_step(recipe, stage, 0, optimizers, Settings(0)), state, raw)


# --- a short run of all stages ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config, folder, steps = small_config(), tmp_path_factory.mktemp("run"), []
    config.validation_samples = 2
    config.eval_every = config.log_images_every = config.checkpoint_every = 100

    with pytest.MonkeyPatch.context() as patch:
        recording(patch, steps, {})
        trainer.train(config, folder)
    return Run(folder, config, tuple(LEARNS), STEPS, steps)


@pytest.mark.slow
@pytest.mark.parametrize("stage", LEARNS)
def test_each_stage_changes_its_networks_alone(run, stage):
    for step in run.of(stage):
        assert changed_networks(step.before.params, step.after.params) == LEARNS[stage]
        # The running statistics belong to the edge net.
        assert changed_networks(step.before.collections, step.after.collections) == ({"edge_net"} & LEARNS[stage])
        assert all(np.isfinite(value) for value in step.scalars.values())


@pytest.mark.slow
def test_frozen_networks_stay_identical_to_the_bit(run):
    edge, attention, end = (run.of(stage)[-1].after for stage in LEARNS)
    for trained, role in ((edge, "edge_net"), (attention, "attention_net")):
        assert same_bits(trained.ema[role], end.params[role])
        assert not same_bits(trained.params[role], end.params[role])
    assert same_bits(edge.collections, end.collections)


@pytest.mark.slow
def test_the_discriminator_takes_five_steps(run):
    after = run.of("adversarial")[-1].after.opt_state
    counts = {role: {int(x) for x in jax.tree.leaves(after[role]) if x.dtype == np.int32} for role in NETWORKS}
    assert counts == {"edge_net": {STEPS}, "attention_net": {STEPS}, "generator": {STEPS}, "discriminator": {5 * STEPS}}


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("stage", ["edge", "adversarial"])
def test_one_device_gives_the_same_step_as_two(run, stage):
    config, step = small_config(), run.of(stage)[0]
    recipe = EdgeGan(config)
    optimizers = {n: make_optimizer(config.optimizer, n, u) for n, u in learning_networks(recipe).items()}
    index = list(LEARNS).index(stage)
    alone = build_step(recipe, index, index * STEPS, optimizers, Settings(config.seed, 1, config.ema_decay))
    whole = jax.tree.map(lambda x: np.asarray(x).reshape(1, -1, *x.shape[2:]), step.raw)
    compiled = jax.pmap(alone, parallel.AXIS, in_axes=(None, 0), out_axes=(None, None), devices=jax.devices()[:1])
    after, scalars = jax.device_get(compiled(step.before, whole))
    for name, value in scalars.items():
        np.testing.assert_allclose(value, step.scalars[name], rtol=1e-3, atol=1e-5, err_msg=name)
    # Adam's first step has full size even where the gradient is only rounding error, as for biases that a
    # normalization removes: parameters are compared where the gradient is larger.
    for role in LEARNS[stage]:
        (gradients, params), (expected, expected_params) = (
            [jax.tree.leaves(tree) for tree in (s.opt_state[role][0].mu, s.params[role])] for s in (after, step.after)
        )
        largest = max(np.abs(x).max() for x in expected)
        for a, b, p, q in zip(gradients, expected, params, expected_params, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4 * largest)
            large = np.abs(b) > 1e-3 * largest
            np.testing.assert_allclose(p[large], q[large], atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), after.collections, step.after.collections
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "name", "share"),
    [
        ("edge", "edge_net/loss", 0.99),
        ("attention", "attention_net/loss", 0.95),
        ("adversarial", "generator/loss", 0.95),
    ],
)
def test_the_loss_falls(run, stage, name, share):
    step, losses = run.of(stage)[-1], []
    state = parallel.replicate(step.before)
    for _ in range(15):
        state, scalars = step.compiled(state, step.raw)
        losses.append(float(scalars[name]))
    assert min(losses[-2:]) < share * losses[0]


@pytest.mark.slow
def test_losses_match_the_specification(run):
    config, step, key = small_config(), run.of("adversarial")[0], jax.random.key(0)
    recipe = EdgeGan(config)
    params, statistics = step.before.params, step.before.collections
    raw = jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), step.raw)

    @jax.jit
    def compute():
        """The losses computed by hand, and those of the recipe."""
        batch = recipe.prepare(raw, key)
        image, target = batch["mixture"], batch["target"]

        def apply(role, x, **more):
            network = build(f"edge_gan/{role}", **recipe._model_args[role])
            return network.apply({"params": params[role], **more}, x)

        edge = apply("edge_net", edge_map(image), batch_stats=statistics["edge_net"])["edge"]
        maps = apply("attention_net", jnp.concatenate([2 * image - 1, edge], axis=-1))["attention_steps"]
        x = jnp.concatenate([2 * image - 1, edge, maps[-1]], axis=-1)
        restored = (apply("generator", x)["restored"] + 1) / 2
        real, fake = (apply("discriminator", 2 * x - 1)["probability"] for x in (target, restored))
        area = attention_target(image, target, target="mask")
        expected = {
            "attention": [jnp.square(m - area).mean() for m in maps],
            "discriminator": (-jnp.log(real).mean(), -jnp.log(1 - fake).mean()),
            "pixel": jnp.abs(restored - target).mean(),
            "perceptual": 0.1 * multiscale_gradient_l1(restored, target),
            "adversarial": -0.01 * jnp.log(fake).mean(),
        }
        attention, aux = recipe._attention_loss(params, statistics, batch, key)
        losses = {
            "attention": (attention, aux.scalars),
            "generator": recipe._generator_loss(params, statistics, batch, key)[1].scalars,
        }
        for name, images in {"real": ("real",), "fake": ("fake",), "both": ("real", "fake")}.items():
            losses[name], _ = recipe._discriminator_loss(params, statistics, batch, key, images=images)
        return expected, losses

    expected, losses = jax.device_get(compute())
    errors, (total, aux) = expected["attention"], losses["attention"]
    np.testing.assert_allclose(total, np.dot([0.8**3, 0.8**2, 0.8, 1.0], errors), rtol=1e-4)
    np.testing.assert_allclose(aux["attention_net/last"], errors[3], rtol=1e-4)
    np.testing.assert_allclose((losses["real"], losses["fake"]), expected["discriminator"], rtol=1e-4)
    np.testing.assert_allclose(losses["both"], sum(expected["discriminator"]), rtol=1e-4)
    terms = ("pixel", "perceptual", "adversarial")
    for name in terms:
        np.testing.assert_allclose(losses["generator"][f"generator/{name}"], expected[name], rtol=1e-4)
    assert losses["generator"].keys() == {f"generator/{name}" for name in (*terms, "structure", "loss")}


# --- run folder -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_exported_model_restores_as_the_recipe_does(run):
    model = load_model(run.folder / "models" / "edge_gan.safetensors")
    assert model.recipe == "edge_gan"
    assert model.networks.keys() == NETWORKS - {"discriminator"}
    assert "axis_name" not in model.networks["edge_net"].model_args
    recipe, last = EdgeGan(small_config()), run.steps[-1].after
    image = np.random.default_rng(0).random((1, SIZE, SIZE, 3), np.float32)
    batch = {"mixture": jnp.asarray(image), "target": jnp.zeros(image.shape)}
    expected = recipe.compare(last.params | last.ema, last.collections, batch)
    assert tuple(expected) == recipe.panels
    restorer = sirr_jax.load(run.folder / "models" / "edge_gan.safetensors")
    outputs = restorer(image)
    assert outputs.maps.keys() == {"edge", "attention"}
    np.testing.assert_allclose(outputs.restored, expected["restored"], atol=3e-4)
    for name, value in outputs.maps.items():
        np.testing.assert_allclose(np.repeat(value, 3, axis=-1), expected[name], atol=3e-4)
    assert restorer(np.zeros((18, 33, 3), np.uint8)).restored.shape == (18, 33, 3)


@pytest.mark.slow
def test_scores_exclude_the_maps(run):
    assert '"restored"' in (run.folder / "scores.json").read_text()
    assert "attention" not in (run.folder / "scores.json").read_text()


@pytest.mark.slow
def test_init_from_loads_the_networks_of_a_file(run, tmp_path, config):
    config.seed, config.init_from = 5, str(run.folder / "models" / "edge_gan.safetensors")
    params, collections = EdgeGan(config).init(jax.random.key(1))
    last = run.steps[-1].after
    for role in NETWORKS - {"discriminator"}:
        assert same_bits(params[role], last.ema[role])
    assert not same_bits(params["discriminator"], last.params["discriminator"])
    assert same_bits(collections["edge_net"], last.collections["edge_net"])
    # A generator alone, as in a file of `sirr convert`.
    exported = load_model(run.folder / "models" / "edge_gan.safetensors").networks["generator"]
    save_model(tmp_path / "g.safetensors", Model("edge_gan", {"generator": exported}, "-", "-"))
    config.init_from = str(tmp_path / "g.safetensors")
    alone, _ = EdgeGan(config).init(jax.random.key(1))
    assert same_bits(alone["generator"], last.ema["generator"])
    assert same_bits(alone["discriminator"], params["discriminator"])
    assert not same_bits(alone["edge_net"], last.ema["edge_net"])
    other = StoredNetwork("edge_gan/generator", {}, exported.variables)
    save_model(tmp_path / "wide.safetensors", Model("edge_gan", {"generator": other}, "-", "-"))
    config.init_from = str(tmp_path / "wide.safetensors")
    with pytest.raises(UserError, match=r"correct config\.init_from or the config's arguments"):
        EdgeGan(config).init(jax.random.key(1))


def test_the_release_preset_has_keras_initial_values(config):
    config.preset = "release"
    params, _ = EdgeGan(config).init(jax.random.key(0))
    for role, layer, fans in (("edge_net", "stem2", (4, 4)), ("generator", "conv2_s2", (4, 8))):
        kernel = params[role][layer]["kernel"]
        bound = np.sqrt(6 / (9 * sum(fans)))
        assert 0.9 * bound < np.abs(kernel).max() <= bound
