from __future__ import annotations

import pytest

from sirr_jax.cli.argument_parser import ArgumentParser
from sirr_jax.errors import UserError


@pytest.fixture
def parser():
    parser = ArgumentParser(prog="sirr test", renamed={"--hyper": "--model-arg"})
    parser.add_argument("photos", nargs="*")
    parser.add_argument("-o", "--out")
    parser.add_argument("--model-arg", action="append")
    parser.add_argument("--on-corrupt", choices=("error", "skip"))
    parser.add_argument("--count", type=int, choices=(1, 2))
    return parser


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--hyper", "x=1"], "unrecognized arguments: --hyper; did you mean --model-arg?"),
        (["--hyper=x=1"], "unrecognized arguments: --hyper; did you mean --model-arg?"),
        (
            ["--model-args", "x", "--outt", "y"],
            "unrecognized arguments: --model-args --outt; did you mean --model-arg?",
        ),
        (["-out", "y"], None),  # -o with the value "ut"
        (["-x"], "unrecognized arguments: -x; see sirr test --help"),
        (["--nothing-like-it"], "unrecognized arguments: --nothing-like-it; see sirr test --help"),
        (["--on-corrupt", "skp"], "--on-corrupt is 'skp'; did you mean 'skip'?"),
        (["--on-corrupt", "x"], "--on-corrupt is 'x'; choose error or skip"),
        (["--count", "3"], "--count is 3; choose 1 or 2"),
        (["--count", "one"], "argument --count: invalid int value: 'one'; see sirr test --help"),
        (["--out"], "argument -o/--out: expected one argument; see sirr test --help"),
        (["--o", "x"], "ambiguous option: --o could match --out, --on-corrupt; see sirr test --help"),
    ],
)
def test_errors_are_one_line(parser, capsys, arguments, message):
    if message is None:
        parser.parse_args(arguments)
        return
    with pytest.raises(UserError) as error:
        parser.parse_args(arguments)
    assert str(error.value) == message
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_abbreviations_and_positional_arguments_parse_as_in_argparse(parser):
    args = parser.parse_args(["--mod", "a=1", "--model-arg=b", "-1", "--", "--hyper"])
    assert args.model_arg == ["a=1", "b"]
    assert args.photos == ["-1", "--hyper"]
    assert parser.parse_args(["--a name with spaces.png"]).photos == ["--a name with spaces.png"]


def test_subcommands_check_their_own_flags():
    parser = ArgumentParser(prog="sirr test")
    parser.add_argument("--verbose", action="store_true")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("pack", renamed={"--licence": "--license"}).add_argument("--license")
    assert parser.parse_args(["--verbose", "pack", "--license", "mine"]).license == "mine"
    for arguments, message in {
        ("pack", "--licence=mine"): "unrecognized arguments: --licence; did you mean --license?",
        ("--verbos", "pack"): None,
        ("--vrbose", "pack"): "unrecognized arguments: --vrbose; did you mean --verbose?",
        ("pak",): "COMMAND is 'pak'; did you mean 'pack'?",
        (): "the following arguments are required: COMMAND; see sirr test --help",
    }.items():
        if message is None:
            assert parser.parse_args(arguments).verbose
            continue
        with pytest.raises(UserError) as error:
            parser.parse_args(arguments)
        assert str(error.value) == message
