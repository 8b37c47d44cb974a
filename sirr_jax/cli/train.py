"""`sirr train`: absl flags and ml_collections configs in front of the training loop."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from sirr_jax.cli.tables import print_scores
from sirr_jax.errors import UserError

_HELP = """usage: sirr train --config=FILE[:VARIANT] --workdir=FOLDER [--config.NAME=VALUE ...] [--cpu_devices=N]

  --config      a config file and its variant, for example configs/dynamics.py:tiny
  --config.X=V  override a value, for example --config.batch_size=16 --config.data.layers=/photos
  --workdir     the run's folder; running the same command again continues the run
  --cpu_devices use the CPU as N devices (default 0: whatever JAX finds)
"""


def run(argv: list[str]) -> int:
    """Parse flags and train."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    values = flags.FlagValues()
    command = ["sirr train", *argv]
    config_flag = config_flags.DEFINE_config_file("config", lock_config=True, flag_values=values, sys_argv=command)
    flags.DEFINE_string("workdir", None, "The run's folder.", flag_values=values)
    flags.DEFINE_integer("cpu_devices", 0, "Use the CPU as this many devices.", flag_values=values)
    try:
        rest = values(command)[1:]
        if rest:
            raise UserError(f"{rest[0]!r} is not a flag; write --name=value, see sirr train --help")
        config = config_flag.value
        if config is None or not values.workdir:
            raise UserError("give both --config=FILE:VARIANT and --workdir=FOLDER; see sirr train --help")
        config.keys()  # a file that is not there complains only when its config is used
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"no config file at {_reason(error)}; expected --config=FILE:VARIANT") from error
    except (SyntaxError, ImportError, NameError) as error:
        raise UserError(f"cannot load the config ({_reason(error)}); expected --config=FILE:VARIANT") from error
    except (flags.Error, AttributeError, TypeError, KeyError, ValueError) as error:
        raise UserError(f"{_reason(error)}; see sirr train --help") from error

    _show_log()
    _prepare_jax(values.cpu_devices)
    from sirr_jax.training.trainer import train

    try:
        workdir = train(config, Path(values.workdir))
    except FloatingPointError as error:
        print(f"sirr train: {error}", file=sys.stderr)
        return 1
    if (scores := workdir / "scores.json").exists():
        protocol = config.get("protocol", "sirr")
        print_scores(f"Held-out samples, protocol {protocol}", json.loads(scores.read_text(encoding="utf-8")))
    return 0


def _reason(error: Exception) -> str:
    """What went wrong, without the traceback that ml_collections puts into its message."""
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
    """Our own messages on stderr; those of libraries only from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("sirr_jax")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False  # libraries install handlers of their own on the root


def _prepare_jax(cpu_devices: int) -> None:
    """Everything that must happen before JAX looks for devices."""
    import jax

    if cpu_devices > 0:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", cpu_devices)
    # Compiled programs outlive the process; the folder must be the user's own, for they are code.
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sirr_jax" / "xla"
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        default.mkdir(parents=True, exist_ok=True, mode=0o700)
        jax.config.update("jax_compilation_cache_dir", str(default))
    from sirr_jax.training import parallel

    parallel.start_processes()
