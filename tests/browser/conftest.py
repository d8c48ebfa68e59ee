"""A small night's published tree behind a plain static web server, and a real browser that looks at it."""

import asyncio
import csv
import hashlib
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from integrity.log.note import Signer
from load_tests.browser import CHROMIUM
from prep.domain.corte import Phase
from prep.domain.night import Institute
from prep.domain.territory_map import MAPS
from prep.rehearsal import synthetic
from prep.rehearsal.replay import Sheet
from prep.store import embedded
from publisher.web import CHECKER, POLICY
from tests.conftest import cloned
from tests.makers.capture_room import PASSWORD
from tests.makers.declared import TONIGHT
from tests.makers.logged_night import logged_night
from tests.makers.maps import as_file, grid
from tests.makers.programs import ROOT, browser_program, missing, program
from tests.makers.small_night import make_clean_data
from tests.makers.waiting import PATIENCE

LOGO = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 40"><path fill="#6a1b52" d="M0 0h60v40H0z"/></svg>"""
DECLARED = replace(
    TONIGHT,
    institute=Institute("Instituto Electoral de Ejemplo", hashlib.sha256(LOGO).hexdigest(), ("#6A1B52", "#D9A441")),
)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LANGUAGE = {"LANG": "es_MX.UTF-8"}


def picture(sheet: Sheet) -> bytes:
    """An image that a browser can show."""
    paper = Image.new("RGB", (430, 280), "white")
    ImageDraw.Draw(paper).text((20, 20), sheet.qr, fill="black")
    drawn = io.BytesIO()
    paper.save(drawn, "JPEG")
    return drawn.getvalue()


