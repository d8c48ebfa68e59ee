"""People log in and devices are known: nothing a client sends says who it is."""

import asyncio
import base64
import hashlib
import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from capture.auth import (
    FREE_TRIES,
    Devices,
    add_user,
    change_password,
    derived,
    enroll,
    key_of,
)
from prep.errors import Rejected, Unavailable
from prep.settings import Part, now
from prep.store import people
from prep.store.database import Connection
from prep.store.people import Derived, Role
from tests.conftest import Night
from tests.makers.capture_room import CHEAP, EVENING, PASSWORD, Device, Room, furnished, jpeg
from tests.makers.waiting import PATIENCE

AN_HOUR = timedelta(hours=1)


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def log_in(room: Room, usuario: str, clave: str) -> tuple[int, dict[str, str]]:
    answer = await room.http.post("/v1/session", json={"usuario": usuario, "clave": clave})
    return answer.status_code, answer.json()


async def test_a_person_logs_in_works_and_logs_out(room: Room) -> None:
    status, session = await log_in(room, "ana", PASSWORD)
    assert status == 201
    assert session["rol"] == "capturista"
    assert session["sitio"] == "CCV-1"
    assert timedelta(hours=11) < datetime.fromisoformat(session["vence"]) - now() < timedelta(hours=13)
    headers = {"Authorization": f"Bearer {session['token']}"}
    assert (await room.http.post("/v1/tasks/lease", json={}, headers=headers)).status_code == 204
    assert (await room.http.delete("/v1/session", headers=headers)).status_code == 204
    after = await room.http.post("/v1/tasks/lease", json={}, headers=headers)
    assert (after.status_code, after.json()["error"]) == (401, "inicie sesión")


async def test_an_unknown_login_and_a_wrong_password_are_told_apart_by_nobody(room: Room) -> None:
    wrong = await log_in(room, "ana", "otra clave larga")
    unknown = await log_in(room, "nadie", PASSWORD)
    assert wrong == unknown == (401, {"error": "usuario o clave incorrectos", "codigo": "credenciales_incorrectas"})


def test_the_password_of_nobody_costs_as_much_as_any() -> None:
    from capture.auth import _NOBODY

    form = derived(PASSWORD).form
    assert _NOBODY.split("$")[:4] == form.split("$")[:4] == ["", "argon2id", "v=19", "m=65536,t=3,p=1"]
    assert [len(part) for part in _NOBODY.split("$")] == [len(part) for part in form.split("$")]


def test_the_same_password_is_kept_differently_each_time_and_each_form_derives_its_key() -> None:
    first, second = derived(PASSWORD, CHEAP), derived(PASSWORD, CHEAP)
    assert first.form != second.form
    assert key_of(PASSWORD, first.form) == first.key != second.key == key_of(PASSWORD, second.form)
    assert key_of(PASSWORD + " ", first.form) != first.key


def test_a_key_is_the_one_that_others_derive_from_the_usual_form() -> None:
    made = derived(PASSWORD, CHEAP)
    Argon2id.verify_phc_encoded(PASSWORD.encode(), f"{made.form}${base64.b64encode(made.key).decode().rstrip('=')}")


def kept_before(password: str) -> Derived:
    """Made by Python's own scrypt, as those that are in databases were."""
    salt = bytes(range(16))
    key = hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=5, maxmem=2**25, dklen=32)
    return Derived(f"scrypt$16384$8$5${base64.b64encode(salt).decode()}", key)


def test_a_password_that_was_kept_with_scrypt_still_derives_its_key() -> None:
    before = kept_before(PASSWORD)
    assert key_of(PASSWORD, before.form) == before.key != key_of(PASSWORD + " ", before.form)


KEPT = "SELECT password_form, key_sha256 FROM person WHERE login = 'ana'"
KEEP = "UPDATE person SET password_form = $1, key_sha256 = sha256($2) WHERE login = 'ana'"


async def row(connection: Connection, query: str) -> asyncpg.Record:
    found = await connection.fetchrow(query)
    assert found is not None
    return found


async def test_the_next_login_rewrites_an_old_password_and_a_wrong_one_does_not(room: Room, night: Night) -> None:
    owner = await asyncpg.connect(night.owner)
    before = kept_before(PASSWORD)
    await owner.execute(KEEP, before.form, before.key)
    assert (await log_in(room, "ana", "otra clave larga"))[0] == 401
    assert tuple(await row(owner, KEPT)) == (before.form, hashlib.sha256(before.key).digest())
    assert (await log_in(room, "ana", PASSWORD))[0] == 201
    rewritten = await row(owner, KEPT)
    assert rewritten["password_form"].startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert (await log_in(room, "ana", PASSWORD))[0] == 201
    assert await row(owner, KEPT) == rewritten, "written once"
    await owner.close()


