"""The screens over HTTP: fixed files under a strict policy, and sessions in a cookie that only these screens can use."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from capture import screens
from tests.conftest import Night
from tests.makers.capture_room import PASSWORD, VALUES, Room, furnished, jpeg, qr

HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def log_in(room: Room, user: str = "ana", headers: dict[str, str] = HERE) -> httpx.Response:
    said = {"usuario": user, "clave": PASSWORD}
    return await room.http.post("/v1/session/cookie", json=said, headers=headers)


def cookie_of(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


async def test_a_screen_logs_in_works_and_logs_out_by_its_cookie(room: Room) -> None:
    await room.arrive(1)
    answer = await log_in(room)
    assert (answer.status_code, answer.json()) == (201, {"usuario": "ana", "rol": "capturista", "sitio": "CCV-1"})
    said = answer.headers["set-cookie"]
    assert said.startswith("__Host-prep=")
    assert said.endswith("; Max-Age=43200; Path=/; Secure; HttpOnly; SameSite=Strict")
    cookie = {"Cookie": cookie_of(answer)} | HERE
    assert (await room.http.get("/v1/session/cookie", headers=cookie)).json()["usuario"] == "ana"
    task = (await room.http.post("/v1/tasks/lease", json={}, headers=cookie)).json()
    kept = await room.http.post(f"/v1/tasks/{task['tarea']}/entry", json={"valores": VALUES}, headers=cookie)
    assert kept.status_code == 201
    out = await room.http.delete("/v1/session", headers=cookie)
    assert out.status_code == 204
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert (await room.http.post("/v1/tasks/lease", json={}, headers=cookie)).status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", None])
async def test_a_cookie_counts_only_if_a_page_of_this_origin_asked(room: Room, site: str | None) -> None:
    """A stolen page, a sister host and a typed address are not a screen; neither is a program that took the cookie."""
    await room.arrive(1)
    cookie = cookie_of(await log_in(room))
    headers = {"Cookie": cookie} | ({"Sec-Fetch-Site": site} if site else {})
    for method, path in (("POST", "/v1/tasks/lease"), ("GET", "/v1/session/cookie"), ("DELETE", "/v1/session")):
        refused = await room.http.request(method, path, headers=headers)
        assert (refused.status_code, refused.json()["codigo"]) == (403, "peticion_de_otro_sitio")
    refused = await log_in(room, headers={"Sec-Fetch-Site": site} if site else {})
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers
    assert (await room.http.post("/v1/tasks/lease", json={}, headers={"Cookie": cookie} | HERE)).status_code == 200


async def test_a_program_needs_no_header_of_a_browser(room: Room) -> None:
    await room.arrive(1)
    token = cookie_of(await log_in(room)).partition("=")[2]
    headers = {"Authorization": f"Bearer {token}", "Sec-Fetch-Site": "cross-site"}
    assert (await room.http.post("/v1/tasks/lease", json={}, headers=headers)).status_code == 200


@pytest.mark.parametrize("path", [path for path, name in screens.PAGES.items() if f"{name}.html" in screens.files()])
async def test_a_screen_is_served_under_a_strict_policy(room: Room, path: str) -> None:
    page = await room.http.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert ("wasm-unsafe-eval" in policy) is (path == "/casilla")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers.get_list("cache-control") == ["no-cache"]
    again = await room.http.get(path, headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_there_is_nothing_else_under_the_address_of_the_files(room: Room) -> None:
    for name in ("no.js", "..%2Fapp.py", "%2e%2e"):
        assert (await room.http.get(f"/pantallas/{name}")).status_code == 404


async def test_an_answer_of_the_api_keeps_its_own_policy(room: Room) -> None:
    answer = await room.http.get("/v1/receipts/key")
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert answer.headers["cache-control"] == "no-store"


FIRST: tuple[dict[str, int | str], ...] = (
    VALUES,
    dict.fromkeys(VALUES, "ilegible"),
    dict.fromkeys(VALUES, 999),
    VALUES | {"PAN": "sin dato", "NULOS": 0},
)
"""First captures that differ in everything that an answer could give away: values, marks, sums, sizes."""


async def test_a_second_person_gets_the_same_bytes_for_any_first_capture_and_for_none(room: Room) -> None:
    """The task, the image and the answer to one's own capture are the same bytes; a lease and its end are drawn anew."""

    def bare(answer: httpx.Response) -> bytes:
        drawn = rb'"tarea":"[^"]*"|"vence":"[^"]*"|"captura":\d+'
        return re.sub(drawn, b"", answer.content)

    answers = set()
    for acta, first in enumerate(FIRST, 1):
        sha256 = await room.arrive(acta)
        alone = await room.ask("beto", "/v1/tasks/lease", {})
        await room.ask("beto", f"/v1/tasks/{alone.json()['tarea']}/release")
        assert (await room.type("ana", first)).status_code == 201
        second = await room.ask("beto", "/v1/tasks/lease", {})
        assert bare(second) == bare(alone)
        assert len(bare(second)) < len(second.content)
        image = await room.ask("beto", f"/v1/images/{sha256}", method="GET")
        assert image.status_code == 200
        typed = VALUES | {"NULOS": 31}
        kept = await room.ask("beto", f"/v1/tasks/{second.json()['tarea']}/entry", {"valores": typed})
        answers.add(bare(kept))
        await room.pool.execute("DELETE FROM outbox")
    assert len(answers) == 1, "what one is told of one's own sums does not depend on the first capture"


