"""The results site in a real browser, as publisher and sequencer wrote it: read, followed through a night, and counted."""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urljoin, urlsplit

import jsonschema
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from integrity import minimal_verifier, verify
from integrity.layout import DATA, LISTS, LOG, ROOT_PAGES, SCHEMA_NAMES, SCHEMAS, proof_path, schema_path, twin_of
from integrity.log.note import SignatureKind, Signer
from integrity.log.tiles import CHECKPOINT, WIDTH, Tiles
from integrity.source import Folder
from load_tests.official_pages import compare_pages
from prep.files.official import read_official
from publisher.schemas import document_of
from publisher.web import CARD_POLICY, CHECKER, POLICY
from tests.browser.conftest import AXE, PACKAGES, Site, Watched, accessible
from tests.makers.programs import ROOT, missing, program
from tests.quick.test_documents import described
from tests.tamper.matrix import asked_once

VALIDATOR = PACKAGES / "vnu-jar" / "build" / "dist" / "vnu.jar"
LIGHT, HEAVY = 30_000, 100_000
"""Bytes of the start page and of any page, compressed."""
BESIDE = {"cortes", "bitacora", "catalogo", "imagenes", "zip"}


def kinds(root: Path) -> dict[str, str]:
    """One page of each kind, by its kind."""
    acta = next(path for path in sorted((root / "GOB").glob("33*.html")) if "imagenes/" in path.read_text())
    section = min(path for path in (root / "seccion").glob("*.html") if "xx" not in path.name)
    return {
        "home": "index.html",
        "an election of one contest": "GOB/index.html",
        "an election of places": "DIP_LOC/index.html",
        "a place": "GOB/lugar-33-1.html",
        "an acta": f"GOB/{acta.name}",
        "a sección": f"seccion/{section.name}",
        "secciones": "seccion/33-00xx.html",
        **{name: f"GOB/{name}.html" for name in LISTS},
        "a card": "GOB/tarjeta.html",
        "a card of places": "DIP_LOC/tarjeta.html",
        **{name.removesuffix(".html"): name for name in ROOT_PAGES},
    }


@pytest.fixture
def reader(browser: Browser) -> Iterator[BrowserContext]:
    """Somebody without JavaScript, at a telephone."""
    made = browser.new_context(viewport={"width": 390, "height": 844}, locale="es-MX", java_script_enabled=False)
    yield made
    made.close()


def test_without_javascript_an_image_is_five_clicks_from_the_start(reader: BrowserContext, site: Site) -> None:
    page = reader.new_page()
    page.goto(f"{site.url}/index.html")
    page.get_by_role("link", name="Gubernatura", exact=True).click()
    page.get_by_role("link", name=re.compile("^Distrito local 1")).click()
    page.get_by_role("cell", name="Contabilizada", exact=True).first.locator("xpath=..").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("casilla")
    assert page.locator("figure img").evaluate("each => each.naturalWidth") > 0
    page.locator("figure a").click()
    assert urlsplit(page.url).path.startswith("/imagenes/")


