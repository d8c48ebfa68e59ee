"""`python -m tests.honest [HOW MANY]`: make so many honest nights, and tell where the two verifiers differ."""

import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from tests.honest.compare import compared

many = int(sys.argv[1]) if sys.argv[1:] else 200
began, bad, seen = time.process_time(), 0, Counter[str]()
with tempfile.TemporaryDirectory() as home:
    for seed in range(many):
        problem = compared(Path(home) / str(seed), seed, now=datetime.now(UTC), seen=seen)
        if problem:
            bad += 1
            print(f"{seed}: {problem}")
print(f"{many} nights, {bad} with a difference, {time.process_time() - began:.0f} s of processor")
for shape, times in sorted(seen.items()):
    print(f"{times:6}  {shape}")
sys.exit(bad > 0)