async def test_a_person_finds_an_acta_without_a_code(room: Room) -> None:
    [municipio] = (await room.ask("ana", "/v1/catalog/municipios", method="GET")).json()["filas"]
    assert municipio == {"entidad": 28, "nombre_entidad": "Tamaulipas", "municipio": 27, "nombre": "Nuevo Laredo"}
    where = "entidad=28&municipio=27"
    assert (await room.ask("ana", f"/v1/catalog/secciones?{where}", method="GET")).json()["filas"] == [*range(1, 41)]
    [acta] = (await room.ask("ana", f"/v1/catalog/actas?{where}&seccion=7", method="GET")).json()["filas"]
    assert acta == {
        "casilla": "B01",
        "eleccion": "DIP_LOC",
        "clave": "clave7",
        "titulo": "Diputaciones locales",
        "identidad": qr(7),
    }
    assert (await room.ask("ana", f"/v1/catalog/actas?{where}&seccion=99", method="GET")).json()["filas"] == []
    wrong = await room.ask("ana", f"/v1/catalog/actas?{where}&seccion=99999", method="GET")
    assert wrong.json()["codigo"] == "campo_no_valido"
    assert (await room.http.get("/v1/catalog/municipios")).status_code == 401


async def test_the_board_tells_the_work_that_waits_and_the_speed_of_people_and_no_value(room: Room) -> None:
    for acta in (1, 2):
        await room.arrive(acta)
    room.clock.advance(seconds=5)
    task = await room.lease("ana", "captura")
    assert task is not None
    room.clock.advance(seconds=40)
    odd = VALUES | {"PAN": 777}
    await room.ask("ana", f"/v1/tasks/{task['tarea']}/entry", {"valores": odd})
    await room.work()
    room.clock.advance(seconds=15)
    answer = await room.ask("super", "/v1/board", method="GET")
    told = answer.json()
    assert b"777" not in answer.content
    assert [(part["que"], part["ordinal"], part["no_sitio"], part["cuantas"]) for part in told["esperan"]] == [
        ("captura", 1, None, 1),
        ("captura", 2, "CCV-1", 1),
    ]
    [ana] = [person for person in told["personas"] if person["usuario"] == "ana"]
    assert (ana["capturas"], ana["recientes"], ana["mediana_segundos"]) == (1, 1, 40)
    assert sum(part["cuantas"] for part in told["actas"]) == 40
    await room.arrive(3)
    same = (await room.ask("admin", "/v1/board", method="GET")).json()
    assert same == told | {"personas": []}, "it is read once in some seconds, and how fast people are is not for all"
    room.clock.advance(hours=2)
    later = (await room.ask("super", "/v1/board", method="GET")).json()
    assert later["esperan"][0]["cuantas"] == 2
    [ana] = [person for person in later["personas"] if person["usuario"] == "ana"]
    assert (ana["capturas"], ana["recientes"], ana["mediana_segundos"]) == (1, 0, None)
    for who in ("ana", "audi", "obse", "oper"):
        assert (await room.ask(who, "/v1/board", method="GET")).status_code == 403


async def test_a_supervisor_declares_a_device_lost_and_sees_what_it_sent(room: Room) -> None:
    sha256 = await room.arrive(1)
    path = f"/v1/devices/{room.device.id}"
    for who, refused in (("ana", 403), ("obse", 403), ("audi", 403)):
        assert (await room.ask(who, f"{path}/lost")).status_code == refused
    [sent] = (await room.ask("audi", f"{path}/images", method="GET")).json()["filas"]
    assert (sent["numero"], sent["sha256"], sent["clave"]) == (10_001, sha256, "clave1")
    first = (await room.ask("super", f"{path}/lost")).json()
    again = (await room.ask("admin", f"{path}/lost")).json()
    assert first == again, "the first moment stays"
    late = await room.send(jpeg(2))
    assert late.status_code in {201, 401}, "the map of devices is at most some seconds old"
    assert [each["revocado"] is not None for each in await devices(room)] == [True]
    for method, end in (("POST", "lost"), ("GET", "images")):
        unknown = await room.ask("super", f"/v1/devices/nadie/{end}", method=method)
        assert (unknown.status_code, unknown.json()["codigo"]) == (404, "dispositivo_inexistente")


async def devices(room: Room) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = (await room.ask("super", "/v1/lists/devices", method="GET")).json()["filas"]
    return found


async def test_letters_are_of_fields_of_the_acta_and_decide_nothing(room: Room) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    path = f"/v1/tasks/{task['tarea']}/entry"
    wrong = await room.ask("ana", path, {"valores": VALUES, "letras": ["MORENA"]})
    assert (wrong.status_code, wrong.json()["codigo"]) == (422, "campos_sobrantes")
    told = {"valores": VALUES, "letras": ["PAN"], "milisegundos": 41_000, "teclas": 40}
    assert (await room.ask("ana", path, told)).status_code == 201
    assert (await room.ask("ana", path, told)).status_code == 200
    await room.work()
    assert (await room.type("beto", VALUES)).status_code == 201
    state = (await room.ask("super", "/v1/actas/DIP_LOC/clave1", method="GET")).json()
    assert state["estado"] == "Verificada"
    assert [each["letras"] for each in state["capturas"]] == [["PAN"], []]
    [note] = await room.pool.fetch("SELECT * FROM capture_note")
    assert dict(note) == {"entry": 1, "letters": ["PAN"], "milliseconds": 41_000, "keys": 40}
