"""`VERIFICA.txt`: how anybody checks the published files, with the file names of this election and this corte.

Its indented lines are commands, and a test runs every one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import jinja2

VERIFICA: Final = "VERIFICA.txt"
_SITE: Final = Path(__file__).parent / "site"


@dataclass(frozen=True, slots=True)
class Results:
    """One election's official file."""

    code: str
    title: str
    file: str
    codes: Sequence[str]
    """Of its options, as in the names of its columns."""


def _text_templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_SITE),
        autoescape=True,
        auto_reload=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # One term of the SQL sum over the options of an election; the reader runs it with sqlite3.
    environment.filters["sum_term"] = lambda code: f'("{code}" + 0)'
    return environment


_TEMPLATES: Final = _text_templates()


def verification(elections: Sequence[Results], number: int, at: datetime) -> bytes:
    """The text for the tree whose last corte is `number`, of the hour `at`."""
    text = _TEMPLATES.get_template(VERIFICA).render(
        elections=elections, number=number, at=at, folder=f"cortes/{number:04}", moment=int(at.timestamp())
    )
    return text.encode()
