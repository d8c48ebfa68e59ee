"""The browser of tests and measurements: Debian's Chromium."""

import shutil
from typing import Final

CHROMIUM: Final = "chromium"
_WITHOUT_WINDOWS: Final = "chromium-headless-shell"
"""The same engine in half of the processor time. It has no camera. Playwright prefers it too."""


def chromium() -> str | None:
    """The path of Chromium: the one without windows, or else the whole browser; None if neither is installed."""
    return shutil.which(_WITHOUT_WINDOWS) or shutil.which(CHROMIUM)
