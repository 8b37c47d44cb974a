"""`sirr train`: absl flags and ml_collections configs in front of the training loop."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from sirr_jax.cli.find_config import find_config, installed_configs
from sirr_jax.cli.tables import print_scores
from sirr_jax.errors import UserError
from sirr_jax.training.renamed_keys import new_key

_HELP = """\
usage: sirr train --config=NAME[:VARIANT] --workdir=FOLDER [--config.KEY=VALUE ...] [--cpu_devices=N]

Trains the networks of a config. Running the same command again resumes the run.

  --config               installed config ({configs}) or a file, for example dynamics:tiny or my_configs/mine.py:base
  --config.KEY=VALUE     override of a value, for example --config.batch_size=16 --config.data.photos=/photos
  --workdir              folder of the run
  --cpu_devices          number of devices to split the CPU into (default: 0, the devices that JAX finds)

Several processes (each on its own devices; all with the same --config and --workdir):
  --coordinator_address  host:port of process 0, or "auto" under Slurm, Open MPI and on cloud clusters
  --num_processes        number of processes
  --process_id           index of this process, from 0
  --local_device_ids     devices of this process, for example 0,1 (default: all that it sees)
"""


def run(argv: list[str]) -> int:
    """Parses flags and trains; returns the exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_HELP.format(configs=", ".join(installed_configs())), end="")
        return 0
    values = flags.FlagValues()
    command = ["sirr train", *_resolved(argv)]
    config_flag = config_flags.DEFINE_config_file("config", lock_config=True, flag_values=values, sys_argv=command)
    flags.DEFINE_string("workdir", None, "Folder of the run.", flag_values=values)
    flags.DEFINE_integer("cpu_devices", 0, "Number of devices to split the CPU into.", flag_values=values)
    flags.DEFINE_string("coordinator_address", None, "host:port of process 0, or auto.", flag_values=values)
    flags.DEFINE_integer("num_processes", None, "Number of processes.", flag_values=values)
    flags.DEFINE_integer("process_id", None, "Index of this process.", flag_values=values)
    flags.DEFINE_list("local_device_ids", None, "Devices of this process.", flag_values=values)
    try:
        rest = values(command)[1:]
        if rest:
            raise UserError(f"{rest[0]!r} is not a flag; write --name=value, see sirr train --help")
        config = config_flag.value
        if config is None or not values.workdir:
            raise UserError("give both --config=NAME:VARIANT and --workdir=FOLDER; see sirr train --help")
        config.keys()  # a file that is not there complains only when its config is used
    except UserError:
        raise
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
        workdir = train(config, Path(values.workdir))
    except FloatingPointError as error:
        print(f"sirr train: {error}", file=sys.stderr)
        return 1
    if (scores := workdir / "scores.json").exists():
        protocol = config.get("protocol", "errnet")
        print_scores(f"Held-out samples, protocol {protocol}", json.loads(scores.read_text(encoding="utf-8")))
    return 0


def _resolved(argv: Sequence[str]) -> list[str]:
    """The arguments with the config's name replaced by its file.

    Raises:
        UserError: A key has another name by now, or no config has that name.
    """
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
    """The cause of an error, without the traceback that ml_collections puts into its message."""
    message = str(error.args[0]) if error.args else str(error)
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    if isinstance(error, OSError):
        # "... [Errno 2] No such file or directory: 'missing.py'"
        return message.rstrip().rsplit(": ", 1)[-1].strip("'")
    message = message.strip("\"'").replace("\\'", "'").replace("\\n", " ")
    if "Traceback" not in message:
        return message
    last = message.strip().splitlines()[-1]
    return last.split("Error: ", 1)[-1]


def _show_log() -> None:
    """Shows the package's messages on stderr; those of libraries only from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("sirr_jax")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False  # libraries install handlers of their own on the root


def _prepare_jax(values: flags.FlagValues) -> None:
    """Everything that must happen before JAX looks for devices."""
    import jax

    if values.cpu_devices > 0:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", values.cpu_devices)
    # Compiled programs outlive the process; the folder must be the user's own, for they are code.
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sirr_jax" / "xla"
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        default.mkdir(parents=True, exist_ok=True, mode=0o700)
        jax.config.update("jax_compilation_cache_dir", str(default))
    from sirr_jax.training import parallel

    parallel.start_processes(
        values.coordinator_address, values.num_processes, values.process_id, _device_ids(values.local_device_ids)
    )


def _device_ids(given: Sequence[str] | None) -> list[int] | None:
    try:
        return None if given is None else [int(number) for number in given]
    except ValueError as error:
        raise UserError(f"--local_device_ids={','.join(given or ())}: expected whole numbers, such as 0,1") from error
