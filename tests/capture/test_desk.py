"""The desk over HTTP: leases, blind captures by different people, and answers that count once however often they come."""

import asyncio
import io
import json
import random
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from PIL import Image

from load_tests.pictures.crops import drawn_paper, inside
from prep.domain.entry import HEADER, TOTAL
from prep.domain.layout import PER, middle
from prep.errors import Unavailable
from prep.rehearsal.drawing.camera import CROP_LEVELS
from prep.rehearsal.drawing.press import SIZE
from prep.scan.corners import find_marks
from prep.store import desk as store
from prep.store.database import sql
from tests.conftest import Night
from tests.makers.capture_room import VALUES, Room, furnished, jpeg, qr


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


def different(**values: int | str) -> dict[str, int | str]:
    return VALUES | values


async def count(room: Room, query: str, *arguments: object) -> int:
    found: int = await room.pool.fetchval(query, *arguments)
    return found


async def test_two_people_at_two_sites_verify_an_acta(room: Room) -> None:
    await room.arrive(1)
    first = await room.type("ana", VALUES)
    assert first.status_code == 201
    assert first.json() == {"captura": 1, "avisos": []}
    assert await room.lease("dora", "captura") is None, "the second capture belongs to another site"
    assert (await room.type("beto", VALUES)).status_code == 201
    state = (await room.ask("super", "/v1/actas/DIP_LOC/clave1", method="GET")).json()
    assert state["estado"] == "Verificada"
    assert [entry["ordinal"] for entry in state["capturas"]] == [1, 2]


async def test_a_clock_that_was_ahead_for_a_moment_offers_nobody_what_he_may_not_do(room: Room) -> None:
    """The first capture has the hour of the wrong clock; the task that it leaves has the right one of the worker."""
    await room.arrive(1)
    room.clock.advance(minutes=45)
    task = await room.lease("ana", "captura")
    assert task is not None
    assert (await room.ask("ana", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES})).status_code == 201
    room.clock.advance(minutes=-45)
    await room.work()
    room.clock.advance(minutes=45)
    assert await room.lease("dora", "captura") is None, "by its own hour the first capture is of this moment"
    room.clock.advance(minutes=-45)
    assert (await room.type("beto", VALUES)).status_code == 201


async def test_a_capture_that_is_refused_because_of_its_site_waits_at_once_for_another_person(room: Room) -> None:
    """A clock that was ahead gave out the task as one of a lost site. It must not wait until that lease ends."""
    await room.arrive(1)
    assert (await room.type("ana", VALUES)).status_code == 201
    room.clock.advance(minutes=45)
    task = await room.lease("dora", "captura")
    assert task is not None
    room.clock.advance(minutes=-45)
    refused = await room.ask("dora", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES})
    assert (refused.status_code, refused.json()["codigo"]) == (409, "captura_del_mismo_sitio")
    assert await room.lease("dora", "captura") is None
    assert (await room.type("beto", VALUES)).status_code == 201


async def test_a_lease_tells_the_fields_of_the_form_in_its_order(room: Room) -> None:
    await room.arrive(21)
    task = await room.lease("ana")
    assert task is not None
    assert task["tipo"] == "captura"
    assert task["acta"] == {
        "clave": "clave21",
        "eleccion": "DIP_LOC",
        "titulo": "Diputaciones locales",
        "contienda": "Reynosa",
        "entidad": "Tamaulipas",
        "distrito": "Reynosa",
        "municipio": "Nuevo Laredo",
        "seccion": "0021",
        "casilla": "B01",
        "limite": 510,
    }
    assert [field["codigo"] for field in task["campos"]] == [
        "BOLETAS_SOBRANTES", "PERSONAS_VOTARON", "REPRESENTANTES_VOTARON", "VOTOS_SACADOS",
        "PAN", "PRI", "CAND_IND_1", "NO_REGISTRADAS", "NULOS", "TOTAL_ASENTADO",
    ]  # fmt: skip
    assert task["campos"][4] == {"codigo": "PAN", "nombre": "Partido Acción Nacional", "digitos": 3, "recorte": None}


