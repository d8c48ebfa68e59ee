"""The files beside the pages: the same in every night of a release, the institute's logo, the list of places."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from integrity.layout import PLACES_INDEX, SITE_FILES, SITE_PARTS, SITE_PROGRAM
from prep.domain.night import logo_name
from publisher.official import CatalogBook
from publisher.page_writer import SITE, TEMPLATES
from publisher.schemas import schemas

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./\w+\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export ", re.MULTILINE)


@cache
def constants() -> dict[str, bytes]:
    """The files that are the same in every night of this release. Each manifest states their digests (INT-07)."""
    made = {"verificar.html": checker()}
    files = {name: made.get(name) or (SITE / name).read_bytes() for name in (*SITE_FILES, SITE_PROGRAM, *SITE_PARTS)}
    return {**files, **schemas()}


def site_files(book: CatalogBook) -> Mapping[str, bytes]:
    """The files beside the pages whose digests the manifest states."""
    return (
        constants()
        | ({PLACES_INDEX: book.places} if book.places else {})
        | ({logo_name(book.logo): book.logo} if book.logo else {})
    )


def checker() -> bytes:
    """`verificar.html`: one file that needs no other. Its security policy names its own script and style by digest."""
    # One file, so that a reader can save it and use it without the site.
    style = (SITE / "verificar.css").read_text(encoding="utf-8")
    script = _in_one([(SITE / name).read_text(encoding="utf-8") for name in ("comprobacion.js", "verificar.js")])
    hashes = {"script_hash": _policy_hash(script), "style_hash": _policy_hash(style)}
    return TEMPLATES.get_template("verificar.html").render(script=script, style=style, **hashes).encode()


def _in_one(modules: Sequence[str]) -> str:
    """Modules, each after those that it imports, as one script: inside a page there is no other file to import."""
    plain = (_EXPORT.sub("", _IMPORT.sub("", each)) for each in modules)
    return '"use strict";\n(() => {\n' + "".join(plain) + "})();\n"


def _policy_hash(text: str) -> str:
    """The name of an inline script or style in a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
