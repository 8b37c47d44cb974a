"""Data goes to the standard output, progress and messages to the standard error."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sirr_jax

PACKAGE = Path(sirr_jax.__file__).parent
FILES = sorted([*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "scripts").glob("*.py")])


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if "Progress(" in path.read_text()],
    ids=lambda path: path.relative_to(PACKAGE.parent).as_posix(),
)
def test_progress_bars_are_drawn_on_the_standard_error(path):
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Progress"
    ]
    assert calls
    for call in calls:
        assert [keyword.arg for keyword in call.keywords if keyword.arg == "console"]
    consoles = [node for node in ast.walk(ast.parse(path.read_text())) if _is_console(node)]
    assert [ast.unparse(node) for node in consoles] == ["Console(stderr=True)"]


def _is_console(node):
    return isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Console"
