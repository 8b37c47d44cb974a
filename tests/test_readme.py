"""What the README says of the networks is what the registry says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sirr_jax.models import list_networks

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("model_table", ROOT / "scripts" / "model_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(script):
    text = script.README.read_text().split(script.BEGIN)[1].split(script.END)[0]
    return {line.split("`")[1]: line for line in text.splitlines()[2:]}


def test_the_table_lists_every_network(rows, script):
    assert tuple(rows) == list_networks()


@pytest.mark.parametrize("network_id", list_networks())
def test_the_table_is_generated(rows, script, network_id):
    assert rows[network_id] == script.row(network_id)
