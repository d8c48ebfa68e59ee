"""`prep parked` as a person uses it, with a worker at work on the other side."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from capture.auth import add_user
from prep.bus.contract import Bus
from prep.bus.table import EmbeddedBus
from prep.consumer import Line, run
from prep.errors import Parked
from prep.messages import Message, Topic
from prep.store import deliveries
from prep.store.database import Pool, transaction
from prep.store.people import Role
from tests.conftest import Night
from tests.makers.capture_room import CHEAP, PASSWORD
from tests.makers.waiting import PATIENCE, until
from tests.prep.test_worker import AT, Noting, effects, entry

ROOT = Path(__file__).resolve().parents[2]


class Person:
    """Types the command on this database."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def types(self, *words: str, password: str = PASSWORD) -> tuple[int, str, str]:
        return await self._types("parked", *words, password=password)

    async def decides(self, *words: str) -> tuple[int, str, str]:
        return await self._types("decide", *words)

    async def lists(self, *words: str) -> tuple[int, str, str]:
        return await self._types("list", *words)

    async def _types(self, *words: str, password: str = PASSWORD) -> tuple[int, str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "prep.operations", *words,
            env=clean | {"PREP_DATABASE": self.url}, stdin=-1, stdout=-1, stderr=-1, cwd=ROOT,
        )  # fmt: skip
        out, said = await process.communicate(f"{password}\n".encode())
        assert process.returncode is not None
        return process.returncode, out.decode(), said.decode()

    async def sees(self, *words: str) -> list[dict[str, object]]:
        status, out, _ = await self.types("--json", *words)
        assert status == 0
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def person(night: Night) -> Person:
    return Person(night.app)


