"""How a device enrols itself: a supervisor shows a code, the device brings it with its own public key.

The code is 12 letters and digits, is good once and for `LASTS`, and is kept as its digest. The device's private key is
made on the device and never leaves it. The answer tells the device all that it needs for a night without a network: its
casillas with their actas, and the key with which it checks receipts.
"""

import secrets
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from capture.auth import Tries, allow, check_public_key
from capture.receipts import Receipts, raw_public
from prep.errors import Code, Rejected
from prep.scan.labels import modules
from prep.store import invitations as store
from prep.store.database import Connection, Pool, borrow, transaction
from prep.store.invitations import Invited
from prep.store.people import Person, Role
from prep.store.tonight import Tonight

LASTS: Final = timedelta(minutes=15)
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without letters and digits that look like others. 12 of 30: a billion guesses a second take 17 years."""
LENGTH: Final = 12
MAY_INVITE: Final = frozenset({Role.SUPERVISOR, Role.ADMINISTRADOR})

SEES_ITS_SITE: Final = frozenset(
    {Role.OPERADOR_CATD, Role.DIGITALIZADOR, Role.SUPERVISOR, Role.ADMINISTRADOR, Role.AUDITOR}
)
"""Who sees how the actas of their own site stand."""
MOST_ROWS: Final = 5_000
"""Rows of a site's board: a CATD has some hundred casillas."""


def new_code() -> str:
    """A code, as `K7QM-2XFD-9PRT`."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(drawn[at : at + 4] for at in range(0, LENGTH, 4))


def plain_code(said: str) -> bytes:
    """The code without what people put between its parts."""
    return "".join(said.upper().replace("-", " ").split()).encode()


def address_of(code: str, origin: str) -> str:
    """What the picture of the code says: a phone that reads it opens the screen. The part behind # is not sent."""
    return f"{origin.rstrip('/')}/casilla#inscribir={code}"


async def invite_by_owner(connection: Connection, invited: Invited) -> tuple[str, datetime]:
    """A new code and its end, for a command of the owner of the database. Raises Rejected."""
    code = new_code()
    return code, await store.add_invitation(connection, invited, plain_code(code), LASTS)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Invitations, and the devices that take them up."""

    pool: Pool
    receipts: Receipts
    tonight: Tonight
    tries: Tries

    async def invite(self, person: Person, token: str, invited: Invited, *, origin: str) -> dict[str, Any]:
        """A code for one device. `token` is that of the person's session: PostgreSQL looks at it again.

        Raises Rejected: 403; 404 for a site of no list; 409 if the device is enrolled; 422 for its casillas.
        """
        allow(person, MAY_INVITE)
        code = new_code()
        async with transaction(self.pool) as connection:
            until = await store.invite(connection, invited, plain_code(code), LASTS, token=token.encode())
        if until is None:
            raise Rejected("inicie sesión", code=Code.NO_SESSION)
        address = address_of(code, origin)
        return {"codigo": code, "vence": until.isoformat(), "direccion": address, "cuadros": list(modules(address))}

    async def enrol(self, said: str, public_key: str, *, address: str) -> dict[str, Any]:
        """Enrol the device of that code under its key (base64 of 32 bytes). The same again is answered again.

        Raises Rejected: 404 for a code that does not hold; 422 for a key that is none. Wrong codes from one address
        must wait, as wrong passwords do.
        """
        try:
            key = b64decode(public_key, validate=True)
        except ValueError:
            key = b""
        check_public_key(key)
        tried = self.tries.begin("", address)
        try:
            async with transaction(self.pool) as connection:
                device = await store.redeem(connection, plain_code(said), key)
                if device is not None:
                    site, actas = await store.actas_of_device(connection, device)
        except BaseException:
            tried.was_not_judged()
            raise
        if device is None:
            raise Rejected("el código no vale: ya se usó, venció o está mal escrito; pida otro", code=Code.CODE_WRONG)
        tried.was_right()
        night = self.tonight.night
        return {
            "dispositivo": device,
            "sitio": site,
            "servidor": f"PREP {night.siglas}",
            "simulacro": night.simulacro,
            "llave_de_acuses": raw_public(self.receipts.key),
            "casillas": _by_casilla(actas),
        }

    async def board(self, person: Person) -> dict[str, Any]:
        """How the actas stand that the devices of this person's site are to bring. Raises Rejected (403)."""
        allow(person, SEES_ITS_SITE)
        async with borrow(self.pool) as connection:
            actas, images = await store.site_board(connection, person.site, MOST_ROWS)
        told = [
            _with_moments({**each, "desde": self._since(each["estado"], each["desde"])}) for each in map(dict, actas)
        ]
        untied = [_with_moments(dict(each)) for each in images]
        return {"sitio": person.site_code, "actas": told, "imagenes": untied}

    def _since(self, estado: str, at: datetime | None) -> datetime | None:
        # Nobody waits for an acta before the night opens.
        return self.tonight.opened_at if estado == "falta" else at


def _with_moments(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _by_casilla(rows: Sequence[Any]) -> list[dict[str, Any]]:
    casillas: dict[str, dict[str, Any]] = {}
    for row in rows:
        casilla = casillas.setdefault(
            row["casilla"],
            {
                "clave": row["casilla"],
                "seccion": row["seccion"],
                "tipo": row["tipo"],
                "numero": row["numero"],
                "ext_contigua": row["ext_contigua"],
                "lugar": row["lugar"],
                "direccion": row["direccion"],
                "municipio": row["municipio"] or "",
                "actas": [],
            },
        )
        casilla["actas"].append(
            {"clave": row["clave"], "eleccion": row["eleccion"], "titulo": row["titulo"], "qr": row["qr"]}
        )
    return list(casillas.values())
