"""A whole night by screens alone: no number and no decision of it enters by any other door.

A phone whose camera sees drawn actas, without a network and then on a link that drops; the folder of a CATD; four
people who type by keyboard; an operator and two supervisors at the desk. The server, the worker, the publisher and PostgreSQL are those of `prep serve`. At the
end the corte has the numbers of the actas, both verifiers accept it, and the results page shows it.

`LONG_NIGHT=1` plays the same with 100 actas and 300 scans; `-s` shows how long each step took.
"""

import asyncio
import concurrent.futures
import contextlib
import hashlib
import io
import json
import os
import random
import re
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from prep.domain.entry import HEADER, TOTAL, Field, Mark
from prep.files.catalog_files import load_catalog
from prep.rehearsal.devices import form_of_contest
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.camera import CONDITIONS
from prep.rehearsal.drawing.press import PrintedForm
from prep.rehearsal.installation import (
    SITES,
    NightPlace,
    add_people,
    how_to_check,
    installation,
    order,
    prepare,
    rehearsal_night,
    stamper,
    vouchers,
)
from prep.rehearsal.layouts import with_layouts
from prep.rehearsal.plan import Plan
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import synthetic
from prep.store import embedded
from tests.browser.conftest import Lens, camera, served
from tests.browser.test_phone import DroppingLink, Handset
from tests.browser.test_terminal import Seat
from tests.makers.capture_room import PASSWORD
from tests.makers.waiting import PATIENCE

OPERATOR: Final = "operador"
SUPERVISORS: Final = ("supervisor", "supervisora")
FIRST, SECOND, THIRD, FOURTH = "capturista00", "capturista10", "capturista01", "capturista11"
"""The second and the fourth person are at another site."""
UNSETTLED: Final = re.compile("Esperada|Acopiada|Digitalizada|Capturada")
PLACES: Final = {"DIP_LOC": "lugar-33-1"}
"""The page of the only contest of an election that has one in each place; of another, its first page."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of two actas in each casilla one acta is missing and one has no image, some come by phone, and the CATD scans the
    others."""

    casillas: int
    by_phone: int
    again: int
    """Actas that the CATD scans a second time."""
    copies: int
    """Files that are the same, byte for byte, as another scan."""
    floors: int
    """Photographs that show no acta."""
    rubbish: int
    """Files that are no image."""

    @property
    def scans(self) -> int:
        return 2 * self.casillas - 2 - self.by_phone + self.again + self.copies + self.floors + self.rubbish


SHORT: Final = Size(casillas=5, by_phone=5, again=3, copies=1, floors=1, rubbish=2)
LONG: Final = Size(casillas=50, by_phone=20, again=71, copies=120, floors=3, rubbish=28)


@pytest.fixture(scope="module")
def finished() -> None:
    """The night of this test is its own."""


# The numbers on paper.