@asynccontextmanager
async def night_shift(bus: Bus, pool: Pool, handler: Noting) -> AsyncIterator[None]:
    """A whole worker: its line, the relay, the gauges."""
    stop = asyncio.Event()
    running = asyncio.create_task(run(bus, pool, [Line(Topic.ENTRIES, "test", handler, 3, 4)], stop=stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await running


async def park(pool: Pool, *messages: Message, error: str = "mal") -> None:
    async with transaction(pool) as connection:
        for message in messages:
            await deliveries.park(connection, "test", message, error=error, at=AT)


async def test_a_poisoned_message_is_parked_repaired_and_retried_and_takes_effect_once(
    night: Night, pool: Pool, person: Person
) -> None:
    """Its partition goes on meanwhile; and the first delivery, should it come once more, changes nothing."""
    broken, tries = True, 0

    async def poison(message: Message) -> None:
        nonlocal tries
        if message.id == "entry:7:1:2":
            tries += 1
            if broken:
                raise ZeroDivisionError("el divisor\nes cero")

    bus = EmbeddedBus(night.app)
    bad = Message(Topic.ENTRIES, "acta:7", "entry:7:1:2", b"{}")
    ahead, behind, other = entry("acta:7", 1), entry("acta:7", 2), entry("acta:8")

    async def all_but_one() -> bool:
        return sorted(await effects(pool)) == sorted([ahead.id, behind.id, other.id])

    async def all_of_them() -> bool:
        return bad.id in await effects(pool)

    async def nothing_waits() -> bool:
        return not await bus.lag(Topic.ENTRIES, "test") and not await pool.fetchval("SELECT count(*) FROM outbox")

    await bus.publish([ahead, bad, behind, other])
    async with night_shift(bus, pool, Noting(applying=poison)):
        await until(all_but_one)
        await until(nothing_waits)
        assert tries == 3
        [seen] = await person.sees()
        assert (seen["que"], seen["tema"], seen["intentos"]) == ("captura 2 del acta 7, ronda 1", "entries", 3)
        assert seen["error"] == "ZeroDivisionError: el divisor\nes cero"
        broken = False
        assert await person.types("retry", str(seen["numero"])) == (0, f"se mandaron otra vez: {seen['numero']}\n", "")
        await until(all_of_them)
        await bus.publish([bad, bad])
        await until(nothing_waits)
    await bus.close()
    assert (await effects(pool)).count(bad.id) == 1
    assert tries == 4
    assert await person.sees() == []


async def test_a_cause_that_is_not_repaired_parks_it_again_and_its_attempts_add_up(
    night: Night, pool: Pool, person: Person
) -> None:
    async def refuse(_: Message) -> None:
        raise Parked("falta en el almacén la imagen")

    async def parked() -> bool:
        async with transaction(pool) as connection:
            return bool(await deliveries.list_parked(connection))

    bus = EmbeddedBus(night.app)
    await bus.publish([entry("a")])
    async with night_shift(bus, pool, Noting(refuse)):
        await until(parked)
        assert (await person.types("retry", "--all"))[0] == 0
        await until(parked)
    await bus.close()
    [seen] = await person.sees()
    assert seen["intentos"] == 2
    assert await effects(pool) == []


async def test_the_table_is_aligned_and_in_words(pool: Pool, person: Person) -> None:
    sha256 = "ab" * 32
    await park(
        pool, Message(Topic.IMAGES, sha256, f"image:escaner-1:40:{sha256}", b""), error="el encabezado\nno sirve"
    )
    await park(pool, Message(Topic.ENTRIES, "acta:1", "entry:1:1:4", b""))
    status, out, _ = await person.types()
    head, first, second = out.splitlines()
    assert status == 0
    assert head.split() == ["N.º", "QUÉ", "TEMA", "DESDE", "INTENTOS", "ERROR"]
    assert "imagen abababababab… de escaner-1 n.º 40" in first
    assert "2024-06-02 19:02:03" in first
    assert first.endswith("el encabezado no sirve")
    assert "resolución del acta 1, ronda 1" in second
    assert len({line.index(word) for line, word in ((head, "ERROR"), (first, "el encabezado"), (second, "mal"))}) == 1


async def two_supervisors(night: Night) -> None:
    connection = await asyncpg.connect(night.owner)
    for login, site in (("una", "CCV-1"), ("otra", "CCV-2")):
        await add_user(connection, login=login, password=PASSWORD, role=Role.SUPERVISOR, site=site, cost=CHEAP)
    await add_user(connection, login="ana", password=PASSWORD, role=Role.CAPTURISTA, site="CCV-1", cost=CHEAP)
    await connection.close()


async def test_a_dismissal_is_proposed_by_one_and_confirmed_by_another_and_stays_on_record(
    pool: Pool, person: Person, night: Night
) -> None:
    await two_supervisors(night)
    await park(pool, entry("a"), entry("b"))
    status, _, said = await person.types("dismiss", "1", "--by", "una")
    assert (status, "--reason" in said) == (2, True)
    status, _, said = await person.types("dismiss", "1", "--by", "una", "--reason", "porque sí")
    assert (status, "imagen_de_prueba" in said) == (2, True), "the closed list"
    words = ("dismiss", "1", "2", "--reason", "imagen_de_prueba", "--text", "del simulacro")
    assert (await person.types(*words, "--by", "una", password="otra cosa"))[2].startswith("prep: usuario o clave")
    assert (await person.types(*words, "--by", "ana"))[2].startswith("prep: su rol (capturista)")
    status, out, _ = await person.types(*words, "--by", "una")
    assert out.splitlines()[0] == ("decisión 1 (mensaje_descartado): propuesta; otra persona: prep decide confirm 1")
    assert [each["numero"] for each in await person.sees()] == [1, 2], "one person's word is none"
    same = await person.decides("confirm", "1", "--by", "una")
    assert same == (2, "", "prep: lo confirma otra persona, no quien lo propuso\n")
    assert await person.decides("confirm", "1", "--by", "otra") == (
        0, "decisión 1 (mensaje_descartado): confirmada\n", "",
    )  # fmt: skip
    assert await person.decides("reject", "2", "--by", "una") == (
        0, "decisión 2 (mensaje_descartado): rechazada\n", "",
    )  # fmt: skip
    settled = await person.sees("--all")
    assert [(each["estado"], each["razon"]) for each in settled] == [
        ("descartado", "imagen_de_prueba: del simulacro"),
        ("apartado", ""),
    ]
    assert (await person.decides("undo", "1", "--reason", "error", "--by", "una"))[0] == 0
    assert (await person.decides("confirm", "1", "--by", "otra"))[1] == "decisión 1 (mensaje_descartado): deshecha\n"
    assert [each["numero"] for each in await person.sees()] == [1, 2]
    assert await pool.fetchval("SELECT count(*) FROM event WHERE kind = 'decision'") == 2
    lost = await person.decides("confirm", "9", "--by", "otra")
    assert lost == (2, "", "prep: no hay una decisión con el número 9\n")


async def test_lists_are_read_at_the_machine(pool: Pool, person: Person, night: Night) -> None:
    await two_supervisors(night)
    await park(pool, entry("a"))
    await person.types("dismiss", "1", "--reason", "repetido", "--by", "una")
    status, out, _ = await person.lists("people", "--json")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"usuario": login, "rol": rol, "sitio": site, "activa": True, "en_pausa": False, "ultimo_cambio": None}
        for login, rol, site in (
            ("una", "supervisor", "CCV-1"),
            ("otra", "supervisor", "CCV-2"),
            ("ana", "capturista", "CCV-1"),
        )
    ]
    status, out, _ = await person.lists("waiting")
    head, *lines = [line.split("\t") for line in out.splitlines()]
    assert (status, head) == (0, ["QUE", "ASUNTO", "DESDE"])
    assert sorted(line[0] for line in lines) == ["decision", "mensaje apartado"]
    assert (await person.lists("fuera"))[1] == "no hay nada en esta lista\n"
    assert (await person.lists("nada"))[0] == 2


async def test_of_several_all_are_settled_or_none(pool: Pool, person: Person, night: Night) -> None:
    await two_supervisors(night)
    await park(pool, entry("a"), entry("b"))
    for words in (("retry", "1", "9"), ("dismiss", "2", "9", "--reason", "repetido", "--by", "una")):
        assert await person.types(*words) == (2, "", "prep: no hay un mensaje apartado con el número 9\n")
    assert [each["numero"] for each in await person.sees()] == [1, 2]
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
    assert await person.types("retry", "2", "1", "2") == (0, "se mandaron otra vez: 2, 1\n", "")
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 2
    assert await person.types("retry", "--all") == (0, "no hay mensajes apartados\n", "")


async def test_without_a_database_it_says_so(tmp_path: Path) -> None:
    status, out, said = await Person(f"postgresql://nadie@/prep?host={tmp_path}").types()
    assert (status, out, said) == (2, "", "prep: la base de datos no responde; intente de nuevo\n")
