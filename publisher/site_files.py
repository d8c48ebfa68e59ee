"""The files beside the pages: the same in every night of a release, and the institute's logo."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache

from integrity.layout import SITE_FILES, SITE_PROGRAM
from prep.domain.night import logo_name
from publisher.official import CatalogBook
from publisher.page_writer import SITE, TEMPLATES
from publisher.schemas import schemas


@cache
def constants() -> dict[str, bytes]:
    """The files that are the same in every night of this release. Each manifest states their digests (INT-07)."""
    made = {"verificar.html": checker()}
    files = {name: made.get(name) or (SITE / name).read_bytes() for name in (*SITE_FILES, SITE_PROGRAM)}
    return {**files, **schemas()}


def site_files(book: CatalogBook) -> Mapping[str, bytes]:
    """The files beside the pages whose digests the manifest states: the constants, and the institute's logo."""
    return constants() | ({logo_name(book.logo): book.logo} if book.logo else {})


def checker() -> bytes:
    """`verificar.html`: one file that needs no other. Its security policy names its own script and style by digest."""
    # One file, so that a reader can save it and use it without the site.
    script, style = ((SITE / f"verificar.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    hashes = {"script_hash": _policy_hash(script), "style_hash": _policy_hash(style)}
    return TEMPLATES.get_template("verificar.html").render(script=script, style=style, **hashes).encode()


def _policy_hash(text: str) -> str:
    """The name of an inline script or style in a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