async def test_options_that_are_not_on_the_ballot_are_marked_so_and_blank_is_not_zero(room: Room) -> None:
    await room.arrive(1)
    await room.type("ana", different(PRI="Ilegible", NULOS="sin dato"))
    row = await room.pool.fetchrow("SELECT numbers, marks FROM entry")
    assert row is not None
    assert row["marks"] == "NNNN" + "NINXNS" + "N"
    assert row["numbers"] == [100, 398, 2, 400, 150, None, 100, None, 0, None, 400]


async def test_each_field_tells_its_strip_of_the_image_to_both_people_alike(room: Room, night: Night) -> None:
    """The form is that of one contest alone; a resolution tells the strips of what differs."""
    rows = tuple(code for code in VALUES if code not in {*HEADER, TOTAL})
    paper = drawn_paper(rows)
    owner = await asyncpg.connect(night.owner)
    await owner.execute("INSERT INTO form_layout VALUES (10, $1)", json.dumps(paper.layout.as_json()))
    await owner.close()
    photo = paper.take(random.Random(3), CROP_LEVELS["buena"])
    found = find_marks(Image.open(io.BytesIO(photo.data)).convert("L"))
    assert found is not None
    await room.arrive(1, marks=found)
    told = []
    for who, pan in (("ana", 150), ("beto", 151), ("caro", 152)):
        task = await room.lease(who, "captura")
        assert task is not None
        told.append(task["campos"])
        answer = await room.ask(who, f"/v1/tasks/{task['tarea']}/entry", {"valores": different(PAN=pan)})
        assert answer.status_code == 201
        await room.work()
    assert told[0] == told[1] == told[2]
    for field in told[0]:
        corners = [(x * SIZE[0] / PER, y * SIZE[1] / PER) for x, y in field["recorte"]]
        assert all(inside(photo.place(middle(box)), corners) for box in paper.boxes[field["codigo"]])
    choice = await room.lease("dora")
    assert choice is not None
    assert choice["campos"] == [field for field in told[0] if field["codigo"] == "PAN"]
    # Acta 21 is of the other contest, whose form nobody described.
    await room.arrive(21, marks=found)
    other = await room.lease("beto", "captura")
    assert other is not None
    assert [field["recorte"] for field in other["campos"]] == [None] * len(other["campos"])


async def test_a_second_capture_learns_nothing_of_the_first(room: Room) -> None:
    """Neither the task, nor the queue, nor the acta's state give a capture away, until the acta is verified."""
    sha256 = await room.arrive(1)
    odd = different(PAN=777, TOTAL_ASENTADO=999)
    await room.type("ana", odd)
    answers = [await room.ask("beto", "/v1/tasks/lease", {})]
    assert answers[0].json()["campos"] == [
        *({"codigo": code, "nombre": name, "digitos": 3, "recorte": None} for code, name in zip(VALUES, [
            "Boletas sobrantes", "Personas que votaron", "Representantes que votaron", "Votos sacados de la urna",
            "Partido Acción Nacional", "PRI", "PAN-PRI", "NO_REGISTRADAS", "NULOS", "Total de votos asentado"], strict=True)),
    ]  # fmt: skip
    answers += [
        await room.ask("beto", f"/v1/images/{sha256}", method="GET"),
        await room.ask("super", "/v1/actas/DIP_LOC/clave1", method="GET"),
        await room.ask("audi", "/v1/actas/DIP_LOC/clave1", method="GET"),
    ]
    for answer in answers:
        assert answer.status_code == 200
        # As words of their own: the digits of an identifier may be these by chance.
        assert not re.search(rb"\b(777|999)\b", answer.content)
    assert answers[2].json()["capturas"] == []
    assert (await room.ask("beto", "/v1/actas/DIP_LOC/clave1", method="GET")).status_code == 403


