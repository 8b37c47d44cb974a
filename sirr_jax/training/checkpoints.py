"""Checkpoints of the whole training state (Orbax)."""

from __future__ import annotations

import json
import logging
import re
import time
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

import sirr_jax
from sirr_jax.errors import UserError
from sirr_jax.json_text import to_json
from sirr_jax.training.frozen_store import FrozenStore, put_back, take_out
from sirr_jax.training.renamed_keys import ADDED, translate

_log = logging.getLogger(__name__)

# Keys that may change when a run is resumed, because they do not change the result.
_FREE_KEYS = ("log_every", "eval_every", "log_images_every", "checkpoint_every", "max_to_keep")
# Keys that may change because a run with a non-finite loss could not be resumed otherwise. Changes are recorded.
_RECORDED_KEYS = re.compile(r"compute_dtype|optimizer\.(networks\.\w+\.)?(learning_rate|final_learning_rate|clip)")


class Checkpoints:
    """Saves in the background; restores the newest undamaged state.

    A checkpoint is written under a temporary name and renamed when complete, so a killed process leaves either the
    previous checkpoint or the new one. Networks that a stage does not train are written once, to `frozen/`.

    Of several processes, process 0 alone reads and writes; on the others nothing happens.
    """

    def __init__(self, workdir: Path, config: dict[str, Any], *, max_to_keep: int) -> None:
        """Opens `workdir/checkpoints`.

        Args:
            workdir: folder of the run.
            config: resolved config, as plain values.
            max_to_keep: number of checkpoints to keep.

        Raises:
            UserError: The folder has checkpoints of another config.
        """
        self._config_file, self._config = workdir / "config.json", config
        self._changes: list[str] = []
        self._primary = jax.process_index() == 0
        if not self._primary:
            return
        folder = (workdir / "checkpoints").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=max_to_keep,
            enable_async_checkpointing=True,
            cleanup_tmp_directories=True,
            create=False,
            # Orbax's barriers would hang where reading fails on one process alone.
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=0, active_processes={0}, barrier_sync_key_prefix="process0"
            ),
        )
        self._manager = ocp.CheckpointManager(folder, options=options)
        self._frozen = FrozenStore(workdir / "frozen")
        begun = bool(self._manager.all_steps()) or (workdir / "models").exists()
        self._changes = self._compare_config(begun=begun)

    def _compare_config(self, *, begun: bool) -> list[str]:
        """Returns descriptions of the changed keys. If the run has `begun`, only some keys may change."""
        if not self._config_file.exists():
            return []
        try:
            before = translate(flatten_config(json.loads(self._config_file.read_text())))
            before = {key: value for key, value in ADDED.items() if key in flatten_config(self._config)} | before
        except ValueError as error:
            raise UserError(f"{self._config_file} is not valid JSON ({error}); choose another --workdir") from error
        now = flatten_config(json.loads(to_json(self._config)))
        changes = []
        for name in sorted(before.keys() | now.keys()):
            old, new = before.get(name), now.get(name)
            if name in _FREE_KEYS or old == new:
                continue
            if begun and not _may_change(name, before, now):
                raise UserError(
                    f"{self._config_file.parent} has a run with config.{name}={old!r}, now {new!r}; choose another "
                    "--workdir, or set the old value to resume the run"
                )
            changes.append(f"config.{name} {old} -> {new}")
        return changes

    def record_config(self, step: int, *, total: int) -> None:
        """Writes `config.json`, and to `changes.txt` the keys that have changed since the run was last started.

        Args:
            step: number of finished steps.
            total: number of steps of the run.

        Raises:
            UserError: A key has changed and the run is finished.
        """
        if self._changes and step >= total:
            raise UserError(
                f"{self._config_file.parent} has a finished run, and now {'; '.join(self._changes)}; choose another "
                "--workdir"
            )
        if not self._primary:
            return
        for change in self._changes:
            _log.warning("from step %d on: %s", step, change)
            with (self._config_file.parent / "changes.txt").open("a", encoding="utf-8") as file:
                file.write(f"step {step}: {change}\n")
        self._changes = []
        text = to_json(self._config, indent=2, sort_keys=True) + "\n"
        partial = self._config_file.with_suffix(".json.partial")
        partial.write_text(text)
        partial.replace(self._config_file)

    def save(self, step: int, state: Any, *, frozen: Collection[str] = ()) -> None:
        """Starts to save a state; returns while it is being written. A step that is already saved is not saved again.

        Args:
            step: number of finished steps.
            state: host copy of the state, see `parallel.to_host`.
            frozen: networks that do not change in the present stage.
        """
        if not self._primary or step in self._manager.all_steps():
            return
        rest, taken = take_out(state, frozen)
        meta = {
            "step": step,
            "version": sirr_jax.__version__,
            "shapes": _describe(state),
            "checksums": _checksums(state),
            "frozen": {place: self._frozen.put(tree) for place, tree in taken.items()},
        }
        items = ocp.args.Composite(state=ocp.args.StandardSave(rest), meta=ocp.args.JsonSave(meta))
        if not self._manager.save(step, args=items):
            raise RuntimeError(f"Orbax refused to save step {step} after step {self._manager.latest_step()}")

    def restore(self, like: Any) -> Any | None:
        """Reads the newest undamaged state.

        Newer checkpoints that cannot be read are moved to `damaged/`, so that the run can save those steps again.

        Args:
            like: state with the expected structure, shapes and dtypes.

        Returns:
            State with NumPy arrays; None if there is no checkpoint, or if this is not process 0.

        Raises:
            UserError: Checkpoints exist and none can be read, or their shapes or dtypes differ.
        """
        if not self._primary:
            return None
        steps = sorted(self._manager.all_steps(), reverse=True)
        expected = _describe(like)
        abstract = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like)
        for step in steps:
            try:
                meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())).meta
                # Orbax casts other dtypes silently.
                self._compare(step, meta["shapes"], expected)
                state = self._read(step, abstract, meta.get("frozen", {}))  # the first edition wrote whole states
                if _checksums(state) == meta["checksums"]:
                    self._set_aside([newer for newer in steps if newer > step])
                    return state
                # A truncated file can still be read: the missing part is filled with zeros.
                _log.warning("checkpoint %d is damaged (checksums differ); trying the one before", step)
            except UserError:
                raise
            except Exception as error:
                _log.warning("checkpoint %d cannot be read (%s); trying the one before", step, _one_line(error))
        if steps:
            raise UserError(
                f"none of the checkpoints {steps} in {self._config_file.parent} can be read; restore the folder (with "
                "its frozen/) from a backup or choose another --workdir"
            )
        return None

    def _read(self, step: int, abstract: Any, frozen: dict[str, str]) -> Any:
        """Reads a state; networks of `frozen` ("field/network" -> hash) come from the store."""
        if not frozen:
            items = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            return self._manager.restore(step, args=items).state
        rest, taken = take_out(abstract, {place.partition("/")[2] for place in frozen})
        items = ocp.args.Composite(state=ocp.args.StandardRestore(rest))
        state = self._manager.restore(step, args=items).state
        return put_back(state, {place: self._frozen.get(name, taken[place]) for place, name in frozen.items()})

    def _set_aside(self, steps: list[int]) -> None:
        # Orbax neither overwrites a step nor saves one older than its newest. Without this, nothing would be saved
        # until the run has passed the damaged steps.
        if not steps:
            return
        damaged = self._manager.directory.parent / "damaged"
        damaged.mkdir(exist_ok=True)
        for step in steps:
            target = damaged / f"{step}-{time.time_ns()}"
            (self._manager.directory / str(step)).rename(target)
            _log.warning("checkpoint %d moved to %s", step, target)
        self._manager.reload()

    def _compare(self, step: int, shapes: dict[str, str], expected: dict[str, str]) -> None:
        for name in sorted(shapes.keys() | expected.keys()):
            if shapes.get(name) != expected.get(name):
                raise UserError(
                    f"checkpoint {step} in {self._config_file.parent} has {name}: {shapes.get(name)}, expected "
                    f"{expected.get(name)}; it belongs to another config, choose another --workdir"
                )

    def wait(self) -> None:
        """Waits until everything is on disk; raises the errors of the background thread."""
        if not self._primary:
            return
        self._manager.wait_until_finished()
        self._manager.check_for_errors()

    def close(self) -> None:
        """Finishes writing and releases threads."""
        if self._primary:
            self.wait()
            self._manager.close()


def _may_change(name: str, before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a key may change between the old and the new config of a run that has begun."""
    if not _RECORDED_KEYS.fullmatch(name):
        return False
    default = f"optimizer.{name.rpartition('.')[2]}"  # applies to networks without a value of their own
    values = [config.get(name, config.get(default)) for config in (before, now)]
    # The optimizer state without clipping (0) has another structure.
    return all(values) if name.endswith("clip") else None not in values


def flatten_config(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens a nested dict to `{"a.b": value}`.

    Args:
        config: nested dict.
        prefix: prefix of all keys, with the dot.
    """
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= flatten_config(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _describe(state: Any) -> dict[str, str]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): f"{x.dtype}{list(x.shape)}" for path, x in leaves}


def _checksums(state: Any) -> list[int]:
    return [zlib.crc32(np.asarray(x).tobytes()) for x in jax.tree.leaves(state)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
