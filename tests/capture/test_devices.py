"""A device is shut out, gets another key, or lost numbers: who says so, and what an image meets at the door."""

import io
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from capture.auth import add_user, enroll
from prep.errors import Rejected
from prep.operations import accounts
from prep.store import people
from prep.store.people import Role
from tests.conftest import Night
from tests.makers.capture_room import CHEAP, EVENING, PASSWORD, Device
from tests.makers.logged_night import arrive


@pytest.fixture
async def owner(night: Night) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection, with two supervisors, a capturista, and a device that sent two images."""
    connection = await asyncpg.connect(night.owner)
    for login, role in (("lena", Role.SUPERVISOR), ("raul", Role.SUPERVISOR), ("ana", Role.CAPTURISTA)):
        await add_user(connection, login=login, password=PASSWORD, role=role, site="CCV-2", cost=CHEAP)
    await enroll(connection, device="movil-1", site="CATD-1", public_key=Device("movil-1").public_key, at=EVENING)
    for number in (1, 4):
        await arrive(connection, "movil-1", number)
        await connection.execute(
            "INSERT INTO image_current (image, state, changed_at) SELECT sha256, 'recibida', $1 FROM image ON CONFLICT DO NOTHING",
            EVENING,
        )
    yield connection
    await connection.close()


async def lose(owner: asyncpg.Connection, numbers: str, by: str = "lena", second: str = "raul") -> str:
    """Like `prep device lost movil-1`; both type their passwords."""
    said = Namespace(device="movil-1", numbers=numbers, reason="se lo llevaron", by=by, second=second)
    async with owner.transaction():
        return await accounts._declare_lost(said)(owner)  # the command without a terminal


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n" * 20))


async def test_two_people_declare_numbers_of_a_device_lost(owner: asyncpg.Connection) -> None:
    assert await lose(owner, "3, 2") == "declarados perdidos: movil-1 2-3"
    row = await owner.fetchrow("SELECT device, numbers, reason, person <> confirmed AS two FROM device_loss")
    assert row is not None
    assert dict(row) == {"device": "movil-1", "numbers": "2-3", "reason": "se lo llevaron", "two": True}
    shown = await accounts._show_device(Namespace(device="movil-1"))(owner)
    assert "perdidos 2-3: se lo llevaron" in shown
    assert "faltan" not in shown


@pytest.mark.parametrize(
    ("numbers", "by", "second", "sentence"),
    [
        ("2", "lena", "lena", "quien confirma es otra persona"),
        ("2", "lena", "ana", "no permite esta operación"),
        ("2", "nadie", "lena", "usuario o clave incorrectos"),
        ("2-4", "lena", "raul", "de movil-1 sí llegó el número 4"),
        ("3-2", "lena", "raul", "va de mayor a menor"),
        ("0", "lena", "raul", "se escriben como 5-9,12"),
        ("2;3", "lena", "raul", "se escriben como 5-9,12"),
        ("2-5002", "lena", "raul", "son más de 5000 números"),
    ],
)
async def test_a_declaration_that_cannot_be(
    owner: asyncpg.Connection, numbers: str, by: str, second: str, sentence: str
) -> None:
    with pytest.raises(Rejected, match=sentence):
        await lose(owner, numbers, by, second)
    assert await owner.fetchval("SELECT count(*) FROM device_loss") == 0


async def test_a_device_gets_another_key_under_its_id(owner: asyncpg.Connection, tmp_path: Path) -> None:
    old = (await people.devices(owner))["movil-1"]
    said = Namespace(device="movil-1", key=None, keys=tmp_path)
    assert "sus acuses siguen valiendo" in await accounts._rotate_device(said)(owner)
    new = (await people.devices(owner))["movil-1"]
    assert new != old
    with pytest.raises(Rejected, match=r"ya hay una llave en .*movil-1\.pem"):
        accounts._rotate_device(said)
    for key in (old, new):
        with pytest.raises(Rejected, match="esa llave ya la tuvo un dispositivo"):
            await people.rotate_device(owner, "movil-1", key, EVENING)
    with pytest.raises(Rejected, match="ya está inscrito otro dispositivo"):
        await enroll(owner, device="movil-2", site="CATD-1", public_key=old, at=EVENING)
    await people.revoke_device(owner, "movil-1", EVENING)
    with pytest.raises(Rejected, match="ya no se le admite nada"):
        await people.rotate_device(owner, "movil-1", Device("movil-3").public_key, EVENING)


async def test_what_a_device_sent_is_listed(owner: asyncpg.Connection) -> None:
    await people.revoke_device(owner, "movil-1", EVENING)
    lines = (await accounts._show_device(Namespace(device="movil-1"))(owner)).splitlines()
    assert lines[0].startswith("movil-1, sitio CATD-1, inscrito ")
    assert "no se le admite nada" in lines[1]
    assert [line.split()[0] for line in lines if "recibida" in line] == ["1", "4"]
    assert lines[-1].strip() == "faltan 2-3"
    with pytest.raises(Rejected, match="no está inscrito el dispositivo otro"):
        await accounts._show_device(Namespace(device="otro"))(owner)
