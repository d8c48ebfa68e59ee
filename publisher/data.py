"""The clean data of each corte, and its delta: made from the published files, after the corte is out.

They hold up no corte: this runs beside the publisher, in a process of its own with a lower priority. It needs no
database. What it makes is a function of the files of a corte (integrity.tree.clean), so the same bytes come out
whenever it is asked, and by whom. A folder of clean data appears whole, by one rename. If this stops at any point, a
folder in work is left, and the next look makes the missing files.

The next manifest names the lists that are there (publisher.cut): so they are in the chain, and in the log.
"""

import asyncio
import contextlib
import csv
import fcntl
import gzip
import hashlib
import io
import json
import logging
import os
import re
import shutil
import signal
import sys
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Final

from integrity import durable
from integrity.layout import (
    CORTES,
    DATA,
    DATA_PAGE,
    INDEX,
    SUMS,
    changes_path,
    corte_folder,
    data_folder,
    delta_path,
    twin_of,
)
from integrity.sums import Malformed, read_sums
from integrity.tree.clean import list_of, make_data
from integrity.tree.documents import read_manifest, read_totals
from prep.errors import reason_of
from prep.processes import send

log: Final = logging.getLogger(__name__)
LOOK: Final = 2.0
"""Seconds between two looks for missing clean data."""
LONGEST_PAUSE: Final = 60.0
"""The same while it cannot be made."""
_NICE: Final = 10
_LEVEL: Final = 6
_HEAD: Final = 400
"""Bytes of a page that hold the number of the corte that wrote it."""
_CORTE: Final = re.compile(r"\d{4,}", re.ASCII)


def data_lists(public: Path, without: frozenset[int] = frozenset(), *, below: int) -> dict[int, str]:
    """By corte, of those before `below` and not in `without`: the digest of the list of its clean data."""
    found: dict[int, str] = {}
    for folder in _folders(public / DATA):
        number = int(folder.name)
        if number < below and number not in without:
            with contextlib.suppress(FileNotFoundError):
                found[number] = hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()
    return found


def lacking(public: Path) -> list[int]:
    """The cortes that are out and have no clean data, or no delta if it is the last; its readers wait for it first."""
    try:
        last = json.loads((public / INDEX).read_bytes())["corte"]
    except FileNotFoundError:
        return []
    there = _numbers(public / DATA) - ({last} if not (public / delta_path(last)).exists() else set())
    return sorted((number for number in _numbers(public / CORTES) - there if number <= last), reverse=True)


def _numbers(above: Path) -> set[int]:
    return {int(folder.name) for folder in _folders(above) if (folder / SUMS).exists()}


