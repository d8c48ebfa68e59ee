"""Text of strangers on its way to a log, an answer or a screen: the one place that makes it harmless.

A name, a header or a path may hold characters that move a cursor, change colours, turn the direction of a line or begin
another one, or half a character, which no file can hold. Each becomes its escape of JSON, and none is lost.
"""

import unicodedata
from typing import TextIO


def printable(text: str, *, kept: str = "") -> str:
    """The same text, in which a person sees every character. Spaces stay, and so do the characters of `kept`.

    Of a text of JSON it makes the same JSON.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in kept or _is_space(char) else _escape(char) for char in text)


def _is_space(char: str) -> bool:
    return unicodedata.category(char) == "Zs"


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


class Screen:
    """An output for people, on which text of strangers draws nothing; lines and tabs stay."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def write(self, text: str) -> int:
        self._output.write(printable(text, kept="\n\t"))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._output, name)