async def test_nobody_captures_an_acta_twice_not_even_an_administrator(room: Room) -> None:
    await room.arrive(1)
    await room.type("admin", VALUES)
    await room.pool.execute("UPDATE task SET not_site = NULL")
    assert await room.lease("admin") is None
    assert await room.lease("ana") is not None


async def test_the_database_refuses_a_second_capture_by_one_person_even_if_the_queue_is_tampered_with(
    room: Room,
) -> None:
    await room.arrive(1)
    await room.type("admin", VALUES)
    await room.pool.execute("UPDATE task SET not_persons = '{}', not_site = NULL")
    refused = await room.type("admin", VALUES)
    assert refused.status_code == 409
    assert refused.json()["error"] == "usted ya capturó esta acta; le toca a otra persona"
    assert await count(room, "SELECT count(*) FROM entry") == 1
    assert await count(room, "SELECT count(*) FROM outbox") == 0


async def test_fifty_equal_submissions_at_once_make_one_capture_and_get_one_answer(room: Room) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    path = f"/v1/tasks/{task['tarea']}/entry"
    answers = await asyncio.gather(*(room.ask("ana", path, {"valores": different(NULOS=31)}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["avisos"] == ["los votos suman 401 y el total asentado dice 400"]
    assert await count(room, "SELECT count(*) FROM entry") == 1
    assert await count(room, "SELECT count(*) FROM outbox") == 1


async def test_other_values_under_a_used_lease_are_refused(room: Room) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    path = f"/v1/tasks/{task['tarea']}/entry"
    await room.ask("ana", path, {"valores": VALUES})
    again = await room.ask("ana", path, {"valores": different(PAN=151)})
    assert (again.status_code, again.json()["error"]) == (409, "esta tarea ya se contestó de otra manera")
    stolen = await room.ask("beto", path, {"valores": VALUES})
    assert stolen.status_code == 410


async def test_a_person_holds_one_lease_and_asking_again_gives_the_same(room: Room) -> None:
    for acta in range(1, 6):
        await room.arrive(acta)
    answers = await asyncio.gather(*(room.lease("ana") for _ in range(10)))
    assert len({str(answer) for answer in answers}) == 1
    assert await count(room, "SELECT count(*) FROM task WHERE lease IS NOT NULL") == 1
    others = await asyncio.gather(*(room.lease(who) for who in ("beto", "caro", "dora", "super")))
    claves = {task["acta"]["clave"] for task in (answers[0], *others) if task}
    assert len(claves) == 5, "five people hold five different actas"


async def test_a_task_that_another_request_holds_for_a_moment_and_gives_up_is_not_passed_over(room: Room) -> None:
    await room.arrive(1)
    async with room.pool.acquire() as connection:
        holding = connection.transaction()
        await holding.start()
        await connection.execute("SELECT FROM task FOR UPDATE")
        asked = asyncio.create_task(room.lease("ana"))
        await asyncio.sleep(0.1)
        await holding.rollback()
    assert await asked is not None


async def test_an_expired_lease_goes_back_to_the_queue_and_opens_nothing(room: Room) -> None:
    await room.arrive(1)
    lost = await room.lease("ana")
    assert lost is not None
    assert await room.lease("beto") is None
    room.clock.advance(minutes=10)
    late = await room.ask("ana", f"/v1/tasks/{lost['tarea']}/entry", {"valores": VALUES})
    assert (late.status_code, late.json()["error"]) == (410, "esta tarea venció o ya no es suya; pida otra")
    taken = await room.lease("beto")
    assert taken is not None
    assert taken["tarea"] != lost["tarea"]
    assert await room.lease("ana") is None
    later = await room.ask("ana", f"/v1/tasks/{lost['tarea']}/entry", {"valores": VALUES})
    assert later.status_code == 410
    assert (await room.ask("beto", f"/v1/tasks/{taken['tarea']}/entry", {"valores": VALUES})).status_code == 201


async def test_a_person_who_comes_back_after_an_expired_lease_gets_a_new_one(room: Room) -> None:
    await room.arrive(1)
    lost = await room.lease("ana")
    room.clock.advance(minutes=11)
    again = await room.lease("ana")
    assert lost is not None
    assert again is not None
    assert again["tarea"] != lost["tarea"]
    assert again["vence"] > lost["vence"]


async def test_an_answer_brings_the_next_task_if_it_is_asked_for(room: Room) -> None:
    for acta in (1, 2):
        await room.arrive(acta)
    task = await room.lease("ana", "captura")
    assert task is not None
    path = f"/v1/tasks/{task['tarea']}/entry"
    first = (await room.ask("ana", path, {"valores": VALUES, "siguiente": ["captura"]})).json()
    assert first["siguiente"]["acta"]["clave"] != task["acta"]["clave"]
    assert await room.lease("ana") == first["siguiente"]


async def test_an_answer_that_comes_again_brings_no_task(room: Room) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    path, body = f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES, "siguiente": ["captura"]}
    assert (await room.ask("ana", path, body)).json()["siguiente"] is None, "nothing waits"
    await room.arrive(2)
    again = await room.ask("ana", path, body)
    assert (again.status_code, list(again.json())) == (200, ["captura", "avisos"])
    assert await count(room, "SELECT count(*) FROM task WHERE lease IS NOT NULL") == 0


async def test_the_next_task_is_of_a_kind_that_was_asked_for(room: Room) -> None:
    await room.arrive(1)
    await room.arrive(2, text=None)
    task = await room.lease("ana", "captura")
    assert task is not None
    path = f"/v1/tasks/{task['tarea']}/entry"
    assert (await room.ask("ana", path, {"valores": VALUES, "siguiente": ["captura"]})).json()["siguiente"] is None
    named = await room.lease("ana")
    assert named is not None
    assert named["tipo"] == "identificacion"
    said = {"identidad": qr(2), "siguiente": ["captura", "identificacion"]}
    assert (await room.ask("ana", f"/v1/tasks/{named['tarea']}/identity", said)).json() == {"siguiente": None}
    wrong = await room.ask("ana", path, {"valores": VALUES, "siguiente": ["otra"]})
    assert (wrong.status_code, wrong.json()["error"]) == (422, "siguiente.0: no es uno de los valores posibles")


async def test_a_kept_answer_is_told_though_the_next_task_cannot_be_asked_for(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("la base de datos no responde; intente de nuevo")

    monkeypatch.setattr(store, "lease", away)
    answer = await room.ask("ana", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES, "siguiente": ["captura"]})
    assert (answer.status_code, list(answer.json())) == (201, ["captura", "avisos"])


async def test_a_person_who_leaves_gives_the_task_back(room: Room) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    assert await room.lease("beto") is None
    assert (await room.ask("ana", "/v1/session", method="DELETE")).status_code == 204
    assert await room.lease("beto") is not None


async def test_a_person_who_logs_in_at_another_screen_goes_on_there_with_the_task(room: Room) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    before = {"Authorization": f"Bearer {room.tokens.pop('ana')}"}
    assert await room.lease("ana") == task, "from the other screen"
    left = await room.http.post("/v1/tasks/lease", json={}, headers=before)
    assert (left.status_code, left.json()["codigo"]) == (401, "sin_sesion")
    assert (await room.http.delete("/v1/session", headers=before)).status_code == 204
    assert (await room.ask("ana", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES})).status_code == 201


async def test_a_released_task_waits_for_anybody(room: Room) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    stranger = await room.ask("beto", f"/v1/tasks/{task['tarea']}/release")
    assert stranger.status_code == 204
    assert await room.lease("beto") is None, "only its holder gives a task back"
    assert (await room.ask("ana", f"/v1/tasks/{task['tarea']}/release")).status_code == 204
    assert await room.lease("beto") is not None


WRONG: list[tuple[dict[str, Any], str]] = [
    ({k: v for k, v in VALUES.items() if k not in {"PAN", "NULOS"}}, "faltan campos del acta: PAN, NULOS"),
    (different(CAND_IND_1=3), "campos que esta tarea no tiene: CAND_IND_1"),
    (different(PAN=1000), "PAN: 1000 no cabe en las 3 casillas del acta"),
    (different(PAN=-1), "PAN: un número de votos no puede ser negativo"),
    (different(PAN="doce"), "PAN: se espera un número entero, «ilegible» o «sin dato»"),
    (different(PAN=""), "PAN: se espera un número entero, «ilegible» o «sin dato»"),
    (VALUES | {"PAN": None}, "PAN: se espera un número entero, «ilegible» o «sin dato»"),
    (VALUES | {"PAN": True}, "PAN: se espera un número entero, «ilegible» o «sin dato»"),
    (VALUES | {"PAN": 1.0}, "PAN: se espera un número entero, «ilegible» o «sin dato»"),
]


@pytest.mark.parametrize(("values", "sentence"), WRONG)
async def test_what_a_form_cannot_hold_is_told_back_by_field_and_the_lease_stays(
    room: Room, values: dict[str, Any], sentence: str
) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    path = f"/v1/tasks/{task['tarea']}/entry"
    refused = await room.ask("ana", path, {"valores": values})
    assert (refused.status_code, refused.json()["error"]) == (422, sentence)
    assert (await room.ask("ana", path, {"valores": VALUES})).status_code == 201


MALFORMED = [
    (b'{"valores": {"PAN": 1, "PAN": 2}}', 422, "campo repetido: PAN"),
    (b'{"valores": [1]}', 422, "valores: se espera un objeto"),
    (b'{"valor": {}}', 422, "valores: falta"),
    (b"[]", 422, "cuerpo: se espera un objeto"),
    (b"[" * 60_000, 400, "el cuerpo no es JSON válido en UTF-8"),
    (b'{"valores": NaN}', 400, "el cuerpo no es JSON válido en UTF-8"),
    (b'{"valores": "\xff"}', 400, "el cuerpo no es JSON válido en UTF-8"),
    (b"", 400, "el cuerpo no es JSON válido en UTF-8"),
    (b'{"valores": {"PAN": ' + b"9" * 5000 + b"}}", 400, "el cuerpo no es JSON válido en UTF-8"),
    (b" " * 70_000, 413, "el cuerpo pasa del límite de 65536 bytes"),
]


@pytest.mark.parametrize(("body", "status", "sentence"), MALFORMED)
async def test_a_body_that_is_no_answer_is_refused_in_one_sentence(
    room: Room, body: bytes, status: int, sentence: str
) -> None:
    await room.lease("ana")
    headers = {"Authorization": f"Bearer {room.tokens['ana']}"}
    path = "/v1/tasks/00000000-0000-0000-0000-000000000000/entry"
    refused = await room.http.post(path, content=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]) == (status, sentence)


