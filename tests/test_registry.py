"""Registries: entries found in the modules of rooms, of this package and of others."""

from __future__ import annotations

import sys

import pytest

from sirr_jax import registry
from sirr_jax.errors import UserError
from sirr_jax.registry import Registry, find_module


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    """Two packages with a room `things`."""
    files = {
        "one_house/things/pear.py": "from one_house import THINGS as t\nt.add('pear/red', 1)\nt.add('pear/green', 2)\n",
        "one_house/things/deep/apple.py": "from one_house import THINGS\nTHINGS.add('apple', 3)\n",
        "two_house/things/fig.py": "from one_house import THINGS\nTHINGS.add('fig', 4)\n",
        "one_house/__init__.py": "from sirr_jax.registry import Registry\nTHINGS = Registry('thing', 'things')\n",
        "empty_house/__init__.py": "",
    }
    for name, code in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "packages", lambda: ("one_house", "two_house", "empty_house"))
    import one_house

    yield one_house.THINGS
    for name in [name for name in sys.modules if name.split(".")[0].endswith("_house")]:
        del sys.modules[name]


def test_an_entry_is_found_by_importing_its_module_alone(rooms):
    assert rooms.find("pear/red") == 1
    assert "one_house.things.deep.apple" not in sys.modules
    assert rooms.below("fig") == {}
    assert rooms.below("pear") == {"pear/green": 2, "pear/red": 1}


def test_entries_are_found_in_all_packages_and_below(rooms):
    assert rooms.find("apple") == 3  # in a file of another name
    assert rooms.names() == ("apple", "fig", "pear/green", "pear/red")
    assert dict(rooms.items())["fig"] == 4
    assert "fig" in rooms
    assert "plum" not in rooms


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pear/rad", "no thing is called 'pear/rad'; did you mean 'pear/red'"),
        ("zzz", "no thing is called 'zzz'; known names: apple, fig, pear/green, pear/red"),
        ("../evil", "no thing is called"),
        ("", "no thing is called ''"),
    ],
)
def test_unknown_names_are_refused(rooms, name, message):
    with pytest.raises(UserError, match=message):
        rooms.find(name)


def test_a_name_is_registered_once():
    things = Registry("thing", "nowhere")
    things.register("a")(len)
    with pytest.raises(ValueError, match="there is another thing 'a'"):
        things.add("a", print)
    assert things.find("a") is len


def test_modules_are_found_by_room(rooms):
    assert find_module("things", "fig") == "two_house.things.fig"
    assert find_module("things", "plum") is None
    assert find_module("other.room", "fig") is None


def test_this_packages_rooms_come_first():
    assert registry.packages()[0] == "sirr_jax"