@dataclass
class Paper:
    """The actas of the night as people hold them, and which of them plays which part."""

    plan: Plan
    size: Size

    def __post_init__(self) -> None:
        catalog = self.plan.catalog
        self.elections = {election.id: election for election in catalog.elections}
        self.actas = {acta.qr: acta for acta in catalog.actas}
        self.forms = form_of_contest(self.plan)
        self.missing, self.without_sticker, self.imported, *rest = [
            self.counting(each) for each in self.plan.sheets if each.clave
        ]
        self.phone = rest[: self.size.by_phone]
        self.scanned = rest[self.size.by_phone :]

    def counting(self, sheet: Sheet) -> Sheet:
        """The same acta with values that count: some figure can be read, and the votes fit into the casilla."""
        acta = self.actas[sheet.qr]
        [contest] = [each for each in self.plan.catalog.contests if each.id == acta.contest]
        ballot = [self.elections[acta.election].options[position].code for position in contest.ballot]
        values = dict(sheet.values or dict.fromkeys((*HEADER, *ballot, TOTAL), 0))
        votes = sum(_number(values[code]) for code in ballot)
        if all(isinstance(values[code], Mark) for code in ballot) or votes > (acta.lista_nominal or 0):
            values |= {code: n for n, code in enumerate(ballot, 1)}
        return replace(sheet, values=values, sin_acta=None)

    def code(self, sheet: Sheet) -> str:
        """The code of its election."""
        return self.elections[self.actas[sheet.qr].election].code

    @property
    def typed(self) -> list[Sheet]:
        """Everything that is typed in the end."""
        return [*self.phone, *self.scanned, self.without_sticker, self.imported]

    def draw(self, sheet: Sheet, *, again: int = 0, sticker: bool = True) -> bytes:
        rng = random.Random(f"{sheet.key} {again}")
        condition = CONDITIONS["girada" if rng.random() < 0.3 else "limpia"]
        form: PrintedForm = self.forms[sheet.key]
        return draw(form, sheet.values or {}, sheet.qr if sticker else None, rng=rng, condition=condition)

    def place(self, sheet: Sheet) -> tuple[str, str, str]:
        """As a screen names it: the election, the sección and the casilla."""
        parts = sheet.qr.split("|")
        title = self.elections[self.actas[sheet.qr].election].title
        return title, f"{int(parts[3]):04}", f"{parts[5]}{int(parts[4]):02}"

    def expected(self) -> dict[str, dict[str, Counter[str]]]:
        """Election → contest → votes by code, from the paper alone."""
        sums: dict[str, dict[str, Counter[str]]] = {}
        for sheet in self.typed:
            said = sheet.values or {}
            votes = {code: _number(said[code]) for code in said if code not in {*HEADER, TOTAL}}
            contest = str(self.actas[sheet.qr].contest)
            sums.setdefault(self.code(sheet), {}).setdefault(contest, Counter()).update(votes)
        return sums


def _number(said: Field) -> int:
    return said if isinstance(said, int) and not isinstance(said, Mark) else 0


def paper(size: Size) -> Paper:
    folder, sheets = synthetic(size.casillas, seed=13)
    plan = Plan("pantallas", folder, load_catalog(folder), sheets, len(sheets), 13, 0.0, 0.0)
    return Paper(with_layouts(plan), size)


# The installation.


@contextlib.contextmanager
def serving(place: NightPlace) -> Iterator[None]:
    """`prep serve`, inside this block. Its loop has a thread of its own: that of the browser has this one."""
    loop = asyncio.new_event_loop()
    opened: concurrent.futures.Future[None] = concurrent.futures.Future()
    ends = asyncio.Event()

    async def serve() -> None:
        try:
            async with installation(place):
                opened.set_result(None)
                await ends.wait()
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        opened.result(PATIENCE)
        yield
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()
        loop.close()


def declared(night: Paper, data: Path) -> NightPlace:
    """The night with its people, before anything comes in."""
    data.mkdir()
    (data / "clave").write_text(PASSWORD)
    place = prepare(night.plan, data, data / "publico", vouchers(data), rehearsal_night("PAN", interval=300))
    # The tasks of each person are counted here, so no hidden known acta may come between (tests/capture/test_quality.py).
    place = replace(place, environment={**place.environment, "PREP_CONTROL_PERCENT": "0"})
    add_people(place, SUPERVISORS[1:], role="supervisor", site=SITES[1])
    return place


# People.


