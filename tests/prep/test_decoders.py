"""Decoding processes die and hang; the images that were beside do not pay for it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from prep.blobs import Blobs
from prep.rehearsal.drawing.camera import CONDITIONS
from prep.worker import Decoders
from tests.makers.waiting import PATIENCE
from tests.quick.test_digitize import acta

PIXELS = 60_000_000


@pytest.fixture
async def stored(tmp_path: Path) -> tuple[str, list[str]]:
    """The address of a store, and the images in it."""
    blobs = Blobs.open(tmp_path.as_uri())
    return tmp_path.as_uri(), [await blobs.put(acta(seed, condition=CONDITIONS["limpia"])) for seed in range(6)]


@pytest.fixture
async def decoders(stored: tuple[str, list[str]]) -> AsyncIterator[Decoders]:
    made = Decoders(2, stored[0], PIXELS)
    yield made
    made.close()


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "spawn_main" in " ".join(_words(each))]


def _words(process: psutil.Process) -> list[str]:
    """How it was started; empty if it has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # also one that ended and that nobody has waited for yet
        return []


async def test_processes_that_are_killed_cost_no_image(decoders: Decoders, stored: tuple[str, list[str]]) -> None:
    _, images = stored
    await decoders.decode(images[0])
    at_work = [asyncio.create_task(decoders.decode(each)) for each in images]
    await asyncio.sleep(0)
    for process in children():
        os.kill(process.pid, signal.SIGKILL)
    assert [reading.width > 0 for reading in await asyncio.gather(*at_work)] == [True] * len(images)


async def test_an_image_that_takes_too_long_fails_and_the_next_does_not(stored: tuple[str, list[str]]) -> None:
    address, images = stored
    hurried = Decoders(1, address, PIXELS, seconds=0.001)
    with pytest.raises(TimeoutError):
        await hurried.decode(images[0])
    hurried._seconds = 60
    assert (await hurried.decode(images[1])).width > 0
    hurried.close()


async def test_no_process_is_left_running(stored: tuple[str, list[str]]) -> None:
    decoders = Decoders(2, stored[0], PIXELS)
    await decoders.decode(stored[1][0])
    left = children()
    assert left
    decoders.close()
    assert not psutil.wait_procs(left, timeout=PATIENCE)[1]
