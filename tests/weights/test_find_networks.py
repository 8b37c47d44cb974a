"""Networks and moving averages in checkpoints as training code saves them, and the parts that can be named."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from safetensors.numpy import save_file

from sirr_jax.weights.convert import expected_shapes, to_torch
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.load_weights import load_with_remarks
from tests.helpers.published import fill_random
from tests.helpers.torch_files import Built, Call, write_legacy, write_zip

GENERATOR, DISCRIMINATOR, NORMALIZED = "attentive_gan/generator", "attentive_gan/discriminator", "bisenet"
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
OPTIMIZER = {"state": {0: {"exp_avg": np.zeros(3, np.float32)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
OTHER = {"slice1.0.weight": np.ones((3, 3), np.float32), "slice1.0.bias": np.ones(3, np.float32)}


@functools.cache
def weights(seed, network_id=GENERATOR):
    return fill_random(expected_shapes(network_id, width="tiny"), seed)


LIVE, AVERAGE = weights(1), weights(2)


def count(value=7):
    return np.array(value, np.int64)


def under(prefix, state_dict):
    return {f"{prefix}.{key}": value for key, value in state_dict.items()}


def without_buffers(state_dict):
    return {key: value for key, value in state_dict.items() if not key.endswith(BUFFERS)}


def dotless(prefix, state_dict):
    return {f"{prefix}.{key.replace('.', '')}": value for key, value in state_dict.items()}


def converted(path, **options):
    """Returns the state dict of the converted network, the description and the remarks."""
    model, remarks = load_with_remarks([path], **options)
    (network,) = model.networks.values()
    return to_torch(network.id, network.variables, **network.model_args), model.description, remarks


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    assert all(actual[key].tobytes() == expected[key].tobytes() for key in expected)


# Checkpoint, and the name of the average in it.
AVERAGES = {
    "MMagic": (under("generator", LIVE) | under("generator_ema", AVERAGE) | {"step_counter": count()}, "generator_ema"),
    "timm": (
        {"state_dict": under("module", LIVE), "state_dict_ema": under("module", AVERAGE), "optimizer": OPTIMIZER},
        "state_dict_ema",
    ),
    "BasicSR": ({"params": LIVE, "params_ema": AVERAGE}, "params_ema"),
    "StyleGAN": ({"g": LIVE, "d": weights(3, DISCRIMINATOR), "g_ema": AVERAGE}, "g_ema"),
    "netG": ({"netG": LIVE, "netD": weights(3, DISCRIMINATOR), "netG_ema": AVERAGE}, "netG_ema"),
    "ema first": ({"ema": AVERAGE, "model": LIVE}, "ema"),
    "module": ({"model": LIVE, "ema": {"module": AVERAGE}}, "ema"),
    "ema_model": ({"ema_model": under("module", AVERAGE), "model": under("module", LIVE)}, "ema_model"),
    "lucidrains": (
        {"model": LIVE, "ema": under("online_model", LIVE) | under("ema_model", AVERAGE) | {"initted": count([1])}},
        "ema.ema_model",
    ),
    "lucidrains alone": (
        under("online_model", LIVE) | under("ema_model", AVERAGE) | {"initted": count([1]), "step": count([5])},
        "ema_model",
    ),
    "AveragedModel": (
        {"model": LIVE, "averaged": under("module", AVERAGE) | {"n_averaged": count()}},
        "averaged.module",
    ),
    "AveragedModel without a name": (
        {"model": LIVE, "best": under("module", AVERAGE) | {"n_averaged": count()}},
        "best.module",
    ),
    "shadow": ({"model": LIVE, "ema": {"decay": 0.9, "shadow": AVERAGE, "backup": LIVE}}, "ema.shadow"),
    "torch-ema": (
        {"model": LIVE, "ema": {"decay": 0.9, "shadow_params": list(AVERAGE.values()), "collected_params": None}},
        "ema.shadow_params",
    ),
    "numbered": ({"model": LIVE, "ema": {"weights": dict(enumerate(AVERAGE.values()))}}, "ema.weights"),
    "LitEma": (
        {"state_dict": under("model", LIVE) | dotless("model_ema", AVERAGE) | {"model_ema.decay": count()}},
        "state_dict.model_ema",
    ),
    "Lightning callback": (
        {"state_dict": under("net_g", LIVE) | under("vgg", OTHER), "callbacks": {"EMACallback": {"weights": AVERAGE}}},
        "callbacks.EMACallback",
    ),
    "Lightning callback, a list": (
        {
            "state_dict": under("net_g", LIVE) | under("vgg", OTHER),
            "callbacks": {"EMA": {"ema_weights": list(AVERAGE.values())}},
        },
        "callbacks.EMA.ema_weights",
    ),
    "MMEngine, exchanged": (
        {
            "state_dict": AVERAGE,
            "ema_state_dict": under("module", LIVE) | {"steps": count()},
            "message_hub": {},
            "meta": {"mmengine_version": "0.10"},
        },
        "state_dict",
    ),
    "Lightning 2.6, exchanged": (
        {"state_dict": AVERAGE, "current_model_state": LIVE, "averaging_state": {"n_averaged": count()}},
        "state_dict",
    ),
    "several networks": (
        {
            "ema": {"generator": AVERAGE, "discriminator": weights(4, DISCRIMINATOR)},
            "net": {"generator": LIVE, "discriminator": weights(3, DISCRIMINATOR)},
        },
        "ema.generator",
    ),
    "live without a name": (LIVE | under("ema", AVERAGE), "ema"),
    "deep": ({"checkpoint": {"model": {"net": LIVE, "modelEMA": AVERAGE}}}, "checkpoint.model.modelEMA"),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_the_moving_average_is_read_and_named(tmp_path, name):
    tree, average = AVERAGES[name]
    state_dict, description, remarks = converted(write_zip(tmp_path / "m.ckpt", tree))
    assert_same(state_dict, AVERAGE)
    assert f"weights: the moving average {average}" in description
    assert "also in the file, not converted:" in remarks[0]
    state_dict, description, _ = converted(tmp_path / "m.ckpt", part="live")
    if "exchanged" not in name and name != "shadow":
        assert_same(state_dict, LIVE)
        assert "weights: the live ones" in description


@pytest.mark.parametrize("name", ["MMagic", "live without a name", "lucidrains alone", "LitEma"])
def test_averages_in_safetensors_and_legacy_files(tmp_path, name):
    tree, average = AVERAGES[name]
    save_file(tree.get("state_dict", tree), tmp_path / "m.safetensors")
    for path in (tmp_path / "m.safetensors", write_legacy(tmp_path / "m.pth", tree)):
        state_dict, description, _ = converted(path)
        assert_same(state_dict, AVERAGE)
        assert f"the moving average {average.removeprefix('state_dict.') if path.suffix != '.pth' else average}" in (
            description
        )


def test_an_average_of_the_parameters_is_completed_by_live_buffers(tmp_path):
    live, average = weights(1, NORMALIZED), without_buffers(weights(2, NORMALIZED))
    for tree in (
        {"model": live, "model_ema": average},
        under("model", live) | under("model_ema.module", average),
        {"model": live, "ema": {"shadow_params": list(average.values())}},
    ):
        path = write_zip(tmp_path / "m.pth", tree)
        state_dict, description, _ = converted(path)
        assert_same(state_dict, live | average)
        lacking = sum(key.endswith(BUFFERS) for key in live)
        assert f"lacks {lacking} of {len(live)} arrays (cp.resnet.bn1.running_mean, " in description
    path = write_zip(tmp_path / "part.pth", {"model": live, "model_ema": average})
    assert_same(converted(path, part="model_ema")[0], live | average)
    assert_same(converted(path, part="model")[0], live)


@pytest.mark.parametrize(
    ("name", "part", "expected"),
    [
        ("MMagic", "generator", LIVE),
        ("MMagic", "generator_ema", AVERAGE),
        ("timm", "state_dict", LIVE),
        ("timm", "state_dict_ema", AVERAGE),
        ("LitEma", "model", LIVE),
        ("LitEma", "state_dict", AVERAGE),
        ("several networks", "net/generator", LIVE),
        ("several networks", "generator", LIVE),
        ("several networks", "ema.generator", AVERAGE),
        ("StyleGAN", "d", weights(3, DISCRIMINATOR)),
    ],
)
def test_a_name_chooses(tmp_path, name, part, expected):
    assert_same(converted(write_zip(tmp_path / "m.pth", AVERAGES[name][0]), part=part)[0], expected)


@pytest.mark.parametrize(
    ("ema", "text"),
    [
        (OTHER, "a moving average (model_ema, 2 tensors), which fits no network in the file, is ignored"),
        ([np.zeros(3, np.float32)], "a moving average without names (model_ema, 1 tensors), which does not fit, is ig"),
        (Built(Call("__main__", "Net", ()), {"a": LIVE}), "which is a pickled object of the class __main__.Net, is ig"),
    ],
    ids=["other", "list", "pickled"],
)
def test_an_average_that_cannot_be_read_is_named(tmp_path, ema, text):
    state_dict, description, _ = converted(write_zip(tmp_path / "m.pth", {"model": LIVE, "model_ema": ema}))
    assert_same(state_dict, LIVE)
    assert text in description


def test_the_known_network_of_a_lightning_file_is_read_and_the_rest_named(tmp_path):
    namespace = Built(Call("argparse", "Namespace", ()), {"lr": 0.1, "nested": Call("omegaconf", "DictConfig", ({},))})
    tree = {
        "epoch": 3,
        "state_dict": under("net_g", LIVE) | under("net_d", weights(3, DISCRIMINATOR)) | under("vgg", OTHER),
        "hyper_parameters": namespace,
        "optimizer_states": [OPTIMIZER],
    }
    path = write_zip(tmp_path / "m.ckpt", tree)
    state_dict, description, (remark,) = converted(path)
    assert_same(state_dict, LIVE)
    assert "moving average" not in description
    for text in (
        "state_dict.net_d: attentive_gan/discriminator (22 tensors)",
        "state_dict.vgg (2 tensors)",
        "hyper_parameters (pickled argparse.Namespace)",
        "epoch",
    ):
        assert text in remark
    assert_same(converted(path, part="net_d")[0], weights(3, DISCRIMINATOR))
    with pytest.raises(ConversionError, match=r"m\.ckpt: the file has no part 'net_x'; it has state_dict"):
        converted(path, part="net_x")


def test_modules_and_counters_beside_the_network_are_left_out(tmp_path):
    path = write_zip(tmp_path / "m.pth", LIVE | under("loss_vgg", OTHER) | {"step": count()})
    state_dict, _, (remark,) = converted(path)
    assert_same(state_dict, LIVE)
    assert "loss_vgg (2 tensors)" in remark
    assert "step" in remark


def test_parts_in_dictionaries_of_one_file_are_joined(tmp_path):
    whole = weights(1, "ibcln/cascade")
    tree = {part: {k[4:]: x for k, x in whole.items() if k.startswith(part)} for part in ("G_T", "G_R")}
    assert_same(converted(write_zip(tmp_path / "both.pth", tree))[0], whole)


def test_a_backbone_inside_a_damaged_network_is_not_taken_for_the_network(tmp_path):
    broken = dict(weights(1, "sgrrn/generator"))
    del broken["decoder_sep.pyramid_block.bottleneck.bias"]
    with pytest.raises(ConversionError, match=r"nearest: sgrrn/generator \(1 missing"):
        converted(write_zip(tmp_path / "m.pth", broken))
