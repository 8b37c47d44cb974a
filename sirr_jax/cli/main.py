"""`sirr VERB ...`."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys

from sirr_jax import __version__
from sirr_jax.errors import UserError

_VERBS = {
    "remove": "remove the reflection from photographs",
    "train": "train, or continue to train, from a config",
    "convert": "published weights into a model file, and back",
    "data": "look at data sets",
    "synthesize": "make a data set from photographs",
    "models": "list the networks",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (2 for a user's mistake)."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="sirr",
        description="Remove reflections from photographs and train the networks that do it.",
        epilog="verbs: " + "; ".join(f"{verb}: {text}" for verb, text in _VERBS.items()),
    )
    parser.add_argument("--version", action="version", version=f"sirr_jax {__version__}")
    parser.add_argument("verb", choices=sorted(_VERBS), help="what to do; `sirr VERB --help` explains it")
    if not argv:
        parser.print_help()
        return 2
    chosen = parser.parse_args(argv[:1])
    verb = importlib.import_module(f"sirr_jax.cli.{chosen.verb}")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot show are names all the same
    try:
        code = verb.run(argv[1:])
        sys.stdout.flush()  # here, not at the interpreter's end, is where an error can be told
        return code
    except UserError as error:
        print(f"sirr {chosen.verb}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read what we print has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        place = f"{error.filename}: " if error.filename else ""
        words = "check the path, the permissions and the space that is left"
        print(f"sirr {chosen.verb}: {place}{error.strerror}; {words}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
