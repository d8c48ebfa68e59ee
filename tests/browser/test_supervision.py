"""The rest of a night, settled from the desk in a real browser: images, findings, people, a new scan."""

import io
from collections.abc import Callable, Iterator

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from prep.messages import ActaTouched
from prep.scan.corners import find_marks
from prep.store import deliveries, embedded
from prep.store.database import transaction
from prep.store.pipeline import add_event
from tests.browser.conftest import accessible, told
from tests.makers.capture_room import VALUES, qr
from tests.makers.declared import record_corte
from tests.makers.screen_room import ScreenRoom, drawn, screen_room

Enter = Callable[..., Page]
Shots = Callable[[Page, str], None]
OUTSIDE = "28|2|D|1|1|B|0|6"
SMALL = {"width": 360, "height": 640}


@pytest.fixture(scope="module")
def room(postgres: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenRoom]:
    with screen_room(postgres, tmp_path_factory.mktemp("mesa")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def begins_alone(room: ScreenRoom) -> None:
    room.forget_tasks()


async def said(room: ScreenRoom, identity: str, *people: str) -> None:
    for who in people:
        task = await room.room.lease(who, "identificacion")
        assert task is not None, who
        await room.room.ask(who, f"/v1/tasks/{task['tarea']}/identity", {"identidad": identity})
        await room.room.work()


async def happened(room: ScreenRoom, kind: str, subject: str, detail: dict[str, object]) -> None:
    async with transaction(room.room.pool) as connection:
        await add_event(connection, kind, subject, detail, room.room.clock())


def opened(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, level=2)).to_be_visible()


def chosen(within: Locator, *typed: tuple[str, str]) -> None:
    """An acta from the four boxes, by keyboard."""
    for name, text in typed:
        box = within.get_by_role("combobox", name=name)
        expect(box).to_have_attribute("aria-disabled", "false")
        box.focus()
        box.press_sequentially(text)
        within.get_by_role("option").first.click()


def test_an_image_that_nobody_could_identify_is_seen_assigned_by_one_and_confirmed_by_another(
    room: ScreenRoom, enter: Enter, shots: Shots
) -> None:
    sha256 = room.arrive(1, text=None)
    room.run(said(room, "", "digi", "ana"))
    one = enter("cotejo")
    opened(one, "Sin identificar")
    row = one.get_by_role("row", name=sha256[:12])
    expect(row).to_contain_text("dos personas dijeron que no se puede identificar")
    shots(one, "sin-identificar")
    accessible(one)
    row.get_by_role("button", name="Asignar a…").click()
    dialog = one.get_by_role("dialog")
    expect(dialog).to_contain_text("La imagen pasa a ser de esa acta")
    expect(dialog.get_by_role("img", name="Imagen")).to_be_visible()
    accessible(one)
    shots(one, "asignar")
    chosen(dialog, ("Municipio o demarcación", "27"), ("Sección", "3"), ("Casilla", "b"), ("Elección", "dip"))
    dialog.get_by_label("Motivo (se publica)").select_option("identificada_despues")
    dialog.get_by_role("button", name="Proponer").click()
    told(one, "falta que otra persona la confirme")
    expect(row.get_by_role("button", name="espera a otra persona")).to_be_visible()
    assert room.state(3) == "Esperada"

    other = enter("super", viewport=SMALL)
    opened(other, "Sin identificar")
    other.get_by_role("button", name="espera a otra persona").click()
    expect(other.get_by_role("heading", name="Decisiones de dos")).to_be_visible()
    other.get_by_role("button", name="Confirmar…").click()
    dialog = other.get_by_role("dialog")
    expect(dialog.get_by_role("img", name="Imagen")).to_be_visible()
    accessible(other)
    shots(other, "confirmar-movil")
    assert other.evaluate("document.documentElement.scrollWidth") <= SMALL["width"]
    dialog.get_by_role("button", name="Confirmar").click()
    expect(other.get_by_text("confirmada").first).to_be_visible()
    assert room.state(3) == "Digitalizada"


def test_another_image_is_asked_for_and_the_site_that_sent_it_sees_it(room: ScreenRoom, enter: Enter) -> None:
    sha256 = room.arrive(4, text=None)
    room.run(said(room, "", "digi", "ana"))
    page = enter("super")
    opened(page, "Sin identificar")
    page.get_by_role("row", name=sha256[:12]).get_by_role("button", name="Pedir otra imagen…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Pedirla").click()
    expect(dialog.get_by_text("Escriba la explicación.")).to_be_visible()
    dialog.get_by_role("textbox").fill("está cortada por abajo")
    dialog.get_by_role("button", name="Pedirla").click()
    told(page, "Otra imagen pedida a las")
    site = enter("oper", "/catd")
    expect(site.get_by_text("se pide otra imagen")).to_be_visible()


