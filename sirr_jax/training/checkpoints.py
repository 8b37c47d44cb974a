"""Checkpoints of the whole training state (Orbax)."""

from __future__ import annotations

import json
import logging
import re
import time
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

import sirr_jax
from sirr_jax.errors import UserError
from sirr_jax.training.renamed_keys import translate

_log = logging.getLogger(__name__)

# What may differ between a run and its continuation without changing what is computed.
_FREE = ("log_every", "eval_every", "log_images_every", "checkpoint_every", "max_to_keep")
# What may differ because a run that has met a loss that is not finite could not go on otherwise; it is written down.
_MENDING = re.compile(r"compute_dtype|optimizer\.(networks\.\w+\.)?(learning_rate|final_learning_rate|clip)")


class Checkpoints:
    """Saves in the background, restores the newest state that is whole.

    A checkpoint is written beside its final name and renamed when complete, so a killed process leaves either the
    previous checkpoint or the new one.
    """

    def __init__(self, workdir: Path, config: dict[str, Any], *, keep: int) -> None:
        """Open `workdir/checkpoints`.

        Args:
            workdir: the run's folder.
            config: the resolved config, as plain values.
            keep: how many checkpoints to keep.

        Raises:
            UserError: if the folder holds checkpoints of another config.
        """
        self._config_file, self._config = workdir / "config.json", config
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, enable_async_checkpointing=True, cleanup_tmp_directories=True
        )
        self._manager = ocp.CheckpointManager((workdir / "checkpoints").resolve(), options=options)
        begun = bool(self._manager.all_steps()) or (workdir / "models").exists()
        self._changes = self._compare_config(begun=begun)

    def _compare_config(self, *, begun: bool) -> list[str]:
        """What has changed since the run was last begun and may change, in words: all, if nothing came of it."""
        if not self._config_file.exists():
            return []
        try:
            before = translate(flatten_config(json.loads(self._config_file.read_text())))
        except ValueError as error:
            raise UserError(f"{self._config_file} is not valid JSON ({error}); choose another --workdir") from error
        now = flatten_config(json.loads(json.dumps(self._config)))
        changes = []
        for name in sorted(before.keys() | now.keys()):
            old, new = before.get(name), now.get(name)
            if name in _FREE or old == new:
                continue
            if begun and not _mends(name, before, now):
                raise UserError(
                    f"{self._config_file.parent} holds a run with config.{name}={old!r}, now {new!r}; choose another "
                    "--workdir, or go back to that value to continue the run"
                )
            changes.append(f"config.{name} {old} -> {new}")
        return changes

    def record_config(self, step: int, *, total: int) -> None:
        """Write `config.json` and, in `changes.txt`, what of it is another than before `step` of `total`.

        Raises:
            UserError: if something has changed and there is no step left for it.
        """
        if self._changes and step >= total:
            raise UserError(
                f"{self._config_file.parent} holds a finished run, and now {'; '.join(self._changes)}; choose another "
                "--workdir"
            )
        if jax.process_index() != 0:
            return
        for change in self._changes:
            _log.warning("from step %d on: %s", step, change)
            with (self._config_file.parent / "changes.txt").open("a", encoding="utf-8") as lines:
                lines.write(f"step {step}: {change}\n")
        self._changes = []
        text = json.dumps(self._config, indent=2, sort_keys=True) + "\n"
        partial = self._config_file.with_suffix(".json.partial")
        partial.write_text(text)
        partial.replace(self._config_file)

    def save(self, step: int, state: Any) -> None:
        """Begin to save a host copy of the state (see `parallel.to_host`); returns while it is being written.

        A step that is already saved is left as it is.
        """
        if step in self._manager.all_steps():
            return
        meta = {
            "step": step,
            "version": sirr_jax.__version__,
            "shapes": _describe(state),
            "checksums": _checksums(state),
        }
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        if not self._manager.save(step, args=items):
            raise RuntimeError(f"Orbax refused to save step {step} after step {self._manager.latest_step()}")

    def restore(self, like: Any) -> Any | None:
        """The newest state that can be read, as NumPy arrays; None if there is no checkpoint.

        Newer checkpoints that cannot be read are moved to `damaged/`, so that the run can save those steps again.

        Args:
            like: a state of the expected structure, shapes and types.

        Raises:
            UserError: if checkpoints exist and none can be read, they are of other shapes or types, or the processes of
                the run read different ones.
        """
        state = self._newest(like)
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            found = -1 if state is None else int(state.step)
            steps = multihost_utils.process_allgather(np.int32(found)).tolist()
            if len(set(steps)) > 1:
                raise UserError(
                    f"the processes read the states after steps {steps} in {self._config_file.parent} (-1: none); give "
                    "all of them one --workdir that all can read and write"
                )
        return state

    def _newest(self, like: Any) -> Any | None:
        steps = sorted(self._manager.all_steps(), reverse=True)
        expected = _describe(like)
        abstract = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like)
        for step in steps:
            try:
                meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())).meta
                # Orbax would cast another type without a word.
                self._compare(step, meta["shapes"], expected)
                items = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
                state = self._manager.restore(step, args=items).state
                if _checksums(state) == meta["checksums"]:
                    self._set_aside([newer for newer in steps if newer > step])
                    return state
                # A file cut short can still be read: what is missing comes back as zeros.
                _log.warning("checkpoint %d is damaged (checksums differ); trying the one before", step)
            except UserError:
                raise
            except Exception as error:
                _log.warning("checkpoint %d cannot be read (%s); trying the one before", step, _one_line(error))
        if steps:
            raise UserError(
                f"none of the checkpoints {steps} in {self._config_file.parent} can be read; restore the folder from "
                "a backup or choose another --workdir"
            )
        return None

    def _set_aside(self, steps: list[int]) -> None:
        # Orbax neither overwrites a step nor saves one older than its newest: without this, nothing would be saved
        # until the run is past the damage.
        if not steps:
            return
        damaged = self._manager.directory.parent / "damaged"
        if jax.process_index() == 0:
            damaged.mkdir(exist_ok=True)
            for step in steps:
                target = damaged / f"{step}-{time.time_ns()}"
                (self._manager.directory / str(step)).rename(target)
                _log.warning("checkpoint %d moved to %s", step, target)
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices("damaged checkpoints")
        self._manager.reload()

    def _compare(self, step: int, found: dict[str, str], expected: dict[str, str]) -> None:
        for name in sorted(found.keys() | expected.keys()):
            if found.get(name) != expected.get(name):
                raise UserError(
                    f"checkpoint {step} in {self._config_file.parent} has {name}: {found.get(name)}, expected "
                    f"{expected.get(name)}; it belongs to another config, choose another --workdir"
                )

    def wait(self) -> None:
        """Return when everything is on disk; raises what the background writing met."""
        self._manager.wait_until_finished()
        self._manager.check_for_errors()

    def close(self) -> None:
        """Finish writing and release threads."""
        self.wait()
        self._manager.close()


def _mends(name: str, before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a value may change in the middle of a run."""
    if not _MENDING.fullmatch(name):
        return False
    of_all = f"optimizer.{name.rpartition('.')[2]}"  # what counts where a network has no value of its own
    values = [config.get(name, config.get(of_all)) for config in (before, now)]
    # Where nothing is clipped the optimizer's state has another form.
    return all(values) if name.endswith("clip") else None not in values


def flatten_config(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dict -> `{"a.b": value}`."""
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