async def test_warnings_speak_of_arithmetic_and_decide_nothing(room: Room) -> None:
    await room.arrive(1)
    typed = await room.type("ana", different(PAN=500, VOTOS_SACADOS=399))
    assert typed.status_code == 201
    assert typed.json()["avisos"] == [
        "los votos suman 750 y el total asentado dice 400",
        "los votos suman 750 y en esta casilla caben 510",
        "votaron 400 personas y representantes y los votos sacados de la urna son 399",
    ]


async def three_different(room: Room) -> None:
    await room.arrive(1)
    for who, pan in (("ana", 150), ("beto", 151), ("caro", 152)):
        assert (await room.type(who, different(PAN=pan))).status_code == 201


async def test_a_person_who_typed_none_of_three_different_captures_picks_one_of_them(room: Room) -> None:
    await three_different(room)
    for who in ("ana", "beto", "caro"):
        assert await room.lease(who) is None, "each of the three would pick her own"
    task = await room.lease("dora")
    assert task is not None
    assert task["tipo"] == "resolucion"
    assert task["campos"] == [{"codigo": "PAN", "nombre": "Partido Acción Nacional", "digitos": 3, "recorte": None}]
    assert task["capturas"] == [{"PAN": pan} for pan in (150, 151, 152)], "what differs, and no name"
    assert (await room.ask("dora", task["imagen"], method="GET")).status_code == 200
    path = f"/v1/tasks/{task['tarea']}/resolution"
    fourth = await room.ask("dora", path, {"valores": {"PAN": 153}})
    assert fourth.status_code == 422
    assert fourth.json()["error"].startswith("la resolución debe ser una de las tres capturas")
    whole = await room.ask("dora", path, {"valores": different(PAN=151)})
    assert (whole.status_code, whole.json()["codigo"]) == (422, "campos_sobrantes")
    first, second = [await room.ask("dora", path, {"valores": {"PAN": 151}}) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 200)
    other = await room.ask("dora", path, {"valores": {"PAN": 150}})
    assert other.status_code == 409
    await room.work()
    assert await count(room, "SELECT numbers[5] FROM acta_version") == 151