def _folders(above: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from (each for each in above.iterdir() if _CORTE.fullmatch(each.name))


def make(public: Path, number: int) -> str:
    """Make the clean data of one corte, if they are not there; returns the digest of their list.

    Raises Malformed if the corte is not as it was published; OSError if the disk does not let it.
    """
    folder = public / corte_folder(number)
    place = public / data_folder(number)
    if (place / SUMS).exists():
        return hashlib.sha256((place / SUMS).read_bytes()).hexdigest()
    work = place.with_name(f".{place.name}-{uuid.uuid4().hex[:8]}")
    work.mkdir(parents=True)
    try:
        _expect_published(folder)
        manifest = read_manifest((folder / "manifest.json").read_bytes())
        totals = read_totals((folder / "totals.json").read_bytes())
        files = {election.code: folder / election.archivo for election in manifest.elections}
        endings = _endings(public, number)
        listed = list_of(
            make_data(manifest, totals, files, lambda sha256: endings.get(bytes.fromhex(sha256), ""), work)
        )
        durable.write(work / SUMS, listed)
        for path in work.iterdir():
            durable.sync(path)
        durable.sync(work)
        # The folder is complete and durable. If we stop here, the next look makes it again, with the same bytes.
        with contextlib.suppress(OSError):  # another publisher of this tree was first; else its list is not there below
            work.rename(place)
        durable.sync(place.parent)
        durable.sync(public)
    finally:
        for left in (work, *place.parent.glob(f".{place.name}-*")):
            shutil.rmtree(left, ignore_errors=True)
    return hashlib.sha256((place / SUMS).read_bytes()).hexdigest()


@contextmanager
def _work_folder(public: Path, number: int) -> Iterator[Path]:
    """A folder in which this process alone prepares files; it is gone at the end. A process that was killed leaves its
    folder, and the next one removes it.
    """
    sweep(public)
    folder, held = _locked_folder(public, number)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _locked_folder(public: Path, number: int) -> tuple[Path, int]:
    """A new folder, and its lock, which ends with this process, however it ends."""
    while True:
        folder = public / DATA / f".{number:04}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        # Another process may sweep it before it is locked: then it gets another name.
        with contextlib.suppress(FileNotFoundError):
            held = os.open(folder, os.O_RDONLY)
            if _locks(held) and folder.exists():
                return folder, held
            os.close(held)


def _locks(held: int) -> bool:
    """Lock the open folder; False if another process has it. A file system without locks has folders that stay."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def sweep(public: Path) -> None:
    """Remove the work folders of processes that were killed. Those at work stay: a tree may have several publishers."""
    for left in (public / DATA).glob(".*-*"):
        with contextlib.suppress(OSError):  # at work, or another process has just removed it
            held = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(held)


def _expect_published(folder: Path) -> None:
    """A file that was changed after it was published must not become clean data that a manifest then names."""
    for name, digest in read_sums((folder / SUMS).read_bytes()).items():
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            raise Malformed(f"{name} con la huella {digest}", found)


def _endings(public: Path, number: int) -> dict[bytes, str]:
    """By digest: the extension of each image that a corte up to this one lists. A national night has a million."""
    found: dict[bytes, str] = {}
    for each in range(number + 1):
        with (public / corte_folder(each) / "images.csv").open(encoding="utf-8-sig", newline="") as file:
            for digest, path, _ in list(csv.reader(file))[1:]:
                found.setdefault(bytes.fromhex(digest), sys.intern(path.rpartition(".")[2]))
    return found


# --- the delta --------------------------------------------------------------------------------------------------------


def make_delta(public: Path, number: int) -> bool:
    """Make the delta of the last corte: its files, and the pages that it wrote, with their twins.

    False, and there is none, if a later corte has begun to write its pages. No digest is of it: it brings nothing that
    a reader does not check, as if it had come file by file. Images are not in it, nor the ZIP and the clean data.
    """
    target = public / delta_path(number)
    if target.exists():
        return True
    at = int(read_manifest((public / corte_folder(number) / "manifest.json").read_bytes()).at.timestamp())
    pages = json.loads((public / changes_path(number)).read_bytes())["paginas"]
    names = [f"{corte_folder(number)}/{path.name}" for path in (public / corte_folder(number)).iterdir()]
    names = [name for name in names if not name.startswith(f"{corte_folder(number)}/{SUMS}.")]
    names += [changes_path(number), *pages, *filter(None, map(twin_of, pages))]
    try:
        with _work_folder(public, number) as work:
            fresh = work / "delta"
            with (
                gzip.GzipFile(fresh, "wb", _LEVEL, mtime=0) as packed,
                tarfile.open(mode="w", fileobj=packed, format=tarfile.PAX_FORMAT) as archive,
            ):
                for name in sorted(names):
                    content = (public / name).read_bytes()
                    if name.endswith(".html") and f'data-corte="{number}"'.encode() not in content[:_HEAD]:
                        return False
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mtime, entry.mode = len(content), at, 0o644
                    archive.addfile(entry, io.BytesIO(content))
            durable.sync(fresh)
            fresh.rename(target)
            durable.sync(target.parent)
    except FileNotFoundError:  # a page that the next corte took away
        return False
    return True


# --- the page that links them -----------------------------------------------------------------------------------------

_ABOUT: Final = (
    # In words: a number on a page is a figure of the night (CON-19).
    ("libro_", ".xlsx", "para Excel o LibreOffice: las sumas, y los renglones si no son más de veinte mil"),
    ("actas_", ".csv", "un renglón por acta, con enteros, estado y fechas ISO; se abre en una hoja de cálculo"),
    ("actas_", ".parquet", "la misma tabla, con tipos, para programas"),
    ("nist_", ".json", "las sumas, en NIST SP 1500-100"),
    ("evidencia_", ".csv", "de cada acta, su imagen, la huella y la prueba"),
)
_PLACE: Final = re.compile(r"(<!-- datos limpios -->).*?(<!-- fin -->)", re.DOTALL)


def links(public: Path) -> str:
    """The HTML list of the newest clean data; before there are any, a sentence."""
    newest = max(_numbers(public / DATA), default=None)
    if newest is None:
        return "<p>Salen unos segundos después de cada corte.</p>"
    folder = data_folder(newest)
    names = read_sums((public / folder / SUMS).read_bytes())
    lines = [
        f'<li><a href="{folder}/{escape(name)}">{escape(name)}</a>: {about}</li>'
        for begins, ends, about in _ABOUT
        for name in names
        if name.startswith(begins) and name.endswith(ends)
    ]
    said = f"<p>Los del corte {newest}; los de cada corte salen unos segundos después de él.</p>"
    return f'{said}<ul class="files">{"".join(lines)}</ul>'


def tells_data(public: Path) -> bool:
    """Whether the page of files links the newest clean data. A page without that place has nothing to tell."""
    text = (public / DATA_PAGE).read_text(encoding="utf-8")
    return _told(text, public) == text


def show_data(public: Path, stage: Path) -> None:
    """Link the newest clean data between two cortes. `stage` is the licence to publish."""
    text = (public / DATA_PAGE).read_text(encoding="utf-8")
    durable.swap(public / DATA_PAGE, _told(text, public).encode(), fresh=stage / "pagina")


def _told(text: str, public: Path) -> str:
    said = links(public)
    return _PLACE.sub(lambda place: place[1] + said + place[2], text, count=1)


# --- again and again --------------------------------------------------------------------------------------------------


async def serve(public: Path, stop: asyncio.Event) -> None:
    """Until `stop`: make the missing clean data, the newest first. After the last corte, it ends with them.

    Otherwise `stop` ends it at once: the next start makes what this one left.
    """
    failures, said, tried = 0, "", set[int]()
    await asyncio.to_thread(sweep, public)
    while True:
        ended = stop.is_set()
        if ended and not await asyncio.to_thread(_is_over, public):
            return
        why = await complete(public, stop, tried=tried)
        failures = failures + 1 if why else 0
        if why and why != said:
            log.error("clean data missing", extra={"data": {"why": why}})
        said = why
        if ended:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), min(LONGEST_PAUSE, LOOK * 2.0 ** min(failures, 9)))


def _is_over(public: Path) -> bool:
    """Whether the last corte of the night is out."""
    try:
        return bool(json.loads((public / INDEX).read_bytes())["fase"] == "final")
    except FileNotFoundError:
        return False


async def complete(public: Path, stop: asyncio.Event | None = None, *, tried: set[int] | None = None) -> str:
    """Make the missing clean data now; "", or why some could not be made.

    After `stop`, only those of the last corte of the night. Of those in `tried` no delta is tried again: a later corte
    had begun to write its pages.
    """
    tried = set() if tried is None else tried
    wanted = await asyncio.to_thread(lacking, public)
    there = await asyncio.to_thread(_numbers, public / DATA)
    for number in [number for number in wanted if number not in tried & there]:
        # A process of its own: half a million rows in this one would keep the next corte waiting.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, str(public), str(number)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        failed = await _ended(process, public, stop)
        if process.returncode:
            return f"corte {number}: {failed.decode(errors='replace').strip()[-300:]}" if failed is not None else ""
        tried.add(number)
        log.info("clean data published", extra={"data": {"corte": number}})
        if stop is not None and stop.is_set():
            break
    return ""


async def _ended(process: asyncio.subprocess.Process, public: Path, stop: asyncio.Event | None) -> bytes | None:
    """The errors that the process wrote; None if it was ended because `stop` came before the night was over."""
    working = asyncio.ensure_future(process.communicate())
    stopping = asyncio.ensure_future((stop or asyncio.Event()).wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done() and not await asyncio.to_thread(_is_over, public):
            send(process, signal.SIGKILL)
            await working
            await asyncio.to_thread(sweep, public)
            return None
        return (await working)[1]
    except asyncio.CancelledError:
        send(process, signal.SIGKILL)
        raise
    finally:
        stopping.cancel()


def main(public: str, number: str) -> int:
    os.umask(0o022)  # published files must be readable by every user of the machine
    os.nice(_NICE)
    try:
        make(Path(public), int(number))
        make_delta(Path(public), int(number))
    except (Malformed, OSError, ValueError) as error:
        reason = f"{reason_of(error)}: {error.filename}" if isinstance(error, OSError) else error
        print(f"los datos limpios no se pudieron hacer: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