class Typist(Seat):
    """A person who types the numbers of the acta with the keyboard alone, except for her own mistakes."""

    def __init__(self, browser: Browser, place: NightPlace, user: str, night: Paper) -> None:
        self.sheets = {night.place(sheet): sheet for sheet in night.typed}
        self.night = night
        self.done = 0
        super().__init__(browser, place.url, user)

    def works(self, tasks: int, *, mistakes: Mapping[str, int] | None = None, knows: Sheet | None = None) -> None:
        """Answers this many tasks. `mistakes` has the wrong value of the field NULOS, by the key of its sheet.

        Of an image without a sticker she says that nobody can tell, except if she `knows` it.
        """
        for _ in range(tasks):
            expect(self.page.locator(".work")).to_be_visible(timeout=PATIENCE * 1000)
            heading = self.page.locator(".head h2")
            if heading.inner_text() == "Identificación":
                self._identifies(knows)
            else:
                title, seccion, casilla = heading.evaluate(
                    "each => [each.firstChild.textContent, ...[...each.querySelectorAll('b')].map((b) => b.textContent)]"
                )
                sheet = self.sheets[title, seccion, casilla]
                expect(self.page.locator(".picture img")).to_be_visible()
                wrong = (mistakes or {}).get(sheet.key)
                self.type(sheet.capture() | ({} if wrong is None else {"NULOS": wrong}))
            self.done += 1
            expect(self.page.get_by_text(f"Guardadas en esta sesión: {self.done}", exact=True)).to_be_visible()

    def _identifies(self, knows: Sheet | None) -> None:
        expect(self.box("Municipio o demarcación")).to_be_focused()
        if knows is None:
            self.press("*\n")
            return
        title, seccion, casilla = self.night.place(knows)
        municipio = next(each.municipio for each in self.night.plan.catalog.casillas if each.seccion == int(seccion))
        for name, typed in (
            ("Municipio o demarcación", f"municipio {municipio}"), ("Sección", seccion), ("Casilla", casilla),
            ("Elección", title),
        ):  # fmt: skip
            box = self.box(name)
            expect(box).to_be_focused()
            expect(box).to_have_attribute("aria-disabled", "false")
            self.press(typed)
            expect(self.page.locator("[role=option]").first).to_be_visible()
            self.press("\n")
        expect(self.page.locator(".asked")).to_contain_text(f"Sección {seccion}, {casilla}")
        expect(self.page.locator(".asked")).to_contain_text(title)
        self.press("\n")


