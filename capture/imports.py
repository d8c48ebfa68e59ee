"""A capture that comes from a file, of an acta of which no image can be had: one person's word, and marked.

1. `read`: what an import of the file would do: the actas of its rows, and the problems of each cell. It keeps nothing.
2. `check`: the values of one row are those of that acta's form, and no image of it has come. It keeps nothing, and
   gives the *constancia*: a page with the acta's sticker that says that there is no image. A device sends it. It goes
   the way of every image, and its document is published: *Constancia sin imagen*.
3. `capture`: the person who imports captures it first. Another person, at another site, captures it without seeing that
   one, as those who hold the paper read it out. Only if both agree, it counts.

If an image of the acta comes later, people type from it (`prep/pipeline.py`).
"""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import uuid4

from capture.auth import allow
from capture.entries import TYPISTS, Desk, DeskAnswer, read_fields, read_values
from prep.domain.acta import Estado
from prep.domain.catalog import ActaId
from prep.errors import Code, Rejected, Unavailable
from prep.files.capture_table import ACTA, CaptureRow, CaptureTable, CellProblem
from prep.scan.books import read_captures
from prep.scan.bounded import MIB, Bounds, Lane, OutOfBounds
from prep.store import desk as desk_store
from prep.store import imports as store
from prep.store.database import Connection, Pool, borrow
from prep.store.desk import Form
from prep.store.people import Person
from prep.store.tonight import Tonight
from prep.upload import TipoDocumento

LASTS: Final = timedelta(minutes=2)
"""How long the task is held between its lease and its answer, which follows at once."""
LARGEST: Final = 5_000_000
"""Bytes of a file of captures."""
READING: Final = Bounds(memory=256 * MIB, cpu=10, seconds=20)
READING_WAITS: Final = 60.0
"""How long a file waits for its turn and is read. A person waits meanwhile."""
MOST_PROBLEMS: Final = 5
"""Of one row."""
_TOLD: Final = ("eleccion", "clave", "titulo", "qr", "seccion", "tipo", "numero", "ext_contigua")


@dataclass(frozen=True, slots=True)
class Imports:
    """What people import from files."""

    pool: Pool
    desk: Desk
    tonight: Tonight
    clock: Callable[[], datetime]
    reading: Lane
    """The process in which files are read: their bytes come from anywhere."""

    async def read(self, person: Person, content: bytes) -> dict[str, Any]:
        """The actas of that file, row by row, with the problems of each; a row without problems can be imported.

        Raises Rejected (403, 409, 422 with a sentence about the whole file) or Unavailable.
        """
        allow(person, TYPISTS)
        self.tonight.check_not_closed()
        constancia = _maker_of_constancias()
        table = await self._read_table(content, person.login)
        source = hashlib.sha256(content).hexdigest()
        async with borrow(self.pool) as connection:
            actas = await store.actas_to_import(connection, [(each.election, each.clave) for each in table.rows])
            rows = []
            for each in table.rows:
                acta = actas.get((each.election, each.clave))
                form = await self.desk.form_of_contest(connection, acta["contest"]) if acta else None
                problems = [*each.problems, *problems_of(each, table, acta, form)]
                if acta is not None and acta["document"] == TipoDocumento.SIN_IMAGEN:
                    page = await constancia(acta, person, source=source, row=each.row)
                    problems += [CellProblem(ACTA, _ELSEWHERE)] if _imported_elsewhere(acta, page) else []
                rows.append(_row_told(each, table, problems))
        return {"hoja": table.sheet, "avisos": list(table.notes), "renglones": rows}

    async def _read_table(self, content: bytes, sender: str) -> CaptureTable:
        try:
            async with asyncio.timeout(READING_WAITS):
                return await self.reading.do(read_captures, content, sender=sender)
        except OutOfBounds:
            raise Rejected("el archivo pide demasiada memoria o demasiado tiempo: guárdelo como CSV") from None
        except TimeoutError:
            raise Unavailable("se leen otros archivos; intente de nuevo") from None

    async def check(
        self, person: Person, election: str, clave: str, raw: Mapping[str, object], *, source: str, row: int
    ) -> dict[str, Any]:
        """The names of the acta and its constancia, if these values could be imported for it.

        They stand in that row of the file of which `source` is the SHA-256: the constancia says it. Raises Rejected:
        404 for the acta, 409 if it has an image or is settled, 422 for the values.
        """
        allow(person, TYPISTS)
        self.tonight.check_not_closed()
        constancia = _maker_of_constancias()
        async with borrow(self.pool) as connection:
            found = (await store.actas_to_import(connection, [(election, clave)])).get((election, clave))
            if found is None:
                raise Rejected(_no_acta(election, clave), code=Code.NO_ACTA)
            if _has_image(found):
                raise Rejected(_HAS_IMAGE, code=Code.ILLEGAL_MOVE)
            form = await self.desk.form_of_contest(connection, found["contest"])
            read_values(form, raw, digitos=found["digitos"])
        page = await constancia(found, person, source=source, row=row)
        if _imported_elsewhere(found, page):
            raise Rejected(_ELSEWHERE, code=Code.ILLEGAL_MOVE)
        return {name: found[name] for name in _TOLD} | {"constancia": b64encode(page).decode()}

    async def capture(
        self, person: Person, election: str, clave: str, raw: Mapping[str, object], *, image: bytes
    ) -> DeskAnswer:
        """Keep the values as the first capture of the constancia `image`. The same again is answered again.

        Raises Unavailable until a worker has read the constancia; Rejected as `check`, and 409 if another person
        captures it already or this person holds another task.
        """
        allow(person, TYPISTS)
        self.tonight.check_not_closed()
        now = self.clock()
        async with borrow(self.pool) as connection:
            acta = await desk_store.acta_id(connection, election, clave)
            await self._check_constancia(connection, acta, image)
            lease = await store.import_before(connection, acta, image, person=person.id)
            lease = lease or await store.lease_import(
                connection, acta, image, person=person.id, now=now, until=now + LASTS, new=uuid4()
            )
        if lease is None:
            raise Rejected(
                "otra persona captura ya esta acta, o usted tiene otra tarea: contéstela o devuélvala",
                code=Code.ILLEGAL_MOVE,
            )
        try:
            return await self.desk.submit(person, lease, raw)
        except Rejected:
            await self.desk.release(person, lease)
            raise

    async def _check_constancia(self, connection: Connection, acta: ActaId, image: bytes) -> None:
        found = await store.image_to_import(connection, image)
        if found is None or found["state"] == "recibida":
            raise Unavailable("la constancia todavía no se lee; intente de nuevo", retry_after=1)
        if found["document"] != TipoDocumento.SIN_IMAGEN or found["acta"] != acta:
            raise Rejected("esa imagen no es la constancia de esta acta", code=Code.IMAGE_OF_OTHER_ACTA)


