"""The terminal of the capturista in a real browser: people type actas with the keyboard alone, and lose nothing."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from prep.store import embedded
from tests.browser.conftest import Site, accessible
from tests.makers.capture_room import PASSWORD, VALUES
from tests.makers.screen_room import ScreenRoom, drawn, screen_room

CODES = list(VALUES)
KEYS = {"ilegible": "*", "sin dato": "/"}


@pytest.fixture(scope="module")
def room(postgres: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenRoom]:
    with screen_room(postgres, tmp_path_factory.mktemp("captura")) as opened:
        yield opened


class Seat:
    """A person before a terminal. Only keys are pressed: no test here moves a mouse."""

    def __init__(self, browser: Browser, url: str, user: str) -> None:
        self.url, self.user = url, user
        self.context: BrowserContext = browser.new_context(viewport={"width": 1366, "height": 768}, locale="es-MX")
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.keys = 0
        self.page = self.open()
        self.log_in()

    def open(self) -> Page:
        page = self.context.new_page()
        page.on("request", lambda each: self.asked.append(f"{each.method} {urlsplit(each.url).path}"))
        page.on("pageerror", lambda each: self.errors.append(str(each)))
        page.on("console", lambda said: self.errors.append(said.text) if "Content Security" in said.text else None)
        page.goto(f"{self.url}/terminal")
        self.page = page
        return page

    def log_in(self) -> None:
        expect(self.page.get_by_label("Usuario")).to_be_focused()
        self.page.keyboard.type(self.user)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(PASSWORD)
        self.page.keyboard.press("Enter")

    def sees(self, seccion: int) -> None:
        """The acta of that sección is on the screen, and its image."""
        expect(self.page.locator(".place")).to_contain_text(f"Sección {seccion:04}")
        expect(self.page.locator(".picture img")).to_be_visible()

    def waits(self) -> None:
        expect(self.page.get_by_text("No hay actas por capturar ahora")).to_be_visible()

    def press(self, keys: str) -> None:
        for key in keys:
            self.page.keyboard.press("Enter" if key == "\n" else key)
        self.keys += len(keys)

    def type(self, values: Mapping[str, int | str], *, send: bool = True) -> None:
        for value in values.values():
            self.press(KEYS.get(str(value), str(value)) + "\n")
        expect(self.page.get_by_role("button", name="Enviar (Enter)")).to_be_focused()
        if send:
            self.press("\n")

    def box(self, name: str) -> Locator:
        return self.page.get_by_role("combobox", name=name, exact=True)

    def holds(self) -> list[str]:
        return [each.input_value() for each in self.page.locator("input.value").all()]

    def close(self) -> None:
        assert self.errors == []
        self.context.close()


@pytest.fixture
def seats(browser: Browser, room: ScreenRoom) -> Iterator[Any]:
    taken: list[Seat] = []

    def sit(user: str) -> Seat:
        taken.append(Seat(browser, room.url, user))
        return taken[-1]

    yield sit
    for each in taken:
        each.close()
    room.forget_tasks()


def test_two_people_type_actas_by_keyboard_alone_in_few_keys_and_requests(room: ScreenRoom, seats: Any) -> None:
    read = [VALUES | {"PAN": 151, "NULOS": "ilegible"}, VALUES | {"NO_REGISTRADAS": "sin dato"}]
    for acta, values in enumerate(read, 1):
        room.arrive(acta, values)
    for user in ("ana", "beto"):
        seat = seats(user)
        seat.sees(1)
        seat.asked.clear()
        seat.keys = 0
        seat.type(read[0])
        seat.sees(2)
        digits = sum(len(KEYS.get(str(value), str(value))) for value in read[0].values())
        assert seat.keys == digits + len(CODES) + 1
        api = [each for each in seat.asked if "/v1/" in each]
        assert len(api) == 2, "one request keeps the acta and brings the next, one brings its image"
        assert seat.holds() == [""] * len(CODES)
        seat.type(read[1])
        seat.waits()
        room.work()
    assert [room.state(acta) for acta in (1, 2)] == ["Verificada", "Verificada"]
    kept = room.rows("SELECT numbers, marks FROM entry ORDER BY acta, ordinal")
    assert (
        kept[0] == kept[1] == {"numbers": [100, 398, 2, 400, 151, 120, 100, None, 0, None, 400], "marks": "NNNNNNNXNIN"}
    )
    assert kept[2]["marks"] == kept[3]["marks"] == "NNNNNNNXSNN"


def test_a_third_person_types_blind_and_a_fourth_sees_only_what_differs(room: ScreenRoom, seats: Any) -> None:
    room.arrive(3)
    for user, nulos in (("ana", 30), ("beto", 31), ("super", 32)):
        seat = seats(user)
        seat.sees(3)
        assert seat.holds() == [""] * len(CODES)
        seat.type(VALUES | {"NULOS": nulos})
        seat.waits()
        room.work()
        seat.context.clear_cookies()
    chooser = seats("dora")
    expect(chooser.page.get_by_text("Tres personas capturaron esta acta")).to_be_visible()
    expect(chooser.page.locator(".picture .frame")).to_be_visible()
    table = chooser.page.locator("table.choice")
    assert [row.inner_text().split("\t") for row in table.locator("tr").all()] == [
        ["Campo", "1", "2", "3"],
        ["Votos nulos", "30", "31", "32"],
    ]
    accessible(chooser.page)
    chooser.press("\n")
    expect(chooser.page.get_by_text("Elija primero con 1, 2 o 3.")).to_be_visible()
    chooser.press("1\n")
    chooser.waits()
    room.work()
    assert room.state(3) == "Verificada"


def test_nothing_typed_is_lost_by_a_reload_a_closed_window_or_an_ended_session(room: ScreenRoom, seats: Any) -> None:
    room.arrive(4)
    seat = seats("ana")
    seat.sees(4)
    seat.press("100\n398\n2")
    seat.page.reload()
    seat.sees(4)
    assert seat.holds()[:4] == ["100", "398", "2", ""]
    seat.page.close()
    seat.open()
    seat.sees(4)
    assert seat.holds()[:4] == ["100", "398", "2", ""]
    expect(seat.page.get_by_label("Votos sacados de la urna")).to_be_focused()
    seat.type(dict(list(VALUES.items())[3:]), send=False)
    seat.context.clear_cookies()
    seat.press("\n")
    expect(seat.page.get_by_text("La sesión terminó. Lo tecleado sigue aquí")).to_be_visible()
    accessible(seat.page)
    seat.log_in()
    seat.waits()
    assert len(room.rows("SELECT 1 FROM entry WHERE acta = 4")) == 1


def test_the_same_person_is_never_the_second_one_in_no_window_of_hers(room: ScreenRoom, seats: Any) -> None:
    """Two captures of one acta are of two people: a second window, a lease of before and a second answer change nothing."""
    room.arrive(19)
    seat = seats("ana")
    with seat.page.expect_response(re.compile("/v1/tasks/[^/]+/entry")) as sent:
        seat.sees(19)
        seat.type(VALUES)
    seat.waits()
    room.work()
    [second] = room.rows("SELECT ordinal FROM task")
    assert second["ordinal"] == 2, "the acta waits for another person"
    window = seats("ana")
    window.waits()
    answers = window.page.evaluate(
        """async ([entry, body]) => {
            const ask = (path, told) => fetch(path, {
                method: "POST", body: JSON.stringify(told), headers: { "Content-Type": "application/json" },
            });
            const again = await ask(entry, JSON.parse(body)), next = await ask("/v1/tasks/lease", {});
            return [again.status, next.status];
        }""",
        [urlsplit(sent.value.url).path, json.dumps({"valores": VALUES | {"PAN": 999}})],
    )
    assert answers == [409, 204]
    assert len(room.rows("SELECT 1 FROM entry WHERE acta = 19")) == 1
    other = seats("beto")
    other.sees(19)
    other.type(VALUES)
    other.waits()
    room.work()
    assert room.state(19) == "Verificada"


def test_another_person_at_the_same_machine_finds_nothing_of_the_first(room: ScreenRoom, seats: Any) -> None:
    room.arrive(5)
    seat = seats("ana")
    seat.sees(5)
    seat.press("777\n888")
    assert "777" in json.dumps(seat.page.evaluate("({...localStorage})"))
    seat.context.clear_cookies()
    seat.press("\n999\n")
    seat.page.reload()
    seat.user = "beto"
    seat.log_in()
    seat.waits()
    assert "prep.borrador" not in json.dumps(seat.page.evaluate("({...localStorage})"))


def test_a_line_that_breaks_sends_the_acta_when_it_is_back_and_once(room: ScreenRoom, seats: Any) -> None:
    room.arrive(6)
    seat = seats("ana")
    seat.sees(6)
    seat.type(VALUES, send=False)
    seat.context.set_offline(True)
    seat.press("\n")
    expect(seat.page.get_by_role("alert").get_by_text("No hay conexión con el servidor")).to_be_visible()
    seat.press("\n\n")
    assert room.rows("SELECT 1 FROM entry WHERE acta = 6") == []
    seat.context.set_offline(False)
    seat.waits()
    assert len(room.rows("SELECT 1 FROM entry WHERE acta = 6")) == 1


def test_an_acta_whose_lease_ran_out_comes_back_with_all_its_values(room: ScreenRoom, seats: Any) -> None:
    room.arrive(7)
    seat = seats("ana")
    seat.sees(7)
    seat.type(VALUES, send=False)
    room.room.clock.advance(minutes=11)
    seat.press("\n")
    expect(seat.page.get_by_text("El plazo venció y se renovó")).to_be_visible()
    assert seat.holds() == [str(value) for value in VALUES.values()]
    expect(seat.page.get_by_role("button", name="Enviar (Enter)")).to_be_focused()
    seat.press("\n")
    seat.waits()
    assert len(room.rows("SELECT 1 FROM entry WHERE acta = 7")) == 1


def test_the_fields_take_keys_and_nothing_else(room: ScreenRoom, seats: Any) -> None:
    """No paste, no word of the browser's own, no digit too many; a second digit after coming back begins anew."""
    room.arrive(8)
    seat = seats("ana")
    seat.sees(8)
    first = seat.page.get_by_label("Boletas sobrantes")
    seat.press("\n")
    expect(seat.page.get_by_text("Escriba el número, o * si es ilegible")).to_be_visible()
    seat.page.evaluate(
        """() => {
            const field = document.activeElement;
            const data = new DataTransfer(); data.setData("text/plain", "55");
            field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    seat.page.keyboard.insert_text("66")
    seat.page.keyboard.press("x")
    assert first.input_value() == ""
    assert first.get_attribute("autocomplete") == "off"
    seat.press("1234")
    assert first.input_value() == "123"
    seat.press("*")
    assert first.input_value() == "ilegible"
    seat.press("7\n-")
    expect(first).to_be_focused()
    seat.press("9")
    assert first.input_value() == "9"
    seat.press("/+")
    assert first.input_value() == "sin dato"
    expect(seat.page.get_by_label("Personas que votaron")).to_be_focused()


def test_letters_that_contradict_figures_are_marked_and_the_effort_is_kept_without_values(
    room: ScreenRoom, seats: Any
) -> None:
    room.arrive(18)
    seat = seats("ana")
    seat.sees(18)
    seat.press("100")
    seat.press("c")
    expect(seat.page.get_by_label("Boletas sobrantes (letra y número no coinciden)")).to_be_visible()
    seat.press("\n398.9")
    expect(seat.page.get_by_label("Personas que votaron (letra y número no coinciden)")).to_be_visible()
    seat.press("c\n")
    seat.type(dict(list(VALUES.items())[2:]))
    seat.waits()
    [note] = room.rows(
        "SELECT letters, milliseconds, keys FROM capture_note n JOIN entry e ON e.id = n.entry WHERE acta = 18"
    )
    assert note["letters"] == ["BOLETAS_SOBRANTES"]
    assert note["keys"] == seat.keys
    assert note["milliseconds"] > 0


def test_sums_warn_before_the_acta_is_sent_and_never_stop_it(room: ScreenRoom, seats: Any) -> None:
    room.arrive(9)
    seat = seats("ana")
    seat.sees(9)
    seat.type(VALUES | {"PAN": 999, "PERSONAS_VOTARON": 397}, send=False)
    told = seat.page.locator(".told")
    expect(told).to_contain_text("Los votos suman 1249 y el total asentado dice 400.")
    expect(told).to_contain_text("Los votos suman 1249 y en esta casilla caben 510.")
    expect(told).to_contain_text("Votaron 399 personas y representantes y los votos sacados de la urna son 400.")
    seat.press("\n")
    seat.waits()


def test_each_field_shows_its_strip_and_the_image_moves_by_keys(room: ScreenRoom, seats: Any) -> None:
    room.arrive(10)
    room.arrive(11)
    seat = seats("ana")
    seat.sees(10)
    image, frame = (seat.page.locator(f".picture {each}") for each in ("img", ".frame"))
    for _code in CODES:
        expect(frame).to_be_visible()
        seat.press("+")
    seat.press("-" * len(CODES))
    before = image.evaluate("image => image.style.transform")
    seat.press(".++26")
    moved = image.evaluate("image => image.style.transform")
    assert moved != before
    expect(frame).not_to_be_visible()
    assert seat.holds() == [""] * len(CODES), "digits move the image, and type nothing"
    accessible(seat.page)
    seat.press(".")
    seat.type(VALUES)
    seat.sees(11)
    seat.press(".0.")
    expect(seat.page.get_by_text("Campo 1 de 10")).to_be_visible()
    accessible(seat.page)
    seat.type(VALUES)
    seat.waits()


def test_without_strips_the_place_of_the_image_is_remembered_for_the_form(room: ScreenRoom, seats: Any) -> None:
    for acta in (16, 17):
        room.run(room.room.arrive(acta, picture=drawn(VALUES, acta)))
    seat = seats("ana")
    seat.sees(16)
    image = seat.page.locator(".picture img")
    assert seat.page.locator(".picture .frame").count() == 0
    seat.press(".++26")
    moved = image.evaluate("image => image.style.transform")
    seat.press(".")
    seat.type(VALUES)
    seat.sees(17)
    assert image.evaluate("image => image.style.transform") == moved
    seat.type(VALUES)
    seat.waits()


def test_a_task_that_is_given_back_waits_for_another_person(room: ScreenRoom, seats: Any) -> None:
    room.arrive(12)
    seat = seats("ana")
    seat.sees(12)
    seat.page.get_by_role("button", name="Devolver sin capturar").focus()
    seat.page.keyboard.press("Enter")
    seat.sees(12)  # it is the only one that waits, so it comes again, to whom it may
    assert len(room.rows("SELECT 1 FROM entry WHERE acta = 12")) == 0


def test_two_people_identify_an_image_from_lists_and_it_is_typed(room: ScreenRoom, seats: Any) -> None:
    room.arrive(13, text=None)
    for user in ("ana", "beto"):
        seat = seats(user)
        expect(seat.box("Municipio o demarcación")).to_be_focused()
        if user == "ana":
            accessible(seat.page)
        for name, typed in (("Sección", "nuevo lar"), ("Casilla", "13"), ("Elección", "b"), ("", "dip")):
            seat.press(typed)
            expect(seat.page.locator("[role=option]").first).to_be_visible()
            seat.press("\n")
            if name:
                expect(seat.box(name)).to_be_focused()
                expect(seat.box(name)).to_have_attribute("aria-disabled", "false")
        expect(seat.page.get_by_text("Sección 0013, B01 básica, Diputaciones locales: ¿es ésta?")).to_be_visible()
        if user == "ana":
            accessible(seat.page)
        seat.press("\n")
        seat.waits()
        seat.page.close()  # it would ask for the next task before ana does
        room.work()
    expect(seats("ana").page.locator(".place")).to_contain_text("Sección 0013")


def test_two_people_may_say_that_nobody_can_tell(room: ScreenRoom, seats: Any) -> None:
    room.arrive(14, text=None)
    for user in ("ana", "beto"):
        seat = seats(user)
        expect(seat.box("Municipio o demarcación")).to_be_focused()
        seat.press("*")
        expect(seat.page.get_by_text("Enter dice que esta imagen no se puede identificar")).to_be_visible()
        seat.press("\n")
        seat.waits()
        room.work()
    assert [
        row["identity"]
        for row in room.rows("SELECT identity FROM identification WHERE person IS NOT NULL ORDER BY id DESC LIMIT 2")
    ] == ["", ""]


def test_a_page_of_another_origin_does_nothing_in_the_name_of_a_person(
    browser: Browser, room: ScreenRoom, seats: Any, site: Site
) -> None:
    """The other page is of the same host, so the browser does send the cookie; it says who asks, and that is refused."""
    room.arrive(15)
    seat = seats("ana")
    seat.sees(15)
    room.forget_leases()
    # The other page has no policy that forbids it to ask.
    context = browser.new_context(bypass_csp=True)
    context.add_cookies(seat.context.cookies())
    page = context.new_page()
    page.goto(f"{site.url}/index.html")
    with page.expect_response(re.compile("/v1/tasks/lease")) as answered:
        page.evaluate(
            "url => { fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include' }) }",
            f"{room.url}/v1/tasks/lease",
        )
    assert answered.value.status == 403, "401 would say that the browser sent no cookie"
    assert room.rows("SELECT 1 FROM task WHERE lease IS NOT NULL") == []
    context.close()


def test_the_login_is_accessible_in_both_languages_and_in_the_dark(browser: Browser, room: ScreenRoom) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{room.url}/terminal")
    accessible(page)
    page.get_by_role("button", name="English").click()
    expect(page.get_by_label("User")).to_be_visible()
    accessible(page)
    context.close()