@pytest.fixture(scope="session")
def finished(postgres: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Signer]:
    """A finished night of three cortes with its log, written by publisher and sequencer; and the log's key.

    Each district has one sección, so that the map of the districts has some.
    """
    folder = tmp_path_factory.mktemp("noche")

    async def publish() -> Signer:
        async with (
            cloned(postgres) as night,
            logged_night(night, folder, casillas=12, declared=DECLARED, logo=LOGO, changed=_with_map) as tonight,
        ):
            tonight.night.draw = picture
            tonight.night.office = replace(tonight.night.office, address="https://prep.example.mx")
            sheets = tonight.night.sheets
            await tonight.night.cut()
            make_clean_data(folder / "publico")
            await tonight.count(sheets[:8], "catd-01")
            await tonight.log()
            await tonight.night.cut()
            await tonight.log()
            # The pages of corte 1, for tests in which the last corte comes out while somebody reads.
            for path in _pages_of(folder / "publico"):
                (folder / "antes" / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(folder / "publico" / path, folder / "antes" / path)
            await tonight.count(sheets[8:], "catd-02")
            await tonight.log()
            await tonight.night.cut(Phase.FINAL)
            await tonight.log()
            async with tonight.scribe() as scribe:
                await scribe.turn()
            make_clean_data(folder / "publico")
            return tonight.office.signer

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(synthetic, "SECCIONES_PER_DISTRITO", 1)
        return folder / "publico", asyncio.run(publish())


def _with_map(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a catalogue, with a map of its districts."""
    places = csv.DictReader(io.StringIO(files["territorios.csv"].decode("utf-8-sig")))
    districts = [(int(row["entidad"]), int(row["id"])) for row in places if row["tipo"] == "distrito_local"]
    return files | {f"{MAPS}distrito_local.geojson": as_file(grid(districts))}


def _pages_of(public: Path) -> list[Path]:
    """The files that the next corte may write again."""
    beside = {"cortes", "bitacora", "catalogo", "datos", "imagenes", "zip"}
    paths = (path.relative_to(public) for path in public.rglob("*") if path.suffix in {".html", ".json"})
    return [path for path in paths if path.parts[0] not in beside]


class _Quiet(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        page = self.path.partition("?")[0]
        if not page.startswith("/imagenes/"):
            self.send_header("Content-Security-Policy", CHECKER if page.endswith("verificar.html") else POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
        """Write no access log."""


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of a published tree behind a plain static web server, inside this block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root))) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


@dataclass
class Site:
    """A copy of the tree that a test may change, and its address."""

    root: Path
    url: str
    key: str
    earlier: Path
    """The pages of the corte before the last one."""


@pytest.fixture
def site(finished: tuple[Path, Signer], tmp_path: Path) -> Iterator[Site]:
    public, signer = finished
    root = tmp_path / "publico"
    shutil.copytree(public, root)
    with served(root) as url:
        yield Site(root, url, str(signer.key), public.parent / "antes")


def _patient(new_context: Callable[..., BrowserContext]) -> Callable[..., BrowserContext]:
    """Contexts in which every wait has the limit of all tests: Chromium on a busy machine is slow, and not wrong."""

    @wraps(new_context)
    def opened(*given: Any, **named: Any) -> BrowserContext:
        context = new_context(*given, **named)
        context.set_default_timeout(PATIENCE * 1000)
        return context

    return opened


@pytest.fixture(scope="module")
def browser(finished: tuple[Path, Signer]) -> Iterator[Browser]:
    """Debian's Chromium. If it is missing, the test is skipped with the reason; in CI it fails.

    While it is open, its event loop runs in this thread and no other loop can. So the night is made before, and the
    browser is closed after the last test of the module.
    """
    where = browser_program()
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as changed:
        changed.setattr(Browser, "new_context", _patient(Browser.new_context))
        # A home of its own: Debian's wrapper reads the home of the user.
        opened = playwright.chromium.launch(executable_path=where, args=ARGUMENTS, env={**os.environ, **LANGUAGE})
        yield opened
        opened.close()


@dataclass
class Lens:
    """A browser whose camera sees a picture. Chromium opens the file anew each time that the camera opens."""

    browser: Browser
    stream: Path

    def sees(self, picture: bytes) -> None:
        """A JPEG, from the next opening on: a stream of one frame, which is shown again and again."""
        fresh = self.stream.with_name("siguiente")
        fresh.write_bytes(picture)
        fresh.replace(self.stream)


@contextmanager
def camera(browser: Browser, folder: Path) -> Iterator[Lens]:
    """Another Chromium, with a camera, inside this block. The one without windows has no camera."""
    stream = folder / "camara.mjpeg"
    fake = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={stream}"]
    opened = browser.browser_type.launch(
        executable_path=program(CHROMIUM, CHROMIUM), args=[*ARGUMENTS, *fake], env={**os.environ, **LANGUAGE}
    )
    yield Lens(opened, stream)
    opened.close()


@dataclass
class Watched:
    """A page, the messages of its console, and its requests to the network."""

    page: Page
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, page: Page) -> "Watched":
        watched = cls(page)
        page.on("console", lambda said: watched.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        page.on("request", lambda request: watched.asked.append(request.url))
        return watched

    def others(self, origin: str) -> list[str]:
        """Requests to other origins. Addresses that the page makes itself (`blob:`, `data:`) are no requests."""
        return [
            url
            for url in self.asked
            if urlsplit(url).scheme not in {"blob", "data"} and not url.startswith(origin + "/")
        ]


PACKAGES = ROOT / "capture" / "web" / "node_modules"
AXE = PACKAGES / "axe-core" / "axe.min.js"


def accessible(page: Page) -> None:
    """Fails if axe finds anything against WCAG 2.2 AA on the page as it is now."""
    if not AXE.exists():
        missing("axe is not here: make screens")
    page.locator("h1").first.wait_for(state="attached")  # a screen makes its page after it has loaded
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        """() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
            .then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]))"""
    )
    assert found == []


def told(page: Page, words: str) -> None:
    """The desk says this about what a person has just done. A row of its lists may say the same a moment later."""
    expect(page.locator(".done")).to_contain_text(words)


@pytest.fixture
def enter(browser: Browser, room: Any) -> Iterator[Callable[..., Page]]:
    """Log in at a screen of the module's `room`: by itself at the desk, at 1366×768."""
    contexts = []

    def log_in(user: str, screen: str = "/mesa", **how: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1366, "height": 768}, "locale": "es-MX"} | how)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{room.url}{screen}")
        page.get_by_label("Usuario").fill(user)
        page.get_by_label("Clave").fill(PASSWORD)
        page.get_by_role("button", name="Entrar").click()
        expect(page.get_by_role("banner").or_(page.get_by_role("navigation")).first).to_be_visible()
        return page

    yield log_in
    for each in contexts:
        each.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 390, "height": 844}, locale="es-MX")
    yield made
    made.close()


@pytest.fixture
def watched(context: BrowserContext) -> Watched:
    return Watched.of(context.new_page())


@pytest.fixture
def shots() -> Callable[[Page, str], None]:
    """Keeps a picture of the whole page in the folder that SHOTS names, for people to look at."""
    folder = os.environ.get("SHOTS")

    def shoot(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=f"{folder}/{name}.png", full_page=True)

    return shoot
