"""The stage of a corte is on the disk before its record in Postgres exists."""

import os
import socket
import sys
from pathlib import Path

from tests.conftest import Night
from tests.makers.disk import traced
from tests.makers.small_night import SmallNight, small_night


async def recording(tonight: SmallNight, folder: Path, *words: str) -> tuple[set[str], list[str]]:
    """`prep publish` as a person runs it. At the moment of the record: the files of its stage, and those that a power
    cut would take.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    public = tonight.office.public
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    ours = {
        "PREP_DATABASE": tonight.url,
        "PREP_DATA": str(folder / "var"),
        "PREP_PUBLIC": str(public),
        "PREP_BLOBS": (folder / "blobs").as_uri(),
        "PREP_PUBLISHER_METRICS_PORT": str(port),
    }
    command = (sys.executable, "-m", "prep.operations", "publish", *words)
    async with traced(command, folder / "trace", clean | ours) as running:
        assert await running.process.wait() == 0
    [told] = [
        (
            {str(Path(*path.relative_to(public).parts[1:])) for path in staged},
            [each for path in staged for each in disk.lost(path, below=folder)],
        )
        for disk in running.at("INSERT INTO corte (")
        for staged in [[path for path in disk.names(public) if path.relative_to(public).parts[0].startswith(".corte-")]]
    ]
    return told


async def test_the_stage_is_fsynced_files_and_folders_before_its_record(night: Night, tmp_path: Path) -> None:
    async with small_night(night, tmp_path, casillas=12) as tonight:
        for number, word in enumerate(("--zero", "--once")):
            staged, lost = await recording(tonight, tmp_path, word)
            assert lost == []
            corte = tonight.office.public / "cortes" / f"{number:04}"
            assert {f"corte/{path.name}" for path in corte.iterdir()} <= staged
            assert sum(name.startswith("zip/") for name in staged) == 1
            assert any(name.startswith("imagenes/") for name in staged) == (number > 0)
            await tonight.count(tonight.sheets[number * 12 : number * 12 + 12])
