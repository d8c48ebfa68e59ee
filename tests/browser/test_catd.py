"""The page of a CATD in a real browser: files of a scanner and packages of telephones, and the actas of the site."""

import asyncio
import datetime as dt
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from prep import pipeline
from prep.messages import ImageReceived
from prep.scan.reading import Reading
from prep.store import embedded
from prep.store.database import transaction
from prep.upload import TipoDocumento
from tests.browser.conftest import accessible
from tests.browser.test_phone import sent_by
from tests.makers.capture_room import PASSWORD, VALUES, qr
from tests.makers.screen_room import ScreenRoom, drawn, screen_room
from tests.makers.workbooks import BookPage, xlsx


@pytest.fixture(scope="module")
def finished(postgres: embedded.Embedded) -> None:
    """No published night is looked at here. PostgreSQL starts before the browser, whose loop runs in this thread."""


@pytest.fixture(scope="module")
def room(postgres: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenRoom]:
    with screen_room(postgres, tmp_path_factory.mktemp("catd")) as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, room: ScreenRoom) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="es-MX")
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda each: errors.append(str(each)))
    opened.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
    yield opened
    assert errors == []
    context.close()


def log_in(page: Page, room: ScreenRoom, user: str) -> None:
    page.goto(f"{room.url}/catd")
    page.get_by_label("Usuario").fill(user)
    page.get_by_label("Clave").fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("heading", name="Mis casillas")).to_be_visible()


def enrol(page: Page, room: ScreenRoom, device: str, secciones: list[int]) -> None:
    said = {"dispositivo": device, "sitio": "CATD-1", "secciones": secciones}
    code = room.run(room.room.ask("super", "/v1/devices/invitations", said)).json()["codigo"]
    page.get_by_label("Código").fill(code)
    page.get_by_role("button", name="Inscribir esta computadora").click()
    expect(page.get_by_role("heading", name="Enviar")).to_be_visible()


def package_of(room: ScreenRoom, content: bytes, changed: bytes) -> bytes:
    """A package of the room's own device; its second image was changed on its way."""
    device, packed, listed = room.room.device, io.BytesIO(), []
    with zipfile.ZipFile(packed, "w") as opened:
        for name, sent, signed in (("1.jpg", content, content), ("2.jpg", changed, content)):
            opened.writestr(name, sent)
            listed.append({"archivo": name, "encabezados": device.headers(signed, Origin="CASILLA", Kind="movil")})
        opened.writestr("paquete.json", json.dumps({"formato": 1, "imagenes": listed}))
    return packed.getvalue()


def test_scans_duplicates_rubbish_and_a_package_are_dropped_and_the_board_tells(
    page: Page, room: ScreenRoom, shots: Any
) -> None:
    log_in(page, room, "oper")
    accessible(page)
    enrol(page, room, "escaner-9", [21, 22, 23, 24])
    page.get_by_label("Al recibir un paquete, lea su etiqueta").fill(qr(22))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Acopio de sección 22, básica, Diputaciones locales:")).to_be_visible()
    first, second = drawn(VALUES, 21), drawn(VALUES, 22)
    files = [
        ("21.jpg", "image/jpeg", first),
        ("22.jpg", "image/jpeg", second),
        ("copia.jpg", "image/jpeg", first),
        ("notas.txt", "text/plain", b"llamar a casa " * 10),
        ("vacio.jpg", "image/jpeg", b""),
        ("movil.zip", "application/zip", package_of(room, drawn(VALUES, 25), b"otra cosa")),
        ("falso.zip", "application/zip", b"PK"),
    ]
    payloads: list[FilePayload] = [{"name": name, "mimeType": kind, "buffer": content} for name, kind, content in files]
    page.locator("input[type=file]").set_input_files(payloads)
    expect(page.get_by_text("2 con acuse · 0 por enviar · 1 no se aceptaron")).to_be_visible()
    told = page.locator(".files .notice")
    expect(told).to_contain_text("copia.jpg: es la misma imagen que 21.jpg, byte por byte")
    expect(told).to_contain_text("vacio.jpg: el archivo está vacío")
    expect(told).to_contain_text("movil.zip: 1 de 2 imágenes con acuse; 2.jpg: no es la imagen que firmó el teléfono")
    expect(told).to_contain_text("falso.zip: no es un paquete de PREP Casilla, o llegó incompleto")
    assert [(number, acta) for number, _, acta in sent_by(room, "escaner-9")] == [(1, qr(21)), (2, qr(22))]
    room.arrive(21)
    page.reload()
    expect(page.locator("tr.llego")).to_contain_text("sección 21, básica")
    expect(page.locator("tr.falta")).to_have_count(3)
    accessible(page)
    shots(page, "catd-tablero")


