"""A capture that comes from a file, of an acta of which no image can be had: one person's word, and marked.

1. `check`: the values are those of that acta's form, and no image of it has come. It keeps nothing.
2. Its device sends a *constancia*: a page with the acta's sticker that says that there is no image. It goes the way of
   every image, and its document is published: *Constancia sin imagen*.
3. `capture`: the person who imports captures it first. Another person, at another site, captures it without seeing that
   one, as those who hold the paper read it out. Only if both agree, it counts.

If an image of the acta comes later, people type from it (`prep/pipeline.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from capture.auth import allow
from capture.entries import TYPISTS, Desk, DeskAnswer, read_values
from prep.domain.acta import Estado
from prep.domain.catalog import ActaId
from prep.errors import Code, Rejected, Unavailable
from prep.store import desk as desk_store
from prep.store import imports as store
from prep.store.database import Connection, Pool, borrow
from prep.store.people import Person
from prep.store.tonight import Tonight
from prep.upload import TipoDocumento

LASTS: Final = timedelta(minutes=2)
"""How long the task is held between its lease and its answer, which follows at once."""
_TOLD: Final = ("eleccion", "clave", "titulo", "qr", "seccion", "tipo", "numero", "ext_contigua")


@dataclass(frozen=True, slots=True)
class Imports:
    """What people import from files."""

    pool: Pool
    desk: Desk
    tonight: Tonight
    clock: Callable[[], datetime]

    async def check(self, person: Person, election: str, clave: str, raw: Mapping[str, object]) -> dict[str, Any]:
        """The names of the acta, if these values could be imported for it.

        Raises Rejected: 404 for the acta, 409 if it has an image or is settled, 422 for the values.
        """
        allow(person, TYPISTS)
        self.tonight.check_not_closed()
        async with borrow(self.pool) as connection:
            acta = await desk_store.acta_id(connection, election, clave)
            found = await store.acta_to_import(connection, acta)
            if found["estado"] != Estado.ESPERADA and found["document"] != TipoDocumento.SIN_IMAGEN:
                raise _has_image()
            form = await self.desk.form_of_contest(connection, found["contest"])
            read_values(form, raw, digitos=found["digitos"])
        return {name: found[name] for name in _TOLD}

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


def _has_image() -> Rejected:
    return Rejected("esta acta ya tiene imagen, o ya está registrada: no se importa", code=Code.ILLEGAL_MOVE)
