"""`sirr convert`: output, files and errors."""

from __future__ import annotations

import builtins
import hashlib

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from sirr_jax.cli.main import main
from sirr_jax.weights.convert import expected_shapes, to_torch
from sirr_jax.weights.model_file import load_model
from tests.helpers.published import fill_random
from tests.helpers.torch_files import Call, write_legacy, write_zip

GENERATOR = "attentive_gan/generator"


def weights(network_id=GENERATOR, **model_args):
    return fill_random(expected_shapes(network_id, **({"width": "tiny"} | model_args)))


@pytest.fixture
def source(tmp_path):
    options = {"python2": True, "location": "cuda:0", "rebuild": "_rebuild_tensor"}
    return write_legacy(tmp_path / "gen.pkl", weights(), **options)


def convert(*arguments):
    return main(["convert", *map(str, arguments)])


def test_published_weights_convert_to_a_model_for_remove(source, tmp_path, capsys):
    target = tmp_path / "new" / "model.safetensors"
    assert convert(source, target) == 0
    printed = capsys.readouterr().out
    assert f"{GENERATOR}: params/" in printed
    for line in (
        f"network      {GENERATOR} width=tiny",
        "tensors      70",
        "dtype        float32",
        "license      none stated",
        "description  converted from gen.pkl; by rui1996/DeRaindrop",
        f"sha256       {hashlib.sha256(target.read_bytes()).hexdigest()}",
        f"written      {target}",
    ):
        assert f"  {line}" in printed
    model = load_model(target)
    assert (model.recipe, list(model.networks)) == ("attentive_gan", ["generator"])
    returned = to_torch(GENERATOR, model.networks["generator"].variables, width="tiny")
    assert all(returned[key].tobytes() == value.tobytes() for key, value in weights().items())
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (17, 30, 3), np.uint8)).save(tmp_path / "photo.png")
    assert main(["remove", str(tmp_path / "photo.png"), "--model", str(target)]) == 0
    with Image.open(tmp_path / "photo.restored.png") as restored:
        assert restored.size == (30, 17)


def test_model_converts_back_to_torch_weights(source, tmp_path):
    model, plain = tmp_path / "model.safetensors", tmp_path / "plain.safetensors"
    assert convert(source, model) == 0
    assert convert(model, plain, "--layout", "torch") == 0
    state_dict = load_file(plain)
    assert state_dict.keys() == weights().keys()
    assert all(state_dict[key].tobytes() == value.tobytes() for key, value in weights().items())
    again = tmp_path / "again.safetensors"
    assert convert(plain, again) == 0
    assert load_file(again).keys() == load_file(model).keys()


def test_ibcln_cascade_converts_from_and_to_two_files(tmp_path):
    whole = weights("ibcln/cascade")
    for part in ("G_T", "G_R"):
        sd = {key.removeprefix(f"{part}."): value for key, value in whole.items() if key.startswith(part)}
        write_zip(tmp_path / f"final_net_{part}.pth", sd)
    sources = [tmp_path / "final_net_G_R.pth", tmp_path / "final_net_G_T.pth"]
    assert convert(*sources, tmp_path / "ibcln.safetensors") == 0
    assert convert(tmp_path / "ibcln.safetensors", tmp_path / "out.safetensors", "--layout", "torch") == 0
    for part in ("G_T", "G_R"):
        state_dict = load_file(tmp_path / f"out_{part}.safetensors")
        assert all(state_dict[key].tobytes() == whole[f"{part}.{key}"].tobytes() for key in state_dict)
        assert len(state_dict) == len(whole) // 2
    before = (tmp_path / "out_G_T.safetensors").read_bytes()
    (tmp_path / "out_G_R.safetensors").unlink()
    assert convert(tmp_path / "ibcln.safetensors", tmp_path / "out.safetensors", "--layout", "torch") == 2
    assert (tmp_path / "out_G_T.safetensors").read_bytes() == before
    assert not (tmp_path / "out_G_R.safetensors").exists()


def test_part_selects_one_of_several_state_dicts(tmp_path, capsys):
    sd = weights("sgrrn/discriminator")
    write_zip(tmp_path / "dis_148.pt", {"bg": sd, "rf": {key: value + 1 for key, value in sd.items()}})
    assert convert(tmp_path / "dis_148.pt", tmp_path / "d.safetensors") == 2
    assert "contains several state dicts: bg, rf; name one of them (--part bg)" in capsys.readouterr().err
    assert convert(tmp_path / "dis_148.pt", tmp_path / "d.safetensors", "--part", "rf") == 0
    assert "network      sgrrn/discriminator" in capsys.readouterr().out


def test_moving_averages_and_other_contents_are_printed(tmp_path, capsys):
    live, average = weights(), {key: value + 1 for key, value in weights().items()}
    tree = {f"generator.{key}": value for key, value in live.items()}
    tree |= {f"generator_ema.{key}": value for key, value in average.items()} | {"step_counter": np.array(3, np.int64)}
    source, target = write_zip(tmp_path / "run.ckpt", tree), tmp_path / "m.safetensors"
    assert convert(source, target) == 0
    printed = capsys.readouterr().out
    assert "weights: the moving average generator_ema, not the live ones (generator)" in printed
    assert (
        "note         also in the file, not converted: generator: attentive_gan/generator (70 tensors), step" in printed
    )
    assert load_model(target).description in printed
    for part, expected in ((None, average), ("generator", live), ("live", live)):
        assert convert(source, target, "--force", *(("--part", part) if part else ())) == 0
        returned = to_torch(GENERATOR, load_model(target).networks["generator"].variables, width="tiny")
        assert all(returned[key].tobytes() == value.tobytes() for key, value in expected.items())


