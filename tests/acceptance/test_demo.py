"""A demo prints one command that checks all its results, and this command works. Its totals are those of the same night
on other engines, and of the same night killed again and again."""

import contextlib
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from prep.rehearsal.commands import PRACTICE
from prep.store import embedded
from tests.makers import engine
from tests.makers.waiting import NIGHT, PATIENCE
from tests.quick.test_documents import OF_THE_SITE, RARE, described

DEMO = ("prep.operations", "demo", "--casillas", "25", "--seed", "3", "--interval", "15", "--image-width", "1000")
ONCE = (*DEMO, "--once")
SEAT = re.compile(r"  (http://localhost:\d+)(/\w+)(?:  usuario (\w+))?  \(.+\)")
"""The line of a screen: its address and its login."""
LAST_SCREEN = "/casilla"
OPENED_BY = {
    "/terminal": ("POST", "/v1/tasks/lease"),
    "/mesa": ("GET", "/v1/board"),
    "/catd": ("GET", "/v1/lists/missing"),
}
"""The first question of each screen after a login."""
KILLS = 5


def without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}


def run(*words: str, settings: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        env=without_settings() | (settings or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=NIGHT,
    )


def command_of(said: str) -> list[str]:
    """The words of the command that a demo printed; they check all its results."""
    line = [line for line in said.splitlines() if line.startswith("compruébelo: ")][-1]
    return shlex.split(line.removeprefix("compruébelo: "))


def totals(data: Path) -> bytes:
    public = data / "publico"
    index = json.loads((public / "index.json").read_text())
    assert index["fase"] == "final"
    return Path(public, index["carpeta"], "totals.json").read_bytes()


@dataclass
class Played:
    """What a demo printed, and what a newcomer found at the addresses before Ctrl-C."""

    data: Path
    said: str
    results: str
    """The start page of the results."""
    screens: dict[tuple[str, str], tuple[int, str, Any]]
    """Address and login → the status and the text of its page, and the answer to its first question."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    data = tmp_path_factory.mktemp("demo") / "datos"
    words = [sys.executable, "-m", *DEMO, "--data", str(data)]
    # A test that runs in the background of a shell ignores Ctrl-C, and so would its children.
    night = subprocess.Popen(
        words,
        env=without_settings(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs yet
    )
    assert night.stderr is not None
    hangs = threading.Timer(NIGHT, night.kill)
    hangs.start()
    try:
        said = ""
        for line in night.stderr:
            said += line
            if (seat := SEAT.match(line)) and seat[2] == LAST_SCREEN:
                break
        assert night.poll() is None, said[-3000:]
        [results] = re.findall(r"resultados en (http://\S+)", said)
        found = Played(data, said, httpx.get(results).text, {seat: visit(*seat, said) for seat in seats_of(said)})
        night.send_signal(signal.SIGINT)
        _, rest = night.communicate(timeout=PATIENCE)
        assert night.returncode == 0, rest
    finally:
        hangs.cancel()
        night.kill()
        night.communicate()
        for folder in (data, data / "practica"):
            embedded.stop(folder / "instalacion" / "postgres")
    return found


def seats_of(said: str) -> list[tuple[str, str]]:
    """Address and login of each screen that the demo printed."""
    return [(seat[1] + seat[2], seat[3] or "") for seat in map(SEAT.fullmatch, said.splitlines()) if seat]


def visit(address: str, login: str, said: str) -> tuple[int, str, Any]:
    """Open a printed address and, if it has a login, enter and ask what its screen asks first."""
    with httpx.Client(base_url=address.rpartition("/")[0], timeout=PATIENCE) as client:
        path = "/" + address.rpartition("/")[2]
        page = client.get(path)
        if not login:
            return page.status_code, page.text, None
        [password] = re.findall(r"\(clave de todos: (\S+)\)", said)
        entered = client.post("/v1/session", json={"usuario": login, "clave": password})
        assert entered.status_code == 201, entered.text
        headers = {"Authorization": f"Bearer {entered.json()['token']}"}
        method, asked = OPENED_BY[path]
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = client.request(method, asked, headers=headers, json={} if method == "POST" else None)
            # 204: the worker has not read the first image yet.
            if answer.status_code != 204 or time.monotonic() > deadline:
                assert answer.status_code == 200, answer.text
                return page.status_code, page.text, answer.json()
            time.sleep(0.1)


@pytest.fixture(scope="module")
def demo(played: Played) -> tuple[Path, list[str]]:
    """The folder of a finished demo, and the words of the command that it printed."""
    return played.data, command_of(played.said)


def test_each_printed_address_opens_and_each_login_finds_work(played: Played) -> None:
    assert "<h1" in played.results
    by_path: dict[str, list[Any]] = {}
    for (address, _login), (status, text, answer) in played.screens.items():
        assert status == 200
        assert '<div id="pantalla">' in text
        by_path.setdefault("/" + address.rpartition("/")[2], []).append(answer)
    first, second = by_path["/terminal"]
    assert first["imagen"], "an acta waits for each of two people"
    assert second["imagen"]
    assert sum(each["cuantas"] for each in by_path["/mesa"][0]["actas"]) == 2 * PRACTICE
    assert "filas" in by_path["/catd"][0]
    assert by_path["/casilla"] == [None], "a telephone is enrolled by a supervisor's code, and has no login"


def test_the_printed_command_checks_all_and_finds_no_error(demo: tuple[Path, list[str]]) -> None:
    _, words = demo
    assert {"--ca", "--tsa-ca", "--log-key", "--simulacro"} <= set(words)
    done = run(*words)
    assert done.returncode == 0, done.stdout
    for check in ("AUT-01", "AUT-03", "AUT-04", "AUT-05", "AUT-12", "EVI-10"):
        assert f"✓ {check}" in done.stdout


def test_without_an_authority_the_verifier_does_not_approve(demo: tuple[Path, list[str]]) -> None:
    _, words = demo
    done = run(*words[: words.index("--ca")])
    assert done.returncode == 2
    assert "? AUT-01" in done.stdout


def test_the_documents_of_both_acts_exist_with_their_digests(demo: tuple[Path, list[str]]) -> None:
    data, _ = demo
    for name in ("cero", "cierre"):
        folder = data / "instalacion" / "actos" / name
        assert sorted(path.name for path in folder.iterdir()) == [
            "SHA256SUMS",
            "acto.pdf",
            *(["calidad.json"] if name == "cierre" else []),
            "conteos.json",
            "software.txt",
        ]
        subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_each_file_that_a_night_publishes_is_described_and_each_described_file_is_published(
    demo: tuple[Path, list[str]],
) -> None:
    data, _ = demo
    patterns = described()
    tree = data / "publico"
    files = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()]
    assert [file for file in files if not any(pattern.fullmatch(file) for pattern in patterns.values())] == []
    absent = {path for path, pattern in patterns.items() if not any(map(pattern.fullmatch, files))}
    assert absent <= RARE.keys() - {"verificar.html", *OF_THE_SITE} | {
        "cortes/NNNN/SHA256SUMS.firma.p7s",
        "ELECCION/fuera/HASH.html",
    }


# The same night elsewhere.


def test_the_distributed_engine_gives_the_same_totals(
    demo: tuple[Path, list[str]], kafka_jars: None, tmp_path: Path
) -> None:
    """On three nodes of Kafka, a PostgreSQL by its address and an S3."""
    data = tmp_path / "lejos"
    with engine.running(tmp_path / "motor") as settings:
        done = run(*ONCE, "--data", str(data), settings=settings)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    verified = run(*command_of(done.stderr))
    assert verified.returncode == 0, verified.stdout[-3000:]
    assert totals(data) == totals(demo[0])


def kill(process: subprocess.Popen[bytes], data: Path, *, postgres: bool) -> None:
    """Send SIGKILL to the night and to every part that it started; with `postgres`, also to PostgreSQL."""
    parts = psutil.Process(process.pid).children(recursive=True)
    for part in [psutil.Process(process.pid), *parts]:
        with contextlib.suppress(psutil.NoSuchProcess):
            part.kill()
    process.wait()
    pid = data / "instalacion" / "postgres" / "postmaster.pid"
    if postgres and pid.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid.read_text().split()[0]), signal.SIGKILL)


def test_a_night_that_is_killed_again_and_again_has_the_same_totals(
    demo: tuple[Path, list[str]], tmp_path: Path
) -> None:
    data, said = tmp_path / "golpeada", tmp_path / "salida.txt"
    chance = random.Random(20)
    kills = 0
    try:
        while True:
            with said.open("ab") as out:
                words = [sys.executable, "-m", *ONCE, "--data", str(data)]
                night = subprocess.Popen(words, env=without_settings(), stdout=out, stderr=out)
            if kills == KILLS:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                night.wait(chance.uniform(3, 15))
            if night.poll() is not None:
                break
            kill(night, data, postgres=chance.random() < 0.3)
            kills += 1
            time.sleep(0.2)  # the kernel ends the children of the killed process
        assert night.wait(NIGHT) == 0, said.read_text()[-3000:]
    finally:
        embedded.stop(data / "instalacion" / "postgres")
    assert kills >= KILLS // 2, "the night was over before it could be disturbed"
    assert totals(data) == totals(demo[0])
    verified = run(*command_of(said.read_text()))
    assert verified.returncode == 0, verified.stdout[-3000:]
    log = data / "publico" / "bitacora"
    audited = run("integrity", "audit-log", str(log), "--policy", str(log / "politica.txt"))
    assert audited.returncode == 0, audited.stdout[-3000:]
