"""The pure parts of the screens, in Node, without a browser: one TypeScript file asks them and prints their answers."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.makers.programs import ROOT, missing, program

WEB = ROOT / "capture" / "web"


def answers(source: Path, folder: Path, given: dict[str, Any], **environment: str) -> dict[str, Any]:
    """What `source` prints, as JSON. It finds `given` in `given.json` of this folder, and may leave files there.

    If Node or a package of the screens' build is missing, the test is skipped with the reason; in CI it fails.
    """
    node = program("node", "nodejs npm")
    if not (WEB / "node_modules").is_dir():
        missing("the packages of the screens' build are not here: make screens")
    (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
    bundle = folder / "units.mjs"
    build = [node, str(WEB / "node_modules" / "esbuild" / "bin" / "esbuild"), str(source), "--bundle", "--format=esm"]
    subprocess.run([*build, "--platform=node", f"--outfile={bundle}", "--log-level=error"], check=True)
    ran = subprocess.run(
        [node, bundle, folder], check=True, capture_output=True, text=True, env={**os.environ, **environment}
    )
    told: dict[str, Any] = json.loads(ran.stdout)
    return told
