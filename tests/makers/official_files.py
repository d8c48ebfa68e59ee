"""Files of real elections: those in tests/official, and more if they lie beside the checkout."""

from collections.abc import Callable
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from tests.makers.programs import missing

PUBLISHED: Final = {
    "tamaulipas-2023": "20230220_1105_PREP_SEN_TAMPS_ext.zip",
    "quintana-roo-2019": "20190603_0547_PREP_DIP_QROO.zip",
}
"""Folder of an election → its ZIP in tests/official."""
HERE: Final = Path(__file__).resolve().parents[1] / "official"
BESIDE: Final = Path(__file__).resolve().parents[3] / "shared" / "data"

Official = Callable[[str], Path]
"""`election/file` → its path."""


def official_files(scratch: Path) -> Official:
    """Unpacks the ZIPs into `scratch`. If a file is missing, the test is skipped with the reason; in CI it fails."""
    for election, name in PUBLISHED.items():
        with ZipFile(HERE / name) as published:
            published.extractall(scratch / election)

    def find(name: str) -> Path:
        places = [folder / name for folder in (scratch, HERE, BESIDE)]
        found = next((place for place in places if place.exists()), None)
        if found is None:
            missing(f"an official file is not here: {places[-1]}")
        return found

    return find
