"""The operations kit on a running night: a real Prometheus asks real processes, and every query has an answer."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from prep.files.catalog_files import load_catalog
from prep.rehearsal.devices import Journal, send_all
from prep.rehearsal.installation import NightPlace, free_ports, installation, prepare, rehearsal_night
from prep.rehearsal.night import watch
from prep.rehearsal.plan import Plan, Progresses
from prep.rehearsal.synthetic import synthetic
from prep.rehearsal.typists import register_sin_acta, type_all
from prep.store import embedded
from tests.makers.programs import DEPLOY, program, running
from tests.makers.waiting import PATIENCE, until

PROMETHEUS = DEPLOY / "prometheus"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RUNBOOK = DEPLOY.parent / "docs" / "night.md"
PORTS = {
    "capture": "PREP_CAPTURE_PORT",
    "worker": "PREP_WORKER_METRICS_PORT",
    "publisher": "PREP_PUBLISHER_METRICS_PORT",
    "sequencer": "PREP_SEQUENCER_METRICS_PORT",
}


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((PROMETHEUS / name).read_text())["groups"] for rule in group["rules"]]


def asked_on_the_screen() -> dict[str, str]:
    """Panel → query, for every dashboard."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in panel.get("targets", [])
    }


def metrics_in(expression: str) -> set[str]:
    """The names of the series in an expression."""
    return set(re.findall(r"\b(?:prep[_:][a-z0-9_:]+|up\b|process_[a-z_]+)", expression))


# The files alone.


