"""A mirror of a real published tree that grows, behind a plain web server that may be away, be slow, or lie."""

import asyncio
import hashlib
import json
import random
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from prometheus_client import REGISTRY

from integrity.log.note import Signer, trust_only
from integrity.log.writer import FileState, Sequencer
from integrity.verify import verify
from prep.domain.corte import Phase, ToldIncident
from prep.errors import Rejected, Unavailable
from prep.store import embedded
from publisher.mirror.command import mirroring
from publisher.mirror.divergence import Divergence
from publisher.mirror.mirror import Mirror, MirrorRequest
from publisher.mirror.origin import OriginRefused, Patience, base_of
from publisher.start_page import show_incidents
from tests.conftest import cloned
from tests.makers.logged_night import logged_night
from tests.makers.small_night import make_clean_data
from tests.makers.waiting import PATIENCE, until

QUICK = Patience(connect=5, silence=5, pause=0, tries=2)


@pytest.fixture(scope="module")
def grown(postgres: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Signer]:
    """The tree of one night after each of its cortes 0, 1, 2 and 3; and the log's key."""
    folder = tmp_path_factory.mktemp("noche")
    trees: list[Path] = []

    async def publish() -> Signer:
        async with cloned(postgres) as night, logged_night(night, folder, casillas=12) as tonight:
            sheets = tonight.night.sheets

            async def corte(phase: Phase | None = None) -> None:
                await tonight.night.cut(phase)
                async with tonight.scribe() as scribe:
                    while await scribe.turn():
                        pass
                    await scribe.turn()
                # Corte 2 has none: it gets its own with the next one, as after a loss.
                if len(trees) != 2:
                    make_clean_data(folder / "publico")
                copy = folder / f"tras-{len(trees)}"
                shutil.copytree(folder / "publico", copy)
                trees.append(copy)

            await corte()
            for number in range(2):
                await tonight.count(sheets[number * 8 : number * 8 + 8], "catd-01")
                await tonight.log()
                await corte()
            await tonight.count(sheets[16:], "catd-02")
            await tonight.log()
            await corte(Phase.FINAL)
            return tonight.office.signer

    return trees, asyncio.run(publish())


class Server(SimpleHTTPRequestHandler):
    """Python's own server, with an answer of the test before it."""

    lie: ClassVar[Callable[["Server"], bool] | None] = None
    """Answers instead of the server, or returns False."""

    def do_GET(self) -> None:
        lie = type(self).__dict__.get("lie")
        if lie is None or not lie(self):
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
        """Write no access log."""


@dataclass
class Place:
    """The origin's folder and address, and the folder of the mirror."""

    root: Path
    url: str
    trees: list[Path]
    signer: Signer
    into: Path
    handler: type[Server]
    told: list[str] = field(default_factory=list)

    def advance(self, corte: int) -> None:
        """Show the origin's tree of that corte."""
        shutil.copytree(self.trees[corte], self.root, dirs_exist_ok=True)

    @property
    def shown(self) -> Path:
        return self.into / "publico"

    @asynccontextmanager
    async def mirror(self, **asked: Any) -> AsyncIterator[Mirror]:
        said = MirrorRequest(**{"policy": trust_only(self.signer.key), "patience": QUICK, "sample": 1000, **asked})
        async with mirroring(self.url, self.into, said, tell=self.told.append, rng=random.Random(1)) as mirror:
            yield mirror


@pytest.fixture
def place(grown: tuple[list[Path], Signer], tmp_path: Path) -> Iterator[Place]:
    trees, signer = grown
    root = tmp_path / "origen"
    handler = type("One", (Server,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root))) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield Place(root, f"http://127.0.0.1:{server.server_port}/", trees, signer, tmp_path / "espejo", handler)
        server.shutdown()
        serving.join()


def files(root: Path) -> dict[str, bytes]:
    """All files except partial tiles that a fuller one has replaced: a mirror does not need them."""
    found = {}
    for path in sorted(each for each in root.rglob("*") if each.is_file()):
        name = path.relative_to(root).as_posix()
        widths = [int(each.name) for each in path.parent.iterdir() if each.name.isdigit()] if ".p/" in name else []
        full = ".p/" in name and (root / name.partition(".p/")[0]).exists()
        if not full and (not widths or int(path.name) == max(widths)) and not name.startswith("bitacora/."):
            found[name] = path.read_bytes()
    return found


