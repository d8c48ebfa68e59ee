"""`python -m tests.tamper [--write]`: the tamper matrix, printed, or put into README.md."""

import sys
import tempfile
from pathlib import Path

from tests.tamper.matrix import README, in_readme, outcomes, table
from tests.tamper.night import Night

with tempfile.TemporaryDirectory() as home:
    scratch = Path(home) / "copia"
    scratch.mkdir()
    made = table([*outcomes(Night(Path(home)).make(), scratch)])
if "--write" in sys.argv[1:]:
    README.write_text(README.read_text().replace(in_readme(), made))
else:
    print(made)