def test_a_casilla_is_found_by_its_seccion_with_and_without_javascript(
    reader: BrowserContext, watched: Watched, site: Site
) -> None:
    page = reader.new_page()
    page.goto(f"{site.url}/casilla.html")
    page.get_by_role("link", name="0000 a 0099").click()
    page.get_by_role("link", name="0002", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sección 0002")
    page = watched.page
    page.goto(f"{site.url}/casilla.html")
    for number, said in (("mil", "Escriba el número"), ("9999", "Aquí no hay una sección 9999")):
        page.get_by_label("Número de sección").fill(number)
        page.keyboard.press("Enter")
        expect(page.locator(".search [role=status]").first).to_contain_text(said)
    page.get_by_label("Número de sección").fill("2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sección 0002")


def test_a_casilla_is_found_by_words_of_its_place_with_and_without_javascript(
    reader: BrowserContext, watched: Watched, site: Site, shots: Callable[[Page, str], None]
) -> None:
    page = reader.new_page()
    page.goto(f"{site.url}/casilla.html")
    page.get_by_text("Las mismas listas, por municipio").click()
    page.get_by_role("link", name="0000 a 0099").last.click()
    row = page.get_by_role("row").filter(has_text="Jardín de Niños Jacaranda 2")
    row.get_by_role("link", name="0002").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sección 0002")
    expect(page.locator(".where-it-is").first).to_contain_text("Colonia Jacaranda")
    page = watched.page
    page.goto(f"{site.url}/casilla.html")
    box, said = page.get_by_label("Lugar o domicilio de la casilla"), page.locator(".search [role=status]").last
    for words, answer in (("zapata", "Ningún lugar"), ("¿?", "Escriba el nombre"), ("jardin JACARÁNDA", "1 lugar.")):
        box.fill(words)
        box.press("Enter")
        expect(said).to_contain_text(answer)
    shots(page, "casilla-por-lugar")
    read = {url for url in watched.asked if "/lugares/" in url}
    assert (
        sum((site.root / url.removeprefix(f"{site.url}/")).stat().st_size for url in read if "za" not in url) < 12_000
    )
    page.locator(".places a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sección 0002")
    assert watched.others(site.url) == []


def put_back(site: Site) -> dict[str, bytes]:
    """The tree as it was with corte 1; returns the pages and the index of the last corte."""
    later = {
        str(path.relative_to(site.root)): path.read_bytes()
        for path in site.root.rglob("*")
        if path.suffix in {".html", ".json"} and path.relative_to(site.root).parts[0] not in BESIDE
    }
    for name in later:
        (site.root / name).unlink()
    shutil.copytree(site.earlier, site.root, dirs_exist_ok=True)
    return later


def bring_out(site: Site, later: dict[str, bytes]) -> None:
    for name in sorted(later, key=lambda each: each == "index.json"):
        (site.root / name).parent.mkdir(exist_ok=True)
        (site.root / name).write_bytes(later[name])


def test_a_corte_comes_out_and_the_open_page_follows_without_losing_its_place(
    context: BrowserContext, site: Site
) -> None:
    later = put_back(site)
    page = context.new_page()
    watched = Watched.of(page)
    page.clock.install()
    with page.expect_response("**/index.json"):
        page.goto(f"{site.url}/DIP_LOC/index.html")
    captured = page.locator('data[data-de="DIP_LOC:capturadas"]')
    before = captured.inner_text()
    page.locator("details summary").first.click()
    link = page.locator("section[aria-labelledby=listas] a").first
    link.focus()
    link.evaluate("each => each.scrollIntoView({block: 'center'})")
    height = link.bounding_box()
    # The notice of the corte goes away after a while: the test keeps its words.
    page.evaluate(
        """() => {
            window.said = "";
            const notices = document.getElementById("avisos");
            new MutationObserver(() => (window.said += notices.textContent)).observe(notices, {childList: true});
        }"""
    )
    bring_out(site, later)
    page.clock.run_for(32_000)
    expect(captured).not_to_have_text(before)
    assert "Salió el corte 2." in page.evaluate("window.said")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "sin-acta.html"
    assert page.locator("details").first.evaluate("each => each.open")
    after = link.bounding_box()
    assert height is not None
    assert after is not None
    assert abs(after["y"] - height["y"]) < 60  # the notice has a line of its own at the top
    assert page.locator("data.moved").count() > 3
    assert watched.errors == []
    assert watched.others(site.url) == []


def test_a_late_corte_is_told_by_the_page_itself_also_when_the_origin_is_gone(
    context: BrowserContext, site: Site
) -> None:
    put_back(site)
    index = json.loads((site.root / "index.json").read_text())
    (site.root / "index.json").write_text(json.dumps(index | {"siguiente": "2020-01-01T00:00:00-06:00"}))
    page = context.new_page()
    page.clock.install()
    with page.expect_response("**/index.json"):
        page.goto(f"{site.url}/index.html")
    page.clock.run_for(2_000)
    expect(page.locator("#avisos .late")).to_contain_text("está retrasado")
    (site.root / "index.json").unlink()
    page.clock.run_for(120_000)
    expect(page.locator("#avisos .late")).to_contain_text("Lo publicado hasta aquí no cambia")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_every_kind_of_page_has_one_title_fits_every_screen_and_runs_under_the_policy(
    browser: Browser, site: Site
) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 640}, locale="es-MX")
    page = context.new_page()
    watched = Watched.of(page)
    for kind, path in kinds(site.root).items():
        page.goto(f"{site.url}/{path}")
        assert page.locator("h1").count() == 1, kind
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, kind
    assert watched.errors == []
    assert watched.others(site.url) == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_kind_of_page(browser: Browser, site: Site, scheme: Literal["light", "dark"]) -> None:
    if not AXE.exists():
        missing("axe is not here: make screens")
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    found: dict[str, list[str]] = {}
    for kind, path in kinds(site.root).items():
        page.goto(f"{site.url}/{path}")
        page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
        # The dark scheme differs in its colours only.
        if wrong := _axe(page, RULES if scheme == "light" else ["color-contrast"]):
            found[kind] = wrong
    context.close()
    assert found == {}


RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def _axe(page: Page, rules: list[str]) -> list[str]:
    wrong: list[str] = page.evaluate(
        """async (rules) => (await axe.run({runOnly: rules}))
            .violations.map((each) => `${each.id}: ${each.nodes[0].html.slice(0, 120)}`)""",
        rules,
    )
    return wrong


class _Links(HTMLParser):
    """The addresses of a page, and the names of its places."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.names |= {name for name in [told.get("id")] if name}
        self.found += [each for each in (told.get("href"), told.get("src")) if each]


def test_no_link_of_a_published_tree_is_broken(site: Site) -> None:
    read: dict[str, _Links] = {}
    for path in site.root.rglob("*.html"):
        links = read[str(path.relative_to(site.root))] = _Links()
        links.feed(path.read_text(encoding="utf-8"))
    broken = []
    for name, links in read.items():
        for href in links.found:
            if href.startswith("data:"):
                continue
            target = urlsplit(urljoin(f"http://x/{name}", href))
            where = unquote(target.path).removeprefix("/")
            there = (site.root / where).is_file() and target.netloc == "x"
            place = not target.fragment or where == "verificar.html" or target.fragment in read[where].names
            broken += [] if there and place else [f"{name} → {href}"]
    assert broken == []
    assert len(read) > 40


def test_pages_are_light(site: Site) -> None:
    sizes = {
        str(path.relative_to(site.root)): len(gzip.compress(path.read_bytes(), 6)) for path in site.root.rglob("*.html")
    }
    beside = sum(len(gzip.compress((site.root / name).read_bytes(), 6)) for name in ("estilo.css", "sitio.js"))
    assert max(sizes.values()) + beside <= HEAVY
    assert sizes["index.html"] + beside <= LIGHT
    assert len((site.root / "sitio.js").read_bytes()) <= 8 << 10


def test_every_page_has_a_twin_with_its_figures(site: Site) -> None:
    pages = [str(path.relative_to(site.root)) for path in site.root.rglob("*.html")]
    without = {page for page in pages if not twin_of(page) or page == "verificar.html"}
    assert without == {*ROOT_PAGES, "verificar.html"}
    for page in {*pages} - without:
        told = json.loads((site.root / twin_of(page)).read_bytes())
        shown = re.findall(r'<data value="([^"]*)" data-de="([^"]*)">', (site.root / page).read_text(encoding="utf-8"))
        assert {name: str(value) for name, value in told["cifras"].items()} == {name: value for value, name in shown}
        assert told["pagina"] == page


def closed(schema: Any) -> Any:
    """The same schema, in which every object has the fields that are told and no other."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    held = {key: closed(each) for key, each in schema.items()}
    return held | {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else held


def test_every_json_of_a_published_tree_follows_its_published_schema(finished: tuple[Path, Signer]) -> None:
    root = finished[0]
    validators = {
        name: jsonschema.Draft202012Validator(closed(json.loads((root / schema_path(name)).read_bytes())))
        for name in SCHEMA_NAMES
    }
    seen: Counter[str] = Counter()
    for path in sorted(path for path in root.rglob("*") if path.suffix in {".json", ".jsonl"}):
        name = document_of(str(path.relative_to(root)))
        assert name or path.parent.name == SCHEMAS or path.parts[-3] == DATA, path  # those of datos/ follow NIST's
        for line in path.read_bytes().splitlines() if name else ():
            validators[name or ""].validate(json.loads(line))
            seen[name or ""] += 1
    size = int((root / LOG / CHECKPOINT).read_text().splitlines()[1])
    tiles = Tiles(Folder(root / LOG), size)
    for leaf in (leaf for bundle in range(-(-size // WIDTH)) for leaf in tiles.entries(bundle)):
        validators["hoja"].validate(json.loads(leaf))
        seen["hoja"] += 1
    assert seen["hoja"] == size
    assert all(seen[name] > 2 for name in {*SCHEMA_NAMES} - {"catalogo", "index", "indice"}), seen
    assert (seen["catalogo"], seen["index"], seen["indice"]) == (1, 1, 1)


def test_every_file_of_the_site_is_described(site: Site) -> None:
    patterns = described()
    files = [str(path.relative_to(site.root)) for path in site.root.rglob("*") if path.is_file()]
    assert [file for file in files if not any(pattern.fullmatch(file) for pattern in patterns.values())] == []
    ours = {name for name in patterns if name.endswith((".html", ".json", ".atom", ".js")) and "contienda" not in name}
    absent = {name for name in ours if not any(map(patterns[name].fullmatch, files))}
    assert absent <= {"ELECCION/fuera/HASH.html"}


def test_the_votes_of_a_candidacy_table_add_up(site: Site) -> None:
    """Candidacies, no registradas and nulos stand in one table, and give its total."""
    page = (site.root / "GOB" / "index.html").read_text(encoding="utf-8")
    [table] = re.findall(r"<caption>Votos por candidatura</caption>(.*?)</table>", page, re.DOTALL)
    votes = re.findall(r'<data value="(\d+)" data-de="GOB/contienda/\d+:([^"%]*)">', table)
    rows = [int(value) for value, name in votes if name != "votos"]
    [total] = [value for value, name in votes if name == "votos"]
    assert {"opcion/NULOS", "opcion/NO_REGISTRADAS"} <= {name for _, name in votes}
    assert sum(rows) == int(total) > 0


@pytest.mark.parametrize("code", ["GOB", "DIP_LOC"])
def test_the_pages_say_what_the_official_file_adds_up_to(site: Site, code: str) -> None:
    """As `python -m load_tests.official_pages` does for a replayed election."""
    file = read_official((site.root / "cortes" / "0002" / f"EDO_{code}_2027.csv").read_bytes())
    found = compare_pages(site.root, file, code=code, casillas=6)
    assert found.differences == []
    assert (found.state >= 6, found.places.total() > 10, found.casillas) == (True, True, 6)
    page = site.root / code / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace(':contabilizadas">', ':no_contabilizadas">', 1))
    assert compare_pages(site.root, file, code=code, casillas=6).differences != []


@pytest.mark.parametrize("page", ["index.html", "GOB/index.html", "GOB/tarjeta.html"])
def test_a_link_to_an_election_shows_its_picture_by_its_whole_address(site: Site, page: str) -> None:
    text = (site.root / page).read_text(encoding="utf-8")
    told = dict(re.findall(r'<meta property="(og:[\w:]+)" content="([^"]*)">', text))
    assert told["og:title"]
    assert told["og:image"] == "https://prep.example.mx/GOB/tarjeta.png"
    with Image.open(site.root / "GOB" / "tarjeta.png") as picture:
        assert (picture.size, picture.format) == ((1200, 630), "PNG")


@pytest.mark.parametrize("kind", ["home", "an acta", "que-es"])
def test_a_page_shows_the_institute_and_an_incident_as_soon_as_index_json_tells_it(
    watched: Watched, site: Site, kind: str
) -> None:
    page = watched.page
    page.clock.install()
    index = json.loads((site.root / "index.json").read_text())
    told = [{"numero": 1, "texto": "Sin luz en un CATD.", "fecha_hora": "2027-06-06T21:40:00-06:00"}]
    (site.root / "index.json").write_text(json.dumps(index | {"fase": "en curso", "incidentes": told}))
    page.goto(f"{site.url}/{kinds(site.root)[kind]}")
    expect(page.locator("#avisos .incident")).to_have_text("Incidente, 21:40 h: Sin luz en un CATD.")
    assert page.locator("header img.logo").evaluate("each => each.naturalWidth") > 0
    expect(page.locator("header svg.band rect")).to_have_count(2)
    expect(page.locator("header .tagline").first).to_contain_text("Instituto Electoral de Ejemplo")
    (site.root / "index.json").write_text(json.dumps(index))
    os.utime(site.root / "index.json", (2e9, 2e9))  # the web server of the test tells changes by the second
    page.clock.run_for(40_000)
    expect(page.locator("#avisos .incident")).to_have_count(0)
    assert watched.errors == []


def test_every_page_of_the_site_and_of_the_screens_is_valid_html(site: Site) -> None:
    """By the Nu validator of the W3C: no error in any page, as a browser gets it."""
    if not VALIDATOR.exists():
        missing("the Nu validator is not here: make screens")
    pages = [*site.root.rglob("*.html"), *(ROOT / "capture" / "web" / "dist").glob("*.html")]
    validate = [program("java", "default-jre-headless"), "-jar", str(VALIDATOR), "--errors-only"]
    checked = subprocess.run([*validate, *map(str, pages)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    (site.root / "que-es.html").write_text("<!doctype html><html lang=es><title>PREP</title><p><div></div></p>")
    wrong = subprocess.run([*validate, site.root / "que-es.html"], capture_output=True, check=False)
    assert wrong.returncode == 1, "the validator checks nothing"


def test_with_the_keyboard_alone_a_reader_comes_to_an_image_and_always_sees_the_focus(
    watched: Watched, site: Site
) -> None:
    page = watched.page
    page.goto(f"{site.url}/{kinds(site.root)['an acta']}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Ir al contenido")).to_be_focused()
    page.keyboard.press("Enter")
    image = page.locator("figure a").first
    for _ in range(40):
        page.keyboard.press("Tab")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid", page.evaluate("document.activeElement.outerHTML")
        if image.evaluate("each => each === document.activeElement"):
            break
    expect(image).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/imagenes/**")


def test_on_paper_the_results_stand_in_black_on_white_and_nothing_folded_is_missing(
    watched: Watched, site: Site
) -> None:
    page = watched.page
    page.emulate_media(media="print", color_scheme="dark")
    for kind in ("home", "an election of places", "an acta"):
        page.goto(f"{site.url}/{kinds(site.root)[kind]}")
        hidden = page.evaluate(
            """() => [...document.querySelectorAll("main data, main h1, main h2, main caption, .simulacro, footer p")]
                .filter((each) => !each.closest(".tiles, nav") && !each.checkVisibility())
                .map((each) => each.outerHTML.slice(0, 120))"""
        )
        assert hidden == [], kind
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert _dark(page.locator("h1").evaluate("each => getComputedStyle(each).color")), kind
        expect(page.locator("nav.main")).to_be_hidden()


def _dark(colour: str) -> bool:
    return max(int(part) for part in re.findall(r"\d+", colour)[:3]) < 100


def test_with_forced_colours_bars_and_focus_can_still_be_seen(browser: Browser, site: Site) -> None:
    context = browser.new_context(forced_colors="active", viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{site.url}/GOB/index.html")
    # The colours of a drawing are data: the browser must not paint them over.
    bars = page.locator("main table svg rect")
    fills = {bars.nth(at).evaluate("each => getComputedStyle(each).fill") for at in range(bars.count())}
    assert len(fills) > 1
    assert bars.first.evaluate("each => getComputedStyle(each).forcedColorAdjust") == "none"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    context.close()


def test_a_map_opens_the_place_that_is_touched_and_tells_nothing_that_its_table_does_not(
    browser: Browser, site: Site
) -> None:
    context = browser.new_context(forced_colors="active", viewport={"width": 320, "height": 640}, locale="es-MX")
    page = context.new_page()
    watched = Watched.of(page)
    page.goto(f"{site.url}/DIP_LOC/index.html")
    drawn, squares = page.locator("figure.maps svg.map").all()
    places = drawn.locator("a")
    assert places.count() > 2
    for svg in (drawn, squares):
        size = svg.bounding_box()
        assert size is not None
        assert 200 < size["width"] <= 320
        # Who is ahead is told by a pattern as well as by a colour, and neither is painted over.
        assert svg.locator("pattern").count() > 0
        fills = svg.locator(".places path").evaluate_all("all => all.map((each) => getComputedStyle(each).fill)")
        assert any(fill.startswith("url(") for fill in fills)
    # A reader without eyes or without a pointer has the same places in the table, with the same links.
    table = {each.get_attribute("href") for each in page.locator("main table a").all()}
    for place in places.all():
        assert place.get_attribute("href") in table
        assert place.get_attribute("tabindex") == "-1"
    [last] = re.findall(r"\d+", places.nth(1).locator("title").text_content() or "")
    places.nth(1).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Distrito local {last}")
    assert watched.errors == []
    context.close()


def test_at_four_hundred_per_cent_every_kind_of_page_is_read_in_one_direction(browser: Browser, site: Site) -> None:
    """A screen of 1,280 pixels at 400 % is 320 wide; a wider table scrolls in its own box."""
    context = browser.new_context(viewport={"width": 320, "height": 256}, device_scale_factor=4, locale="es-MX")
    page = context.new_page()
    for kind, path in kinds(site.root).items():
        page.goto(f"{site.url}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, kind
        clipped = page.evaluate(
            """() => [...document.querySelectorAll("main h1, main h2, main p, main dt, main dd, main li, header a")]
                .filter((each) => each.checkVisibility() && !each.closest(".scroll, .word, .skip"))
                .filter((each) => each.getBoundingClientRect().right > 321)
                .map((each) => each.outerHTML.slice(0, 100))"""
        )
        assert clipped == [], kind
    context.close()


def test_the_embedded_server_and_nginx_send_the_same_policy() -> None:
    conf = (ROOT / "deploy" / "nginx" / "published.conf").read_text(encoding="utf-8")
    assert f'default  "{POLICY}";' in conf
    assert f'"{CHECKER}";' in conf
    assert f'~/tarjeta\\.html$  "{CARD_POLICY}";' in conf
    assert "unsafe" not in POLICY


def lie_in_a_twin(root: Path) -> None:
    twin = json.loads((root / "GOB" / "index.json").read_bytes())
    twin["cifras"]["GOB:capturadas"] += 1
    content = json.dumps(twin, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    (root / "GOB" / "index.json").write_text(content + "\n")


def replaced(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        text = (root / name).read_text(encoding="utf-8")
        assert old in text
        (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "another number in a twin": (lie_in_a_twin, "CON-19"),
    "another program": (replaced("GOB/index.html", "sitio.js", "otro.js"), "CON-19"),
    "a number in a sección": (replaced("seccion/33-0001.html", "<h1>", "<h1>12,345 votos "), "CON-19"),
    "words in a drawing": (replaced("index.html", "<rect ", "<text>PAN 99</text><rect "), "CON-19"),
    "another difference": (replaced("DIP_LOC/index.html", ':diferencia">', ':diferencia">9'), "CON-19"),
    "another history": (replaced("GOB/index.html", ":cambio/ACTAS_CAPTURADAS", ":cambio/ACTAS_REGISTRADAS"), "CON-19"),
    "the program changed": (replaced("sitio.js", '"use strict"', '"use  strict"'), "INT-07"),
    "a part of the program changed": (replaced("comprobacion.js", "64 * MB", "65 * MB"), "INT-07"),
    "a part of the program is gone": (lambda root: (root / "prueba.js").unlink(), "COM-07"),
    "a place of another sección": (replaced("lugares/33-ja.json", '"seccion":2', '"seccion":3'), "INT-07"),
    "a file of the places is gone": (lambda root: (root / "lugares" / "33-ja.json").unlink(), "COM-07"),
    "a file that the list of places does not name": (
        lambda root: (root / "lugares" / "33-zz.json").write_text("{}"),
        "COM-08",
    ),
    "another list of places": (replaced("lugares/indice.json", '"formato":1', '"formato":2'), "INT-07"),
    "another logo": (replaced("logo.svg", "#6a1b52", "#000000"), "INT-07"),
    "a sección is gone": (lambda root: (root / "seccion" / "33-0002.html").unlink(), "COM-07"),
    "a list is gone": (lambda root: (root / "GOB" / "sin-acta.html").unlink(), "COM-07"),
    "a page of nobody": (lambda root: (root / "seccion" / "33-9999.html").write_text("x"), "COM-08"),
    "a schema changed": (replaced("esquemas/index.json", '"integer"', '"number"'), "INT-07"),
    "a schema is gone": (lambda root: (root / "esquemas" / "hoja.json").unlink(), "COM-07"),
    "a schema of nothing": (lambda root: (root / "esquemas" / "otro.json").write_text("{}"), "COM-08"),
    "a list of changes of no corte": (lambda root: (root / "cambios" / "0009.json").write_text("{}"), "COM-08"),
}


@pytest.fixture(scope="module")
def approved(finished: tuple[Path, Signer]) -> Iterator[Path]:
    """The tree of the night, in which both verifiers find nothing wrong."""
    with asked_once():
        assert _wrong(finished[0]) == (set(), set())
        yield finished[0]


@pytest.mark.parametrize("what", TAMPERED)
def test_both_verifiers_find_a_page_that_lies(approved: Path, tmp_path: Path, what: str) -> None:
    root = tmp_path / "publico"
    shutil.copytree(approved, root, copy_function=os.link)
    change, check = TAMPERED[what]
    for path in root.rglob("*"):  # the links lead to the night of the other tests
        if path.suffix in {".html", ".json", ".js", ".svg"} and path.is_file():
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
    change(root)
    assert _wrong(root) == ({check}, {check})


def _wrong(root: Path) -> tuple[set[str], set[str]]:
    brought = dict.fromkeys(("log_key", "trust_on_first_use", "log_policy", "checkpoint", "ca", "tsa_ca"))
    trust = minimal_verifier.Trust(Namespace(source=str(root), **brought))
    small = minimal_verifier.verify(str(root), trust)
    return {*verify.verify(str(root)).wrong()}, {check for check, found in small.wrong.items() if found}


# --- the proof of an acta, on its own page ----------------------------------------------------------------------------


def _proved(watched: Watched, site: Site, path: str) -> tuple[str, dict[str, list[str]]]:
    """The verdict on the page of an acta after a press of its button, and the sentences of each kind."""
    page = watched.page
    page.goto(f"{site.url}/{path}")
    assert not any("prueba.js" in url or "comprobacion.js" in url for url in watched.asked)
    page.get_by_role("button", name="Comprobar aquí").click()
    # The policy of the page forbids what `wait_for_function` does.
    page.locator("#prueba .verdict:is(.good, .bad, .unable)").wait_for()
    verdict = page.locator("#prueba .verdict").get_attribute("class") or ""
    kinds = ("good", "bad", "unable")
    said = {kind: page.locator(f"#prueba .steps > .{kind}").all_inner_texts() for kind in kinds}
    return verdict.removeprefix("verdict "), said


def _code(site: Site, path: str) -> str:
    return str(re.findall(r'<data value="([0-9a-f]{64})"', (site.root / path).read_text(encoding="utf-8"))[0])


def test_the_page_of_an_acta_checks_its_place_in_the_log_and_says_what_it_checked(
    watched: Watched, site: Site, shots: Callable[[Page, str], None]
) -> None:
    path = kinds(site.root)["an acta"]
    verdict, said = _proved(watched, site, path)
    assert (verdict, said["bad"], said["unable"]) == ("good", [], [])
    text = "\n".join(said["good"])
    root = (site.root / LOG / proof_path(_code(site, path)).partition("/")[2]).read_text().split("\n\n")[1].split("\n")
    assert "La huella de la imagen está en la bitácora, en la hoja" in text
    assert base64.b64decode(root[2]).hex() in text
    assert "+".join(site.key.split("+")[:2]) in text
    assert "La huella de la lista de archivos del corte" in text
    expect(watched.page.locator("#prueba .note")).to_contain_text("Las llaves son las que da este mismo sitio")
    assert watched.errors == []
    assert watched.others(site.url) == []
    shots(watched.page, "acta-comprobada")
    accessible(watched.page)


def _other_hash(proof: str) -> str:
    """One hash of the way to the root is another."""
    lines = proof.split("\n")
    at = next(at for at, line in enumerate(lines) if line.startswith("index ")) + 1
    lines[at] = base64.b64encode(bytes(32)).decode()
    return "\n".join(lines)


def _of_another(proof: str) -> str:
    """A leaf that tells of another image."""
    lines = proof.split("\n")
    leaf = json.loads(base64.b64decode(lines[1].removeprefix("extra ")))
    said = json.dumps(leaf | {"sha256": "0" * 64}, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    lines[1] = f"extra {base64.b64encode(said.encode()).decode()}"
    return "\n".join(lines)


def _of_a_stranger(proof: str) -> str:
    """The same tree, signed by a key that is not the log's."""
    head, body, _ = proof.split("\n\n")
    stranger = Signer.generate(body.split("\n")[0], SignatureKind.LOG)
    text = f"{body}\n"
    return f"{head}\n\n{text}\n{stranger.sign(text)}"


FORGED: dict[str, tuple[Callable[[str], str], str]] = {
    "another hash": (_other_hash, "La prueba no lleva a la raíz que se firmó"),
    "another image": (_of_another, "La prueba no habla de la imagen"),
    "another signer": (_of_a_stranger, "no está firmada con la llave"),
}


@pytest.mark.parametrize("how", FORGED)
def test_the_page_of_an_acta_says_that_a_forged_proof_is_wrong(watched: Watched, site: Site, how: str) -> None:
    path = kinds(site.root)["an acta"]
    forge, sentence = FORGED[how]
    proof = site.root / proof_path(_code(site, path))
    proof.write_text(forge(proof.read_text(encoding="utf-8")), encoding="utf-8")
    verdict, said = _proved(watched, site, path)
    assert verdict == "bad"
    assert sentence in "\n".join(said["bad"])
    assert "Algo está mal" in watched.page.locator("#prueba .verdict").inner_text()


def test_the_page_of_an_acta_says_that_its_image_is_another(watched: Watched, site: Site) -> None:
    path = kinds(site.root)["an acta"]
    image = site.root / "imagenes" / _code(site, path)[:2] / f"{_code(site, path)}.jpg"
    image.write_bytes(image.read_bytes() + b"\0")
    verdict, said = _proved(watched, site, path)
    assert verdict == "bad"
    assert "NO es la de su código de integridad" in said["bad"][0]