def same(place: Place) -> None:
    assert files(place.shown) == files(place.root)
    assert verify(str(place.shown), log=trust_only(place.signer.key)).exit_code == 0


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


# --- following --------------------------------------------------------------------------------------------------------


async def test_it_follows_a_night_from_its_zeros_to_its_end_byte_for_byte(place: Place) -> None:
    async with place.mirror() as mirror:
        for corte in range(4):
            place.advance(corte)
            assert await mirror.look()
            assert json.loads((place.shown / "index.json").read_bytes())["corte"] == corte
            same(place)
            assert not await mirror.look(), "and nothing is done where nothing is new"
    assert len(place.told) == 4


async def test_an_incident_that_is_told_between_cortes_is_told_by_the_mirror_too(place: Place) -> None:
    place.advance(2)
    stage = place.root / ".corte-0002-00000000"
    stage.mkdir()
    async with place.mirror() as mirror:
        await mirror.look()
        for told in ([ToldIncident(1, "Sin luz en un CATD.", datetime.now(UTC))], []):
            show_incidents(place.root, stage, told, UTC)
            assert await mirror.look()
            assert ("Sin luz" in (place.shown / "index.html").read_text(encoding="utf-8")) == bool(told)
            same(place)


async def test_one_who_comes_late_gets_the_whole_night_at_once(place: Place) -> None:
    place.advance(3)
    async with place.mirror() as mirror:
        assert await mirror.look()
    same(place)


async def test_the_pages_of_a_corte_come_with_one_request(place: Place) -> None:
    asked: list[str] = []

    def note(server: Server) -> bool:
        asked.append(server.path)
        return False

    place.handler.lie = note
    place.advance(0)
    async with place.mirror() as mirror:
        await mirror.look()
        place.advance(1)
        asked.clear()
        await mirror.look()
        same(place)
        pages = json.loads((place.root / "cambios/0001.json").read_bytes())["paginas"]
        assert len(pages) > 15
        always = {"index.html", "datos.html", "verificar.html"}
        assert {path.lstrip("/") for path in asked if path.endswith(".html")} <= always
        assert asked.count("/cambios/0001.tar.gz") == 1
        # A corte without a delta: its pages are asked for one by one.
        place.advance(2)
        assert not (place.root / "cambios/0002.tar.gz").exists()
        await mirror.look()
        same(place)


async def test_clean_data_that_come_after_their_corte_are_brought_and_linked(place: Place) -> None:
    place.advance(1)
    kept = place.into.parent / "datos"
    (place.root / "datos/0001").rename(kept)
    async with place.mirror() as mirror:
        await mirror.look()
        assert not (place.shown / "datos/0001").exists()
        kept.rename(place.root / "datos/0001")
        assert await mirror.look()
        assert "datos/0001/actas_" in (place.shown / "datos.html").read_text()
        same(place)
        assert not await mirror.look()


async def test_the_tree_that_is_shown_is_never_touched_while_the_next_one_is_made(place: Place) -> None:
    place.advance(1)
    async with place.mirror() as mirror:
        await mirror.look()
        shown = place.shown.resolve()

        def there() -> dict[Path, tuple[int, bytes]]:
            return {path: (path.stat().st_ino, path.read_bytes()) for path in shown.rglob("*") if path.is_file()}

        before = there()
        place.advance(3)
        await mirror.look()
        assert place.shown.resolve() != shown
        assert there() == before
        shared = sum(1 for path in shown.rglob("*") if path.is_file() and path.stat().st_nlink > 1)
        assert shared > len(before) / 2, "what has not changed is there once"


async def test_files_that_come_after_their_corte_are_brought_too(place: Place) -> None:
    place.advance(2)
    proof = place.root / "cortes" / "0002" / "SHA256SUMS.tlog-proof"
    acuse = next((place.root / "bitacora" / "acuses").rglob("*.tlog-proof"))
    late = {path: path.read_bytes() for path in (proof, acuse)}
    for path in late:
        path.unlink()
    async with place.mirror() as mirror:
        await mirror.look()
        assert not (place.shown / "cortes/0002/SHA256SUMS.tlog-proof").exists()
        for path, content in late.items():
            path.write_bytes(content)
        assert await mirror.look()
    same(place)


# --- the origin lies --------------------------------------------------------------------------------------------------


