"""Command lines in Spanish: argparse, with its English sentences translated."""

import argparse
import re
import sys
from typing import Any, Final, NoReturn

COULD_NOT: Final = 2
"""Exit status of a request that cannot be met."""

_SENTENCES: Final = (
    (r"the following arguments are required: (.*)", r"falta: \1"),
    (r"unrecognized arguments: (.*)", r"no se entiende: \1"),
    (r"argument (.*): invalid choice: (.*) \(choose from (.*)\)", r"\1: no hay \2; hay: \3"),
    (r"argument (.*): invalid (?:int|float) value: (.*)", r"\1: \2 no es un número"),
    (r"argument (.*): invalid \w+ value: (.*)", r"\1: \2 no sirve"),
    (r"argument (.*): expected one argument", r"\1: falta su valor"),
    (r"argument (.*): expected at least one argument", r"\1: falta al menos un valor"),
    (r"argument (.*): not allowed with argument (.*)", r"\1 y \2 no van juntos"),
    (r"one of the arguments (.*) is required", r"falta uno de: \1"),
    (r"ambiguous option: (.*) could match (.*)", r"\1 puede ser \2"),
    (r"argument (.*?): (.*)", r"\1: \2"),
)
"""Pattern of argparse's sentence → our sentence. The first pattern that matches is used; the last one is general."""


class Parser(argparse.ArgumentParser):
    """An argument parser that speaks Spanish. Its subcommands are of this class too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(*args, **{**kwargs, "add_help": False})
        self._positionals.title, self._optionals.title = "argumentos", "opciones"
        if kwargs.get("add_help", True):
            self.add_argument("-h", "--help", action="help", help="esta ayuda")

    def format_usage(self) -> str:
        return _usage_in_spanish(super().format_usage())

    def format_help(self) -> str:
        return _usage_in_spanish(super().format_help())

    def error(self, message: str) -> NoReturn:
        """Print one sentence and the usage of the command; exit status 2."""
        told = next((re.sub(f"^{was}$", says, message) for was, says in _SENTENCES if re.match(was, message)), message)
        print(f"{self.prog}: {told}\n{self.format_usage().strip()}", file=sys.stderr)
        raise SystemExit(COULD_NOT)


def _usage_in_spanish(text: str) -> str:
    return text.replace("usage: ", "uso: ", 1)