class Desk:
    """A person at the desk, with mouse and keyboard."""

    def __init__(self, browser: Browser, place: NightPlace, user: str) -> None:
        self.context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="es-MX")
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda each: self.errors.append(str(each)))
        self.page.goto(f"{place.url}/mesa")
        self.page.get_by_label("Usuario").fill(user)
        self.page.get_by_label("Clave").fill(PASSWORD)
        self.page.get_by_role("button", name="Entrar").click()
        expect(self.page.get_by_role("navigation")).to_be_visible()

    def reads(self, name: str, filtered: str = "") -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.get_by_label("Filtrar").fill(filtered)

    def row(self, *words: str) -> Locator:
        """The row with these words, as soon as it is there."""
        found = self.page.get_by_role("main").get_by_role("row")
        for each in words:
            found = found.filter(has_text=each)
        self.reads_until(lambda: found.count() > 0)
        return found.first

    def reads_until(self, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not seen():
            assert time.monotonic() < deadline, self.page.get_by_role("main").inner_text()
            with self.page.expect_response("**/v1/lists/**"):
                self.page.get_by_role("button", name="Leer otra vez").click()
            self.page.wait_for_timeout(100)

    def says(self, button: str) -> None:
        """Confirms the dialog that is open."""
        self.page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def invites(self, device: str, secciones: str = "") -> str:
        """The code with which a device enrols itself."""
        self.reads("Dispositivos")
        self.page.get_by_role("button", name="Invitar un teléfono…").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Identificador del dispositivo").fill(device)
        dialog.get_by_label("Sitio").fill(SITES[0])
        dialog.get_by_label("Secciones que va a traer").fill(secciones)
        self.says("Mostrar el código")
        return self.page.locator(".code").inner_text()

    def finds(self, night: Paper, sheet: Sheet) -> None:
        """Opens the page of that acta."""
        title, seccion, casilla = night.place(sheet)
        self.page.get_by_role("button", name="Un acta").click()
        for name, typed in (
            ("Municipio o demarcación", "municipio"), ("Sección", seccion), ("Casilla", casilla), ("Elección", title),
        ):  # fmt: skip
            box = self.page.get_by_role("combobox", name=name)
            expect(box).to_have_attribute("aria-disabled", "false")
            box.focus()
            box.press_sequentially(typed)
            self.page.get_by_role("option").first.click()
        expect(self.page.get_by_role("definition").filter(has_text=sheet.clave)).to_be_visible()

    def close(self) -> None:
        assert self.errors == []
        self.context.close()


# The night.


def photographed(lens: Lens, place: NightPlace, night: Paper, code: Callable[[str, str], str]) -> None:
    """A phone photographs without a network, is closed, and comes back on a link that drops: each has its receipt."""
    phone = Handset(lens.browser, place.url, permissions=["camera"])
    phone.page.get_by_label("Código").fill(code(phone.name, ", ".join({night.place(each)[1] for each in night.phone})))
    phone.answer("Inscribir este teléfono")
    expect(phone.page.get_by_role("heading", name="Mis casillas")).to_be_visible()
    phone.becomes_ready()
    phone.context.set_offline(True)
    phone.close()
    phone.open()
    for waiting, sheet in enumerate(night.phone, 1):
        phone.shoots(lens, night.draw(sheet))
        asked = phone.page.get_by_role("heading", level=1)
        expect(asked).to_contain_text("¿")
        if "es ésta" in asked.inner_text():
            title, seccion, _ = night.place(sheet)
            expect(asked).to_contain_text(f"Sección {int(seccion)}, ")
            expect(asked).to_contain_text(title)
            phone.answer("Sí, enviar")
        else:
            phone.answer("No sé cuál es")
        expect(phone.page.locator(".count")).to_have_text(f"0 con acuse · {waiting} por enviar")
    phone.close()
    phone.open()
    phone.has(0, waiting=len(night.phone))
    digests = [hashlib.sha256(content).hexdigest() for content in phone.originals()]
    assert len(set(digests)) == len(night.phone)
    link = DroppingLink(phone)
    link.until(len(night.phone))
    assert link.cut > 0
    assert [json.loads(each["receipt"])["acuse"]["sha256"] for each in phone.kept()] == digests
    assert phone.errors == []
    phone.context.close()


def scanned(place: NightPlace, night: Paper, folder: Path, code: str) -> str:
    """A CATD's folder is sent; returns the digest of the scan without a sticker."""
    folder.mkdir()
    files: dict[str, bytes] = {f"{sheet.clave}.jpg": night.draw(sheet) for sheet in night.scanned}
    lost = night.draw(night.without_sticker, sticker=False)
    files["sin etiqueta.jpg"] = lost
    originals = list(files.values())
    turned = [*night.scanned, *night.phone]
    for n in range(night.size.again):
        sheet = turned[n % len(turned)]
        files[f"otra vez {n} {sheet.clave}.jpg"] = night.draw(sheet, again=1 + n // len(turned))
    copies = {f"zz copia {n}.jpg": originals[n % len(originals)] for n in range(night.size.copies)}
    for n in range(night.size.floors):
        noise = Image.effect_noise((640, 480), 40 + n).convert("RGB")
        made = io.BytesIO()
        noise.save(made, "JPEG")
        files[f"piso {n}.jpg"] = made.getvalue()
    rubbish = {f"notas {n}.txt": f"llamar a casa {n}\n".encode() * 9 for n in range(night.size.rubbish)}
    hour_ago = time.time() - 3600
    for name, content in {**files, **copies, **rubbish}.items():
        (folder / name).write_bytes(content)
        os.utime(folder / name, (hour_ago, hour_ago))
    (folder / "Thumbs.db").write_bytes(b"x")
    assert len(files) + len(copies) + len(rubbish) == night.size.scans
    order(place, "catd", "enroll", str(folder), "--server", place.url, "--code", code)
    order(place, "catd", "watch", str(folder), "--once")
    sent = [path.name.removesuffix(".acuse.json") for path in (folder / "enviadas").glob("*.acuse.json")]
    assert sorted(sent) == sorted(files)
    for name, content in files.items():
        said = json.loads((folder / "enviadas" / f"{name}.acuse.json").read_bytes())["acuse"]["sha256"]
        assert said == hashlib.sha256(content).hexdigest()
    assert {path.name for path in (folder / "repetidas").glob("*.jpg")} == copies.keys()
    assert {path.name for path in (folder / "apartadas").glob("*.txt") if "motivo" not in path.name} == rubbish.keys()
    return hashlib.sha256(lost).hexdigest()


def imported(place: NightPlace, night: Paper, folder: Path, user: str) -> None:
    """The acta of which no image can be had: a file with its quantities is one person's capture."""
    sheet = night.imported
    file = folder.with_suffix(".csv")
    said = {"ELECCION": night.code(sheet), "CLAVE_ACTA": sheet.clave} | sheet.capture()
    file.write_text(";".join(said) + "\n" + ";".join(str(each) for each in said.values()) + "\n", encoding="utf-8")
    order(place, "catd", "import", str(file), "--folder", str(folder), "--user", user, lines=[PASSWORD])


def no_acta(one: Desk, other: Desk, night: Paper) -> None:
    """The acta that never came: one proposes, another confirms."""
    one.reads("Actas sin imagen", night.missing.clave)
    one.row(night.code(night.missing), night.missing.clave).get_by_role("button", name="Sin acta…").click()
    one.page.get_by_label("Motivo (se publica)").select_option("paquete_no_entregado")
    one.says("Proponer")
    other.reads("Decisiones de dos", night.missing.clave)
    other.row("sin acta", "propuesta").get_by_role("button", name="Confirmar…").click()
    other.says("Confirmar")
    other.row("sin acta", "confirmada")


def looked_at_again(one: Desk, other: Desk, image: str) -> None:
    """Nobody could tell which acta an image shows; a supervisor looks, and two others shall say it."""
    one.reads("Sin identificar", image)
    row = one.row(image[:12], "ilegible")
    row.get_by_role("button", name=f"Ver {image[:12]}").click()
    expect(one.page.get_by_role("img", name=f"Imagen {image[:12]}")).to_be_visible()
    one.reads("Decisiones de dos", image)
    one.row("imagen sin identidad").get_by_role("button", name="Deshacer…").click()
    one.page.get_by_label("Motivo (se publica)").select_option("error")
    one.says("Proponer")
    expect(one.page.get_by_text("por deshacer")).to_be_visible()
    assert one.page.get_by_role("button", name="Confirmar…").count() == 0, "nobody confirms what she proposed"
    other.reads("Decisiones de dos", image)
    other.row("imagen sin identidad", "por deshacer").get_by_role("button", name="Confirmar…").click()
    other.says("Confirmar")
    other.row("imagen sin identidad", "deshecha")


def three_differ(desk: Desk, night: Paper, sheet: Sheet) -> None:
    """Three people read three numbers, and the supervisor sends the acta back to be typed anew."""
    desk.reads("Lo que espera", sheet.clave)
    desk.row("elegir entre tres")
    desk.finds(night, sheet)
    expect(desk.page.get_by_text("Capturada, ronda 1")).to_be_visible()
    expect(desk.page.get_by_role("heading", name="Capturas")).to_have_count(0)  # nobody sees them while it is typed
    desk.page.get_by_role("button", name="Capturar otra vez…").click()
    desk.page.get_by_role("dialog").get_by_role("textbox").fill("las tres lecturas difieren")
    desk.says("Abrir la ronda")
    expect(desk.page.get_by_text("ronda 2")).to_be_visible()


@contextlib.contextmanager
def seated(browser: Browser, place: NightPlace, user: str, night: Paper) -> Iterator[Typist]:
    seat = Typist(browser, place, user, night)
    yield seat
    seat.close()


def run(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_whole_night_by_screens_alone(browser: Browser, tmp_path: Path) -> None:
    size = LONG if os.environ.get("LONG_NIGHT") else SHORT
    night = paper(size)
    clock = Clocked()
    place = declared(night, tmp_path / "datos")
    clock("declarada")
    try:
        with stamper(place):
            with serving(place):
                clock("en pie")
                _plays(browser, place, night, tmp_path / "escaner", clock)
            order(place, "publish", "--final")
        order(place, "sequencer", "--once")
        clock("corte final")
        _is_right(browser, place, night)
        clock("comprobada")
    finally:
        embedded.stop(place.data / "instalacion" / "postgres")


def _plays(browser: Browser, place: NightPlace, night: Paper, folder: Path, clock: "Clocked") -> None:
    one, other = (Desk(browser, place, user) for user in SUPERVISORS)
    operator = Desk(browser, place, OPERATOR)
    with camera(browser, place.data) as lens:
        photographed(lens, place, night, one.invites)
    clock("teléfono")
    lost = scanned(place, night, folder, one.invites("escaner-1"))
    imported(place, night, folder, FIRST)
    clock("escáner")
    disputed, confused = night.scanned[0], night.phone[0]
    nulos = [_number((sheet.values or {})["NULOS"]) for sheet in (disputed, confused)]
    readable = len(night.typed) - 1
    images = readable + 1 + night.size.floors
    with seated(browser, place, FIRST, night) as seat:
        seat.works(images - 1, mistakes={confused.key: nulos[1] + 1})
    clock("primera persona")
    with seated(browser, place, SECOND, night) as seat:
        seat.works(images, mistakes={disputed.key: nulos[0] + 1, confused.key: nulos[1] + 2})
    clock("segunda persona")
    no_acta(operator, other, night)
    looked_at_again(one, other, lost)
    with seated(browser, place, THIRD, night) as seat:
        seat.works(3, mistakes={confused.key: nulos[1] + 3}, knows=night.without_sticker)
    three_differ(one, night, confused)
    with seated(browser, place, FOURTH, night) as seat:
        seat.works(3, knows=night.without_sticker)
    with seated(browser, place, FIRST, night) as seat:
        seat.works(2)
    # The night is over if nobody is waited for and every acta is settled: the last capture may be on its way yet.
    other.page.get_by_role("button", name="Tablero").click()
    expect(other.page.get_by_text("Todo está resuelto")).to_be_visible()
    expect(other.page.get_by_role("rowheader", name=UNSETTLED)).to_have_count(0)
    expect(other.page.get_by_role("rowheader", name="Verificada")).to_be_visible()
    for desk in (one, other, operator):
        desk.close()
    clock("mesa, tercera y cuarta persona")


def _is_right(browser: Browser, place: NightPlace, night: Paper) -> None:
    """The corte, both verifiers, and the page."""
    index = json.loads((place.public / "index.json").read_bytes())
    assert index["fase"] == "final"
    elections = json.loads((place.public / index["carpeta"] / "totals.json").read_bytes())["elecciones"]
    expected = night.expected()
    actas = Counter(map(night.code, night.typed))
    for code, told in elections.items():
        absent = int(night.code(night.missing) == code)
        assert told["actas"] == {
            "capturadas": actas[code] + absent,  # an acta that is registered as sin acta is settled
            "contabilizadas": actas[code],
            "esperadas": actas[code] + absent,
            "fuera_de_catalogo": 0,
            "no_contabilizadas": absent,
            "sin_acta": absent,
        }
        votes = {str(each["id"]): Counter(each["votos"]) for each in told["contiendas"]}
        assert votes == expected[code]
    words = shlex.split(how_to_check(place))
    run(*words)
    policy = place.data / "politica.txt"
    policy.write_bytes((place.public / "bitacora" / "politica.txt").read_bytes())
    ca = words[words.index("--ca") + 1]
    run("integrity.minimal_verifier", str(place.public), "--ca", ca, "--tsa-ca", ca, "--log-policy", str(policy))
    with served(place.public) as url:
        page = browser.new_page(locale="es-MX")
        for code, contests in expected.items():
            page.goto(f"{url}/{code}/index.html")
            captured = page.locator(f'data[data-de="{code}:capturadas"]').first
            expect(captured).to_have_attribute("value", str(elections[code]["actas"]["capturadas"]))
            for counted in contests.values():
                if code in PLACES:
                    page.goto(f"{url}/{code}/{PLACES[code]}.html")
                shown = page.locator("data[data-de*=':opcion/']:not([data-de*='%'])").evaluate_all(
                    "all => all.map((each) => [each.dataset.de.split(':opcion/')[1], each.value])"
                )
                assert dict(shown) == {option: str(number) for option, number in counted.items()}
        page.close()


class Clocked:
    """How long each step took, for people who measure."""

    def __init__(self) -> None:
        self.before = time.monotonic()

    def __call__(self, step: str) -> None:
        now = time.monotonic()
        print(f"{now - self.before:7.1f} s  {step}", flush=True)
        self.before = now