def reseal(root: Path, number: int) -> None:
    """Write digests, chain and index again from that corte on."""
    before = None
    for folder in sorted((root / "cortes").iterdir())[number:]:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if before is not None:
            manifest["anterior"]["sha256sums"] = before
            (folder / "manifest.json").write_bytes(canonical(manifest))
        names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
        text = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
        (folder / "SHA256SUMS").write_text(text)
        before = hashlib.sha256(text.encode()).hexdigest()
    index = json.loads((root / "index.json").read_bytes())
    (root / "index.json").write_bytes(canonical(index | {"sha256sums": before}))


def canonical(value: object) -> bytes:
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def an_image(place: Place, corte: int) -> Path:
    lines = (place.root / "cortes" / f"{corte:04}" / "images.csv").read_text().splitlines()[1:]
    return place.root / lines[0].split(",")[1]


def image_changed(place: Place) -> None:
    flip(an_image(place, 1))


def image_gone(place: Place) -> None:
    an_image(place, 1).unlink()


def past_corte_changed(place: Place) -> None:
    (place.root / "cortes/0001/LEEME.txt").write_text("otra cosa")


def last_corte_rewritten(place: Place) -> None:
    (place.root / "cortes/0002/LEEME.txt").write_text("otra cosa")
    reseal(place.root, 2)


def everything_rewritten_and_a_new_corte(place: Place) -> None:
    place.advance(3)
    (place.root / "cortes/0001/LEEME.txt").write_text("otra cosa")
    reseal(place.root, 1)


def went_back(place: Place) -> None:
    shutil.copy(place.trees[1] / "index.json", place.root / "index.json")


def log_went_back(place: Place) -> None:
    shutil.copy(place.trees[1] / "bitacora/checkpoint", place.root / "bitacora/checkpoint")


def log_gone(place: Place) -> None:
    (place.root / "bitacora/checkpoint").unlink()


def log_forked(place: Place) -> None:
    """Another history, as long as the old one and longer, signed with the right key."""
    shutil.rmtree(place.root / "bitacora/tile")
    (place.root / "bitacora/checkpoint").unlink()
    with Sequencer(place.root / "bitacora", place.signer, FileState(place.into.parent / "estado")) as log:
        log.append([f"otra {number}".encode() for number in range(500)])


def bad_new_image(place: Place) -> None:
    place.advance(3)
    flip(an_image(place, 3))


def bad_new_row(place: Place) -> None:
    """All digests of the new corte agree, but a total is not the sum of its rows."""
    place.advance(3)
    path = next((place.root / "cortes/0003").glob("*_GOB_2027.csv"))
    lines = path.read_bytes().split(b"\r\n")
    lines[4] = lines[4][:-1] + (b"1" if lines[4][-1:] != b"1" else b"2")
    path.write_bytes(b"\r\n".join(lines))
    reseal(place.root, 3)


def clean_data_rewritten(place: Place) -> None:
    flip(next((place.root / "datos/0001").glob("*.parquet")))


