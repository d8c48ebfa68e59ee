"""Batches that are read before they are asked for: none is lost, no error is lost, and no reader is left behind."""

import asyncio
from contextlib import aclosing

import pytest

from publisher.press import Batches, _read_ahead


class Source:
    """Gives so many batches, then stops or fails; knows how far it came, and whether it was closed."""

    def __init__(self, batches: int, *, fails: bool = False) -> None:
        self.given = 0
        self.closed = False
        self._batches, self._fails = batches, fails

    async def read(self) -> Batches:
        try:
            while self.given < self._batches:
                await asyncio.sleep(0)
                self.given += 1
                yield "actas", [self.given]
            if self._fails:
                raise ConnectionError("the database is gone")
        finally:
            self.closed = True


@pytest.mark.parametrize("batches", [0, 1, 16, 17, 100])
async def test_all_batches_come_in_their_order(batches: int) -> None:
    source = Source(batches)
    assert [each async for each in _read_ahead(source.read())] == [("actas", [n + 1]) for n in range(batches)]
    assert source.closed


@pytest.mark.parametrize("batches", [0, 1, 16, 17, 100])
async def test_an_error_of_the_source_comes_behind_its_batches(batches: int) -> None:
    ahead = _read_ahead(Source(batches, fails=True).read())
    assert [await anext(ahead) for _ in range(batches)] == [("actas", [n + 1]) for n in range(batches)]
    with pytest.raises(ConnectionError):
        await anext(ahead)


@pytest.mark.parametrize("taken", [0, 1, 20])
async def test_a_reader_that_stops_ends_the_source(taken: int) -> None:
    """It waits for room among the batches that are read, and must not wait for ever."""
    source = Source(1000)
    async with asyncio.timeout(60), aclosing(_read_ahead(source.read())) as ahead:
        for _ in range(taken + 1):
            await anext(ahead)
        for _ in range(1000):  # as long as it likes
            await asyncio.sleep(0)
    assert source.closed
    assert taken + 16 <= source.given < 1000, "it reads ahead, and holds few batches"