async def read_constancias(room: ScreenRoom, count: int) -> None:
    """The worker: it reads the stickers of the constancias that come."""
    done: set[str] = set()
    while len(done) < count:
        for row in await room.room.pool.fetch("SELECT body FROM bus_message WHERE topic = 'images' ORDER BY 1"):
            received = ImageReceived.model_validate_json(row["body"])
            if received.tipo_documento is TipoDocumento.SIN_IMAGEN and received.sha256 not in done:
                web = bytes.fromhex(received.sha256)
                async with transaction(room.room.pool) as connection:
                    reading = Reading(received.acta_hint, "zxing", 64, 64, bytes(128), web, web)
                    await pipeline.digitized(connection, received, reading, room.room._pipeline_given)
                done.add(received.sha256)
        await asyncio.sleep(0.05)


def test_actas_without_an_image_are_imported_from_a_book_after_its_problems_were_seen(
    page: Page, room: ScreenRoom, shots: Any
) -> None:
    log_in(page, room, "admin")
    enrol(page, room, "escaner-11", [13, 14])
    values = [*VALUES.values()]
    book = xlsx(
        BookPage(
            "Actas",
            [
                [],
                ["ELECCION", "CLAVE_ACTA", *VALUES],
                ["DIP_LOC", "clave13", *map(float, values)],
                ["DIP_LOC", "clave14", *map(str, values)],
                ["DIP_LOC", "clave99", *values],
                ["DIP_LOC", "clave15", dt.date(2026, 6, 7), *values[1:]],
            ],
        ),
        BookPage("Notas", [["llamar a casa"]]),
    )
    file: FilePayload = {"name": "perdidas.xlsx", "mimeType": "application/octet-stream", "buffer": book}
    chooser = page.locator("input[type=file]")
    chooser.set_input_files([file])
    dialog = page.get_by_role("dialog", name="Actas sin imagen: perdidas.xlsx, hoja Actas")
    expect(dialog).to_contain_text("Actas que se importan: 2, como captura de admin, una sola persona.")
    expect(dialog).to_contain_text("Renglones que no se importan: 2.")
    expect(dialog).to_contain_text("La hoja «Notas» no se lee.")
    expect(dialog.get_by_role("row", name="5 B (CLAVE_ACTA) clave99 no hay en el catálogo")).to_be_visible()
    expect(dialog.get_by_role("row", name="6 C (BOLETAS_SOBRANTES) clave15")).to_contain_text("dice «2026-06-07»")
    accessible(page)
    shots(page, "catd-importar")
    dialog.get_by_role("button", name="Cancelar").click()
    expect(dialog).to_have_count(0)
    assert room.rows("SELECT 1 FROM bus_message WHERE body LIKE '%Constancia%'") == [], "only a yes sends something"

    for once in (True, False):
        chooser.set_input_files([file])
        dialog.get_by_role("button", name="Importar (2)").click()
        if once:
            expect(page.get_by_text("Importando: 0 de 2.")).to_be_visible()
            shots(page, "catd-importando")
            room.run(read_constancias(room, 2))
        expect(page.get_by_text("Importadas de perdidas.xlsx: 2 de 2.")).to_be_visible()
        room.work()
        assert (room.state(13), room.state(14)) == ("Capturada", "Capturada")
        assert len(room.rows("SELECT 1 FROM entry")) == 2, "the same file again is the same import"
    expect(page.locator(".sent li", has_text="perdidas.xlsx, renglón 3")).to_contain_text("acuse")
    accessible(page)
    shots(page, "catd-importadas")
    assert len(room.rows("SELECT 1 FROM arrival WHERE tipo_documento = 'Constancia sin imagen'")) == 2


def test_an_import_is_refused_in_a_sentence_if_the_role_or_the_file_does_not_allow_it(
    page: Page, room: ScreenRoom
) -> None:
    log_in(page, room, "oper")
    enrol(page, room, "escaner-12", [36])
    table = f"ELECCION\tCLAVE_ACTA\t{chr(9).join(VALUES)}\n".encode("utf-16")
    file: FilePayload = {"name": "actas.txt", "mimeType": "text/plain", "buffer": table}
    page.locator("input[type=file]").set_input_files([file])
    expect(page.locator(".files .notice")).to_contain_text("actas.txt: su rol")


def test_sin_acta_is_proposed_by_one_and_confirmed_by_another(page: Page, room: ScreenRoom, shots: Any) -> None:
    log_in(page, room, "oper")
    enrol(page, room, "escaner-10", [31])
    page.reload()
    row = page.get_by_role("row", name="sección 31, básica")
    row.get_by_role("button", name="Sin acta…").click()
    accessible(page)
    shots(page, "catd-sin-acta")
    page.get_by_role("button", name="Proponer").click()
    expect(page.get_by_text("Propuesto. Falta que otra persona lo confirme.")).to_be_visible()
    # The same person cannot confirm.
    row.get_by_role("button", name="Confirmar sin acta…").click()
    page.get_by_role("button", name="Confirmar", exact=True).click()
    expect(page.get_by_role("alert").last).to_contain_text("otra persona")
    said = room.rows("SELECT id FROM decision WHERE kind = 'sin_acta'")
    answer = room.run(room.room.ask("super", f"/v1/decisions/{said[0]['id']}/confirm", {}))
    assert answer.status_code == 201, answer.text
    page.reload()
    expect(page.locator("tr.sin_acta")).to_contain_text("sección 31, básica")
