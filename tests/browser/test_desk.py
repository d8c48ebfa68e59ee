"""The desk of those in charge in a real browser: the board, the lists, and actions that say first what they will do."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from prep.store import embedded
from tests.browser.conftest import accessible, told
from tests.makers.capture_room import PASSWORD, VALUES, qr
from tests.makers.screen_room import ScreenRoom, screen_room


@pytest.fixture(scope="module")
def room(postgres: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenRoom]:
    with screen_room(postgres, tmp_path_factory.mktemp("mesa")) as opened:
        yield opened


def test_the_board_shows_the_work_that_waits_and_the_people_and_no_number_of_an_acta(
    room: ScreenRoom, enter: Any, shots: Any
) -> None:
    for acta in (1, 2):
        room.arrive(acta)
    room.arrive(3, text=None)
    room.run(room.room.type("ana", VALUES | {"PAN": 777}))
    page = enter("super")
    waiting = page.locator(".card").filter(has_text="Esperan a una persona")
    expect(waiting.get_by_role("row", name="captura 1.ª")).to_contain_text("1")
    expect(waiting.get_by_role("row", name="captura 2.ª (no en CCV-1)")).to_be_visible()
    expect(waiting.get_by_role("row", name="identificación")).to_be_visible()
    expect(page.get_by_role("row", name="CCV-1 ana")).to_contain_text("hace menos de 1 min")
    still_open = page.get_by_role("region", name="Por resolver")
    expect(still_open).to_contain_text("actas de las que no llegó imagen: 38")
    expect(still_open).to_contain_text("actas que se están capturando: 2")
    assert "777" not in page.content()
    accessible(page)
    shots(page, "tablero")
    other = enter("admin")
    expect(other.get_by_role("region", name="Por resolver")).to_contain_text("imágenes por identificar: 1")
    assert other.get_by_text("Quién captura").count() == 0, "how fast people type is for supervisors alone"
    assert "CCV-1 ana" not in other.content()


def test_only_those_in_charge_see_the_board_and_each_role_its_lists(room: ScreenRoom, enter: Any) -> None:
    page = enter("obse")
    names = [each.inner_text() for each in page.get_by_role("navigation").get_by_role("button").all()]
    assert names == [
        "Actas sin imagen", "Sin identificar", "Fuera de catálogo", "Exceden lo que cabe", "Correcciones", "Un acta",
    ]  # fmt: skip
    refused = room.run(room.room.ask("obse", "/v1/board", method="GET"))
    assert (refused.status_code, refused.json()["codigo"]) == (403, "rol_no_permitido")


def test_sin_acta_is_proposed_by_one_confirmed_by_another_and_undone_by_two(room: ScreenRoom, enter: Any) -> None:
    one, other = enter("oper"), enter("super")
    one.get_by_role("button", name="Actas sin imagen").click()
    one.get_by_label("Filtrar").fill("clave40")
    one.get_by_role("button", name="Sin acta…").click()
    dialog = one.get_by_role("dialog")
    expect(dialog).to_contain_text(
        "El acta DIP_LOC clave40 se publica sin números, con su motivo, y deja de esperarse."
    )
    accessible(one)
    dialog.get_by_label("Motivo (se publica)").select_option("casilla_no_instalada")
    dialog.get_by_role("button", name="Proponer").click()
    told(one, "falta que otra persona la confirme")
    assert room.state(40) == "Esperada"
    one.get_by_role("button", name="Decisiones de dos").click()
    expect(one.get_by_role("button", name="Retirar…")).to_be_visible()
    assert one.get_by_role("button", name="Confirmar…").count() == 0, "nobody confirms what she proposed"

    other.get_by_role("button", name="Decisiones de dos").click()
    other.get_by_role("button", name="Confirmar…").click()
    expect(other.get_by_role("dialog")).to_contain_text("Pasa en cuanto lo confirme.")
    other.get_by_role("dialog").get_by_role("button", name="Confirmar").click()
    expect(other.get_by_text("confirmada").first).to_be_visible()
    assert room.state(40) == "Verificada"

    other.get_by_role("button", name="Deshacer…").click()
    expect(other.get_by_role("dialog")).to_contain_text("El acta DIP_LOC clave40 se espera otra vez.")
    other.get_by_role("dialog").get_by_label("Motivo (se publica)").select_option("otra")
    other.get_by_role("dialog").get_by_role("button", name="Proponer").click()
    expect(other.get_by_role("alert").get_by_text("Escriba la explicación.")).to_be_visible()
    other.get_by_role("dialog").get_by_role("textbox").fill("el paquete sí llegó")
    other.get_by_role("dialog").get_by_role("button", name="Proponer").click()
    expect(other.get_by_text("por deshacer")).to_be_visible()
    one.get_by_role("button", name="Leer otra vez").click()
    one.get_by_role("button", name="Confirmar…").click()
    one.get_by_role("dialog").get_by_role("button", name="Confirmar").click()
    expect(one.get_by_text("deshecha").first).to_be_visible()
    assert room.state(40) == "Esperada"


def test_an_image_is_looked_at_and_assigned_to_another_acta(room: ScreenRoom, enter: Any) -> None:
    room.arrive(5)
    page = enter("super", viewport={"width": 360, "height": 640})
    page.get_by_role("button", name="Un acta").click()
    for name, typed in (
        ("Municipio o demarcación", "27"), ("Sección", "5"), ("Casilla", "b"), ("Elección", "dip"),
    ):  # fmt: skip
        box = page.get_by_role("combobox", name=name)
        expect(box).to_have_attribute("aria-disabled", "false")
        box.focus()
        box.press_sequentially(typed)
        page.get_by_role("option").first.click()
    expect(page.get_by_text("Digitalizada")).to_be_visible()
    page.get_by_role("button", name="Ver ").click()
    expect(page.get_by_role("img", name="Imagen")).to_be_visible()
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing runs off a small screen"
    page.get_by_role("button", name="Es de otra acta…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Proponer").click()
    expect(dialog.get_by_text("Elija el acta que muestra la imagen.")).to_be_visible()
    for name, typed in (("Sección", "6"), ("Casilla", "b"), ("Elección", "dip")):
        box = dialog.get_by_role("combobox", name=name)
        expect(box).to_have_attribute("aria-disabled", "false")
        box.focus()
        box.press_sequentially(typed)
        dialog.get_by_role("option").first.click()
    dialog.get_by_role("button", name="Proponer").click()
    told(page, "falta que otra persona la confirme")
    [row] = room.rows("SELECT kind, identity FROM decision WHERE kind = 'imagen_de_otra_acta'")
    assert row["identity"] == qr(6)


def test_every_list_is_accessible_in_the_dark(room: ScreenRoom, enter: Any) -> None:
    page = enter("super", color_scheme="dark")
    for name in (
        "Lo que espera", "Decisiones de dos", "Actas sin imagen", "Sin identificar", "Fuera de catálogo",
        "Posibles duplicados", "Etiqueta y envío difieren", "Exceden lo que cabe", "Correcciones", "Mensajes apartados",
        "Dispositivos", "Personas", "Pausas y cambios de sitio", "Sitios",
    ):  # fmt: skip
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        expect(page.get_by_role("main").get_by_role("status").filter(has_text="Filas")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Tablero").click()
    expect(page.get_by_text("Esperan a una persona")).to_be_visible()
    accessible(page)


def test_a_session_that_ends_in_the_middle_of_a_proposal_loses_no_word(room: ScreenRoom, enter: Any) -> None:
    page = enter("super")
    page.get_by_role("button", name="Actas sin imagen").click()
    page.get_by_label("Filtrar").fill("clave39")
    page.get_by_role("button", name="Sin acta…").click()
    dialog = page.get_by_role("dialog", name="Proponer: sin acta")
    dialog.get_by_role("textbox").fill("el camino está cerrado")
    page.context.clear_cookies()
    dialog.get_by_role("button", name="Proponer").click()
    lock = page.get_by_role("dialog", name="Entrar otra vez")
    accessible(page)
    lock.get_by_label("Usuario").fill("super")
    lock.get_by_label("Clave").fill(PASSWORD)
    lock.get_by_role("button", name="Entrar").click()
    told(page, "falta que otra persona la confirme")
    [kept] = room.rows("SELECT words FROM decision WHERE kind = 'sin_acta' ORDER BY id DESC LIMIT 1")
    assert kept["words"] == "el camino está cerrado"


def test_a_telephone_is_invited_and_a_lost_device_sends_no_more(room: ScreenRoom, enter: Any) -> None:
    room.arrive(7)
    page = enter("super")
    page.get_by_role("button", name="Dispositivos").click()
    page.get_by_role("button", name="Invitar un teléfono…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Identificador del dispositivo").fill("movil-7")
    dialog.get_by_label("Sitio").fill("CATD-1")
    dialog.get_by_label("Secciones que va a traer").fill("7, 8")
    dialog.get_by_role("button", name="Mostrar el código").click()
    expect(page.get_by_role("img", name="Código QR de ")).to_be_visible()
    expect(page.locator(".code")).to_have_text(re.compile(r"[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4}"))
    accessible(page)
    row = page.get_by_role("row", name="escaner-1")
    row.get_by_role("button", name="Ver", exact=True).click()
    expect(row).to_contain_text("clave7")
    row.get_by_role("button", name="Se perdió…").click()
    expect(page.get_by_role("dialog")).to_contain_text("Desde ahora escaner-1 no envía nada más.")
    page.get_by_role("button", name="Declarar perdido").click()
    expect(page.get_by_text("escaner-1 ya no envía.")).to_be_visible()
    expect(row).to_contain_text("revocado")
    [device] = room.rows("SELECT p.login FROM device d JOIN person p ON p.id = d.revoked_by WHERE d.id = 'escaner-1'")
    assert device["login"] == "super"


def test_supervisors_alone_see_how_people_type_with_intervals(room: ScreenRoom, enter: Any) -> None:
    room.forget_tasks()
    room.arrive(12)
    room.run(room.room.type("ana", VALUES))
    page = enter("super")
    page.get_by_role("button", name="Calidad de la captura").click()
    region = page.get_by_role("region", name="Calidad de la captura")
    expect(region.get_by_role("row", name="CCV-1 ana")).to_be_visible()
    # The second person, who verifies one of them: from then on it is compared.
    room.run(room.room.type("beto", VALUES))
    room.room.clock.advance(minutes=1)
    page.get_by_role("button", name="Leer otra vez").click()
    expect(page.get_by_text("Error de una captura en la noche, por campo:")).to_be_visible()
    expect(region.get_by_role("row", name="CCV-2 beto")).to_contain_text("100.00")
    expect(page.get_by_text("no es una clasificación")).to_be_visible()
    accessible(page)
    assert enter("admin").get_by_role("button", name="Calidad de la captura").count() == 0
