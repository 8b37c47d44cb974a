"""SGRRN's recipe: stages, losses and initial values."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.recipes import get_recipe
from sirr_jax.recipes.sgrrn.initialization import released_start
from sirr_jax.recipes.sgrrn.recipe import Sgrrn
from sirr_jax.training import parallel
from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.state import TrainState, learning_networks
from sirr_jax.training.train_step import Settings, build_step
from sirr_jax.weights.convert import expected_shapes
from sirr_jax.weights.variables import flatten
from tests.helpers.published import fill_random
from tests.helpers.recipe_runs import config_of
from tests.helpers.small_sgrrn import DISCRIMINATORS, SIZE, draw_zeros, small_config, use_shallow
from tests.helpers.torch_files import write_zip


@pytest.fixture(scope="module", autouse=True)
def shallow():
    with pytest.MonkeyPatch.context() as patch:
        use_shallow(patch)
        yield


@pytest.fixture
def config():
    return small_config()


# --- stages and losses ------------------------------------------------------------------------------------------------


def test_the_schedule(config):
    config.steps.semantic, config.steps.joint = 30, 20
    learns = {s.name: (s.steps, [set(u.learns) for u in s.updates], s.mix) for s in Sgrrn(config).stages}
    mix = {"labelled_pairs": 1.0}
    assert learns == {"semantic": (30, [{"generator"}], mix), "joint": (20, [{"generator"}, DISCRIMINATORS], mix)}
    assert learning_networks(get_recipe("sgrrn")(config)) == {"generator": 50} | dict.fromkeys(DISCRIMINATORS, 20)
    config.adversarial, config.steps.semantic = False, 0
    (joint,) = Sgrrn(config).stages
    assert [u.learns for u in joint.updates] == [("generator",)]
    assert Sgrrn(config)._network.keys() == {"generator"}


def test_the_mix_of_the_second_stage_follows_pairs_share(config):
    config.data.pairs_share = 0.25
    recipe = Sgrrn(config)
    assert [stage.mix for stage in recipe.stages] == [
        {"labelled_pairs": 1.0},
        {"labelled_pairs": 0.75, "pairs": 0.25},
    ]
    assert (recipe.validation, recipe.classes) == ("labelled_pairs", 7)
    config.data.pairs_share = 1.0
    recipe = Sgrrn(config)
    assert recipe.stages[1].mix == {"pairs": 1.0}
    # Real pairs have no labels to score.
    assert (recipe.validation, recipe.classes) == ("pairs", 0)


@pytest.mark.parametrize(
    ("mode", "stages", "labels"),
    [
        ("Basic", ["joint"], False),
        ("Basic+Channel+Pyramid", ["joint"], False),
        ("Basic+Channel+Pyramid+Semantic", ["semantic", "joint"], True),
        ("Basic+Channel+Pyramid+Guidance", ["semantic", "joint"], True),
    ],
)
def test_modes_without_semantics_have_neither_label_stage_nor_label_panels(config, mode, stages, labels):
    config.decoder_mode = mode
    recipe = Sgrrn(config)
    assert [stage.name for stage in recipe.stages] == stages
    assert (recipe.maps == ("labels", "true_labels")) == (recipe.classes == 7) == labels
    assert set(recipe.maps) <= set(recipe.panels)


def test_model_args_of_the_released_config_equal_those_of_converted_files(monkeypatch):
    config = config_of("sgrrn")("released")
    config.data.labelled, config.data.classes = "/VOC2012", 21
    recipe = Sgrrn(config)
    assert recipe._model_args == {"generator": {}}
    assert recipe.notes == (
        "profile released, no discriminator; perceptual loss: none, as released; decoder mode "
        "Basic+Channel+Pyramid+Guidance; backbone resnet101 from scratch",
    )
    config = config_of("sgrrn")("base")
    assert Sgrrn(config)._model_args == {"generator": {"classes": 7}}
    config.data.labelled, config.data.classes = "/VOC2012", 21
    config.adversarial = True
    assert Sgrrn(config)._model_args == {"generator": {}} | {role: {} for role in DISCRIMINATORS}
    assert "profile intended, adversarial loss of weight 0.01; perceptual loss: none (" in Sgrrn(config).notes[0]


@pytest.mark.parametrize("variant", ["base", "released"])
def test_lr_mults_freeze_and_slow_parameters_as_specified(variant):
    """SGRRN specification, section 8: 109,752 parameters as released."""
    config = config_of("sgrrn")(variant)
    params = parameter_shapes(config)
    optimizer = make_optimizer(config.optimizer, "generator", 10)
    factors = {}
    for place, leaf in flatten(params).items():
        tree = functools.reduce(lambda tree, name: {name: tree}, reversed(place), np.ones(1, np.float32))
        updates, _ = optimizer.update(tree, optimizer.init(tree), tree)
        (update,) = jax.tree.leaves(updates)
        factors["/".join(place)] = (round(float(-update[0] / 2e-3), 4), leaf.size)
    frozen = {place for place, (factor, _) in factors.items() if factor == 0}
    expected = {place for place in factors if place.startswith("encoder/backbone/") and "norm" in place}
    if variant == "released":
        expected |= {p for p in factors if p.startswith("semantic/") and "/norm/" in p}
        expected |= {p for p in factors if p.split("/")[-2] in ("squeeze", "excite")}
        assert sum(factors[place][1] for place in frozen) == 109_752
    assert frozen == expected
    slow = sum(size for factor, size in factors.values() if factor == 0.1)
    assert slow == 42_394_816
    assert {factor for factor, _ in factors.values()} == {0.0, 0.1, 1.0}


def parameter_shapes(config):
    network = Sgrrn(config)._network["generator"]
    init = functools.partial(network.init, train=True)
    return jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"profile": "release"}, r"config\.profile is 'release'; choose intended or released"),
        ({"compute_dtype": "half"}, r"config\.compute_dtype is 'half'; choose float32 or bfloat16"),
        ({"backbone": "vgg"}, "no backbone 'vgg'"),
        ({"decoder_mode": "Guidance"}, "no mode 'Guidance'"),
        ({"decoder_mode": "OnlySemantic"}, r"restores nothing; set config\.steps\.joint=0"),
        ({"width": "huge"}, "no width 'huge'"),
        ({"data.crop": 31}, r"config\.data\.crop=31; choose 32 or more"),
        ({"data.labelled": "/voc", "data.classes": 0}, r"config\.data\.classes=0; give the number of classes of /voc"),
        ({"data.pairs_share": 1.5}, r"config\.data\.pairs_share=1\.5"),
        ({"clean_share": -1.0}, r"config\.clean_share=-1\.0"),
        ({"momentum": 0.0}, r"config\.momentum=0\.0"),
        ({"data.synthesis.name": "screen"}, "no synthesis is called 'screen'"),
        ({"perceptual_weights": "/no.npz"}, "no VGG-19 weight file"),
    ],
    ids=str,
)
def test_wrong_config_values_are_errors(config, values, message):
    config.update_from_flattened_dict(values)
    with pytest.raises(UserError, match=message):
        Sgrrn(config)


def shapes_of(recipe):
    """Shapes of the state, by tracing alone."""

    def init():
        drawn = {
            role: network.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)), train=True)
            for role, network in recipe._network.items()
        }
        return {role: tree["params"] for role, tree in drawn.items()}, {"generator": drawn["generator"]["batch_stats"]}

    return jax.eval_shape(init)


def raw_shapes(*, pairs):
    image, labels = np.zeros((2, 2, SIZE, SIZE, 3), np.uint8), np.zeros((2, 2, SIZE, SIZE), np.uint8)
    index = np.zeros((2, 2), np.uint32)
    labelled = {
        "transmission": image,
        "reflection": image,
        "labels": labels,
        "reflection_labels": labels,
        "index": index,
    }
    real = {"pairs": {"mixture": image, "transmission": image, "index": index}} if pairs else {}
    return {"labelled_pairs": labelled} | real


def terms_of(config, stage):
    """Names of the loss terms of each update of a stage, by tracing alone."""
    recipe = Sgrrn(config)
    params, collections = shapes_of(recipe)
    raw = jax.tree.map(lambda x: x[0], raw_shapes(pairs="pairs" in recipe.stages[stage].mix))
    names = []
    for update in recipe.stages[stage].updates:

        def loss(params, collections, raw, update=update):
            batch = recipe.prepare(raw, jax.random.key(0))
            return update.loss(params, collections, batch, jax.random.key(1))[1].scalars

        traced = jax.make_jaxpr(loss, axis_env=[(parallel.AXIS, 1)], return_shape=True)(params, collections, raw)
        names.append(set(traced[1]))
    return names


def layers(*names):
    return {f"generator/{name}_{layer}" for name in names for layer in ("restored", "reflection")}


@pytest.mark.parametrize(
    ("variant", "values", "expected"),
    [
        ("released", {}, layers("pixel") | {"generator/semantic"}),
        ("released", {"adversarial": True}, layers("pixel", "adversarial") | {"generator/semantic"}),
        ("base", {}, layers("pixel", "gradient") | {"generator/semantic"}),
        ("base", {"data.pairs_share": 0.5}, layers("pixel", "gradient") | {"generator/semantic"}),
        ("base", {"adversarial": True}, layers("pixel", "gradient", "adversarial") | {"generator/semantic"}),
        ("base", {"exclusion": 0.1}, layers("pixel", "gradient") | {"generator/semantic", "generator/exclusion"}),
        ("base", {"decoder_mode": "Basic+Channel"}, layers("pixel", "gradient")),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_loss_terms_of_the_profiles(variant, values, expected):
    config = small_config(variant)
    config.adversarial, config.exclusion = False, 0.0
    config.update_from_flattened_dict(values)
    names = terms_of(config, -1)
    assert names[0] == expected | {"generator/loss"}
    assert names[1:] == ([{f"{role}/loss" for role in DISCRIMINATORS}] if config.adversarial else [])


@pytest.mark.parametrize(
    ("variant", "compute_dtype", "stage"),
    [("base", "bfloat16", 0), ("base", "bfloat16", 1), ("released", "float32", 1)],
)
def test_the_step_is_traced_with_replication_checks(variant, compute_dtype, stage):
    config = small_config(variant)
    config.compute_dtype, config.data.pairs_share = compute_dtype, 0.5
    recipe = Sgrrn(config)
    optimizers = {n: make_optimizer(config.optimizer, n, u) for n, u in learning_networks(recipe).items()}
    params, collections = shapes_of(recipe)
    opt_state = {n: jax.eval_shape(o.init, params[n]) for n, o in optimizers.items()}
    scalar = jax.ShapeDtypeStruct((), jnp.int32)
    state = TrainState(scalar, scalar, scalar, params, collections, {n: params[n] for n in optimizers}, opt_state)
    step = build_step(recipe, stage, 0, optimizers, Settings(0))
    parallel.trace_checked(step, state, raw_shapes(pairs=stage == 1))


# --- initial values ---------------------------------------------------------------------------------------------------


def test_released_start_draws_pytorchs_initial_values():
    rng = np.random.default_rng(0)
    leaf = lambda *shape: jnp.asarray(rng.random(shape, np.float32))  # noqa: E731
    conv, norm = {"kernel": leaf(3, 3, 8, 64), "bias": leaf(64)}, {"scale": leaf(8), "bias": leaf(8)}
    params = {
        "encoder": {
            "backbone": {"stem_conv": {"kernel": leaf(7, 7, 3, 64)}, "stem_norm": norm},
            "aspp": {"merge": conv},
        },
        "semantic": {"mix1": {"conv": conv, "norm": norm}},
    }
    drawn = released_start(jax.random.key(0), params, discriminator=False)
    assert jax.tree.structure(drawn) == jax.tree.structure(params)
    for drawn_norm in (drawn["encoder"]["backbone"]["stem_norm"], drawn["semantic"]["mix1"]["norm"]):
        jax.tree.map(np.testing.assert_array_equal, drawn_norm, norm)
    stem, merge = drawn["encoder"]["backbone"]["stem_conv"]["kernel"], drawn["encoder"]["aspp"]["merge"]
    np.testing.assert_allclose(np.std(stem), np.sqrt(2 / (49 * 64)), rtol=0.05)
    np.testing.assert_allclose(np.std(drawn["semantic"]["mix1"]["conv"]["kernel"]), np.sqrt(2 / (9 * 64)), rtol=0.05)
    for values in (*merge.values(), drawn["semantic"]["mix1"]["conv"]["bias"]):
        assert 0.85 / np.sqrt(72) < np.abs(values).max() <= 1 / np.sqrt(72)
    discriminator = released_start(jax.random.key(1), {"scale0": {"conv0": conv}}, discriminator=True)
    values = discriminator["scale0"]["conv0"]
    np.testing.assert_allclose(np.std(values["kernel"]), 0.02, rtol=0.05)
    assert not values["bias"].any()


@pytest.fixture
def drawn(config, monkeypatch):
    """A config whose networks start as zeros, without compilation."""
    return draw_zeros(config, monkeypatch)


def test_backbone_weights_are_read_from_a_torchvision_file(drawn, tmp_path):
    state_dict = fill_random(expected_shapes("resnet50", width="tiny"))
    path = tmp_path / "resnet50.pth"
    write_zip(path, state_dict)
    drawn.backbone_weights = str(path)
    recipe = Sgrrn(drawn)
    assert "resnet50 from resnet50.pth" in recipe.notes[0]
    params, collections = recipe.init(jax.random.key(0))
    backbone = params["generator"]["encoder"]["backbone"]
    kernel = np.asarray(state_dict["layer3.0.conv2.weight"]).transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(backbone["stage3_block0"]["conv2"]["kernel"], kernel)
    statistics = collections["generator"]["encoder"]["backbone"]
    np.testing.assert_array_equal(statistics["stem_norm"]["mean"], state_dict["bn1.running_mean"])
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(params["generator"]["separation"]))
    drawn.backbone = "resnet101"
    with pytest.raises(
        UserError, match=r"contains resnet50 .*; expected a resnet101 of width tiny: correct config\.back"
    ):
        Sgrrn(drawn).init(jax.random.key(0))
