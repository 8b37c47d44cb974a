"""The `sirr` command."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys

from sirr_jax import __version__
from sirr_jax.cli.argument_parser import ArgumentParser
from sirr_jax.errors import UserError, did_you_mean

VERBS = {
    "remove": "remove reflections from photos",
    "evaluate": "score models on data sets",
    "train": "train the networks of a config, or resume a run",
    "convert": "convert published weights to model files and back",
    "data": "check and pack data sets",
    "synthesize": "make a data set from photos",
    "models": "list the networks",
}
"""Verb -> its line in the help. The module of a verb is `sirr_jax.cli.VERB`."""


def parser() -> argparse.ArgumentParser:
    """Returns the parser of everything before the verb's own arguments."""
    width = max(map(len, VERBS)) + 2
    verbs = "\n".join(f"  {verb:<{width}}{text}" for verb, text in VERBS.items())
    result = ArgumentParser(
        prog="sirr",
        usage="sirr VERB ...",
        description=f"Remove reflections from photos and train the networks that do it.\n\nverbs:\n{verbs}",
        epilog="`sirr VERB --help` describes the options of a verb.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    result.add_argument("verb", metavar="VERB", help=argparse.SUPPRESS)
    result.add_argument("-h", "--help", action="help", help="show this text")
    result.add_argument("--version", action="version", version=f"sirr_jax {__version__}", help="print the version")
    return result


def main(argv: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: arguments without the program's name; None for those of the process.

    Returns:
        Exit code: 0, 1 for a failure, 2 for a user's mistake.
    """
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names may have characters that the terminal lacks
    if not argv:
        parser().print_help()
        return 2
    command = "sirr"
    try:
        name = parser().parse_args(argv[:1]).verb
        if name not in VERBS:
            raise UserError(f"no verb {name!r}; {did_you_mean(name, VERBS, 'choose ' + ', '.join(VERBS))}")
        command = f"sirr {name}"
        code = importlib.import_module(f"sirr_jax.cli.{name}").run(argv[1:])
        sys.stdout.flush()  # an error at the interpreter's exit could not be handled
        return code
    except UserError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        place = f"{error.filename}: " if error.filename else ""
        hint = "check the path, the permissions and the free space"
        print(f"{command}: {place}{error.strerror}; {hint}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