def bad_new_clean_data(place: Place) -> None:
    """Other numbers than the official file, under a list that agrees with them."""
    place.advance(3)
    folder = place.root / "datos/0003"
    path = next(folder.glob("actas_*.csv"))
    path.write_bytes(path.read_bytes().replace(b",contabilizada,", b",sin_acta,", 1))
    lines = [
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n"
        for each in sorted(folder.iterdir())
        if each.suffix
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def delta_is_none(place: Place) -> None:
    place.advance(3)
    (place.root / "cambios/0003.tar.gz").write_bytes(b"otra cosa" * 100)


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        (clean_data_rewritten, "el origen reescribió datos/0001/"),
        (bad_new_clean_data, "CON-21"),
        (delta_is_none, "cambios/0003.tar.gz del origen"),
        (image_changed, "el origen reescribió imagenes/"),
        (image_gone, "el origen ya no tiene imagenes/"),
        (past_corte_changed, "el origen reescribió cortes/0001/LEEME.txt"),
        (last_corte_rewritten, "el origen reescribió el corte 2"),
        (everything_rewritten_and_a_new_corte, "el origen reescribió cortes/000"),
        (went_back, "el origen retrocedió al corte 1"),
        (log_went_back, "la bitácora del origen retrocedió"),
        (log_gone, "ya no tiene la bitácora"),
        (log_forked, "otra historia de la bitácora"),
        (bad_new_image, "no es el que debe ser"),
        (bad_new_row, "no se comprueba"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
async def test_an_origin_that_lies_is_named_and_the_good_tree_stays(
    place: Place, lie: Callable[[Place], None], sentence: str
) -> None:
    place.advance(2)
    async with place.mirror() as mirror:
        await mirror.look()
        before, link = files(place.shown), place.shown.readlink()
        lie(place)
        while await mirror.attempt():  # each look compares one more corte
            assert mirror._looks < 10
        assert mirror.diverges
        assert sentence in (mirror.wrong or "")
        assert REGISTRY.get_sample_value("prep_difusor_divergence") == 1
        assert (files(place.shown), place.shown.readlink()) == (before, link)
        assert verify(str(place.shown), log=trust_only(place.signer.key)).exit_code == 0
        assert sum("DIVERGENCIA" in each for each in place.told) == 1
        # The origin shows the true tree again: the mirror goes on.
        shutil.rmtree(place.root)
        place.advance(3)
        assert await mirror.attempt(), mirror.wrong
        assert REGISTRY.get_sample_value("prep_difusor_divergence") == 0
    same(place)


async def test_a_chain_that_leads_elsewhere_is_seen_without_comparing_old_files(place: Place) -> None:
    place.advance(2)
    async with place.mirror(sample=0) as mirror:
        await mirror.look()
        everything_rewritten_and_a_new_corte(place)
        shutil.copy(place.trees[2] / "cortes/0002/SHA256SUMS", place.root / "cortes/0002/SHA256SUMS")
        shutil.copy(place.trees[2] / "cortes/0001/SHA256SUMS", place.root / "cortes/0001/SHA256SUMS")
        with pytest.raises(Divergence, match="el corte 3 del origen sigue a otro corte 2"):
            await mirror.look()


# --- hostile answers --------------------------------------------------------------------------------------------------


def huge(self: Server) -> bool:
    if not self.path.endswith("images.csv"):
        return False
    self.send_response(200)
    self.end_headers()
    try:
        while True:
            self.wfile.write(b"x" * (1 << 20))
    except OSError:
        return True


def redirect(self: Server) -> bool:
    if not self.path.endswith("images.csv"):
        return False
    self.send_response(302)
    self.send_header("Location", "http://127.0.0.1:1/otro")
    self.end_headers()
    return True


def compressed(self: Server) -> bool:
    if not self.path.endswith("images.csv"):
        return False
    self.send_response(200)
    self.send_header("Content-Encoding", "gzip")
    self.end_headers()
    return True


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [(redirect, "manda a otro sitio"), (compressed, "manda comprimido")],
    ids=lambda each: each.__name__ if callable(each) else "",
)
async def test_answers_that_no_published_file_has_are_refused(
    place: Place, lie: Callable[[Server], bool], sentence: str
) -> None:
    place.advance(1)
    place.handler.lie = lie
    async with place.mirror() as mirror:
        assert not await mirror.attempt()
        assert sentence in (mirror.wrong or "")
    assert not place.shown.exists()


async def test_a_file_without_end_is_cut_at_its_limit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.advance(1)
    place.handler.lie = huge
    monkeypatch.setattr("publisher.mirror.carrier._TABLE", 8 << 20)
    async with place.mirror() as mirror:
        assert not await mirror.attempt()
        assert "tiene más de 8388608 bytes" in (mirror.wrong or "")
    assert not place.shown.exists()


async def test_a_slow_or_silent_server_is_not_waited_for(place: Place) -> None:
    place.advance(1)
    release = threading.Event()

    def silent(self: Server) -> bool:
        if self.path.endswith("images.csv"):
            release.wait(PATIENCE)
        return False

    def drip(self: Server) -> bool:
        if not self.path.endswith("images.csv"):
            return False
        self.send_response(200)
        self.end_headers()
        try:
            while not release.wait(0.01):
                self.wfile.write(b"x")
        except OSError:
            pass
        return True

    for lie, impatient, sentence in (
        (silent, replace(QUICK, silence=0.2, tries=1), "no se pudo traer"),
        (drip, replace(QUICK, grace=0.1, slowest=1 << 20, tries=1), "demasiado despacio"),
    ):
        place.handler.lie = lie
        async with place.mirror(patience=impatient) as mirror:
            assert not await mirror.attempt()
            assert sentence in (mirror.wrong or "")
            assert not mirror.diverges
    release.set()


@pytest.mark.parametrize("name", ["../fuera.csv", "a/b.csv", ".oculto", "a\\b.csv"])
async def test_names_that_lead_out_of_the_tree_are_refused(place: Place, name: str) -> None:
    place.advance(1)
    sums = place.root / "cortes/0001/SHA256SUMS"
    sums.write_text(sums.read_text() + f"{'0' * 64}  {name}\n")
    index = json.loads((place.root / "index.json").read_bytes())
    digest = hashlib.sha256(sums.read_bytes()).hexdigest()
    (place.root / "index.json").write_bytes(canonical(index | {"sha256sums": digest}))
    async with place.mirror() as mirror:
        with pytest.raises(Divergence):
            await mirror.look()
    assert {path.name for path in place.into.parent.iterdir()} == {"origen", "espejo"}


async def test_an_image_with_an_address_of_its_own_is_refused(place: Place) -> None:
    place.advance(1)
    path = place.root / "cortes/0001/images.csv"
    path.write_text(path.read_text() + f"{'f' * 64},imagenes/../../{'f' * 64}.jpg,-\n")
    reseal(place.root, 1)
    async with place.mirror() as mirror:
        with pytest.raises(Divergence, match="nombra una imagen en"):
            await mirror.look()


async def test_the_origin_refuses_every_path_that_no_tree_has(place: Place) -> None:
    async with place.mirror() as mirror:
        for path in ("../x", "/x", "a//b", "a/../b", ".x", "a/.x", "", "a\nb", "http://otro/x"[5:]):
            with pytest.raises(OriginRefused):
                await mirror._origin.read(path, 10)


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc", "http://yo:clave@x/", "http://x/?a=b", "x", "http://"])
def test_an_invalid_address_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(Rejected, match="la dirección debe empezar"):
        base_of(url)


# --- away, and killed -------------------------------------------------------------------------------------------------


async def test_while_the_origin_is_away_no_file_is_lost_and_the_lag_grows(place: Place) -> None:
    place.advance(1)
    async with place.mirror() as mirror:
        await mirror.look()
        since = mirror.current

        def away(self: Server) -> bool:
            self.send_error(503)
            return True

        place.handler.lie = away
        assert not await mirror.attempt()
        assert not mirror.diverges
        assert mirror.current == since
        assert "respondió 503" in (mirror.wrong or "")
        assert verify(str(place.shown)).exit_code == 0
        place.handler.lie = None
        place.advance(2)
        assert await mirror.attempt()
        assert mirror.current > since
    same(place)


async def test_an_interrupted_download_continues_at_its_last_byte(place: Place) -> None:
    place.advance(1)
    content = bytes(range(256)) * 4096
    (place.root / "grande.bin").write_bytes(content)
    asked: list[str] = []

    def breaks(self: Server) -> bool:
        told = self.headers.get("Range", "")
        asked.append(told)
        first = int(told[6:-1]) if told else 0
        self.send_response(206 if told else 200)
        if told:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first : first + 600_000])
        self.close_connection = True
        return True

    place.handler.lie = breaks
    async with place.mirror() as mirror:
        to = place.into / "grande.bin"
        await mirror._origin.fetch("grande.bin", to, sha256=hashlib.sha256(content).hexdigest(), limit=1 << 21)
        assert to.read_bytes() == content
        assert len(asked) == 2
        assert asked[0] == ""
        assert asked[1].startswith("bytes=")
        # A part that belonged to another file is thrown away, and the file is asked for again.
        part = (
            place.into
            / ".partes"
            / hashlib.sha256(f"grande.bin {hashlib.sha256(content).hexdigest()}".encode()).hexdigest()
        )
        part.write_bytes(b"otra cosa" * 70_000)
        await mirror._origin.fetch("grande.bin", to, sha256=hashlib.sha256(content).hexdigest(), limit=1 << 21)
        assert to.read_bytes() == content


