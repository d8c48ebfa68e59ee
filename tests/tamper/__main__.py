"""`python -m tests.tamper [docs/checks.md]`: print the checks and the tamper table, or write them into that file."""

import sys
import tempfile
from pathlib import Path

from tests.tamper.matrix import document, outcomes
from tests.tamper.night import Night

with tempfile.TemporaryDirectory() as home:
    scratch = Path(home) / "copia"
    scratch.mkdir()
    made = document([*outcomes(Night(Path(home)).make(), scratch)])
if sys.argv[1:]:
    Path(sys.argv[1]).write_text(made)
else:
    print(made, end="")
