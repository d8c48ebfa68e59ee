"""Every command, option and argument of every program explains itself, and both commands print the version."""

import argparse
import re
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module

import pytest

import integrity
from integrity.__main__ import main as check
from prep.operations.cli import PROGRAMS
from prep.operations.cli import main as prep

COMMANDS: dict[str, Callable[[], object]] = {
    "prep": lambda: prep([]),
    "integrity": lambda: check([]),
    "load_tests.chaos": lambda: import_module("load_tests.chaos.chaos").main([]),
    **{f"prep {name}": partial(prep, [name]) for name in PROGRAMS},
}


class Built(Exception):
    """Carries the parser out of a command that has just finished building it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__(parser.prog)
        self.parser = parser


@pytest.fixture
def parser_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], argparse.ArgumentParser]:
    """The parser of a command. The command stops where it would read its words."""

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Built(parser)

    def of(command: Callable[[], object]) -> argparse.ArgumentParser:
        with pytest.raises(Built) as built:
            command()
        return built.value.parser

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    return of


def names(word: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def unexplained(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Options, arguments and commands under `parser` that its help does not explain.

    Some programs print a text of their own instead of argparse's. Then each name must stand in that text.
    """
    told = parser.format_help() if type(parser).format_help.__module__ not in {"argparse", "prep.arguments"} else None
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            listed = {each.dest for each in action._choices_actions if each.help}
            for name, command in action.choices.items():
                if not names(name, told) if told is not None else name not in listed:
                    yield f"{parser.prog} {name}"
                yield from unexplained(command)
        elif told is None and not action.help:
            yield f"{parser.prog} {'/'.join(action.option_strings) or action.dest}"
        elif told is not None and not all(word == "--help" or names(word, told) for word in action.option_strings[-1:]):
            yield f"{parser.prog} {action.option_strings[-1]}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_has_its_sentence(
    name: str, parser_of: Callable[[Callable[[], object]], argparse.ArgumentParser]
) -> None:
    assert list(unexplained(parser_of(COMMANDS[name]))) == []


def test_an_option_without_a_sentence_is_found() -> None:
    parser = argparse.ArgumentParser(prog="p")
    parser.add_argument("place")
    parser.add_subparsers().add_parser("command", prog="p command").add_argument("--option")
    assert list(unexplained(parser)) == ["p place", "p command", "p command --option"]


@pytest.mark.parametrize("command", [prep, check])
def test_the_version_is_printed(command: Callable[[list[str]], object], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"{integrity.VERSION}\n")
