"""An `argparse.ArgumentParser` whose errors are one line."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from sirr_jax.errors import UserError, did_you_mean


class ArgumentParser(argparse.ArgumentParser):
    """A parser that raises `UserError` where argparse prints the usage and exits.

    Unknown flags are reported before anything else, with the flag that was probably meant.
    """

    def __init__(self, *args: Any, renamed: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        """Makes a parser.

        Args:
            *args: arguments for `argparse.ArgumentParser`.
            renamed: former flag -> present flag.
            **kwargs: arguments for `argparse.ArgumentParser`.
        """
        super().__init__(*args, **kwargs)
        self._renamed = renamed or {}

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses arguments as argparse does.

        Raises:
            UserError: A flag is unknown.
        """
        if args is not None and (unknown := self._unknown_flags(args)):
            hint = self._hint(unknown[0])
            raise UserError(f"unrecognized arguments: {' '.join(unknown)}; {hint}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raises the message as a `UserError`."""
        raise UserError(f"{message}; see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Checks a value against `choices`, with "did you mean"."""
        if action.choices is not None and value not in action.choices:
            name = "/".join(action.option_strings) or action.metavar or action.dest
            choices = [str(choice) for choice in action.choices]
            raise UserError(f"{name} is {value!r}; {did_you_mean(value, choices, 'choose ' + ' or '.join(choices))}")

    def _unknown_flags(self, args: Iterable[str]) -> list[str]:
        """Lists the flags in `args` that neither this parser nor, by argparse's rules, an abbreviation defines."""
        unknown = []
        for argument in args:
            if argument == "--" or (self._subparsers is not None and not argument.startswith("-")):
                break  # positional arguments follow, or those of a subcommand
            flag = argument.partition("=")[0]
            if not re.match(r"-[^\d.\s]", argument) or " " in flag:
                continue
            known = self._option_string_actions
            if flag.startswith("--"):
                if not any(option.startswith(flag) for option in known):
                    unknown.append(flag)
            elif flag[:2] not in known:
                unknown.append(flag)
        return unknown

    def _hint(self, flag: str) -> str:
        if flag in self._renamed:
            return f"did you mean {self._renamed[flag]}?"
        flags: Sequence[str] = [option for option in self._option_string_actions if option.startswith("--")]
        close = difflib.get_close_matches(flag, flags, n=1)
        return f"did you mean {close[0]}?" if close else f"see {self.prog} --help"