def test_an_image_stays_outside_the_catalogue_because_two_people_say_so_and_why(
    room: ScreenRoom, enter: Enter, shots: Shots
) -> None:
    sha256 = room.arrive(2, text=OUTSIDE)
    room.run(said(room, OUTSIDE, "digi", "ana"))
    one = enter("cotejo")
    opened(one, "Fuera de catálogo")
    row = one.get_by_role("row", name=sha256[:12])
    expect(row).to_contain_text("por revisar")
    row.get_by_role("button", name="Queda fuera…").click()
    dialog = one.get_by_role("dialog")
    expect(dialog.get_by_role("img", name="Imagen")).to_be_visible()
    dialog.get_by_label("Motivo (se publica)").select_option("casilla_no_aprobada")
    dialog.get_by_role("textbox").fill("no está en el encarte")
    dialog.get_by_role("button", name="Proponer").click()
    told(one, "falta que otra persona la confirme")
    other = enter("super")
    opened(other, "Fuera de catálogo")
    other.get_by_role("button", name="espera a otra persona").click()
    other.get_by_role("button", name="Confirmar…").click()
    other.get_by_role("dialog").get_by_role("button", name="Confirmar").click()
    expect(other.get_by_text("confirmada").first).to_be_visible()
    opened(other, "Fuera de catálogo")
    expect(other.get_by_text("Ninguna imagen está fuera de catálogo.")).to_be_visible()
    other.get_by_label("También lo revisado").check()
    expect(other.get_by_role("row", name=sha256[:12])).to_contain_text("queda fuera (decisión")
    accessible(other)
    shots(other, "fuera")


def test_each_finding_tells_its_numbers_and_is_settled_from_its_row(
    room: ScreenRoom, enter: Enter, shots: Shots
) -> None:
    one, other = room.arrive(5), room.arrive(6)
    room.run(happened(room, "misma_foto", one, {"parecidas": [{"clave": "clave6", "image": other}]}))
    room.run(happened(room, "identidad_difiere", other, {"qr": qr(6), "dispositivo": qr(9)}))
    for who in ("ana", "beto"):
        for _ in range(2):
            room.run(room.room.type(who, VALUES | {"PAN": 290}))

    async def set_aside() -> None:
        async with transaction(room.room.pool) as connection:
            message = ActaTouched(acta=1, ronda=1, ordinal=1).message()
            await deliveries.park(connection, "validate", message, error="no se pudo", at=room.room.clock())

    room.run(set_aside())
    page = enter("super")
    opened(page, "Posibles duplicados")
    # The pictures of this room are all alike to the machine: other pairs may be there too.
    pair = page.get_by_role("row").filter(has_text="clave5").filter(has_text="clave6")
    pair.get_by_role("button", name="Ver las dos").click()
    dialog = page.get_by_role("dialog", name="Posible duplicado")
    expect(dialog.get_by_role("img", name="Imagen")).to_have_count(2)
    accessible(page)
    shots(page, "duplicado")
    page.keyboard.press("Escape")
    pair.get_by_role("button", name="Son dos actas…").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("dos papeles, misma letra")
    page.get_by_role("dialog").get_by_role("button", name="Guardar").click()
    expect(pair).to_have_count(0)
    page.get_by_label("También lo revisado").check()
    expect(pair).to_contain_text("dos papeles, misma letra")
    accessible(page)

    opened(page, "Etiqueta y envío difieren")
    row = page.get_by_role("row", name=other[:12])
    expect(row).to_contain_text(qr(6))
    expect(row).to_contain_text(qr(9))
    row.get_by_role("button", name="Está donde debe…").click()
    expect(page.get_by_role("dialog")).to_contain_text("Nada cambia, y deja de estar por revisar.")
    page.keyboard.press("Escape")
    accessible(page)
    shots(page, "difieren")

    opened(page, "Exceden lo que cabe")
    row = page.get_by_role("row", name="clave5")
    expect(row).to_contain_text("Suma 540 votos y caben 510: 500 de la lista nominal + 10 representantes.")
    accessible(page)
    shots(page, "exceden")
    row.get_by_role("button", name="Capturar otra vez…").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("revisar el 290")
    page.get_by_role("dialog").get_by_role("button", name="Abrir la ronda").click()
    told(page, "Ronda nueva abierta.")
    expect(page.get_by_role("row", name="clave5")).to_have_count(0)
    page.get_by_role("button", name="DIP_LOC clave6").click()
    expect(page.get_by_role("heading", name="DIP_LOC · clave6")).to_be_visible()

    opened(page, "Mensajes apartados")
    page.get_by_role("button", name="Descartar…").click()
    expect(page.get_by_role("dialog")).to_contain_text("El mensaje apartado no se procesa más")
    page.get_by_role("dialog").get_by_role("button", name="Proponer").click()
    expect(page.get_by_role("button", name="espera a otra persona")).to_be_visible()
    accessible(page)


