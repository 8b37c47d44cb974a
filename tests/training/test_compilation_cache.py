"""The compilation cache: where it is, when it is off, and that a second start uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from sirr_jax.training.compilation_cache import turn_on_cache

NAMES = ("jax_compilation_cache_dir", "jax_enable_compilation_cache")


@pytest.fixture(autouse=True)
def _settings(monkeypatch):
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME", "XLA_FLAGS"):
        monkeypatch.delenv(name, raising=False)
    before = {name: getattr(jax.config, name) for name in NAMES}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def folder_of(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "sirr_jax" / "xla"


def assert_off(caplog, message):
    before = jax.config.jax_compilation_cache_dir
    assert turn_on_cache() is None
    assert jax.config.jax_compilation_cache_dir == before
    (record,) = caplog.records
    assert message in record.getMessage()


def test_folder_is_made_for_the_user_alone(tmp_path, monkeypatch, caplog):
    expected = folder_of(tmp_path, monkeypatch)
    mask = os.umask(0)
    try:
        assert turn_on_cache() == expected
    finally:
        os.umask(mask)
    assert [path.stat().st_mode & 0o777 for path in (expected, expected.parent)] == [0o700, 0o700]
    assert jax.config.jax_compilation_cache_dir == str(expected)
    assert turn_on_cache() == expected
    assert not caplog.records


@pytest.mark.parametrize("cache", ["", "relative/folder"])
def test_invalid_xdg_cache_home_is_ignored(tmp_path, monkeypatch, cache):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    assert turn_on_cache() == tmp_path / ".cache" / "sirr_jax" / "xla"


def test_no_home(monkeypatch, caplog):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert_off(caplog, "no compilation cache (Could not determine home directory.)")


def test_home_that_is_no_folder(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert_off(caplog, "Not a directory); JAX_COMPILATION_CACHE_DIR=FOLDER sets another folder")


def test_folder_that_is_not_writable(tmp_path, monkeypatch, caplog):
    folder_of(tmp_path, monkeypatch)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert_off(caplog, "sirr_jax is not writable")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
@pytest.mark.parametrize("depth", [0, 1])
def test_folder_that_others_can_write_to(tmp_path, monkeypatch, caplog, mode, depth):
    folder = folder_of(tmp_path, monkeypatch)
    folder.mkdir(parents=True)
    (folder, folder.parent)[depth].chmod(mode)
    (folder.parent, folder)[depth].chmod(0o700)
    assert_off(caplog, "others may write to")


def test_folder_of_another_user(tmp_path, monkeypatch, caplog):
    folder_of(tmp_path, monkeypatch)
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert_off(caplog, "belongs to another user")


def test_folder_of_the_environment_is_not_checked(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("HOME", "/proc")
    assert turn_on_cache() == tmp_path / "mine"
    assert not caplog.records


@pytest.mark.parametrize("value", ["+CONVOLUTION", "FUSION,CONVOLUTION", "+convolution", " --xla_gpu_x=1"])
@pytest.mark.parametrize("chosen", [False, True])
def test_cache_is_off_where_convolutions_are_captured(tmp_path, monkeypatch, caplog, value, chosen):
    folder_of(tmp_path, monkeypatch)
    if chosen:
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("XLA_FLAGS", f"--xla_gpu_autotune_level=2 --xla_gpu_enable_command_buffer={value}")
    if "convolution" not in value.lower():
        assert turn_on_cache() is not None
        return
    assert_off(caplog, "programs from a cache crash with --xla_gpu_enable_command_buffer=+CONVOLUTION of XLA_FLAGS")
    assert not jax.config.jax_enable_compilation_cache


@pytest.mark.parametrize("value", ["+CONVOLUTION --xla_gpu_enable_command_buffer=", "-CONVOLUTION", "+CUBLAS"])
def test_cache_is_on_where_convolutions_are_not_captured(tmp_path, monkeypatch, caplog, value):
    expected = folder_of(tmp_path, monkeypatch)
    monkeypatch.setenv("XLA_FLAGS", f"--xla_gpu_enable_command_buffer={value}")
    assert turn_on_cache() == expected
    assert not caplog.records


_START = """
import json
import jax, jax.numpy as jnp
from sirr_jax.training.compilation_cache import turn_on_cache
jax.config.update("jax_platforms", "cpu")
counts = {}
jax.monitoring.register_event_listener(lambda name, **more: counts.update({name: counts.get(name, 0) + 1}))
turn_on_cache()
f = jax.pmap(jax.grad(lambda x: jax.lax.pmean(jnp.tanh(x @ x), "devices").sum()), axis_name="devices")
f(jnp.ones((1, 4, 4))).block_until_ready()
print(json.dumps({name.rpartition("/")[2]: count for name, count in counts.items()}))
"""


def test_second_start_on_a_cpu_hits_the_cache(tmp_path):
    # Some versions of JAX reject every entry of a CPU when it is read again.
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    first, second = (
        json.loads(
            subprocess.run(
                [sys.executable, "-c", _START],
                env=environment,
                cwd=Path(__file__).parents[2],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for _ in range(2)
    )
    assert first.get("cache_hits", 0) == 0
    assert second.get("cache_hits", 0) == first["cache_misses"] > 0
    assert "cache_misses" not in second
