"""Files and folders that appear when they are complete."""

from __future__ import annotations

import os

import pytest

from sirr_jax.errors import UserError
from sirr_jax.temporary_paths import new_file, new_folder


def write(path, text):
    with new_folder(path) as partial:
        (partial / "a").write_text(text)


def write_file_late(path):
    with new_file(path, overwrite=False) as late:
        late.write_text("second")
        path.write_text("first")


def test_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "set"
    with new_folder(path) as partial:
        (partial / "a").write_text("1")
        assert not path.exists()
    assert [file.name for file in path.iterdir()] == ["a"]
    assert [file.name for file in path.parent.iterdir()] == ["set"]


def test_failure_removes_what_was_made_and_nothing_else(tmp_path):
    for name in ("set.partial", "set.0123abcd.partial"):  # of the user, or of another program
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").touch()

    def interrupted():
        with new_folder(tmp_path / "set") as partial:
            (partial / "a").touch()
            raise KeyboardInterrupt

    def failed():
        with new_file(tmp_path / "model", overwrite=False) as partial:
            partial.touch()
            raise ZeroDivisionError

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(ZeroDivisionError):
        failed()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.0123abcd.partial", "set.partial"]
    assert sum(len(list(path.iterdir())) for path in tmp_path.iterdir()) == 2


def test_second_of_two_writers_gets_a_line_and_destroys_nothing(tmp_path):
    path = tmp_path / "set"

    def write_late():
        with new_folder(path) as late:
            write(path, "first")
            (late / "a").write_text("second")

    with pytest.raises(UserError, match="set was made by another program in the meantime"):
        write_late()
    assert (path / "a").read_text() == "first"
    with pytest.raises(UserError, match="in the meantime"):
        write_file_late(tmp_path / "model")
    assert (tmp_path / "model").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "set"]


def test_existing_names_are_refused_at_the_start(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("link", "."):
        with pytest.raises(UserError, match="exists; choose another name"), new_folder(tmp_path / name):
            pytest.fail("the body must not run")
        with pytest.raises(UserError, match="exists; choose another name"), new_file(tmp_path / name, overwrite=False):
            pytest.fail("the body must not run")


def test_file_is_replaced_when_asked_to(tmp_path):
    path = tmp_path / "model"
    path.write_text("old")
    with new_file(path, overwrite=True) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_file_systems_without_hard_links(tmp_path, monkeypatch):
    def refuse(*names):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "model"
    with new_file(path, overwrite=False) as partial:
        partial.write_text("new")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    with pytest.raises(UserError, match="in the meantime"):
        write_file_late(tmp_path / "b")
    assert (tmp_path / "b").read_text() == "first"


@pytest.mark.parametrize("name", ["x" * 255, "\u00e4" * 127])
def test_longest_names(tmp_path, name):
    with new_file(tmp_path / name, overwrite=False) as partial:
        partial.touch()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_modes_follow_the_umask(tmp_path):
    mask = os.umask(0o022)
    try:
        write(tmp_path / "set", "1")
    finally:
        os.umask(mask)
    assert (tmp_path / "set").stat().st_mode & 0o777 == 0o755
