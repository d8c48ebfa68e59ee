"""The screens: fixed files of `capture/web/dist`, which the build of `capture/web` makes, under four stable addresses.

They are in the package, so a night needs no Node. A screen speaks with the API of the same origin, and with no other.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from capture.auth import COOKIE
from prep.errors import Code, Rejected

PAGES: Final = {"/terminal": "terminal", "/mesa": "mesa", "/catd": "catd", "/casilla": "casilla"}
"""The address of each screen, and the name of its files."""
FOLDER: Final = "/pantallas"
"""The address under which the other files of the screens are."""
MEDIA: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No inline script, no other origin, in no frame."""
PHONE_POLICY: Final = (
    POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'") + "; worker-src 'self'"
)
"""The phone reads QR codes with a program in WebAssembly, in a worker."""
MAY: Final = "camera=(), microphone=(), geolocation=(), display-capture=()"
PHONE_MAY: Final = MAY.replace("camera=()", "camera=(self)")
"""What of the machine a screen may use: the phone its camera, and no screen anything else."""
OF_THE_PHONE: Final = "casilla"
"""How the names of the phone's files begin."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of the screens, with all headers of its answer."""

    content: bytes
    headers: dict[str, str]


@cache
def files() -> dict[str, File]:
    """Every file of the screens by its name; read once."""
    found = {}
    for made in resources.files("capture").joinpath("web", "dist").iterdir():
        content = made.read_bytes()
        phone = made.name.startswith(OF_THE_PHONE)
        headers = {
            "Content-Type": MEDIA[made.name.rpartition(".")[2]],
            "Content-Security-Policy": PHONE_POLICY if phone else POLICY,
            "Permissions-Policy": PHONE_MAY if phone else MAY,
            # The names are fixed. A browser asks each time whether its copy is still the one, and two replicas of
            # different versions never mix for longer than a reload.
            "Cache-Control": "no-cache",
            "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }
        if phone:
            headers["Service-Worker-Allowed"] = "/"  # it says itself for which two addresses it works
        found[made.name] = File(content, headers)
    return found


def find_file(name: str) -> File:
    """Raises Rejected (404) if the screens have no such file."""
    found = files().get(name)
    if found is None:
        raise Rejected("aquí no hay nada", code=Code.NO_ROUTE)
    return found


def cookie(token: str, seconds: int) -> str:
    """The header that gives a session to a browser: no script reads it, no other origin makes the browser send it."""
    return f"{COOKIE}={token}; Max-Age={seconds}; Path=/; Secure; HttpOnly; SameSite=Strict"
