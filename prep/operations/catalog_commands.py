"""`prep catalog template|check|load|stickers`: the institute's catalogue, from a sample to the database.

Exit status: 0; 1 if the catalogue has errors, or warnings that nobody accepted; 2 if the command cannot be done.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from prep.domain.catalog import Catalog
from prep.errors import Rejected, reason_of
from prep.files.catalog_files import CatalogErrors, files_in, review_catalog
from prep.files.catalog_summary import catalog_summary, catalog_totals
from prep.files.catalog_template import FORMAT_NAME, catalog_format, sample_catalog
from prep.files.catalog_warnings import WARNINGS
from prep.files.csv_tables import FileFinding
from prep.files.night_file import NAME as NIGHT_NAME
from prep.files.night_file import sample_night_file
from prep.settings import Settings, now
from prep.store import catalog as store
from prep.store import embedded
from prep.store.database import connect, migrate
from prep.store.night import Declared
from prep.store.people import Role

REPLACES: Final = frozenset({Role.ADMINISTRADOR, Role.SUPERVISOR})
"""The roles of the two people who may replace a catalogue."""
SHOWN: Final = 20
"""This many warnings of one kind are printed; for the rest, only their number."""


def catalog_command(arguments: argparse.Namespace, settings: Settings) -> int:
    if arguments.action == "template":
        return _write_template(arguments.folder)
    if arguments.action == "stickers":
        return _write_stickers(arguments, settings)
    logins = _two_logins(arguments)
    only_check = arguments.action == "check"
    catalog, warnings = reviewed(arguments.folder, accept=only_check or arguments.accept_warnings)
    if catalog is None:
        return 1
    if only_check:
        print("\n".join([*_warning_lines(warnings), *catalog_summary(catalog)]))
        return 0
    load_folder(settings, catalog, warnings, logins=logins)
    return 0


def reviewed(folder: Path, *, accept: bool) -> tuple[Catalog | None, list[FileFinding]]:
    """The catalogue of a folder and its warnings; None, with the reasons printed, if it may not be loaded so."""
    try:
        catalog, warnings = review_catalog(files_in(folder))
    except CatalogErrors as errors:
        for finding in errors.findings:
            print(_place(finding), file=sys.stderr)
        count = len(errors.findings)
        print(f"prep: {count} {'error' if count == 1 else 'errores'}; no se cargó nada", file=sys.stderr)
        return None, []
    if warnings and not accept:
        print("\n".join(_warning_lines(warnings)), file=sys.stderr)
        print("prep: no se cargó nada; revise los avisos y repita con --accept-warnings", file=sys.stderr)
        return None, warnings
    return catalog, warnings


def load_folder(
    settings: Settings,
    catalog: Catalog,
    warnings: Sequence[FileFinding],
    night: Declared | None = None,
    *,
    logins: tuple[str, str] | None = None,
) -> None:
    """Load a catalogue, with the night if one is declared with it, and print its totals. Raises Rejected."""
    print("\n".join(catalog_totals(catalog)))
    accepted = [f"{warning.code} {_place(warning)}" for warning in warnings]
    changed = asyncio.run(_load(settings, catalog, accepted, night, logins))
    print("catálogo cargado" if changed else "este catálogo ya estaba cargado")


def _place(finding: FileFinding) -> str:
    """File, line, column and sentence. A finding about a whole file has no line, and one about a row has no column."""
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    return ": ".join(each for each in (where, finding.column, finding.sentence) if each)


def _warning_lines(warnings: Sequence[FileFinding]) -> Iterator[str]:
    times = Counter(warning.code for warning in warnings)
    for code in sorted(times):
        yield f"aviso {code}: {WARNINGS[code]}"
        yield from [f"  {_place(warning)}" for warning in warnings if warning.code == code][:SHOWN]
        if times[code] > SHOWN:
            yield f"  … y {times[code] - SHOWN} más"


def _write_stickers(arguments: argparse.Namespace, settings: Settings) -> int:
    """The stickers of the actas of a catalogue, with their keyed digest if PREP_QR_KEY is set."""
    from prep.operations.stickers import stickers  # noqa: PLC0415  # only this command needs reportlab

    catalog, _ = reviewed(arguments.folder, accept=True)
    if catalog is None:
        return 1
    key = settings.qr_key.get_secret_value().encode() if settings.qr_key else None
    sheets, count = stickers(catalog, arguments.sheet, key, election=arguments.election)
    try:
        arguments.out.write_bytes(sheets)
    except OSError as error:
        raise Rejected(f"no se puede escribir {arguments.out}: {reason_of(error)}") from None
    signed = "con su huella" if key else "sin huella: PREP_QR_KEY no está"
    print(f"{arguments.out}: {count} etiquetas de 28 mm, {signed}")
    return 0


def _two_logins(arguments: argparse.Namespace) -> tuple[str, str] | None:
    """The logins of the two people who replace the catalogue; None without --replace. Raises Rejected."""
    by, second = arguments.by, arguments.second
    if not arguments.replace:
        if by or second:
            raise Rejected("--by y --with van con --replace")
        return None
    if arguments.action != "load":
        raise Rejected("--replace va con load")
    if not by or not second or by == second:
        raise Rejected("--replace necesita dos personas distintas: --by USUARIO y --with USUARIO")
    return by, second


async def _load(
    settings: Settings,
    catalog: Catalog,
    accepted: Sequence[str],
    night: Declared | None,
    logins: tuple[str, str] | None,
) -> bool:
    async with embedded.database(settings) as urls:
        await migrate(urls.owner, parts=urls.parts)
        people = await _confirmed(urls.owner, logins) if logins else None
        return await store.load(urls.owner, catalog, at=now(), warnings=accepted, replacing=people, night=night)


async def _confirmed(owner_url: str, logins: tuple[str, str]) -> tuple[int, int]:
    """Ask both people for their passwords. Raises Rejected if one is wrong or a role may not replace a catalogue."""
    from capture.auth import confirm  # noqa: PLC0415  # only a replacement needs the people and their passwords
    from prep.operations.accounts import asked_password  # noqa: PLC0415

    async with connect(owner_url) as connection:
        first, second = [
            await confirm(connection, login=login, password=asked_password(login), roles=REPLACES) for login in logins
        ]
    return first.id, second.id


def _write_template(folder: Path) -> int:
    """A catalogue that loads as it is, and its format. Nothing that is already there is written over."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Rejected(f"la carpeta {folder} no está vacía: nombre otra")
        for name, content in sample_catalog().items():
            (folder / name).write_bytes(content)
        (folder / FORMAT_NAME).write_text(catalog_format(), encoding="utf-8")
        (folder / NIGHT_NAME).write_text(sample_night_file(now()), encoding="utf-8")
    except OSError as error:
        raise Rejected(f"no se puede escribir en {folder}: {reason_of(error)}") from None
    print(f"{folder}: un catálogo de ejemplo; cada columna se explica en {folder / FORMAT_NAME}")
    print(f"la noche se declara en {folder / NIGHT_NAME}; cada línea se explica ahí")
    print(f"para revisarlo: prep catalog check {folder} y prep night check {folder}")
    return 0
