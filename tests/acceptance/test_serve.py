"""`prep serve` is killed, started twice, or finds a port taken: no process stays behind, and one sentence says why."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from prep.rehearsal.installation import free_ports
from prep.store import embedded
from tests.makers.waiting import until

PORTS = ("PREP_CAPTURE_PORT", "PREP_WORKER_METRICS_PORT", "PREP_PUBLISHER_METRICS_PORT", "PREP_SEQUENCER_METRICS_PORT")
COMMANDS = ("capture", "worker", "publish", "sequencer")


class Machine:
    """A data folder and ports of its own; the output of all that runs there is in one file."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "datos"
        self.said = folder / "salida.txt"
        self.ports = dict(zip(PORTS, free_ports(4), strict=True))
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")} | {
            "PREP_DATA": str(self.data),
            "PREP_PUBLIC": str(folder / "publico"),
            "PREP_DECODERS": "1",
            **{name: str(port) for name, port in self.ports.items()},
        }

    @asynccontextmanager
    async def running(self, command: str = "serve") -> AsyncIterator[asyncio.subprocess.Process]:
        with self.said.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "prep.operations", command, env=self.environment, stdout=out, stderr=out
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
            embedded.stop(self.data / "postgres")

    def answers(self) -> bool:
        """Whether every part listens."""
        return all(_listens(port) for port in self.ports.values())


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def left_in(folder: Path) -> list[str]:
    """The processes whose data are in this folder, or that run as PostgreSQL there."""
    found = []
    for each in psutil.process_iter(["pid", "cmdline", "environ", "status"]):
        ours = (each.info["environ"] or {}).get("PREP_DATA") == str(folder) or str(folder) in (
            each.info["cmdline"] or []
        )
        if ours and each.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(" ".join(each.info["cmdline"] or []))
    return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def test_after_a_kill_no_process_stays_and_the_next_start_works(machine: Machine) -> None:
    async with machine.running() as process:
        await until(machine.answers)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        # It may begin before the parts of the first have ended: it waits for its PostgreSQL, and for its ports.
        await until(lambda: not left_in(machine.data))
    async with machine.running() as process:
        await until(machine.answers)
        process.terminate()
        assert await process.wait() == 0
    assert left_in(machine.data) == []


async def test_a_second_installation_on_the_same_data_is_refused_and_told_who_holds_it(machine: Machine) -> None:
    async with machine.running() as first:
        await until(machine.answers)
        async with machine.running() as second:
            assert await second.wait() == 2
            assert f"prep: la carpeta {machine.data} ya la usa otro «prep serve»: el proceso {first.pid}\n" in (
                machine.said.read_text()
            )
        assert first.returncode is None


@pytest.mark.parametrize(("command", "name"), list(zip(COMMANDS, PORTS, strict=True)), ids=COMMANDS)
async def test_a_taken_port_ends_a_part_with_status_2_and_one_sentence(
    machine: Machine, command: str, name: str
) -> None:
    with socket.create_server(("127.0.0.1", machine.ports[name])):
        async with machine.running("migrate") as migrated:
            assert await migrated.wait() == 0
        async with machine.running(command) as process:
            assert await process.wait() == 2
    said = machine.said.read_text()
    assert f"prep: no se puede abrir el puerto {machine.ports[name]} de 127.0.0.1: ya lo usa otro proceso\n" in said
    assert "Traceback" not in said


async def test_a_taken_port_ends_the_whole_installation_with_status_2(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", machine.ports["PREP_WORKER_METRICS_PORT"])):
        async with machine.running() as process:
            assert await process.wait() == 2
    said = machine.said.read_text()
    assert said.count("ya lo usa otro proceso") == 1
    assert "«worker» no puede trabajar así" in said
    assert left_in(machine.data) == []
