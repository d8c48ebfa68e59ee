"""The phone in a real browser: it keeps what it photographs, sends it over a bad line, and believes only its receipts."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect

from capture import screens
from prep.rehearsal.drawing.camera import CONDITIONS, Condition
from prep.store import embedded
from tests.browser.conftest import Lens, accessible, camera
from tests.makers.capture_room import VALUES, qr
from tests.makers.screen_room import ScreenRoom, drawn, screen_room

NUMBERS = count(1)
NIGHT = Condition("noche", light=0.2)
RECEIPTS = """async () => {
    const db = await new Promise((done) => { const asked = indexedDB.open("prep-casilla"); asked.onsuccess = () => done(asked.result); });
    const all = await new Promise((done) => { const asked = db.transaction("pictures").objectStore("pictures").getAll(); asked.onsuccess = () => done(asked.result); });
    db.close();
    return all;
}"""
ORIGINALS = """async () => {
    const db = await new Promise((done) => { const asked = indexedDB.open("prep-casilla"); asked.onsuccess = () => done(asked.result); });
    const all = (name) => new Promise((done) => { const asked = db.transaction(name).objectStore(name).getAll(); asked.onsuccess = () => done(asked.result); });
    const keys = await new Promise((done) => { const asked = db.transaction("originals").objectStore("originals").getAllKeys(); asked.onsuccess = () => done(asked.result); });
    const contents = await all("originals"), order = (await all("pictures")).map((each) => each.sha256);
    db.close();
    const text = (bytes) => new Promise((done) => { const reader = new FileReader(); reader.onload = () => done(reader.result.split(",")[1]); reader.readAsDataURL(new Blob([bytes])); });
    return Promise.all(order.map((each) => text(contents[keys.indexOf(each)])));
}"""
HEADINGS = """() => {
    globalThis.shown = [];
    const look = () => shown.push(document.querySelector("h1")?.textContent ?? "");
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""
"""Keeps every heading that the page shows from now on."""
READY = """async () => {
    const ready = async () => {
        const reader = await navigator.serviceWorker.getRegistration("/pantallas/casilla-qr.js");
        return !!navigator.serviceWorker.controller && reader?.active?.scriptURL.endsWith("casilla-sw.js") && !!(await caches.match("/pantallas/casilla-zxing.wasm"));
    };
    while (!(await ready())) await new Promise((resolve) => setTimeout(resolve, 50));
}"""


@pytest.fixture(scope="module")
def finished(postgres: embedded.Embedded) -> None:
    """No published night is looked at here. PostgreSQL starts before the browser, whose loop runs in this thread."""


@pytest.fixture(scope="module")
def room(postgres: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenRoom]:
    with screen_room(postgres, tmp_path_factory.mktemp("casilla")) as opened:
        yield opened


class Handset:
    """A phone of 360×640 with its browser; its page may be closed and opened again."""

    def __init__(self, browser: Browser, url: str, **how: Any) -> None:
        self.url = url
        self.name = f"movil-{next(NUMBERS)}"
        self.context: BrowserContext = browser.new_context(
            viewport={"width": 360, "height": 640}, locale="es-MX", is_mobile=True, has_touch=True, **how
        )
        self.errors: list[str] = []
        self.page = self.open()

    def open(self, address: str = "/casilla") -> Page:
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda each: self.errors.append(str(each)))
        self.page.on("console", lambda said: self.errors.append(said.text) if "Content Security" in said.text else None)
        self.page.goto(self.url + address)
        return self.page

    def close(self) -> None:
        self.page.close()

    def becomes_ready(self) -> None:
        """Everything that the page needs without a network is here."""
        # Not `wait_for_function`: it takes a promise for an answer.
        self.page.evaluate(READY)

    def photograph(self, content: bytes, name: str = "acta.jpg") -> None:
        file = {"name": name, "mimeType": "image/jpeg", "buffer": content}
        self.page.locator("input[capture]").set_input_files(file)  # type: ignore[arg-type]

    def shoots(self, lens: Lens, picture: bytes) -> None:
        """With the live camera, which sees that picture."""
        lens.sees(picture)
        self.answer("Fotografiar un acta")
        self.answer("Tomar la foto")

    def originals(self) -> list[bytes]:
        """The bytes that this phone keeps, of the oldest photograph first."""
        return [base64.b64decode(each) for each in self.page.evaluate(ORIGINALS)]

    def answer(self, words: str) -> None:
        self.page.get_by_role("button", name=words).tap()

    def kept(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate(RECEIPTS)
        return found

    def has(self, receipts: int, *, waiting: int = 0) -> None:
        expect(self.page.locator(".count")).to_have_text(f"{receipts} con acuse · {waiting} por enviar")

    def hurry_until(self, receipts: int) -> None:
        """The line is there again and again: each time the phone tries at once."""
        for _ in range(300):
            if self.page.locator(".count").text_content() == f"{receipts} con acuse · 0 por enviar":
                return
            self.page.evaluate("dispatchEvent(new Event('online'))")
            self.page.wait_for_timeout(50)
        self.has(receipts)


class DroppingLink:
    """A slow mobile line that drops every few seconds, in the middle of a request."""

    UP = 150_000
    """Bytes a second that leave the phone."""

    def __init__(self, phone: Handset) -> None:
        self.phone = phone
        self.cut = 0
        """Requests of uploads that broke."""
        self._flying: set[Request] = set()
        self._line = phone.context.new_cdp_session(phone.page)
        phone.page.on("request", lambda each: self._flying.add(each) if "/v1/uploads" in each.url else None)
        phone.page.on("requestfinished", self._ended)
        phone.page.on("requestfailed", self._broke)

    def _ended(self, request: Request) -> None:
        self._flying.discard(request)

    def _broke(self, request: Request) -> None:
        self.cut += request in self._flying
        self._ended(request)

    def _is(self, *, there: bool) -> None:
        said = {"offline": not there, "latency": 60, "downloadThroughput": 4 * self.UP, "uploadThroughput": self.UP}
        self._line.send("Network.emulateNetworkConditions", said)

    def until(self, receipts: int) -> None:
        """It comes and goes until the phone has this many receipts, and no photograph waits."""
        self.phone.context.set_offline(False)
        wanted = f"{receipts} con acuse · 0 por enviar"
        for _ in range(100):
            self._is(there=True)
            self.phone.page.wait_for_timeout(2000)
            for _ in range(200):
                if self.phone.page.locator(".count").text_content() == wanted:
                    return
                if self._flying:
                    break
                self.phone.page.wait_for_timeout(50)
            self._is(there=False)
            self.phone.page.wait_for_timeout(400)
        self._is(there=True)
        self.phone.has(receipts)


class Telephone(Handset):
    """A phone whose supervisor invites it."""

    def __init__(self, browser: Browser, room: ScreenRoom, **how: Any) -> None:
        self.room = room
        super().__init__(browser, room.url, **how)

    def enrol(self, *, secciones: tuple[int, ...] = (1, 2, 3, 4, 5)) -> None:
        said = {"dispositivo": self.name, "sitio": "CATD-1", "secciones": list(secciones)}
        told = self.room.run(self.room.room.ask("super", "/v1/devices/invitations", said)).json()
        self.close()
        self.open("/casilla" + told["direccion"].partition("/casilla")[2])
        expect(self.page.get_by_label("Código")).to_have_value(told["codigo"])
        assert "inscribir" not in self.page.url
        self.page.get_by_role("button", name="Inscribir este teléfono").tap()
        expect(self.page.get_by_role("heading", name="Mis casillas")).to_be_visible()


@pytest.fixture
def phone(browser: Browser, room: ScreenRoom) -> Iterator[Telephone]:
    opened = Telephone(browser, room)
    yield opened
    assert opened.errors == []
    opened.context.close()


class BadLine:
    """Of the requests of an upload some never leave, and the answers of others are lost."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, route: Route) -> None:
        self.seen += 1
        if self.seen % 3 == 1:
            route.abort("connectionreset")
        elif self.seen % 7 == 0:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()


def sent_by(room: ScreenRoom, device: str) -> list[tuple[int, str, str]]:
    """Number, digest and acta of every image that the server announced of that device, in its order."""
    rows = room.rows("SELECT body FROM bus_message WHERE topic = 'images' ORDER BY seq")
    said = [json.loads(row["body"]) for row in rows]
    return list(
        dict.fromkeys(
            (each["sequence"], each["sha256"], each["acta_hint"]) for each in said if each["device"] == device
        )
    )


def test_five_actas_without_a_network_a_closed_page_and_a_bad_line_give_five_receipts(
    phone: Telephone, room: ScreenRoom, shots: Any
) -> None:
    phone.enrol()
    accessible(phone.page)
    phone.becomes_ready()
    shots(phone.page, "casilla-inicio")
    phone.context.set_offline(True)
    phone.close()
    phone.open()
    phone.page.evaluate(HEADINGS)
    actas = [drawn(VALUES | {"PAN": 100 + acta}, acta) for acta in range(1, 6)]
    for acta, content in enumerate(actas, 1):
        phone.photograph(content)
        expect(phone.page.get_by_role("heading", level=1)).to_have_text(
            f"«Sección {acta}, básica, Diputaciones locales»: ¿es ésta?"
        )
        if acta == 1:
            accessible(phone.page)
            shots(phone.page, "casilla-pregunta")
        phone.answer("Sí, enviar")
    phone.has(0, waiting=5)
    # Nobody is asked before the sticker was looked at: the question would change under the finger.
    assert not any("¿De qué acta" in each for each in phone.page.evaluate("shown"))
    accessible(phone.page)
    shots(phone.page, "casilla-sin-red")
    phone.close()
    phone.open()
    phone.has(0, waiting=5)
    bad = BadLine()
    phone.context.route("**/v1/uploads**", bad)
    phone.context.set_offline(False)
    phone.hurry_until(5)
    assert bad.seen > 10
    digests = [hashlib.sha256(content).hexdigest() for content in actas]
    assert [json.loads(each["receipt"])["acuse"]["sha256"] for each in phone.kept()] == digests
    assert sent_by(room, phone.name) == [(n, digest, qr(n)) for n, digest in enumerate(digests, 1)]
    for digest, content in zip(digests, actas, strict=True):
        assert room.run(room.room.blobs.get(digest)) == content
    assert phone.page.locator(".casilla .state.good").count() == 5
    accessible(phone.page)
    shots(phone.page, "casilla-acuses")


def test_the_live_camera_advises_and_keeps_the_whole_photograph_before_it_asks(
    browser: Browser, room: ScreenRoom, tmp_path: Path, shots: Any
) -> None:
    with camera(browser, tmp_path) as lens:
        phone = Telephone(lens.browser, room, permissions=["camera"])
        phone.enrol(secciones=(31,))
        lens.sees(drawn(VALUES, 31, condition=NIGHT))
        phone.answer("Fotografiar un acta")
        advice = phone.page.locator(".camera .advice")
        expect(advice).to_contain_text("La foto está muy oscura: busque luz.")
        accessible(phone.page)
        shots(phone.page, "casilla-camara-oscura")
        phone.answer("Cerrar")
        assert phone.kept() == []
        acta = drawn(VALUES, 31)
        lens.sees(acta)
        phone.answer("Fotografiar un acta")
        expect(advice).to_contain_text("Toda el acta dentro del marco")
        shots(phone.page, "casilla-camara")
        phone.page.set_viewport_size({"width": 640, "height": 360})
        shots(phone.page, "casilla-camara-acostada")
        phone.page.set_viewport_size({"width": 360, "height": 640})
        phone.answer("Tomar la foto")
        expect(phone.page.get_by_role("heading", level=1)).to_contain_text("Sección 31, básica")
        [kept] = phone.originals()
        with Image.open(io.BytesIO(kept)) as photo, Image.open(io.BytesIO(acta)) as sheet:
            assert photo.size == sheet.size, "the still has every pixel of the camera"
        phone.answer("Sí, enviar")
        phone.has(1)
        assert sent_by(room, phone.name) == [(1, hashlib.sha256(kept).hexdigest(), qr(31))]
        # A bad picture is better than none: advice stops nothing.
        lens.sees(drawn(VALUES, 31, condition=NIGHT))
        phone.answer("Fotografiar un acta")
        expect(advice).to_contain_text("oscura")
        phone.answer("Tomar la foto")
        asked = phone.page.get_by_role("heading", level=1)
        expect(asked).to_contain_text("¿")
        phone.answer("Sí, enviar" if "es ésta" in asked.inner_text() else "No sé cuál es")
        phone.has(2)
        assert phone.errors == []
        phone.context.close()


def test_a_phone_that_may_not_use_its_camera_here_has_its_camera_application(phone: Telephone, shots: Any) -> None:
    phone.enrol(secciones=(32,))
    phone.answer("Fotografiar un acta")
    expect(phone.page.get_by_role("alert")).to_contain_text("Use la aplicación de cámara del teléfono")
    expect(phone.page.locator("button.take")).to_have_count(0)
    expect(phone.page.locator("label.take input[capture]")).to_have_count(1)
    accessible(phone.page)
    shots(phone.page, "casilla-sin-camara")
    phone.photograph(drawn(VALUES, 32))
    phone.answer("Sí, enviar")
    phone.has(1)


def test_only_the_page_of_the_phone_may_ask_for_a_camera(browser: Browser, room: ScreenRoom, tmp_path: Path) -> None:
    opened = """() => navigator.mediaDevices.getUserMedia({ video: true }).then(
        (stream) => stream.getTracks().map((each) => each.stop()).length, (error) => error.name)"""
    with camera(browser, tmp_path) as lens:
        lens.sees(drawn(VALUES, 33))
        context = lens.browser.new_context(permissions=["camera"])
        page = context.new_page()
        said = {}
        for path in screens.PAGES:
            page.goto(room.url + path)
            said[path] = page.evaluate(opened)
        context.close()
    refused = dict.fromkeys(screens.PAGES, "NotAllowedError")
    assert said == refused | {"/casilla": 1}


def test_a_picture_without_a_legible_code_is_sent_all_the_same_and_the_person_says_which_acta(
    phone: Telephone, room: ScreenRoom, shots: Any
) -> None:
    phone.enrol(secciones=(6, 7))
    blurred = drawn(VALUES, 6, condition=CONDITIONS["oscura"], text="no es una etiqueta")
    phone.photograph(blurred)
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("¿De qué acta es la foto?")
    expect(phone.page.locator(".advice")).to_contain_text("No se pudo leer el código QR")
    phone.page.get_by_role("combobox", name="Casilla").select_option(label="sección 7, básica")
    accessible(phone.page)
    shots(phone.page, "casilla-elegir")
    # The page is closed before the person answers: it was not sent, and the question is there again.
    phone.close()
    assert sent_by(room, phone.name) == []
    phone.open()
    phone.page.get_by_role("combobox", name="Casilla").select_option(label="sección 7, básica")
    phone.answer("Enviar: Diputaciones locales")
    phone.has(1)
    other = drawn(VALUES, 8, text="tampoco")
    phone.photograph(other)
    phone.answer("No sé cuál es")
    phone.has(2)
    assert [(number, acta) for number, _, acta in sent_by(room, phone.name)] == [(1, qr(7)), (2, "")]


def test_a_sticker_of_another_casilla_is_said_and_can_be_overridden(phone: Telephone, room: ScreenRoom) -> None:
    phone.enrol(secciones=(9,))
    phone.photograph(drawn(VALUES, 10))
    expect(phone.page.get_by_role("heading", level=1)).to_contain_text("Sección 10, básica")
    expect(phone.page.locator(".confirm > .notice").last).to_contain_text("No es de sus casillas")
    phone.answer("No, es otra")
    phone.answer("Enviar: Diputaciones locales")
    phone.has(1)
    assert sent_by(room, phone.name)[0][2] == qr(9)


def test_what_the_server_refuses_spends_no_number_and_the_same_photo_twice_is_one(
    phone: Telephone, room: ScreenRoom, shots: Any
) -> None:
    phone.enrol(secciones=(11,))
    phone.photograph(b"esto no es una imagen " * 500)
    expect(phone.page.locator(".advice")).to_contain_text("El teléfono no puede mostrar esta foto")
    phone.answer("No sé cuál es")
    expect(phone.page.locator(".picture.rechazada")).to_contain_text("no se aceptó")
    shots(phone.page, "casilla-rechazada")
    accessible(phone.page)
    right = drawn(VALUES, 11)
    phone.photograph(right)
    phone.answer("Sí, enviar")
    phone.has(1)
    phone.photograph(right)
    expect(phone.page.get_by_text("Fotografiar un acta")).to_be_visible()
    phone.has(1)
    assert [number for number, _, _ in sent_by(room, phone.name)] == [1]
    # A photo of the floor is put aside, and asked about again if somebody brings it again.
    floor = drawn(VALUES, 17, text="el piso")
    for answer in ("No es un acta: no enviarla", "No sé cuál es"):
        phone.photograph(floor)
        phone.answer(answer)
        if answer.startswith("No es"):
            expect(phone.page.locator(".picture").first).to_contain_text("Usted la apartó: no es un acta. No se envía.")
    phone.has(2)


def test_a_receipt_that_is_not_of_this_photo_is_not_believed(phone: Telephone, room: ScreenRoom) -> None:
    phone.enrol(secciones=(12,))

    def forged(route: Route) -> None:
        answer = route.fetch()
        headers = dict(answer.headers)
        if "x-prep-receipt" in headers:
            said = json.loads(base64.b64decode(headers["x-prep-receipt"]))
            said["acuse"]["recibido"] = "2024-06-03T00:00:00.000+00:00"
            headers["x-prep-receipt"] = base64.b64encode(json.dumps(said).encode()).decode()
        route.fulfill(response=answer, headers=headers)

    phone.context.route("**/v1/uploads/**", forged)
    phone.photograph(drawn(VALUES, 12))
    phone.answer("Sí, enviar")
    expect(phone.page.locator(".picture")).to_contain_text("El acuse que llegó no es de esta foto")
    phone.has(0, waiting=1)
    phone.context.unroute("**/v1/uploads/**")
    phone.hurry_until(1)


def test_a_phone_that_is_revoked_in_the_middle_of_an_upload_sends_no_more_and_keeps_its_photo(
    phone: Telephone, room: ScreenRoom, shots: Any
) -> None:
    phone.enrol(secciones=(34,))

    pieces: list[str] = []

    def lost(route: Route) -> None:
        if route.request.method == "PATCH" and not pieces:
            pieces.append(route.request.url)
            assert room.run(room.room.ask("super", f"/v1/devices/{phone.name}/lost")).status_code == 200
            room.run(room.room.intake.devices._refresh())
        route.continue_()

    phone.context.route("**/v1/uploads/**", lost)
    content = drawn(VALUES, 34)
    phone.photograph(content)
    phone.answer("Sí, enviar")
    expect(phone.page.locator(".picture")).to_contain_text(f"el dispositivo {phone.name} no está inscrito")
    shots(phone.page, "casilla-revocado")
    phone.close()
    phone.open()
    phone.has(0, waiting=1)
    assert phone.originals() == [content]
    assert sent_by(room, phone.name) == []


def test_a_phone_without_network_shares_a_package_with_originals_and_signatures(
    phone: Telephone, room: ScreenRoom, tmp_path: Path
) -> None:
    phone.enrol(secciones=(13, 14))
    phone.becomes_ready()
    phone.context.set_offline(True)
    contents = [drawn(VALUES, acta) for acta in (13, 14)]
    for content in contents:
        phone.photograph(content)
        phone.answer("Sí, enviar")
    phone.has(0, waiting=2)
    phone.page.evaluate("navigator.canShare = undefined")
    with phone.page.expect_download() as downloaded:
        phone.answer("Compartir sin red")
    package = tmp_path / "paquete.zip"
    downloaded.value.save_as(package)
    with zipfile.ZipFile(package) as opened:
        assert opened.testzip() is None
        told = json.loads(opened.read("paquete.json"))
        assert [opened.read(each["archivo"]) for each in told["imagenes"]] == contents
    for each, content in zip(told["imagenes"], contents, strict=True):
        answer = room.run(room.room.http.post("/v1/images", content=content, headers=each["encabezados"]))
        assert answer.status_code == 201, answer.text
    # The phone comes home later and sends the same under the same numbers: each has one receipt.
    phone.context.set_offline(False)
    phone.hurry_until(2)
    assert [number for number, _, _ in sent_by(room, phone.name)] == [1, 2]


def test_a_full_phone_says_so_and_gives_the_photo_back(phone: Telephone) -> None:
    phone.enrol(secciones=(15,))
    phone.page.evaluate(
        """() => { IDBObjectStore.prototype.put = function () { throw new DOMException("full", "QuotaExceededError"); }; }"""
    )
    phone.photograph(drawn(VALUES, 15), "acta quince.jpg")
    expect(phone.page.get_by_role("alert")).to_contain_text("Este teléfono está lleno y la foto no cabe aquí")
    with phone.page.expect_download() as downloaded:
        phone.answer("Guardar en la galería")
    assert downloaded.value.suggested_filename == "acta quince.jpg"
    accessible(phone.page)


def test_a_wrong_code_is_told_and_the_key_cannot_be_read_out(phone: Telephone, room: ScreenRoom, shots: Any) -> None:
    phone.page.get_by_label("Código").fill("AAAA-BBBB-CCCC")
    phone.answer("Inscribir este teléfono")
    expect(phone.page.get_by_role("alert")).to_contain_text("el código no vale")
    accessible(phone.page)
    shots(phone.page, "casilla-inscribir")
    phone.enrol(secciones=(16,))
    said = phone.page.evaluate(
        """async () => {
            const db = await new Promise((done) => { const asked = indexedDB.open("prep-casilla"); asked.onsuccess = () => done(asked.result); });
            const device = await new Promise((done) => { const asked = db.transaction("device").objectStore("device").get("device"); asked.onsuccess = () => done(asked.result); });
            db.close();
            return crypto.subtle.exportKey("pkcs8", device.key).then(() => "read", (error) => error.name);
        }"""
    )
    assert said == "InvalidAccessError"