@pytest.mark.parametrize("words", [("check", "config", "prometheus.yml"), ("test", "rules", "tests.yml")], ids="-".join)
def test_promtool_finds_no_error(words: tuple[str, ...]) -> None:
    promtool = program("promtool", "prometheus")
    done = subprocess.run([promtool, *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    proved = [
        each for test in yaml.safe_load((PROMETHEUS / "tests.yml").read_text())["tests"] for each in alerts_of(test)
    ]
    for alert in (rule["alert"] for rule in rules("alerts.yml")):
        assert {fired for name, fired in proved if name == alert} >= {True}, f"{alert} is never seen to fire"
    silent = {name for name, fired in proved if not fired}
    two_sided = {rule["alert"] for rule in rules("alerts.yml")} - {"ColaEnvejece", "RezagoCreciente", "TrabajosFallan"}
    assert two_sided <= silent, "beside those whose test holds a quiet series as well, each is seen not to fire"


def alerts_of(test: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    for each in test["alert_rule_test"]:
        yield each["alertname"], bool(each["exp_alerts"])


def test_each_alert_explains_itself_and_links_to_its_page_of_the_runbook() -> None:
    headings = {title.strip().lower() for title in re.findall(r"^#+ (.+)$", RUNBOOK.read_text(), re.MULTILINE)}
    for rule in rules("alerts.yml"):
        notes = rule["annotations"]
        assert set(notes) == {"resumen", "significa", "primero", "runbook"}, rule["alert"]
        assert rule["labels"]["severidad"] in {"critica", "aviso"}
        path, _, anchor = notes["runbook"].partition("#")
        assert (DEPLOY.parent / path) == RUNBOOK
        assert anchor == rule["alert"].lower()
        assert anchor in headings, f"the runbook has no page for {rule['alert']}"


def test_each_panel_has_a_title_a_unit_and_a_description() -> None:
    for path in DASHBOARDS:
        panels = json.loads(path.read_text())["panels"]
        assert [each["title"] for each in panels if each["type"] == "row"] == [
            "Qué entra",
            "Qué espera",
            "Qué se publica",
            "Qué falla",
        ]
        assert len({each["id"] for each in panels}) == len(panels)
        for panel in (each for each in panels if each["type"] != "row"):
            assert len(panel["description"]) > 20, panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["targets"]


# On a running night.


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Plan, NightPlace]]:
    folder, sheets = synthetic(15, seed=9)
    plan = Plan("tablero", folder, load_catalog(folder), sheets, len(sheets), 9, 0.15, 0.0)
    try:
        yield plan, prepare(plan, tmp_path / "datos", tmp_path / "publico", {}, rehearsal_night("SIN", interval=3))
    finally:
        embedded.stop(tmp_path / "datos" / "instalacion" / "postgres")


OF_WITNESSES = {"prep_log_denied"}
"""Each witness has one such series, but this night has no witnesses. `tests/publisher/test_witnesses.py` tests them."""


@asynccontextmanager
async def watching(folder: Path, place: NightPlace) -> AsyncIterator[httpx.AsyncClient]:
    """Debian's Prometheus with the configuration of deploy/. It asks the processes of this night once a second."""
    [port] = free_ports(1)
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{place.environment[PORTS[job['job_name']]]}"]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    command = [
        program("prometheus", "prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as http:

        async def ready() -> bool:
            with suppress(httpx.TransportError):
                return (await http.get("/-/ready")).is_success
            return False

        async with running(command, folder / "prometheus.log", ready):
            yield http


async def answer(http: httpx.AsyncClient, expression: str) -> list[Any]:
    told = await http.post("/api/v1/query", data={"query": expression})
    assert told.status_code == 200, f"{expression}: {told.text}"
    result: list[Any] = told.json()["data"]["result"]
    return result


async def play(plan: Plan, place: NightPlace) -> None:
    """Send all images and type all actas, then stop typing."""
    progress = Progresses()
    journal = Journal(place.data / "acuses.jsonl")
    with closing(journal.file):
        async with asyncio.TaskGroup() as people:
            people.create_task(send_all(plan, place, progress, journal))
            people.create_task(register_sin_acta(plan, place))
            people.create_task(type_all(plan, place, progress))
            people.create_task(watch(plan, place, progress))


async def test_every_query_of_the_dashboards_and_of_the_rules_has_an_answer(
    place: tuple[Plan, NightPlace], tmp_path: Path
) -> None:
    plan, where = place
    promtool = program("promtool", "prometheus")
    queries = asked_on_the_screen()
    queries |= {f"rule {rule['record']} {rule.get('labels', '')}": rule["expr"] for rule in rules("recording.yml")}
    queries |= {name: name for rule in rules("alerts.yml") for name in metrics_in(rule["expr"]) - OF_WITNESSES}
    async with watching(tmp_path, where) as http, installation(where):
        playing = asyncio.create_task(play(plan, where))
        unanswered = dict(queries)

        async def all_answered() -> bool:
            if playing.done():
                playing.result()
            for name, expression in list(unanswered.items()):
                if await answer(http, expression):
                    del unanswered[name]
            return not unanswered

        try:
            await until(all_answered)
        except TimeoutError:
            pytest.fail(f"no data for {unanswered}; {(tmp_path / 'datos' / 'registro.jsonl').read_text()[-2000:]}")
        await playing
        told = (await http.get("/api/v1/rules")).json()["data"]["groups"]
        assert {rule["health"] for group in told for rule in group["rules"]} == {"ok"}
        assert await answer(http, "sum(prep_images_received_total) > 0")
        assert await answer(http, 'ALERTS{alertstate="firing"}') == []
        for variable in PORTS.values():
            await promtool_reads(promtool, int(where.environment[variable]))


async def promtool_reads(promtool: str, port: int) -> None:
    """promtool approves the units, help texts and names of a process's metrics."""
    async with httpx.AsyncClient() as http:
        metrics = (await http.get(f"http://127.0.0.1:{port}/metrics")).content
    command = [promtool, "check", "metrics"]
    done = await asyncio.to_thread(subprocess.run, command, input=metrics, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    names = {line.split(b"{")[0] for line in metrics.splitlines() if not line.startswith(b"#")}
    assert all(len(name) < 60 for name in names)