def command(place: Place, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "prep.operations",
        "difusor",
        place.url,
        "--into",
        str(place.into),
        "--log-key",
        str(place.signer.key),
        *more,
    ]


@pytest.mark.parametrize("step", [3, 25, 60, 95])
async def test_killed_at_any_moment_it_ends_complete_and_the_old_tree_was_good(place: Place, step: int) -> None:
    place.advance(1)
    async with place.mirror() as mirror:
        await mirror.look()
    place.advance(3)
    count, reached, release = 0, threading.Event(), threading.Event()

    def stop_at(self: Server) -> bool:
        nonlocal count
        count += 1
        if count >= step:
            reached.set()
            release.wait(PATIENCE)
        return False

    place.handler.lie = stop_at
    process = await asyncio.create_subprocess_exec(*command(place, "--once"))
    await until(lambda: reached.is_set() or process.returncode is not None)
    assert reached.is_set(), "it was killed in the middle"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    release.set()
    place.handler.lie = None
    assert json.loads((place.shown / "index.json").read_bytes())["corte"] == 1
    assert verify(str(place.shown)).exit_code == 0
    again = await asyncio.create_subprocess_exec(*command(place, "--once"))
    assert await again.wait() == 0
    same(place)


@pytest.mark.parametrize(
    "at", ["stage._link_tree", "stage.Stage.settle", "mirror.verify", "stage.Stage.make_durable", "stage.durable.sync"]
)
async def test_stopped_between_any_two_steps_the_next_look_ends_it(
    place: Place, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.advance(1)
    async with place.mirror() as mirror:
        await mirror.look()

    class Stopped(Exception):
        pass

    def stop(*_: object, **__: object) -> None:
        raise Stopped

    place.advance(3)
    with monkeypatch.context() as broken:
        broken.setattr(f"publisher.mirror.{at}", stop)
        async with place.mirror() as mirror:
            with pytest.raises(Stopped):
                await mirror.look()
    assert json.loads((place.shown / "index.json").read_bytes())["corte"] == 1
    assert verify(str(place.shown)).exit_code == 0
    async with place.mirror() as mirror:
        await mirror.look()
    same(place)


async def test_the_command_follows_serves_its_metrics_and_ends_when_asked(place: Place, tmp_path: Path) -> None:
    place.advance(1)
    port = free_port()
    said = tmp_path / "salida"
    with said.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command(place, "--interval", "1", "--port", str(port)), stdout=out, stderr=out
        )
    try:
        await until(place.shown.exists)
        place.advance(3)
        await until(lambda: json.loads((place.shown / "index.json").read_bytes())["corte"] == 3)
        async with httpx.AsyncClient() as client:

            async def well() -> bool:
                return (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200

            await until(well)
            metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            assert "prep_difusor_corte_number 3.0" in metrics
            assert "prep_difusor_divergence 0.0" in metrics
            assert "prep_difusor_lag_seconds" in metrics
            flip(an_image(place, 3))
            went_back(place)

            async def ill() -> bool:
                answer = await client.get(f"http://127.0.0.1:{port}/healthz")
                return answer.status_code == 503 and "retrocedió" in answer.text

            await until(ill)
    finally:
        process.terminate()
        assert await process.wait() == 0
    assert "corte 3 (final)" in said.read_text()


async def test_two_mirrors_do_not_share_a_folder_and_bad_words_get_one_sentence(place: Place) -> None:
    place.advance(0)
    async with place.mirror():
        with pytest.raises(Rejected, match="otro difusor usa la carpeta"):
            async with place.mirror():
                pass
    for words, sentence in (
        (["--log-key", "hola"], "la llave o la política"),
        (["--tsa-ca", "x"], "--tsa-ca necesita también --ca"),
        (["--interval", "cada rato"], "no es un número"),
        (["--interval", "0"], "--interval va de 1 a"),
        (["--port", "70000"], "--port va de 0 a"),
        (["--ca", "/no/hay"], "no"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "prep.operations",
                "difusor",
                place.url,
                "--into",
                str(place.into),
                "--once",
                *words,
            ),
            stderr=asyncio.subprocess.PIPE,
        )
        _, told = await process.communicate()
        assert process.returncode == 2
        assert sentence in told.decode()
        assert "Traceback" not in told.decode()


async def test_a_full_disk_is_said_and_nothing_changes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.advance(1)
    monkeypatch.setattr("publisher.mirror.carrier._ROOM", 1 << 62)
    async with place.mirror() as mirror:
        with pytest.raises(Unavailable, match="en el disco"):
            await mirror.look()


def free_port() -> int:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