async def test_three_captures_are_shown_by_their_values_and_not_in_the_order_of_their_people(room: Room) -> None:
    await room.arrive(1)
    for who, values in (("ana", {"PRI": 3, "NULOS": "ilegible"}), ("beto", {"PRI": 2}), ("caro", {"PRI": 1})):
        assert (await room.type(who, different(**values))).status_code == 201
    task = await room.lease("super")
    assert task is not None
    shown = [{"PRI": 1, "NULOS": 30}, {"PRI": 2, "NULOS": 30}, {"PRI": 3, "NULOS": "ilegible"}]
    assert task["capturas"] == shown
    wrong_door = await room.ask("super", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES})
    assert (wrong_door.status_code, wrong_door.json()["error"]) == (409, "esta tarea es de resolucion")


async def test_the_database_refuses_a_choice_by_a_typist_even_if_the_queue_is_tampered_with(room: Room) -> None:
    await three_different(room)
    await room.pool.execute("UPDATE task SET not_persons = '{}'")
    task = await room.lease("caro")
    assert task is not None
    refused = await room.ask("caro", f"/v1/tasks/{task['tarea']}/resolution", {"valores": {"PAN": 152}})
    assert (refused.status_code, refused.json()["codigo"]) == (409, "eleccion_propia")
    assert await count(room, "SELECT count(*) FROM resolution") == 0


