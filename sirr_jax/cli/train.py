"""`sirr train`: trains the networks of a config. Flags are absl's, configs ml_collections'."""

from __future__ import annotations

import json
import logging
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from sirr_jax.cli.find_config import find_config, installed_configs
from sirr_jax.cli.tables import print_scores
from sirr_jax.errors import UserError
from sirr_jax.training.overrides import check_overrides
from sirr_jax.training.preemption import STOPPED, Interrupted, interrupting
from sirr_jax.training.renamed_keys import new_key

_OVERRIDE = re.compile(r"--?config\.")
_MAIN_FLAGS = ("config", "workdir", "cpu_devices")
_PROCESS_FLAGS = ("coordinator_address", "num_processes", "process_id", "local_device_ids")
_USAGE = """\
usage: sirr train --config=NAME[:VARIANT] --workdir=FOLDER [--config.KEY=VALUE ...] [--cpu_devices=N]

Train the networks of a config. Run the same command again to resume.

On SIGTERM or Ctrl-C the run saves a checkpoint after the current step and ends with exit code 75. Other exit codes: 0
when the run has finished, 1 when a loss was not finite, 2 for a mistake in the command, the config or the data.

options:
"""
_FLAGFILE = """\
  --flagfile=FILE        file of flags, one a line; lines that begin with # are comments
"""
_PROCESSES = """
several processes, each on its own devices, all with the same --config and --workdir:
"""


def flag_values(command: Sequence[str] = ("sirr train",)) -> flags.FlagValues:
    """Defines the flags of `sirr train`.

    Args:
        command: program name and arguments. The flag `config` needs them to define one flag per overridden key.

    Returns:
        Unparsed flags.
    """
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config",
        lock_config=True,
        flag_values=values,
        sys_argv=list(command),
        help_string=f"installed config ({', '.join(installed_configs())}) or config file, with an optional variant; "
        "for example dynamics:tiny or my_configs/mine.py:base",
    )
    flags.DEFINE_string("workdir", None, "folder of the run", flag_values=values)
    flags.DEFINE_integer(
        "cpu_devices", 0, "number of devices to split the CPU into; 0: the devices that JAX finds", flag_values=values
    )
    flags.DEFINE_string(
        "coordinator_address",
        None,
        'host:port of process 0, or "auto" under Slurm, Open MPI and on cloud clusters',
        flag_values=values,
    )
    flags.DEFINE_integer("num_processes", None, "number of processes", flag_values=values)
    flags.DEFINE_integer("process_id", None, "index of this process, from 0", flag_values=values)
    flags.DEFINE_list(
        "local_device_ids", None, "devices of this process, for example 0,1 (default: all)", flag_values=values
    )
    return values


def help_text() -> str:
    """Returns the text of `sirr train --help`."""
    values = flag_values()
    lines = {
        name: f"  --{name:<21}{textwrap.fill(values[name].help, 92).replace(chr(10), chr(10) + ' ' * 25)}\n"
        for name in (*_MAIN_FLAGS, *_PROCESS_FLAGS)
    }
    override = f"  --{'config.KEY=VALUE':<21}override of a config key, for example --config.batch_size=16\n"
    options = [lines[name] + (override if name == "config" else "") for name in _MAIN_FLAGS]
    return "".join((_USAGE, *options, _FLAGFILE, _PROCESSES, *(lines[name] for name in _PROCESS_FLAGS)))


def run(argv: list[str]) -> int:
    """Parses flags and trains.

    Returns:
        Exit code: 0 if the run has finished, 75 if it was asked to stop, 1 if a loss was not finite.
    """
    if not argv or "-h" in argv or "--help" in argv:
        print(help_text(), end="")
        return 0
    try:
        with interrupting():
            return _run(argv)
    except Interrupted as request:
        print(f"sirr train: {request} before the first step; run the same command to start", file=sys.stderr)
        return STOPPED


