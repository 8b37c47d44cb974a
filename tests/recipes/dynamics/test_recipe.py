"""The dynamics recipe: stages, ablations and losses. tests/cli/test_train.py tests a training run."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.losses.pixel import reconstruction
from sirr_jax.models.dynamics.hypercolumn import VGG_LAYERS
from sirr_jax.models.vgg import VGG19_BLOCKS, convolutions
from sirr_jax.recipes import get_recipe
from sirr_jax.recipes.base import Ancestry, Start
from sirr_jax.recipes.dynamics.recipe import Dynamics
from sirr_jax.training import parallel
from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.state import TrainState, learning_networks
from sirr_jax.training.train_step import Settings, build_step
from sirr_jax.weights.model_file import Model, Parent, StoredNetwork, save_model
from tests.helpers.networks import compile_apply, images, random_parameters

SIZE = 32


@pytest.fixture
def config(dynamics_config):
    config = dynamics_config("tiny")
    config.data.crop = SIZE
    config.teacher.steps, config.student.steps = 100, 90
    config.student.feature_stats_samples = 20
    config.student.gan_start = 1 / 3
    config.student.weights.adversarial = 0.01
    config.batch_size = 4
    return config


def stages(config):
    return {stage.name: stage for stage in Dynamics(config).stages}


def test_the_schedule(config):
    config.teacher.warm_up = 0.1
    by_name = stages(config)
    assert {name: stage.steps for name, stage in by_name.items()} == {
        "decouple": 10,
        "teacher": 90,
        "measure": 5,
        "student": 30,
        "adversarial": 60,
    }
    assert [update.learns for update in by_name["adversarial"].updates] == [("discriminator",), ("student",)]
    assert by_name["teacher"].mix == {"layers": 1.0}
    assert by_name["student"].mix == pytest.approx({"layers": 0.6, "single": 0.4})


def test_the_mix_follows_the_shares_of_real_data(config):
    config.data.sequences_share, config.data.pairs_share = 0.25, 0.5
    by_name = stages(config)
    assert by_name["teacher"].mix == pytest.approx({"layers": 0.75, "sequences": 0.25})
    expected = {"layers": 0.45, "sequences": 0.15, "single": 0.2, "pairs": 0.2}
    assert by_name["student"].mix == pytest.approx(expected)


def test_distillation_may_end_before_the_training(config):
    config.student.distill_fraction, config.data.pairs_share = 0.2, 0.5
    by_name = stages(config)
    lengths = {name: by_name[name].steps for name in ("student", "alone", "adversarial")}
    assert lengths == {"student": 18, "alone": 12, "adversarial": 60}
    assert by_name["student"].mix == pytest.approx({"layers": 0.6, "single": 0.2, "pairs": 0.2})
    assert by_name["alone"].mix == by_name["adversarial"].mix == {"single": 0.5, "pairs": 0.5}
    assert [by_name[name].begin is None for name in lengths] == [False, True, True]
    config.student.weights.adversarial = 0.0
    assert stages(config)["alone"].steps == 72
    assert "adversarial" not in stages(config)
    config.distill.enabled = False  # then there is no distillation to end
    assert "alone" not in stages(config)


def test_distillation_that_ends_after_the_start_of_the_gan_is_an_error(config):
    config.student.distill_fraction = 0.5
    with pytest.raises(UserError, match=r"fraction=0\.5 ends after the start of the GAN.*gan_start=0\.33.*smaller"):
        Dynamics(config)


def teacher_batch(raw_size=2):
    key = jax.random.key(0)
    frames = jax.random.uniform(key, (raw_size, 3, SIZE, SIZE, 3))
    flow = jnp.zeros((raw_size, 2, SIZE, SIZE, 2))
    one = jnp.ones(raw_size)
    views = {"frames": frames, "transmission": frames, "reflection": frames, "flow_t": flow, "flow_r": flow}
    views |= {"valid_t": flow[..., 0], "valid_r": flow[..., 0], "reflection_weight": one, "flow_weight": one}
    single = {"mixture": frames[:, 0], "target": frames[:, 1]}
    return {"views": views, "single": single, "progress": jnp.zeros(())}


def terms_of(config, stage, update=-1):
    """Names of the loss terms of a stage, by tracing alone."""
    recipe = Dynamics(config)
    params, collections = jax.eval_shape(_init(recipe))
    loss = {s.name: s for s in recipe.stages}[stage].updates[update].loss
    _, aux = jax.eval_shape(loss, params, collections, teacher_batch(), jax.random.key(0))
    return {name.split("/")[1] for name in aux.scalars} - {"loss"}


def _init(recipe):
    def init():
        shapes = {"teacher": (1, 3, 32, 32, 3), "student": (1, 32, 32, 3), "discriminator": (1, 32, 32, 3)}
        params = {
            name: network.init(jax.random.key(0), jnp.zeros(shapes[name]), train=True)["params"]
            for name, network in recipe._network.items()
        }
        return params, recipe._moments(params)

    return init


def switch_off(config, switch):
    """Switches off the distillation or a part; nothing for None."""
    if switch == "distill":
        config.distill.enabled = False
    elif switch:
        config.ablate[switch] = True


CONTENT = {"reconstruction", "perceptual"}
VIEWS = {"view_synthesis", "flow", "flow_error_px"}
TRANSFER = {"transfer_knowledge", "transfer_features"}


@pytest.mark.parametrize(
    ("switch", "teacher", "student"),
    [
        (None, CONTENT | VIEWS | {"decoupling"}, CONTENT | TRANSFER),
        pytest.param("mkl", CONTENT, CONTENT | TRANSFER, marks=pytest.mark.slow),
        pytest.param("decouple_net", CONTENT | VIEWS, CONTENT | TRANSFER, marks=pytest.mark.slow),
        ("flow_net", CONTENT | {"decoupling"}, CONTENT | TRANSFER),
        pytest.param("fusion_net", CONTENT | VIEWS | {"decoupling"}, CONTENT | TRANSFER, marks=pytest.mark.slow),
        ("distill", CONTENT | VIEWS | {"decoupling"}, CONTENT),
        ("hallucination", CONTENT | VIEWS | {"decoupling"}, CONTENT | {"transfer_features"}),
        ("encoder", CONTENT | VIEWS | {"decoupling"}, CONTENT | {"transfer_knowledge"}),
    ],
)
def test_every_ablation_removes_its_loss_terms(config, switch, teacher, student):
    switch_off(config, switch)
    assert terms_of(config, "teacher") == teacher
    if switch is None:
        config.teacher.warm_up = 0.1
        assert terms_of(config, "decouple") == teacher - CONTENT
    assert terms_of(config, "student") == student
    assert terms_of(config, "adversarial") == student | {"adversarial"}


def test_after_the_distillation_there_is_no_transfer_loss(config):
    config.student.distill_fraction = 0.2
    assert terms_of(config, "student") == CONTENT | TRANSFER
    assert terms_of(config, "alone") == CONTENT
    assert terms_of(config, "adversarial") == CONTENT | {"adversarial"}


def test_the_transfer_loss_fades(config):
    """With networks of constant features, the loss follows from the weights alone."""
    config.student.distill_fraction = 0.2
    recipe = Dynamics(config)
    ones = jnp.ones((2, 4, 4, 16))

    class Fixed:
        def __init__(self, features):
            self.features = features

        def apply(self, variables, image, *, train):
            image = image[:, 1] if image.ndim == 5 else image
            return {"restored": image, "knowledge": self.features, "features": self.features}

    recipe._network |= {"teacher": Fixed(ones), "student": Fixed(jnp.concatenate((ones, ones)) * 3.0)}
    moments = {f"{name}_{moment}": jnp.ones(16) for name in ("knowledge", "features") for moment in ("mean", "square")}
    params = {"teacher": {}, "student": {}}
    loss = {stage.name: stage for stage in recipe.stages}["student"].updates[0].loss
    values = []
    for progress in (0.0, 0.5, 1.0):
        batch = teacher_batch() | {"progress": jnp.asarray(progress)}
        _, aux = loss(params, {"teacher_moments": moments}, batch, jax.random.key(0))
        values.append(float(aux.scalars["student/transfer_knowledge"]))
    initial = 0.2 * 2.0 / 1e-3  # the weight, the distance, the least deviation
    np.testing.assert_allclose(values, [initial, initial / 2, 0.0], rtol=1e-4)


def test_pixel_loss_selects_l1_or_psnr(config):
    target = jax.random.uniform(jax.random.key(0), (2, SIZE, SIZE, 3))
    terms = {}
    for error in ("l1", "psnr"):
        config.pixel_loss = error
        terms[error] = Dynamics(config)._content({}, config.student.weights, target * 0.5, target)["reconstruction"]
        assert float(terms[error]) == pytest.approx(float(reconstruction(target * 0.5, target, error=error)))
    assert float(terms["l1"]) != pytest.approx(float(terms["psnr"]), rel=1e-3)
    config.pixel_loss = "l2"
    with pytest.raises(UserError, match=r"config\.pixel_loss is 'l2'; choose l1 or psnr"):
        Dynamics(config)


def test_without_layers_and_flow_there_is_no_warm_up(config):
    config.teacher.warm_up = 0.1
    config.ablate.mkl = True
    assert "decouple" not in stages(config)
    assert stages(config)["teacher"].steps == 100


def test_without_distillation_no_feature_statistics_are_measured(config):
    config.distill.enabled = False
    assert "measure" not in stages(config)


def start_of(config):
    recipe = Dynamics(config)
    names = ("encoder", "hallucination", "decoder")
    student = {name: {"w": jnp.zeros(2)} for name in names}
    params = {"teacher": {name: {"w": jnp.ones(2)} for name in names}, "student": student}
    ema = jax.tree.map(lambda x: x + 2, params)
    stage = {s.name: s for s in recipe.stages}["student"]
    return stage.begin(Start(params, ema, {}))


@pytest.mark.parametrize(
    ("switch", "inherited"),
    [(None, {"encoder", "decoder"}), ("encoder", {"decoder"}), ("distill", set())],
)
def test_the_student_starts_from_the_frozen_teacher(config, switch, inherited):
    switch_off(config, switch)
    start = start_of(config)
    assert {n for n, p in start.params["student"].items() if p["w"][0] == 3.0} == inherited
    assert start.params["teacher"]["encoder"]["w"][0] == 3.0  # the moving average
    leaves = jax.tree.leaves((start.params, start.ema))
    assert len({x.unsafe_buffer_pointer() for x in leaves}) == len(leaves)
    for name in inherited:
        np.testing.assert_array_equal(start.ema["student"][name]["w"], start.params["student"][name]["w"])


def inheriting_config(config):
    config.teacher.init_from_student = config.teacher.aligned_frames = True
    config.student.pretrain_steps = 2
    return config


def test_a_teacher_initialized_from_its_student_gives_the_same_outputs(config):
    recipe = Dynamics(inheriting_config(config))
    assert [stage.name for stage in recipe.stages][:2] == ["first", "teacher"]
    assert set(recipe.stages[0].mix) == {"single"}
    networks, frames = recipe._network, images(0, 1, 3, 32, 32, 3)
    params = {
        "teacher": random_parameters(networks["teacher"], frames.shape),
        "student": random_parameters(networks["student"], frames[:, 1].shape),
    }
    params["teacher"]["addition"] = jax.tree.map(np.zeros_like, params["teacher"]["addition"])  # its initial values
    params = jax.tree.map(jnp.asarray, params)
    ema = {"student": jax.tree.map(lambda x: x + 0.01, params["student"]), "teacher": params["teacher"]}
    start = recipe.stages[1].begin(Start(params, ema, {}))
    for tree in (start.params, start.ema):
        for name in ("encoder", "hallucination", "decoder"):  # of the moving average
            jax.tree.map(np.testing.assert_array_equal, tree["teacher"][name], ema["student"][name])
    teach = compile_apply(networks["teacher"], start.params["teacher"], frames)
    expected = compile_apply(networks["student"], start.params["student"], frames[:, 1])(
        start.params["student"], frames[:, 1]
    )
    outputs = teach(start.params["teacher"], frames)
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, atol=1e-4)
    # The addition of K_t starts at zero and has an effect as soon as it changes.
    addition = jax.tree.map(lambda x: x + 0.1, start.params["teacher"]["addition"])
    other = teach(start.params["teacher"] | {"addition": addition}, frames)
    assert np.abs(other["knowledge"] - expected["knowledge"]).max() > 0.01


def test_a_teacher_initialized_from_its_student_does_not_train_the_inherited_features(config):
    recipe = Dynamics(inheriting_config(config))
    params = {"teacher": random_parameters(recipe._network["teacher"], (1, 3, 32, 32, 3))}
    update = {stage.name: stage for stage in recipe.stages}["teacher"].updates[0]
    loss = jax.grad(lambda params: update.loss(params, {}, teacher_batch(1), jax.random.key(0))[0])
    gradient = jax.jit(loss)(params)["teacher"]
    trained = {name for name, part in gradient.items() if any(np.any(x) for x in jax.tree.leaves(part))}
    assert trained == params["teacher"].keys() - {"encoder", "hallucination"}


def test_the_flow_loss_decays_until_flow_until(config):
    frames = teacher_batch(1) | {"progress": jnp.float32(0.75)}
    frames["views"]["flow_t"] += 1.0
    frames["views"]["valid_t"] += 1.0
    losses = {}
    for until in (0.5, 1.0, 0.0):
        config.teacher.flow_until = until
        recipe = Dynamics(config)
        params = {"teacher": random_parameters(recipe._network["teacher"], (1, 3, 32, 32, 3))}
        update = {stage.name: stage for stage in recipe.stages}["teacher"].updates[0]
        losses[until] = jax.jit(update.loss)(params, {}, frames, jax.random.key(0))[1].scalars["teacher/flow"]
    assert losses[0.5] == 0.0
    assert float(losses[0.0]) == pytest.approx(4.0 * float(losses[1.0]), rel=1e-5)


def test_the_student_takes_the_decoder_of_a_teacher_initialized_from_it(config):
    start = start_of(inheriting_config(config))
    assert {n for n, p in start.params["student"].items() if p["w"][0] == 3.0} == {"decoder"}


def test_init_from_student_without_a_trained_student_is_an_error(config):
    config.teacher.init_from_student = True
    with pytest.raises(UserError, match=r"needs a trained student.*pretrain_steps.*init_from"):
        Dynamics(config)
    config.student.pretrain_steps = 1
    config.ablate.hallucination = True
    with pytest.raises(UserError, match=r"set config\.ablate\.hallucination=False"):
        Dynamics(config)


def test_student_init_from_loads_the_parameters(config, tmp_path):
    recipe = Dynamics(config)
    shapes = jax.eval_shape(_init(recipe))[0]["student"]
    rng = np.random.default_rng(0)
    half = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float16), shapes)  # as in the bundled model
    file = tmp_path / "student.safetensors"
    network = StoredNetwork("dynamics/student", recipe._model_args["student"], {"params": half})
    save_model(file, Model("dynamics", {"student": network}, license="-", description="-"))
    config.student.init_from = str(file)
    loaded = Dynamics(config)._load("student")
    jax.tree.map(np.testing.assert_array_equal, loaded, half)
    assert {x.dtype for x in jax.tree.leaves(loaded)} == {np.dtype(np.float32)}

    start = start_of(config)
    assert {float(p["w"][0]) for p in start.params["student"].values()} == {0.0}  # nothing is inherited
    assert start.params["teacher"]["encoder"]["w"][0] == 3.0  # the teacher is frozen nevertheless

    config.width = "small"
    with pytest.raises(UserError, match=r"'width': 'tiny'.*expected.*'width': 'small'.*student\.init_from"):
        Dynamics(config)._load("student")


def test_parents_pass_from_network_to_network(config, tmp_path):
    vgg, research = Parent("vgg19", "CC BY 4.0", "0" * 64), Parent("teacher", "CC-BY-NC-4.0", "1" * 64)
    ancestries = {"teacher": Ancestry((research,), 5, complete=True), "student": Ancestry((vgg,))}
    Dynamics(config)._inherit_ancestries(ancestries)
    assert ancestries["student"] == Ancestry((vgg, research))  # it learns from the teacher
    assert ancestries["teacher"] == Ancestry((research,), 5, complete=True)
    config.distill.enabled = False
    ancestries = {"teacher": Ancestry((research,), 5, complete=True)}
    Dynamics(config)._inherit_ancestries(ancestries)
    assert ancestries.keys() == {"teacher"}
    config.teacher.init_from_student, config.student.init_from = True, "student.safetensors"
    ancestries = {"student": Ancestry((vgg,), 5, complete=True)}
    Dynamics(config)._inherit_ancestries(ancestries)
    assert ancestries["teacher"] == Ancestry((vgg,))


def test_an_untrained_teacher_is_an_error(config, tmp_path):
    recipe = Dynamics(config)
    network = StoredNetwork("dynamics/teacher", recipe._model_args["teacher"], {"params": {}}, steps=0)
    save_model(tmp_path / "t.safetensors", Model("dynamics", {"teacher": network}, license="-", description="-"))
    config.teacher.init_from = str(tmp_path / "t.safetensors")
    with pytest.raises(UserError, match=r"never trained \(0 steps\); choose another config\.teacher\.init_from"):
        Dynamics(config)._load("teacher")


def vgg_file(path, *, last="conv3_2"):
    """Writes a Keras VGG-19 up to a layer: zeros except for the last bias, which is one."""
    arrays, before = {}, 3
    for name, after in convolutions(VGG19_BLOCKS).items():
        layer = f"block{name[4]}_conv{name[6]}"
        arrays |= {f"{layer}/kernel": np.zeros((3, 3, before, after), np.float32)}
        arrays |= {f"{layer}/bias": np.full(after, float(name == last), np.float32)}
        before = after
        if name == last:
            break
    np.savez(path, **arrays)
    return str(path)


def test_student_hypercolumn_is_added_to_a_student_from_a_file(config, tmp_path):
    recipe, rng = Dynamics(config), np.random.default_rng(0)
    shapes = jax.eval_shape(_init(recipe))[0]["student"]
    plain = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), shapes)
    network = StoredNetwork("dynamics/student", recipe._model_args["student"], {"params": plain})
    first, second = tmp_path / "plain.safetensors", tmp_path / "column.safetensors"
    save_model(first, Model("dynamics", {"student": network}, license="-", description="-"))
    config.student.init_from, config.student.hypercolumn = str(first), vgg_file(tmp_path / "vgg.npz")
    recipe = Dynamics(config)
    params, _ = recipe.init(jax.random.key(1))
    loaded = {name: part for name, part in params["student"].items() if name != "hypercolumn"}
    jax.tree.map(np.testing.assert_array_equal, loaded, plain)
    assert set(params["student"]["hypercolumn"]["vgg19"]) == set(VGG_LAYERS)
    assert params["student"]["hypercolumn"]["vgg19"]["conv3_2"]["bias"][0] == 1.0
    leaves = jax.tree.leaves((params, recipe._hypercolumn.params))  # donating the state does not delete them
    assert len({x.unsafe_buffer_pointer() for x in leaves}) == len(leaves)

    # The exported student is loaded unchanged, VGG-19 included.
    changed = jax.tree.map(lambda x: x + 1, params)
    exported = recipe.exports(changed, {})["student"]["student"]
    assert exported.model_args == {"width": "tiny", "hypercolumn": "caffe"}
    save_model(second, Model("dynamics", {"student": exported}, license="-", description="-"))
    config.student.init_from = str(second)
    jax.tree.map(np.testing.assert_array_equal, Dynamics(config)._load("student"), changed["student"])

    config.student.hypercolumn = ""
    with pytest.raises(UserError, match=r"'hypercolumn': 'caffe'.*the config trains another"):
        Dynamics(config)._load("student")


def test_a_hypercolumn_file_that_is_missing_or_too_short_is_an_error(config, tmp_path):
    config.student.hypercolumn = str(tmp_path / "vgg.npz")
    with pytest.raises(UserError, match=r"no VGG-19 weight file at .*config\.student\.hypercolumn"):
        Dynamics(config)
    vgg_file(tmp_path / "vgg.npz", last="conv3_1")
    with pytest.raises(UserError, match=r"ends at conv3_1, and .* needs the layers up to conv3_2.*more complete"):
        Dynamics(config)


def test_without_distillation_the_student_needs_no_sequences(config):
    config.student.single_image_fraction = 1.0
    with pytest.raises(UserError, match=r"single_image_fraction=1\.0 leaves no sequence.*choose a fraction below 1"):
        Dynamics(config)
    config.distill.enabled = False
    assert stages(config)["student"].mix == {"single": 1.0}
    batch = {"single": teacher_batch()["single"]}
    images, targets, count = Dynamics(config)._student_images(batch)
    assert count == 0
    np.testing.assert_array_equal(images, batch["single"]["mixture"])
    np.testing.assert_array_equal(targets, batch["single"]["target"])


def test_the_measure_stage_averages_features_and_their_squares(config):
    recipe = Dynamics(config)
    features = jax.random.normal(jax.random.key(1), (3, 2, 4, 4, 16)) * 2 + 1

    class Fixed:
        def __init__(self):
            self.calls = 0

        def apply(self, variables, frames, *, train):
            self.calls += 1
            return {"knowledge": features[self.calls - 1], "features": -features[self.calls - 1]}

    recipe._network["teacher"] = Fixed()
    zero = jnp.zeros(16)
    names = ("knowledge_mean", "knowledge_square", "features_mean", "features_square")
    collections = {"teacher_moments": {"count": jnp.zeros(()), **dict.fromkeys(names, zero)}}
    for _ in range(3):
        _, aux = recipe._measure({"teacher": {}}, collections, teacher_batch(), jax.random.key(0))
        collections = collections | aux.collections
    moments = collections["teacher_moments"]
    flat = np.asarray(features).reshape(-1, 16)
    np.testing.assert_allclose(moments["knowledge_mean"], flat.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moments["knowledge_square"], np.square(flat).mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments["features_mean"], -flat.mean(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("compute_dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_the_step_is_traced_with_replication_checks(config, compute_dtype):
    config.compute_dtype = compute_dtype
    recipe = Dynamics(config)
    optimizers = {n: make_optimizer(config.optimizer, n, u) for n, u in learning_networks(recipe).items()}
    params, collections = jax.eval_shape(_init(recipe))
    opt_state = {n: jax.eval_shape(o.init, params[n]) for n, o in optimizers.items()}
    scalar = jax.ShapeDtypeStruct((), jnp.int32)
    ema = {n: params[n] for n in optimizers}
    state = TrainState(scalar, scalar, scalar, params, collections, ema, opt_state)
    side = recipe._options.canvas[0]
    counts = {"layers": (2, side), "single": (2, SIZE)}
    raw = {
        kind: {
            "transmission": np.zeros((2, n // 2, s, s, 3), np.uint8),
            "reflection": np.zeros((2, n // 2, s, s, 3), np.uint8),
            "index": np.zeros((2, n // 2), np.uint32),
        }
        for kind, (n, s) in counts.items()
    }
    last = len(recipe.stages) - 1
    step = build_step(recipe, last, 0, optimizers, Settings(0))
    parallel.trace_checked(step, state, raw)


def test_unknown_names_are_errors(config):
    with pytest.raises(UserError, match=r"no recipe is called 'dynamic'; did you mean 'dynamics'"):
        get_recipe("dynamic")
    config.compute_dtype = "float16"
    with pytest.raises(UserError, match=r"config\.compute_dtype is 'float16'; choose float32 or bfloat16"):
        Dynamics(config)
    config.compute_dtype = "float32"
    config.data.crop = 40
    with pytest.raises(UserError, match=r"config\.data\.crop=40; choose a multiple of 16"):
        Dynamics(config)
    config.data.crop = 48
    config.width = "huge"
    with pytest.raises(UserError, match="there is no width 'huge'"):
        Dynamics(config)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("student.gan_start", 1.5, "a fraction between 0 and 1"),
        ("teacher.warm_up", 1.5, "a fraction between 0 and 1"),
        ("student.single_image_fraction", -0.5, "a fraction between 0 and 1"),
        ("data.pairs_share", 1.5, "a fraction between 0 and 1"),
        ("data.sequences_share", 1.5, "a fraction between 0 and 1"),
        ("student.distill_fraction", -0.5, "a fraction between 0 and 1"),
        ("student.steps", -10, "0 or more"),
        ("teacher.steps", 0, "leaves the teacher untrained"),
        ("student.feature_stats_samples", 0, "leaves the statistics of the teacher's features unknown"),
    ],
)
def test_numbers_out_of_range_are_errors(config, name, value, message):
    section, option = name.split(".")
    config[section][option] = value
    with pytest.raises(UserError, match=rf"config\.{name}={value}.*{message}"):
        Dynamics(config)


def test_a_teacher_file_that_does_not_match_the_config_is_an_error(config, tmp_path):
    file = tmp_path / "teacher.safetensors"
    other = StoredNetwork("dynamics/teacher", {"width": "small"}, {"params": {"w": np.zeros(1)}})
    save_model(file, Model("dynamics", {"teacher": other}, license="-", description="-"))
    config.teacher.init_from = str(file)
    assert "teacher" not in stages(config)
    with pytest.raises(UserError, match=r"'width': 'small'.*expected.*'width': 'tiny'.*teacher\.init_from"):
        Dynamics(config).init(jax.random.key(0))