async def test_two_people_say_whose_image_it_is(room: Room) -> None:
    sha256 = await room.arrive(5, text=None)
    for who in ("digi", "ana"):
        task = await room.lease(who)
        assert task is not None
        assert (task["tipo"], task["acta"], task["campos"]) == ("identificacion", None, [])
        path = f"/v1/tasks/{task['tarea']}/identity"
        wrong = await room.ask(who, path, {"identidad": "la de la esquina"})
        assert (wrong.status_code, wrong.json()["error"]) == (422, "identidad: no es el texto de un QR de acta")
        said = {"identidad": "28|1|d|0005|1|b|0|6", "proceso_tecnico": True}
        assert [(await room.ask(who, path, said)).status_code for _ in range(2)] == [201, 200]
        assert (await room.ask(who, path, {"identidad": ""})).status_code == 409
        assert await room.lease(who, "identificacion") is None
        await room.work()
    assert await room.pool.fetchval("SELECT acta FROM image_current WHERE image = $1", bytes.fromhex(sha256)) == 5
    said_by_both = await room.pool.fetch("SELECT identity FROM identification")
    assert [row["identity"] for row in said_by_both] == [qr(5)] * 2


async def test_an_image_is_shown_to_the_person_who_works_on_it(room: Room) -> None:
    sha256 = await room.arrive(1)
    path = f"/v1/images/{sha256}"
    assert (await room.ask("ana", path, method="GET")).status_code == 403
    await room.lease("ana")
    seen = await room.ask("ana", path, method="GET")
    assert (seen.status_code, seen.content) == (200, b"web " + jpeg(1))
    assert seen.headers["content-type"] == "image/jpeg"
    original = await room.ask("audi", f"{path}?original=1", method="GET")
    assert original.content == jpeg(1)
    assert original.headers["content-disposition"] == f'attachment; filename="{sha256}.jpg"'
    assert "sandbox" in original.headers["content-security-policy"]
    assert original.headers["x-content-type-options"] == "nosniff"
    assert (await room.ask("digi", path, method="GET")).status_code == 403
    assert (await room.ask("super", f"/v1/images/{'0' * 64}", method="GET")).status_code == 404
    room.clock.advance(minutes=11)
    assert (await room.ask("ana", path, method="GET")).status_code == 403


