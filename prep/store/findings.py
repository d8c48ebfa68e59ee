"""What people say of images and of findings of the machine, without changing an acta: functions over `findings.sql`."""

from datetime import datetime
from typing import Final

from prep.errors import Code, Rejected
from prep.store.database import Connection, sql
from prep.store.decisions import Speaker

SQL: Final = sql("findings")


async def ask_image(connection: Connection, image: bytes, reason: str, by: Speaker) -> datetime:
    """Keep that a person asks the site of this image for another one; returns when. Raises Rejected (404)."""
    at: datetime | None = await connection.fetchval(SQL["ask_image"], image, reason, by.person, by.site, by.at)
    if at is None:
        raise Rejected("no hay tal imagen", code=Code.NO_IMAGE)
    return at


async def review(connection: Connection, *, event: int | None, version: int | None, words: str, by: Speaker) -> bool:
    """Keep that a person looked at a finding and found all right; False if one did before.

    `event` is that of photos alike or of identities that differ; `version`, one that exceeds the lista nominal. Raises
    Rejected (404) if there is no such finding.
    """
    block, subject = ("review_event", event) if event is not None else ("review_version", version)
    said = (words, by.person, by.site, by.at)
    if await connection.fetchval(SQL[block], subject, *said) is not None:
        return True
    if await connection.fetchval(SQL["reviewed"], event, version):
        return False
    raise Rejected("no hay tal hallazgo, o ya cambió", code=Code.NO_FINDING)
