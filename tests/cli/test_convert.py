"""`sirr convert`: what it prints, writes, refuses."""

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


def test_a_published_file_becomes_a_model_that_restores(source, tmp_path, capsys):
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


def test_a_model_becomes_torch_weights_again(source, tmp_path):
    model, plain = tmp_path / "model.safetensors", tmp_path / "plain.safetensors"
    assert convert(source, model) == 0
    assert convert(model, plain, "--layout", "torch") == 0
    found = load_file(plain)
    assert found.keys() == weights().keys()
    assert all(found[key].tobytes() == value.tobytes() for key, value in weights().items())
    again = tmp_path / "again.safetensors"
    assert convert(plain, again) == 0
    assert load_file(again).keys() == load_file(model).keys()


def test_networks_in_two_files_come_and_go_together(tmp_path):
    whole = weights("ibcln/cascade")
    for part in ("G_T", "G_R"):
        sd = {key.removeprefix(f"{part}."): value for key, value in whole.items() if key.startswith(part)}
        write_zip(tmp_path / f"final_net_{part}.pth", sd)
    sources = [tmp_path / "final_net_G_R.pth", tmp_path / "final_net_G_T.pth"]
    assert convert(*sources, tmp_path / "ibcln.safetensors") == 0
    assert convert(tmp_path / "ibcln.safetensors", tmp_path / "out.safetensors", "--layout", "torch") == 0
    for part in ("G_T", "G_R"):
        found = load_file(tmp_path / f"out_{part}.safetensors")
        assert all(found[key].tobytes() == whole[f"{part}.{key}"].tobytes() for key in found)
        assert len(found) == len(whole) // 2
    before = (tmp_path / "out_G_T.safetensors").read_bytes()
    (tmp_path / "out_G_R.safetensors").unlink()
    assert convert(tmp_path / "ibcln.safetensors", tmp_path / "out.safetensors", "--layout", "torch") == 2
    assert (tmp_path / "out_G_T.safetensors").read_bytes() == before
    assert not (tmp_path / "out_G_R.safetensors").exists()


def test_one_of_several_state_dicts_is_chosen_by_name(tmp_path, capsys):
    sd = weights("sgrrn/discriminator")
    write_zip(tmp_path / "dis_148.pt", {"bg": sd, "rf": {key: value + 1 for key, value in sd.items()}})
    assert convert(tmp_path / "dis_148.pt", tmp_path / "d.safetensors") == 2
    assert "holds several state dicts: bg, rf; name the one that you mean (--part bg)" in capsys.readouterr().err
    assert convert(tmp_path / "dis_148.pt", tmp_path / "d.safetensors", "--part", "rf") == 0
    assert "network      sgrrn/discriminator" in capsys.readouterr().out


def test_the_name_of_a_network_decides_between_twins(tmp_path, capsys):
    write_zip(tmp_path / "d.pth", weights("ibcln/discriminator"))
    assert convert(tmp_path / "d.pth", tmp_path / "d.safetensors") == 2
    assert "fit several networks" in capsys.readouterr().err
    assert convert(tmp_path / "d.pth", tmp_path / "d.safetensors", "--network", "ibcln/discriminator") == 0
    assert load_model(tmp_path / "d.safetensors").networks["discriminator"].id == "ibcln/discriminator"


def wrong(tmp_path):
    """Files that cannot be converted: name -> a part of what is said."""
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
        "missing.pth": "nearest: attentive_gan/generator (they lack 1: conv5.0.bias)",
        "extra.pth": "they have besides 1: more",
        "turned.pth": "attentive_gan/generator (the same keys with other shapes)",
        "evil.pth": "asks for os.system",
        "cut.pth": "truncated or damaged zip archive",
        "page.pth": "is a web page, not weights",
        "pointer.pth": "git lfs pull",
        "huge.safetensors": "its header claims 4611686018427387904 bytes",
        "optimizer.pt": "an optimizer's state",
        "other.safetensors": "no known network has these 1 weights",
        "none.pth": "no file at",
    }


def test_bad_files_get_one_line_exit_code_2_and_no_output(tmp_path, capsys):
    for name, message in wrong(tmp_path).items():
        before = sorted(path.name for path in tmp_path.iterdir())
        assert convert(tmp_path / name, tmp_path / "out.safetensors") == 2, name
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith("sirr convert: ")
        assert name in error
        assert message in error
        assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_named_network_lists_all_that_is_wrong(tmp_path, capsys):
    wrong(tmp_path)
    assert convert(tmp_path / "turned.pth", tmp_path / "out.safetensors", "--network", GENERATOR) == 2
    error = capsys.readouterr().err
    assert (
        "turned.pth: the weights do not fit attentive_gan/generator; 1 mis-shaped: conv5.0.weight is 3x3x16x16" in error
    )
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
            "no argument of attentive_gan/generator is called 'color'",
        ),
        (["gen.pkl", "m.pth", "--layout", "flax"], "--layout flax writes models"),
        (["gen.pkl", "m.h5", "--layout", "torch"], "--layout torch writes .safetensors or .pth files; DST is m.h5"),
        (["gen.pkl", "m.h5"], "edge_gan"),
    ],
)
def test_mistakes_are_answered_in_one_line(arguments, message, source, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert convert(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["gen.pkl"]


def test_existing_files_are_replaced_on_request_only(source, tmp_path, capsys):
    target = tmp_path / "model.safetensors"
    target.write_bytes(b"precious")
    assert convert(source, target) == 2
    assert "exists; choose another name or add --force" in capsys.readouterr().err
    assert target.read_bytes() == b"precious"
    assert convert(source, target, "--force") == 0
    assert load_model(target).networks


def test_pth_files_need_torch_and_say_so(source, tmp_path, capsys, monkeypatch):
    real = builtins.__import__

    def without_torch(name, *rest):
        if name == "torch":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    assert convert(source, tmp_path / "model.pth") == 2
    assert "writing model.pth needs PyTorch: pip install 'sirr_jax[torch]'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["gen.pkl"]