async def test_a_supervisor_opens_a_new_round_and_who_typed_the_old_one_may_type_again(room: Room) -> None:
    await room.arrive(1)
    await room.type("ana", VALUES)
    await room.type("beto", VALUES)
    path = "/v1/actas/DIP_LOC/clave1/recaptura"
    assert (await room.ask("ana", path, {"motivo": "dedazo"})).status_code == 403
    assert (await room.ask("super", path, {"motivo": "dedazo"})).status_code == 201
    hidden = (await room.ask("super", "/v1/actas/DIP_LOC/clave1", method="GET")).json()
    assert (hidden["estado"], hidden["ronda"], hidden["capturas"]) == ("Digitalizada", 2, [])
    assert (await room.type("ana", different(PAN=149))).status_code == 201
    assert await count(room, "SELECT count(*) FROM entry WHERE ronda = 2") == 1


async def test_a_cotejador_sends_a_published_acta_back(room: Room, night: Night) -> None:
    await room.arrive(1)
    await room.type("ana", VALUES)
    await room.type("beto", VALUES)
    path = "/v1/actas/DIP_LOC/clave1/cotejo"
    early = await room.ask("cotejo", path, {"resultado": "aceptada"})
    assert early.status_code == 409
    await room.pool.execute("UPDATE acta_current SET estado = 'Publicada'")
    assert (await room.ask("super", path, {"resultado": "aceptada"})).status_code == 403
    assert (await room.ask("cotejo", path, {"resultado": "quizá"})).status_code == 422
    assert (await room.ask("cotejo", path, {"resultado": "en correccion"})).status_code == 201
    assert await count(room, "SELECT cotejada FROM acta_version ORDER BY id DESC LIMIT 1") == 3
    assert await count(room, "SELECT count(*) FROM task WHERE ronda = 2") == 1


async def test_a_get_changes_nothing(room: Room) -> None:
    for path in ("/v1/tasks/lease", "/v1/decisions", "/v1/decisions/1/confirm", "/v1/session"):
        answer = await room.ask("super", path, method="GET")
        assert (answer.status_code, answer.json()["error"]) == (405, "esta dirección no admite ese método")
    assert await count(room, "SELECT count(*) FROM acta_current") == 0


async def test_the_queue_is_read_through_its_index_however_long_it_is(room: Room, night: Night) -> None:
    await room.arrive(1)
    owner = await asyncpg.connect(night.owner)
    await owner.execute("""
        INSERT INTO task (kind, acta, image, ronda, ordinal, queue_at, created_at, not_persons)
        SELECT 'captura', 1 + n % 40, image, 1 + n, 1, now() + random() * interval '1 hour', now(), '{}'
        FROM generate_series(1, 5000) n, task
    """)
    await owner.execute("ANALYZE task")
    lease = UUID(int=1)
    now = room.clock()
    arguments = (1, 1, ["resolucion", "captura"], now, now, lease, now - timedelta(minutes=30))
    explained = await owner.fetch(f"EXPLAIN (ANALYZE, COSTS OFF) {sql('desk')['lease']}", *arguments)
    plan = "\n".join(row[0] for row in explained)
    await owner.close()
    assert "task_queue" in plan
    assert "Seq Scan on task" not in plan