def test_a_person_is_paused_in_the_middle_of_an_acta_and_goes_on_with_what_she_typed(
    room: ScreenRoom, enter: Enter, shots: Shots
) -> None:
    room.arrive(7)
    typist = enter("ana", "/terminal")
    expect(typist.locator(".place")).to_contain_text("Sección 0007")
    typist.keyboard.type("123")
    page = enter("super")
    opened(page, "Personas")
    row = page.get_by_role("row", name="ana capturista")
    assert page.get_by_role("row", name="super supervisión").get_by_role("button").count() == 0, "not oneself"
    row.get_by_role("button", name="Poner en pausa…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Desde ahora ana no recibe tareas")
    accessible(page)
    shots(page, "pausa")
    dialog.get_by_role("textbox").fill("lleva nueve horas")
    dialog.get_by_role("button", name="Poner en pausa").click()
    expect(row).to_contain_text("en pausa")
    for value in list(VALUES.values())[1:]:
        typist.keyboard.press("Enter")
        typist.keyboard.type(str(value))
    typist.keyboard.press("Enter")
    typist.keyboard.press("Enter")
    expect(typist.get_by_text("está en pausa")).to_be_visible()
    assert room.rows("SELECT count(*) AS n FROM entry WHERE acta = 7")[0]["n"] == 0
    accessible(typist)
    row.get_by_role("button", name="Que siga…").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("ya descansó")
    page.get_by_role("dialog").get_by_role("button", name="Que siga").click()
    expect(row).to_contain_text("activa")
    expect(typist.locator(".place")).to_contain_text("Sección 0007")
    typed = typist.evaluate("Object.values(localStorage).find((each) => each.includes('captura')) ?? ''")
    assert '"BOLETAS_SOBRANTES":"123"' in typed, "what she typed is still there"

    row.get_by_role("button", name="Cambiar de sitio…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("falta gente allá")
    dialog.get_by_role("button", name="Cambiar de sitio").click()
    expect(dialog.get_by_role("alert")).to_have_text("Elija el sitio.")
    dialog.get_by_label("Sitio").select_option("CCV-2")
    dialog.get_by_role("button", name="Cambiar de sitio").click()
    expect(page.get_by_role("row", name="ana capturista CCV-2")).to_be_visible()
    opened(page, "Pausas y cambios de sitio")
    expect(page.get_by_role("row", name="ana trabaja en CCV-2 falta gente allá super")).to_be_visible()
    accessible(page)
    shots(page, "cambios")


def test_an_acta_that_differs_from_the_paper_is_typed_from_a_new_scan_and_its_code_says_so(
    room: ScreenRoom, enter: Enter, shots: Shots
) -> None:
    old = room.arrive(8)
    for who in ("dora", "beto"):
        room.run(room.room.type(who, VALUES))

    async def published() -> None:
        await room.room.pool.execute(
            "UPDATE acta_current SET estado = acta_after(estado, 'publicación') WHERE estado = 'Verificada' AND acta = 8"
        )

    room.run(published())
    compares = enter("cotejo")
    opened(compares, "Un acta")
    chosen(
        compares.get_by_role("main"),
        ("Municipio o demarcación", "27"), ("Sección", "8"), ("Casilla", "b"), ("Elección", "dip"),
    )  # fmt: skip
    compares.get_by_role("button", name="Difiere del papel…").click()
    compares.get_by_role("dialog").get_by_role("button", name="Guardar el cotejo").click()
    expect(compares.get_by_text("COTEJADA = 3, en corrección")).to_be_visible()
    accessible(compares)
    again = drawn(VALUES | {"PAN": 151}, 8)
    marks = find_marks(Image.open(io.BytesIO(again)).convert("L"))
    new = room.run(room.room.arrive(18, text=qr(8), picture=again, marks=marks))
    page = enter("super", viewport=SMALL)
    opened(page, "Un acta")
    chosen(
        page.get_by_role("main"),
        ("Municipio o demarcación", "27"), ("Sección", "8"), ("Casilla", "b"), ("Elección", "dip"),
    )  # fmt: skip
    page.get_by_role("button", name="Capturar de ésta…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("La imagen sustituye a la que se captura; las dos se conservan.")
    dialog.get_by_role("textbox").fill("digitalización nueva")
    accessible(page)
    dialog.get_by_role("button", name="Abrir la ronda").click()
    told(page, "Ronda nueva abierta.")
    assert page.evaluate("document.documentElement.scrollWidth") <= SMALL["width"]
    shots(page, "acta-movil")
    for who in ("dora", "beto"):
        room.run(room.room.type(who, VALUES | {"PAN": 151}))
    page.get_by_role("button", name="Un acta").click()
    [version] = room.rows("SELECT image, cotejada FROM acta_version WHERE acta = 8 ORDER BY id DESC LIMIT 1")
    assert (version["image"].hex(), version["cotejada"]) == (new, 2)
    kept = room.rows("SELECT count(*) AS n FROM image_current WHERE acta = 8")
    assert (kept[0]["n"], old != new) == (2, True)


def test_a_parked_message_is_sent_again_from_its_row(room: ScreenRoom, enter: Enter, shots: Shots) -> None:
    room.arrive(10)

    async def set_aside() -> None:
        async with transaction(room.room.pool) as connection:
            message = ActaTouched(acta=10, ronda=1, ordinal=1).message()
            await deliveries.park(connection, "validate", message, error="la base no respondió", at=room.room.clock())

    room.run(set_aside())
    page = enter("admin")
    opened(page, "Mensajes apartados")
    row = page.get_by_role("row", name="entry:10:1:1")
    accessible(page)
    shots(page, "apartados")
    row.get_by_role("button", name="Mandar otra vez…").click()
    dialog = page.get_by_role("dialog", name="Mandar otra vez el mensaje")
    expect(dialog).to_contain_text("El mensaje se intenta otra vez, con todos sus intentos (entry:10:1:1).")
    accessible(page)
    shots(page, "mandar-otra-vez")
    dialog.get_by_role("button", name="Mandarlo").click()
    told(page, "mandado otra vez.")
    expect(row).to_have_count(0)
    [waits] = room.rows("SELECT id FROM outbox")
    assert waits["id"] == "entry:10:1:1"


def test_a_cotejador_opens_the_oldest_acta_that_waits_and_it_leaves_the_list(
    room: ScreenRoom, enter: Enter, shots: Shots
) -> None:
    for acta in (11, 12):
        room.arrive(acta)
        for who in ("dora", "beto"):
            room.run(room.room.type(who, VALUES))
    room.run(record_corte(room.owner, 1, at=room.room.clock()))
    published = "UPDATE acta_current SET estado = 'Publicada' WHERE acta IN (11, 12)"
    room.run(room.room.pool.execute("INSERT INTO publication SELECT id, 1 FROM acta_version WHERE acta IN (11, 12)"))
    room.run(room.room.pool.execute(published))
    page = enter("cotejo")
    expect(page.get_by_role("heading", name="Por cotejar", level=2)).to_be_visible()
    rows = page.get_by_role("row").filter(has_text="clave1")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("sección 11, básica")
    expect(rows.first).to_contain_text("CATD-1")
    accessible(page)
    shots(page, "por-cotejar")
    rows.first.get_by_role("button", name="Cotejar…").click()
    expect(page.get_by_role("heading", name="DIP_LOC · clave11")).to_be_visible()
    page.get_by_role("button", name="Coincide con el papel…").click()
    page.get_by_role("dialog").get_by_role("button", name="Guardar el cotejo").click()
    expect(page.get_by_text("COTEJADA = 1, aceptada")).to_be_visible()
    opened(page, "Por cotejar")
    expect(rows).to_have_count(1)
    small = enter("cotejo", viewport=SMALL)
    expect(small.get_by_role("row", name="sección 12, básica")).to_be_visible()
    assert small.evaluate("document.documentElement.scrollWidth") <= SMALL["width"]
    shots(small, "por-cotejar-movil")
