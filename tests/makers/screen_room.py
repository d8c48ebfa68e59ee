"""A capture room for a browser: it runs in a thread of its own, and its images are drawn actas that a person can read."""

import asyncio
import concurrent.futures
import io
import json
import random
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
from PIL import Image

from prep.domain.entry import HEADER, TOTAL, Field, Mark
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.camera import CLEAN, Condition
from prep.rehearsal.drawing.press import PrintedForm, describe
from prep.scan.corners import find_marks
from prep.store import embedded
from tests.conftest import cloned
from tests.makers.capture_room import VALUES, Clock, Room, furnished, qr
from tests.makers.waiting import PATIENCE

Given = TypeVar("Given")
MARKS: Final = {"ilegible": Mark.ILEGIBLE, "sin dato": Mark.SIN_DATO}
FORM: Final = PrintedForm(
    "Diputaciones locales", "Nuevo Laredo", HEADER, ("PAN", "PRI", "PAN-PRI", "NO_REGISTRADAS", "NULOS"), TOTAL
)
"""The form of district 1 of the room's catalogue, on paper."""


def drawn(
    values: Mapping[str, int | str], acta: int, *, condition: Condition = CLEAN, text: str | None = None
) -> bytes:
    """The photograph of an acta with these values. `text` is that of its sticker, if not that of the acta."""
    fields: dict[str, Field] = {
        code: MARKS[value] if isinstance(value, str) else value for code, value in values.items()
    }
    return draw(FORM, fields, qr(acta) if text is None else text, rng=random.Random(acta), condition=condition)


class ScreenRoom:
    """The room as a test in another thread sees it."""

    def __init__(self, room: Room, loop: asyncio.AbstractEventLoop, owner: str) -> None:
        self.room = room
        self.owner = owner
        self.url = room.url
        self._loop = loop

    def run(self, doing: Coroutine[Any, Any, Given]) -> Given:
        """Do this in the room's thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(PATIENCE)

    def arrive(
        self,
        acta: int,
        values: Mapping[str, int | str] = VALUES,
        *,
        text: str | None = "",
        condition: Condition = CLEAN,
    ) -> str:
        """The image of that acta comes in and waits for people."""
        picture = drawn(values, acta, condition=condition)
        marks = find_marks(Image.open(io.BytesIO(picture)).convert("L"))
        return self.run(self.room.arrive(acta, text=text, picture=picture, marks=marks))

    def work(self) -> None:
        """What people sent goes through the pipeline."""
        self.run(self.room.work())

    def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self.run(self.room.pool.fetch(query, *arguments))]

    def forget_leases(self) -> None:
        """Every task waits for all people again, as after the end of its lease."""
        self.run(
            self.room.pool.execute(
                "UPDATE task SET lease = NULL, lease_person = NULL, leased_at = NULL, lease_until = NULL"
            )
        )

    def forget_tasks(self) -> None:
        """The work of a test that is over does not wait for the people of the next one."""
        self.work()
        self.run(self.room.pool.execute("DELETE FROM task"))

    def state(self, acta: int) -> str:
        answer = self.run(self.room.ask("audi", f"/v1/actas/DIP_LOC/clave{acta}", method="GET"))
        return str(answer.json()["estado"])


@contextmanager
def screen_room(postgres: embedded.Embedded, folder: Path) -> Iterator[ScreenRoom]:
    """A room with its people and its catalogue, on a database of its own.

    Its clock is that of the machine when it starts: the lease that a screen counts down is of the server's clock.
    """
    loop = asyncio.new_event_loop()
    opened: concurrent.futures.Future[ScreenRoom] = concurrent.futures.Future()
    ends = asyncio.Event()

    async def serve() -> None:
        clock = Clock(datetime.now(UTC))
        try:
            async with (
                cloned(postgres) as night,
                furnished(night, folder, clock=clock, image_max_bytes=2_000_000) as room,
            ):
                owner = await asyncpg.connect(night.owner)
                await owner.execute("INSERT INTO form_layout VALUES (10, $1)", json.dumps(describe(FORM)))
                await owner.close()
                opened.set_result(ScreenRoom(room, loop, night.owner))
                await ends.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(error)
            raise

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield opened.result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()
        loop.close()