async def test_the_application_rewrites_an_old_password_alone(room: Room, night: Night) -> None:
    """Its role cannot change a password; the function that it may call does not touch one in the form of today."""
    owner = await asyncpg.connect(night.owner)
    kept = await row(owner, KEPT)
    number = await owner.fetchval("SELECT id FROM person WHERE login = 'ana'")
    key, intruder = key_of(PASSWORD, kept["password_form"]), derived("del intruso", CHEAP)
    async with room.pool.acquire() as connection:
        await people.rewrite_password(connection, number, key, intruder)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE person SET password_form = 'x'")
    assert await row(owner, KEPT) == kept
    before = kept_before(PASSWORD)
    await owner.execute(KEEP, before.form, before.key)
    async with room.pool.acquire() as connection:
        await people.rewrite_password(connection, number, b"otra", intruder)
        await people.rewrite_password(connection, number, before.key, Derived("sin forma", b""))
    assert (await row(owner, KEPT))["password_form"] == before.form
    await owner.close()


async def test_capture_opens_a_session_for_nobody_whose_password_it_was_not_given(room: Room, night: Night) -> None:
    """Not with what it can read, and not past the function that compares."""
    connection = await asyncpg.connect(night.parts[Part.CAPTURE])
    number, form = await row(connection, "SELECT id, password_form FROM person WHERE login = 'super'")
    for guess in (b"", form.encode(), hashlib.sha256(b"").digest()):
        assert await people.open_session(connection, number, guess, b"x", lasts=AN_HOUR, idle=AN_HOUR) is None
    for forbidden in (
        "SELECT key_sha256 FROM person",
        "SELECT token_sha256 FROM session",
        f"INSERT INTO session VALUES ('x', {number}, now(), now(), '1 hour')",
        f"UPDATE session SET person = {number}",
        "DELETE FROM session",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(forbidden)
    key = key_of(PASSWORD, form)
    assert await people.open_session(connection, number, key, b"x", lasts=AN_HOUR, idle=AN_HOUR) is not None
    await connection.close()


async def test_a_stranger_who_tries_passwords_waits_longer_and_longer_and_the_person_does_not(room: Room) -> None:
    async def tried(clave: str, address: str) -> httpx.Response:
        said = {"usuario": "ana", "clave": clave}
        return await room.http.post("/v1/session", json=said, headers={"X-Forwarded-For": address})

    for _ in range(FREE_TRIES):
        assert (await tried("adivinanza", "198.51.100.7")).status_code == 401
    waits = []
    for _ in range(3):
        slowed = await tried(PASSWORD, "198.51.100.7")
        assert (slowed.status_code, slowed.json()["codigo"]) == (429, "demasiados_intentos")
        waits.append(slowed.headers["retry-after"])
        assert (await tried(PASSWORD, "203.0.113.9")).status_code == 201, "ana herself, at her own address"
        room.ticks.at += int(waits[-1])
        assert (await tried("adivinanza", "198.51.100.7")).status_code == 401
    assert waits == ["5", "10", "20"]
    assert slowed.json()["error"] == "demasiados intentos; espere 20 segundos"
    room.clock.advance(hours=1)
    assert (await tried(PASSWORD, "198.51.100.7")).status_code == 429, "a clock that is set ends no wait"
    assert (await log_in(room, "beto", PASSWORD))[0] == 201
    assert 'prep_logins_total{outcome="slowed"}' in (await room.http.get("/metrics")).text


async def test_the_address_is_what_a_proxy_of_ours_says_and_never_the_sender(night: Night, tmp_path: Path) -> None:
    async with furnished(night, tmp_path, proxies="192.0.2.1") as room:
        said = {"usuario": "ana", "clave": "adivinanza"}
        answers = [
            await room.http.post("/v1/session", json=said, headers={"X-Forwarded-For": f"198.51.100.{number}"})
            for number in range(FREE_TRIES + 1)
        ]
    assert [answer.status_code for answer in answers] == [401] * FREE_TRIES + [429]


async def test_a_try_that_nobody_judged_does_not_count(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("lejos")

    with monkeypatch.context() as lost:
        lost.setattr(people, "open_session", away)
        for _ in range(FREE_TRIES + 1):
            assert (await log_in(room, "ana", PASSWORD))[0] == 503
    assert (await log_in(room, "ana", PASSWORD))[0] == 201


async def aged(night: Night, change: str) -> None:
    owner = await asyncpg.connect(night.owner)
    await owner.execute(f"UPDATE session SET {change}")
    await owner.close()


async def test_a_session_ends_at_its_hour(room: Room, night: Night) -> None:
    await room.lease("ana")
    await aged(night, "expires_at = now() + interval '5 minutes'")
    room.ticks.at += 11
    assert (await room.ask("ana", "/v1/tasks/lease", {})).status_code == 204
    room.clock.advance(hours=13)
    assert (await room.ask("ana", "/v1/tasks/lease", {})).status_code == 204, "a clock that is set ends no session"
    await aged(night, "expires_at = now()")
    room.ticks.at += 11
    assert (await room.ask("ana", "/v1/tasks/lease", {})).status_code == 401


async def test_a_session_ends_once_its_person_has_been_idle_and_work_keeps_it(room: Room, night: Night) -> None:
    await room.lease("ana")
    for _ in range(3):
        await aged(night, "seen_at = now() - interval '29 minutes'")
        room.ticks.at += 11
        assert (await room.ask("ana", "/v1/tasks/lease", {})).status_code == 204
    await aged(night, "seen_at = now() - interval '30 minutes'")
    room.ticks.at += 11
    assert (await room.ask("ana", "/v1/tasks/lease", {})).status_code == 401


async def test_a_person_has_one_session_and_the_next_login_ends_it(room: Room, night: Night) -> None:
    tokens = [(await log_in(room, "ana", PASSWORD))[1]["token"] for _ in range(2)]
    together = await asyncio.gather(*(log_in(room, "ana", PASSWORD) for _ in range(4)))
    tokens += [session["token"] for _, session in together]
    answers = [
        await room.http.post("/v1/tasks/lease", json={}, headers={"Authorization": f"Bearer {token}"})
        for token in tokens
    ]
    assert sorted(answer.status_code for answer in answers) == [204, 401, 401, 401, 401, 401]
    owner = await asyncpg.connect(night.owner)
    assert await owner.fetchval("SELECT count(*) FROM session") == 1
    with pytest.raises(asyncpg.UniqueViolationError, match="session_one_a_person"):
        await owner.execute("INSERT INTO session SELECT 'x', person, expires_at, seen_at, idle FROM session")
    await owner.close()


async def test_a_person_who_is_set_inactive_is_out_within_seconds(room: Room, night: Night) -> None:
    await room.lease("ana")
    owner = await asyncpg.connect(night.owner)
    await owner.execute("UPDATE person SET active = false WHERE login = 'ana'")
    await owner.close()
    room.ticks.at += 11
    assert (await room.ask("ana", "/v1/tasks/lease", {})).status_code == 401
    assert (await log_in(room, "ana", PASSWORD))[0] == 401


async def test_a_person_who_gets_another_password_is_out_and_comes_in_with_it(room: Room, night: Night) -> None:
    await log_in(room, "ana", PASSWORD)
    owner = await asyncpg.connect(night.owner)
    await change_password(owner, login="ana", password="otra clave larga", cost=CHEAP)
    with pytest.raises(Rejected, match="no hay un usuario"):
        await change_password(owner, login="nadie", password="otra clave larga", cost=CHEAP)
    assert await owner.fetchval("SELECT count(*) FROM session") == 0
    assert (await log_in(room, "ana", PASSWORD))[0] == 401
    assert (await log_in(room, "ana", "otra clave larga"))[0] == 201
    await people.set_active(owner, "ana", active=False)
    assert (await log_in(room, "ana", "otra clave larga"))[0] == 401
    await people.set_active(owner, "ana", active=True)
    assert (await log_in(room, "ana", "otra clave larga"))[0] == 201
    await owner.close()


async def test_a_revoked_device_is_known_no_more(night: Night) -> None:
    owner = await asyncpg.connect(night.owner)
    device = Device("movil-9")
    await enroll(owner, device="movil-9", site="CATD-1", public_key=device.public_key, at=EVENING)
    await people.revoke_device(owner, "movil-9", EVENING)
    assert await people.devices(owner) == {}
    with pytest.raises(Rejected, match="no está inscrito"):
        await people.revoke_device(owner, "movil-10", EVENING)
    await owner.close()


async def test_the_token_is_nowhere_in_the_database(room: Room, night: Night) -> None:
    await room.lease("ana")
    owner = await asyncpg.connect(night.owner)
    rows = await owner.fetch("SELECT * FROM session")
    await owner.close()
    assert rows
    assert room.tokens["ana"] not in str(rows)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer \u00f1"])
async def test_without_a_session_nothing_opens(room: Room, authorization: str) -> None:
    headers = {b"Authorization": authorization.encode()}
    for method, path in (("POST", "/v1/tasks/lease"), ("GET", f"/v1/images/{'0' * 64}"), ("GET", "/v1/actas/A/B")):
        answer = await room.http.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "inicie sesión")


async def test_a_role_that_may_not_type_gets_no_task(room: Room) -> None:
    for who in ("audi", "oper", "cotejo"):
        answer = await room.ask(who, "/v1/tasks/lease", {})
        assert answer.status_code == 403
    answer = await room.ask("digi", "/v1/tasks/lease", {"tipos": ["captura"]})
    assert answer.json()["error"] == "su rol (digitalizador) no permite estas tareas"


async def test_every_answer_carries_the_security_headers(room: Room) -> None:
    for path in ("/metrics", "/nada", "/healthz"):
        headers = (await room.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


async def test_the_metrics_name_routes_and_never_actas(room: Room) -> None:
    await room.ask("super", "/v1/actas/DIP_LOC/clave1", method="GET")
    text = (await room.http.get("/metrics")).text
    assert 'prep_http_requests_total{route="/v1/actas/{eleccion}/{clave}",status="200"}' in text
    assert "clave1" not in text


async def test_people_and_devices_are_added_once(night: Night) -> None:
    owner = await asyncpg.connect(night.owner)

    async def add(login: str, password: str = PASSWORD) -> None:
        await add_user(owner, login=login, password=password, role=Role.CAPTURISTA, site="CCV-2", cost=CHEAP)

    await add("eva")
    with pytest.raises(Rejected, match="ya hay un usuario eva"):
        await add("eva")
    with pytest.raises(Rejected, match="el usuario lleva de 1 a 40 letras minúsculas"):
        await add("Eva Ruiz")
    with pytest.raises(Rejected, match="la clave lleva de 8 a 200 caracteres"):
        await add("otra", "corta")
    one, two = Device("movil-1"), Device("movil-2")
    for _ in range(2):
        await enroll(owner, device="movil-1", site="CATD-1", public_key=one.public_key, at=EVENING)
    for id_, key, sentence in (
        ("movil-1", two.public_key, "ya está inscrito otro dispositivo"),
        ("movil-3", one.public_key, "ya está inscrito otro dispositivo"),
        ("un nombre", two.public_key, "el identificador del dispositivo"),
        ("movil-3", b"corta", "la llave pública no es"),
    ):
        with pytest.raises(Rejected, match=sentence):
            await enroll(owner, device=id_, site="CATD-1", public_key=key, at=EVENING)
    await owner.close()


async def test_a_device_enrolled_during_the_night_is_known_at_its_first_image(room: Room, night: Night) -> None:
    late = Device("movil-9")
    content = jpeg(1)
    unknown = await room.http.post("/v1/images", content=content, headers=late.headers(content))
    assert (unknown.status_code, unknown.json()["error"]) == (401, "el dispositivo movil-9 no está inscrito")
    owner = await asyncpg.connect(night.owner)
    await enroll(owner, device=late.id, site="CATD-2", public_key=late.public_key, at=EVENING)
    await owner.close()
    known = await room.http.post("/v1/images", content=content, headers=late.headers(content))
    assert known.status_code == 201


async def test_devices_are_remembered_if_the_database_never_answers(tmp_path: Path) -> None:
    device = Device("movil-1")
    answers = asyncio.Event()

    async def fetch() -> dict[str, bytes]:
        if answers.is_set():
            raise Unavailable("lejos")
        return {device.id: device.public_key}

    file = tmp_path / "llaves" / "dispositivos.json"
    await Devices(fetch, file).check(device.id, device.key.sign(b"x"), b"x")
    answers.set()
    again = Devices(fetch, file)
    await again.check(device.id, device.key.sign(b"x"), b"x")
    with pytest.raises(Rejected, match="la firma del dispositivo no corresponde"):
        await again.check(device.id, device.key.sign(b"x"), b"y")
    with pytest.raises(Rejected, match="no está inscrito"):
        await again.check("otro", device.key.sign(b"x"), b"x")


def test_many_people_who_log_in_at_once_do_not_wait_for_each_other_for_ever() -> None:
    """With several lanes, OpenSSL starts threads for each derivation, and two derivations at a time block for ever."""
    kept = derived(PASSWORD, CHEAP)
    right: list[bool] = []

    def log_in_again_and_again() -> None:
        right.extend(key_of(PASSWORD, kept.form) == kept.key for _ in range(40))

    people_at_once = [threading.Thread(target=log_in_again_and_again, daemon=True) for _ in range(4)]
    for each in people_at_once:
        each.start()
    for each in people_at_once:
        each.join(PATIENCE)
    assert right == [True] * 160
