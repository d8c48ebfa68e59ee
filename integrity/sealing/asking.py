"""Asking the authorities for the time stamps of a corte that is out (`integrity.sealing.stamp` says what they are)."""

import asyncio
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from integrity.layout import SUMS
from integrity.sealing.certificates import NotSealed
from integrity.sealing.seal import place, read_sums_file
from integrity.sealing.stamp import LONGEST, STAMPS, Authority, Stamp, judge_after, verify_stamp

TIMEOUT_S: Final = 20.0
_QUERY: Final = "application/timestamp-query"
_OK: Final = 200

Post = Callable[[str, bytes, float], bytes]
"""Sends a request to a URL and returns the answer's body; the float is the timeout in seconds. Raises Unanswered."""


class Unanswered(Exception):
    """The authority gave no answer; `sentence` is Spanish. The corte itself is good: ask again later."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


async def ask(
    authority: Authority, sums: bytes, *, after: datetime | None = None, post: Post | None = None
) -> tuple[bytes, Stamp]:
    """A new stamp over `sums`, verified: the bytes of its file, and its content.

    `after` is the time of the seal: a stamp from before it means that a clock went back. Raises NotSealed, Unanswered.
    """
    request = TimestampRequestBuilder(data=sums, hash_algorithm=HashAlgorithm.SHA256, nonce=True, cert_req=True).build()
    try:
        async with asyncio.timeout(2 * TIMEOUT_S):
            tsr = await asyncio.to_thread(post or post_query, authority.url, request.as_bytes(), TIMEOUT_S)
    except TimeoutError:
        raise Unanswered("la autoridad de tiempo no respondió a tiempo") from None
    # Verified before it is written: a bad answer must never stand in a published folder.
    stamp = verify_stamp(tsr, sums, authority.trusted, nonce=request.nonce, policies=authority.policies)
    judge_after(stamp, after)
    return tsr, stamp


async def add_missing(
    folder: Path, authorities: Sequence[Authority], *, after: datetime | None = None, post: Post | None = None
) -> dict[str, str]:
    """Ask for all stamps that a published corte's folder still lacks, at once, and place those that come.

    Returns, by file, why a stamp is still missing, in Spanish; empty if all are there. It never raises for an
    authority's answer or silence, and may be called again at any time. If we stop in between, a stamp is there whole or
    not at all. If two publishers ask for the same stamp, the first one stays.
    """
    assert len(authorities) <= len(STAMPS)
    # The first authority has the first file name, the second the second; an existing stamp is never asked for again.
    missing = [(file, by) for file, by in zip(STAMPS, authorities, strict=False) if not (folder / file).exists()]
    if not missing:
        return {}
    try:
        sums = await asyncio.to_thread(read_sums_file, folder / SUMS)
    except NotSealed as problem:
        return {file: problem.sentence for file, _ in missing}

    async def add(file: str, authority: Authority) -> str | None:
        try:
            tsr, _ = await ask(authority, sums, after=after, post=post)
            await asyncio.to_thread(place, folder / file, tsr)
        except (NotSealed, Unanswered) as problem:
            return None if (folder / file).exists() else problem.sentence
        return None

    why = await asyncio.gather(*(add(file, authority) for file, authority in missing))
    return {file: sentence for (file, _), sentence in zip(missing, why, strict=True) if sentence is not None}


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Refuse redirections: an authority answers at its own address."""

    def redirect_request(self, *_: object) -> None:
        return None


def post_query(url: str, body: bytes, timeout: float) -> bytes:
    """POST the request (RFC 3161 §3.4); in a thread, as it blocks. Raises Unanswered."""
    if not url.lower().startswith(("http://", "https://")):
        raise Unanswered("la dirección de la autoridad de tiempo debe empezar con http:// o https://")
    opener = urllib.request.build_opener(_NoRedirection())
    headers = {"Content-Type": _QUERY, "Accept-Encoding": "identity"}
    try:
        asked = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - looked at above
        with opener.open(asked, timeout=timeout) as answer:
            if answer.status != _OK:
                raise Unanswered(f"la autoridad de tiempo respondió {answer.status}")
            return _read_reply(answer, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise Unanswered(f"la autoridad de tiempo respondió {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError):
        raise Unanswered("no se pudo preguntar a la autoridad de tiempo") from None


def _read_reply(answer: http.client.HTTPResponse, timeout: float) -> bytes:
    """The body, within the limits of bytes and of time. Raises Unanswered."""
    taken = b""
    started = time.monotonic()
    while block := answer.read1(LONGEST + 1):
        taken += block
        if len(taken) > LONGEST:
            raise Unanswered(f"la autoridad de tiempo respondió más de {LONGEST} bytes")
        if time.monotonic() - started > timeout:
            raise Unanswered("la autoridad de tiempo tardó demasiado en responder")
    return taken