def test_what_another_layout_cannot_contain_is_printed(tmp_path, capsys):
    source = write_zip(tmp_path / "g.pth", weights("edge_gan/generator"))
    target = tmp_path / "plain.safetensors"
    assert convert(source, target, "--layout", "torch", "--model-arg", "aux_scale=0.5") == 0
    assert "note         DST does not contain aux_scale=0.5; give --model-arg aux_scale=0.5" in capsys.readouterr().out


def test_network_flag_resolves_ambiguous_weights(tmp_path, capsys):
    write_zip(tmp_path / "d.pth", weights("ibcln/discriminator"))
    assert convert(tmp_path / "d.pth", tmp_path / "d.safetensors") == 2
    assert "fit several networks" in capsys.readouterr().err
    assert convert(tmp_path / "d.pth", tmp_path / "d.safetensors", "--network", "ibcln/discriminator") == 0
    assert load_model(tmp_path / "d.safetensors").networks["discriminator"].id == "ibcln/discriminator"


def write_bad_files(tmp_path):
    """Writes files that cannot be converted; returns name -> part of the message."""
    sd = weights()
    write_zip(tmp_path / "missing.pth", {key: value for key, value in sd.items() if key != "conv5.0.bias"})
    write_zip(tmp_path / "extra.pth", sd | {"more": np.zeros(2, np.float32)})
    write_zip(tmp_path / "turned.pth", sd | {"conv5.0.weight": sd["conv5.0.weight"].transpose(2, 3, 1, 0)})
    write_zip(tmp_path / "evil.pth", {"a": Call("os", "system", (f"touch {tmp_path / 'executed'}",))})
    whole = write_zip(tmp_path / "whole.pth", sd).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html>Quota exceeded</html>")
    (tmp_path / "pointer.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n")
    (tmp_path / "huge.safetensors").write_bytes((1 << 62).to_bytes(8, "little") + b"{" + bytes(20))
    write_zip(tmp_path / "optimizer.pt", {"state": {0: {"exp_avg": np.zeros(2, np.float32)}}, "param_groups": []})
    save_file({"x": np.zeros(2, np.float32)}, tmp_path / "other.safetensors")
    return {
        "missing.pth": "nearest: attentive_gan/generator (1 missing: conv5.0.bias)",
        "extra.pth": "1 unexpected: more",
        "turned.pth": "attentive_gan/generator (same keys, other shapes)",
        "evil.pth": "asks for os.system",
        "cut.pth": "truncated or damaged zip archive",
        "page.pth": "is a web page, not weights",
        "pointer.pth": "git lfs pull",
        "huge.safetensors": "its header claims 4611686018427387904 bytes",
        "optimizer.pt": "the state of an optimizer",
        "other.safetensors": "no known network has these 1 weights",
        "none.pth": "no file at",
    }


def test_bad_files_get_one_line_exit_code_2_and_no_output(tmp_path, capsys):
    for name, message in write_bad_files(tmp_path).items():
        before = sorted(path.name for path in tmp_path.iterdir())
        assert convert(tmp_path / name, tmp_path / "out.safetensors") == 2, name
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith("sirr convert: ")
        assert name in error
        assert message in error
        assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_network_flag_lists_all_mismatches(tmp_path, capsys):
    write_bad_files(tmp_path)
    assert convert(tmp_path / "turned.pth", tmp_path / "out.safetensors", "--network", GENERATOR) == 2
    error = capsys.readouterr().err
    expected = (
        "turned.pth: the weights do not fit attentive_gan/generator; 1 of wrong shape: conv5.0.weight is 3x3x16x16"
    )
    assert expected in error
    assert convert(tmp_path / "whole.pth", tmp_path / "out.safetensors", "--network", "bdn/generator") == 2
    assert "missing: model1.model.model.0.weight" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gen.pkl", "model.onnx"], "DST is model.onnx; give a name that ends in .safetensors, .pth or .h5"),
        (["gen.pkl", "gen.pkl"], "gen.pkl exists; choose another name or add --force"),
        (["gen.pkl", "m.safetensors", "--network", "attentive"], "no network is called 'attentive'"),
        (["gen.pkl", "m.safetensors", "--model-arg", "width"], "--model-arg width has no value; write NAME=VALUE"),
        (
            ["gen.pkl", "m.safetensors", "--model-arg", "color=red"],
            "attentive_gan/generator has no argument 'color'",
        ),
        (["gen.pkl", "m.pth", "--layout", "flax"], "--layout flax writes .safetensors files; DST is m.pth"),
        (["gen.pkl", "m.h5", "--layout", "torch"], "--layout torch writes .safetensors or .pth files; DST is m.h5"),
        (["gen.pkl", "m.h5"], "edge_gan"),
        (["--hyper", "width=3"], "unrecognized arguments: --hyper; did you mean --model-arg?"),
        (["gen.pkl", "m.h5", "--hyper=width=3"], "unrecognized arguments: --hyper; did you mean --model-arg?"),
        (["gen.pkl"], "the following arguments are required: DST; see sirr convert --help"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(arguments, message, source, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert convert(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["gen.pkl"]


def test_existing_files_are_replaced_with_force_only(source, tmp_path, capsys):
    target = tmp_path / "model.safetensors"
    target.write_bytes(b"precious")
    assert convert(source, target) == 2
    assert "exists; choose another name or add --force" in capsys.readouterr().err
    assert target.read_bytes() == b"precious"
    assert convert(source, target, "--force") == 0
    assert load_model(target).networks


def test_pth_output_without_torch_is_an_error(source, tmp_path, capsys, monkeypatch):
    real = builtins.__import__

    def without_torch(name, *rest, **more):
        if name == "torch":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    assert convert(source, tmp_path / "model.pth") == 2
    assert "writing model.pth needs PyTorch: pip install 'sirr_jax[torch]'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["gen.pkl"]