def _run(argv: list[str]) -> int:
    try:
        command = ["sirr train", *_resolved(flags.FlagValues().read_flags_from_files(argv, force_gnu=False))]
        values = flag_values(command)
        rest = values(command)[1:]
        if rest:
            raise UserError(f"{rest[0]!r} is not a flag; write --name=value, see sirr train --help")
        config = values.config
        if config is None or not values.workdir:
            raise UserError("give both --config=NAME:VARIANT and --workdir=FOLDER; see sirr train --help")
        config.keys()  # a config file is loaded, and its errors are raised, at the first use
        check_overrides(config, _defaults(command))
    except UserError:
        raise
    except flags.CantOpenFlagFileError as error:
        reason = _reason(error).replace("'", "")
        raise UserError(f"{reason}; give --flagfile a file of flags, one a line") from error
    except OSError as error:
        raise UserError(f"no config file at {_reason(error)}; expected --config=NAME:VARIANT") from error
    except (SyntaxError, ImportError, NameError) as error:
        raise UserError(f"cannot load the config ({_reason(error)}); expected --config=NAME:VARIANT") from error
    except (flags.Error, AttributeError, TypeError, KeyError, ValueError) as error:
        raise UserError(f"{_reason(error)}; see sirr train --help") from error

    _show_log()
    _prepare_jax(values)
    from sirr_jax.training.trainer import train

    try:
        outcome = train(config, Path(values.workdir))
    except FloatingPointError as error:
        print(f"sirr train: {error}", file=sys.stderr)
        return 1
    if not outcome.finished:
        return STOPPED
    if (scores := outcome.workdir / "scores.json").exists():
        protocol = config.get("protocol", "errnet")
        print_scores(f"Validation samples, protocol {protocol}", json.loads(scores.read_text(encoding="utf-8")))
    return 0


def _defaults(command: Sequence[str]) -> ConfigDict:
    """Returns the config of a command without its overrides."""
    values = flag_values(without := [argument for argument in command if not _OVERRIDE.match(argument)])
    values(without, known_only=True)
    return values.config


def _resolved(argv: Sequence[str]) -> list[str]:
    """Returns the arguments with the name of the config replaced by its file. Refuses keys of the first edition."""
    resolved, expects_config = [], False
    for argument in argv:
        flag, equals, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and (key := new_key(flag.removeprefix("config."))) and flag.startswith("config."):
            raise UserError(f"config.{flag.removeprefix('config.')} has been renamed; did you mean --config.{key}=...?")
        if expects_config:
            resolved.append(find_config(argument))
        elif argument.startswith("-") and flag == "config" and equals:
            resolved.append(f"--config={find_config(value)}")
        else:
            resolved.append(argument)
        expects_config = argument in ("-config", "--config")
    return resolved


def _reason(error: Exception) -> str:
    """Returns the cause of an error, without the traceback that ml_collections puts into its message."""
    message = str(error.args[0]) if error.args else str(error)
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    if isinstance(error, OSError):
        # "... [Errno 2] No such file or directory: 'missing.py'"
        return message.rstrip().rsplit(": ", 1)[-1].strip("'")
    message = message.removeprefix("ERROR:: ").strip("\"'").replace("\\'", "'").replace("\\n", " ")
    if "Traceback" not in message:
        return message
    last = message.strip().splitlines()[-1]
    return last.split("Error: ", 1)[-1]


def _show_log() -> None:
    """Prints the log messages of the package to stderr. Those of libraries are printed from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("sirr_jax")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False  # libraries install handlers on the root logger


def _prepare_jax(values: flags.FlagValues) -> None:
    """Configures JAX. Must precede every use of devices."""
    import jax

    if values.cpu_devices > 0:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", values.cpu_devices)
    from sirr_jax.training import parallel
    from sirr_jax.training.compilation_cache import turn_on_cache

    turn_on_cache()
    parallel.start_processes(
        values.coordinator_address, values.num_processes, values.process_id, _device_ids(values.local_device_ids)
    )


def _device_ids(numbers: Sequence[str] | None) -> list[int] | None:
    try:
        return None if numbers is None else [int(number) for number in numbers]
    except ValueError as error:
        raise UserError(f"--local_device_ids={','.join(numbers or ())}: expected whole numbers, such as 0,1") from error