def problems_of(
    row: CaptureRow, table: CaptureTable, acta: Mapping[str, Any] | None, form: Form | None
) -> Iterator[CellProblem]:
    """Why that row could not be imported, besides the problems of its cells: its acta, and the fields of its form."""
    if acta is None or form is None:
        if row.election and row.clave:
            yield CellProblem(ACTA, _no_acta(row.election, row.clave))
        return
    if _has_image(acta):
        yield CellProblem(ACTA, _HAS_IMAGE)
    told = {each.column for each in row.problems}
    for code in form.codes:
        if code in row.values:
            try:
                read_fields([code], {code: row.values[code]}, digitos=acta["digitos"])
            except Rejected as refusal:
                yield CellProblem(code, refusal.sentence)
        elif code not in table.places:
            yield CellProblem("", f"falta la columna {code}: esta acta tiene ese campo")
        elif code not in told:
            yield CellProblem(code, "esta acta tiene ese campo: no puede ser «-»")
    for code in row.values:
        if code not in form.codes:
            yield CellProblem(code, "esta acta no tiene ese campo: escriba «-»")


def _row_told(row: CaptureRow, table: CaptureTable, problems: Sequence[CellProblem]) -> dict[str, Any]:
    shown = [
        {"columna": table.places.get(each.column, ""), "problema": each.sentence} for each in problems[:MOST_PROBLEMS]
    ]
    if more := len(problems) - len(shown):
        shown.append({"columna": "", "problema": f"y {more} más en este renglón"})
    return {
        "renglon": row.row,
        "eleccion": row.election,
        "clave": row.clave,
        "valores": {} if problems else dict(row.values),
        "problemas": shown,
    }


class _Maker(Protocol):
    """Makes the constancia of an acta that this person imports."""

    def __call__(self, acta: Mapping[str, Any], person: Person, *, source: str, row: int) -> Awaitable[bytes]: ...


def _maker_of_constancias() -> _Maker:
    try:
        from capture.constancia import constancia  # noqa: PLC0415 - its extra is of those who import
    except ModuleNotFoundError:
        raise Rejected("aquí no se importan actas sin imagen: falta el extra «documents»") from None

    async def make(acta: Mapping[str, Any], person: Person, *, source: str, row: int) -> bytes:
        return await asyncio.to_thread(constancia, acta, site=person.site_code, source=source, row=row)

    return make


def _no_acta(election: str, clave: str) -> str:
    return f"no hay en el catálogo un acta {clave} de {election}"


_HAS_IMAGE: Final = "esta acta ya tiene imagen, o ya está registrada: no se importa"


def _has_image(acta: Mapping[str, Any]) -> bool:
    return bool(acta["estado"] != Estado.ESPERADA and acta["document"] != TipoDocumento.SIN_IMAGEN)


_ELSEWHERE: Final = "esta acta ya se importó de otro archivo, o de otro renglón"


def _imported_elsewhere(acta: Mapping[str, Any], page: bytes) -> bool:
    """Whether another constancia of it came first: a second one would change nothing, and stay without a capture."""
    return bool(acta["document"] == TipoDocumento.SIN_IMAGEN and acta["image"] != hashlib.sha256(page).digest())
