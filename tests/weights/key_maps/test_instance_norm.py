"""Files of PyTorch before 0.4: running statistics of instance normalization, which no network uses."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.weights.convert import expected_shapes, to_torch
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.load_weights import load_weights
from sirr_jax.weights.model_file import load_model, save_model
from tests.helpers.published import fill_random
from tests.helpers.torch_files import write_legacy

# Network -> its instance normalizations, as the published modules number them.
LAYERS = {
    "rmnet/generator": [f"model_d_{level}.0.model.2" for level in (1, 2, 3, 4)]
    + [f"model_u_{level}_{layer}.0.model.2" for layer in ("back", "refl", "W") for level in (1, 2, 3, 4, "inner")],
    "rmnet/synnet": [f"model.{i}" for i in (2, 5, 8, 20, 23)]
    + [f"model.{i}.conv_block.{j}" for i in range(10, 19) for j in (2, 6)],
    "rmnet/synnet_discriminator": ["model.3", "model.6", "model.9"],
    "ibcln/discriminator": ["model.3", "model.6", "model.9"],
}


@pytest.mark.parametrize("network_id", LAYERS)
@pytest.mark.parametrize("counted", [False, True], ids=["0.3", "0.4"])
def test_statistics_are_passed_through_and_stated(tmp_path, network_id, counted):
    state_dict = fill_random(expected_shapes(network_id, width="tiny"))
    rng = np.random.default_rng(0)
    for layer in LAYERS[network_id]:
        state_dict |= {f"{layer}.{name}": rng.random(4).astype(np.float32) for name in ("running_mean", "running_var")}
        state_dict |= {f"{layer}.num_batches_tracked": np.array(7, np.int64)} if counted else {}
    path = write_legacy(tmp_path / "net.pth", {f"module.{key}": value for key, value in state_dict.items()})
    model = load_weights([path], network_id=network_id)
    count = len(LAYERS[network_id])
    assert f"{network_id}: running statistics of {count} normalization layers, which it does not" in model.description
    save_model(tmp_path / "model.safetensors", model)
    (network,) = load_model(tmp_path / "model.safetensors").networks.values()
    assert network.model_args == {"width": "tiny"}
    returned = to_torch(network_id, network.variables, width="tiny")
    assert returned.keys() == state_dict.keys()
    assert all(returned[key].tobytes() == value.tobytes() for key, value in state_dict.items())


def test_statistics_of_other_layers_are_unexpected(tmp_path):
    state_dict = fill_random(expected_shapes("rmnet/generator", width="tiny"))
    state_dict["model_d_0.0.model.1.running_mean"] = np.zeros(4, np.float32)
    with pytest.raises(ConversionError, match=r"1 unexpected: model_d_0\.0\.model\.1\.running_mean"):
        load_weights([write_legacy(tmp_path / "net.pth", state_dict)])
