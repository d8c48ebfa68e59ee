"""Locust as its user runs it, in a process of its own. All images that it sends arrive; all captures count."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from prep.files.catalog_files import load_catalog
from prep.rehearsal.installation import NightPlace, installation, people, prepare
from prep.rehearsal.plan import Plan
from prep.rehearsal.synthetic import synthetic
from prep.store import embedded
from tests.makers.programs import ROOT
from tests.makers.waiting import PATIENCE

CASILLAS = 8


def _plan() -> Plan:
    folder, sheets = synthetic(CASILLAS, seed=2)
    return Plan("carga", folder, load_catalog(folder), sheets, len(sheets), 2, 0.0, 0.0)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[NightPlace]:
    plan = _plan()
    try:
        yield prepare(plan, tmp_path / "datos", tmp_path / "publico", {})
    finally:
        embedded.stop(tmp_path / "datos" / "instalacion" / "postgres")


async def locust(place: NightPlace, *words: str) -> tuple[int, str, str]:
    accounts = place.data / "personas.txt"
    password = (place.data / "clave").read_text()
    accounts.write_text("".join(f"{login} {password}\n" for site in people(_plan()).values() for login in site))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "-f", str(ROOT / "load_tests" / "locustfile.py")),
        *(
            "--headless",
            "--only-summary",
            "--stop-timeout",
            "60",
            "--json",
            "--host",
            place.url,
            "--pace",
            "0",
            "--typing",
            "0",
        ),
        *("--keys", str(place.data), "--people", str(accounts), "--catalog", str(place.data / "catalogo"), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    told, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode(), said.decode()


async def metric(place: NightPlace, part: str, name: str) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://127.0.0.1:{place.environment[part]}/metrics")).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? ([0-9.e+]+)$", text, re.MULTILINE))


async def test_a_refusal_counts_as_failure_and_a_short_load_arrives_without_failures(place: NightPlace) -> None:
    password = place.data / "clave"
    right = password.read_text()
    async with installation(place):
        password.write_text("otra clave que no es")
        code, told, _ = await locust(place, "-u", "3", "-r", "3", "-t", "2s")
        assert code == 1
        assert next(each for each in json.loads(told) if each["name"] == "sesión")["num_failures"] > 0

        password.write_text(right)
        before = await metric(place, "PREP_CAPTURE_PORT", "prep_receipts_total")
        sent = typed = 0
        # A slow machine sends a few images in one load, so the load comes again until all casillas have sent.
        async with asyncio.timeout(PATIENCE):
            while sent <= CASILLAS or not await metric(place, "PREP_CAPTURE_PORT", "prep_entries_total"):
                code, told, said = await locust(place, "-u", "6", "-r", "6", "-t", "4s")
                assert code == 0, said[-3000:]
                asked = {each["name"]: each for each in json.loads(told)}
                assert sum(each["num_failures"] for each in asked.values()) == 0
                sent += asked["imagen"]["num_requests"]
                typed += asked["entry"]["num_requests"] if "entry" in asked else 0
        assert await metric(place, "PREP_CAPTURE_PORT", "prep_receipts_total") == before + sent
        assert await metric(place, "PREP_CAPTURE_PORT", "prep_entries_total") <= typed
