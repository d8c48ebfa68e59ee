"""`prep publish --once` that writes no page. Only for the corte that prepares a bench: nobody measures or reads it.

The actas in place of a national night have half a million pages. They take longer than everything that is measured.
"""

from publisher import command, cut


async def _none(*_: object, **__: object) -> None:
    pass


if __name__ == "__main__":
    cut._write_pages = _none  # noqa: SLF001  # type: ignore[assignment]
    command.main(["--once"])
