"""Reading of files that PyTorch wrote, and PyTorch's reading of files written here."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.cli.main import main
from sirr_jax.weights.convert import as_numpy, expected_shapes, from_torch, to_torch
from sirr_jax.weights.readers.torch_file import read_torch
from sirr_jax.weights.torch_writer import write_torch
from tests.helpers import published

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
ID = "sgrrn/discriminator"


def tensors():
    base = torch.arange(24.0).reshape(4, 6)
    return {
        "plain": base.clone(),
        "transposed": base.t(),
        "sliced": base[1:3, ::2],
        "shared": base,
        "expanded": torch.ones(1).expand(5, 3),
        "empty": torch.zeros(0, 3),
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "double": base.double(),
        "count": torch.tensor(3),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(base.clone()),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_tensors_saved_by_torch_are_read(zipped, tmp_path):
    saved = tensors()
    torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    actual = read_torch(tmp_path / "a.pth")
    assert list(actual) == list(saved)
    for key, value in saved.items():
        assert actual[key].dtype.name == str(value.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(actual[key].astype(np.float64), value.detach().double().numpy())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_checkpoint_with_optimizer_state(zipped, tmp_path):
    model = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 1, 4, 4)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "best": np.float64(1.5),
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(checkpoint, tmp_path / "a.pth.tar", _use_new_zipfile_serialization=zipped)
    actual = read_torch(tmp_path / "a.pth.tar")
    assert list(actual) == list(model.module.state_dict())
    torch.save(optimizer.state_dict(), tmp_path / "o.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match="the state of an optimizer"):
        read_torch(tmp_path / "o.pth")
    torch.save(model, tmp_path / "m.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"whole pickled object of the class torch\.nn\.parallel\.data_parallel"):
        read_torch(tmp_path / "m.pth")


def test_tensors_are_accepted_as_arrays():
    state_dict = published.fill_random(expected_shapes(ID, width="tiny"))
    as_tensors = {key: torch.from_numpy(value).requires_grad_() for key, value in state_dict.items()}
    returned = to_torch(ID, from_torch(ID, as_tensors, width="tiny"), width="tiny")
    assert all(returned[key].tobytes() == value.tobytes() for key, value in state_dict.items())
    assert as_numpy(torch.ones(2, dtype=torch.bfloat16)).dtype.name == "bfloat16"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_torch_loads_written_files(dtype, tmp_path):
    state_dict = {
        "a": np.arange(6, dtype=np.float32)
        .reshape(2, 3)
        .astype(as_numpy(torch.ones(1, dtype=getattr(torch, dtype))).dtype)
    }
    write_torch(tmp_path / "a.pth", state_dict)
    loaded = torch.load(tmp_path / "a.pth", weights_only=True)
    assert loaded["a"].dtype == getattr(torch, dtype)
    np.testing.assert_array_equal(loaded["a"].float(), np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(read_torch(tmp_path / "a.pth")["a"].astype(np.float32), np.arange(6).reshape(2, 3))


def test_convert_command_writes_files_that_torch_loads(tmp_path):
    state_dict = published.fill_random(expected_shapes("attentive_gan/generator", width="tiny"))
    torch.save({key: torch.from_numpy(value) for key, value in state_dict.items()}, tmp_path / "gen.pkl")
    assert main(["convert", str(tmp_path / "gen.pkl"), str(tmp_path / "gen.safetensors")]) == 0
    assert main(["convert", str(tmp_path / "gen.safetensors"), str(tmp_path / "gen.pth")]) == 0
    loaded = torch.load(tmp_path / "gen.pth", weights_only=True)
    assert list(loaded) == list(state_dict)
    assert all(loaded[key].numpy().tobytes() == value.tobytes() for key, value in state_dict.items())
