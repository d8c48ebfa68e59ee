"""Decoding processes die and pass their bounds; no other image pays for it."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from load_tests.pictures.bombs import _jpeg_bombs
from load_tests.pictures.kinds import acta as sheet
from load_tests.pictures.kinds import saved
from prep.blobs import Blobs
from prep.errors import Parked
from prep.rehearsal.drawing.camera import CONDITIONS
from prep.scan import bounded
from prep.scan.bounded import MIB, Bounds, Lane, OutOfBounds, TurnedAway
from prep.scan.decoders import HEAVY, LIGHT, QUOTA, STRIKE, Decoders
from prep.scan.oddities import Oddity
from prep.scan.reading import Reading, Unread
from tests.makers.waiting import PATIENCE
from tests.quick.test_digitize import acta

PIXELS = 60_000_000
SOON = 0.2
"""Seconds of processor time that a photo of these tests does not need. A bomb burns all of it."""
GIVEN_UP = Unread((Oddity.SIN_EXAMINAR,))


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


@pytest.fixture
async def bomb(stored: tuple[str, list[str]]) -> str:
    """An image that the door takes, and that passes every bound of a decoder."""
    bombs = dict(_jpeg_bombs(random.Random(0)))
    return await Blobs.open(stored[0]).put(bombs["jpeg of 20000 empty scans over 7700×7700"])


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "spawn_main" in " ".join(_command_line(each))]


def _command_line(process: psutil.Process) -> list[str]:
    """The command line of the process; empty if it has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # also if it ended and its parent has not waited for it yet
        return []


async def test_processes_that_are_killed_cost_no_image(decoders: Decoders, stored: tuple[str, list[str]]) -> None:
    _, images = stored
    await decoders.decode(images[0])
    at_work = [asyncio.create_task(decoders.decode(each)) for each in images]
    await asyncio.sleep(0)
    for process in children():
        os.kill(process.pid, signal.SIGKILL)
    assert all(isinstance(reading, Reading) for reading in await asyncio.gather(*at_work))


async def test_an_image_that_passes_its_bounds_goes_to_people_and_the_next_is_read(
    stored: tuple[str, list[str]], bomb: str
) -> None:
    address, images = stored
    hurried = Decoders(1, address, PIXELS, light=replace(LIGHT, cpu=SOON), heavy=replace(HEAVY, cpu=SOON))
    assert await hurried.decode(bomb, device="hostil") == GIVEN_UP
    assert isinstance(await hurried.decode(images[1], device="hostil"), Reading)
    hurried.close()


async def test_an_image_that_needs_more_memory_than_a_process_may_have_goes_to_people(
    stored: tuple[str, list[str]],
) -> None:
    address, images = stored
    large = await Blobs.open(address).put(saved(sheet().resize((7000, 7000)), "PNG", compress_level=1))
    poor = Decoders(1, address, PIXELS, light=replace(LIGHT, memory=64 * MIB), heavy=replace(HEAVY, memory=64 * MIB))
    assert await poor.decode(large) == GIVEN_UP
    assert isinstance(await poor.decode(images[0]), Reading)
    poor.close()


async def test_photos_pass_while_bombs_hold_the_heavy_lane(stored: tuple[str, list[str]], bomb: str) -> None:
    """A device that sent a bomb stays out of the light lane."""
    address, images = stored
    decoders = Decoders(1, address, PIXELS, light=replace(LIGHT, cpu=1), heavy=replace(HEAVY, cpu=3))
    await decoders.decode(images[0])
    assert await decoders.decode(bomb, device="hostil") == GIVEN_UP
    bombs = [asyncio.create_task(decoders.decode(bomb, device="hostil")) for _ in range(3)]
    for image in images:
        assert isinstance(await decoders.decode(image, device="honesto"), Reading)
    assert not any(each.done() for each in bombs), "they were read while the bombs were tried"
    for each in bombs:
        each.cancel()
    await asyncio.gather(*bombs, return_exceptions=True)
    decoders.close()


async def test_a_device_over_its_quota_holds_one_process_and_comes_back(
    stored: tuple[str, list[str]], bomb: str
) -> None:
    address, images = stored
    decoders = Decoders(1, address, PIXELS, light=replace(LIGHT, cpu=SOON), heavy=replace(HEAVY, cpu=SOON))
    for _ in range(QUOTA // (2 * STRIKE)):  # each is tried twice
        assert await decoders.decode(bomb, device="hostil") == GIVEN_UP
    tried = asyncio.create_task(decoders.decode(images[0], device="hostil"))
    await asyncio.sleep(0)
    assert await decoders.decode(images[1], device="hostil") == GIVEN_UP, "one at a time"
    assert isinstance(await tried, Reading)
    assert all(
        isinstance(each, Reading)
        for each in await asyncio.gather(*(decoders.decode(image, device="hostil") for image in images))
    )
    decoders.close()


async def test_images_that_wait_behind_the_bombs_of_their_device_go_to_people(
    stored: tuple[str, list[str]], bomb: str
) -> None:
    """A hundred bombs at once cost the time of a few: those that wait when their device passes its quota are not tried."""
    address, images = stored
    decoders = Decoders(1, address, PIXELS, light=replace(LIGHT, cpu=SOON), heavy=replace(HEAVY, cpu=SOON))
    bombs = [asyncio.create_task(decoders.decode(bomb, device="hostil")) for _ in range(100)]
    await asyncio.sleep(0)
    for image in images:
        assert isinstance(await decoders.decode(image, device="honesto"), Reading)
    assert not all(each.done() for each in bombs)
    assert await asyncio.wait_for(asyncio.gather(*bombs), PATIENCE) == [GIVEN_UP] * 100
    decoders.close()


async def test_a_file_that_is_no_picture_goes_to_people_and_a_missing_one_is_parked(
    decoders: Decoders, stored: tuple[str, list[str]]
) -> None:
    blobs = Blobs.open(stored[0])
    assert await decoders.decode(await blobs.put(b"no es una imagen")) == Unread((Oddity.NO_ADMITIDA,))
    with pytest.raises(Parked, match="falta en el almacén"):
        await decoders.decode("0" * 64)


def prepare() -> None:
    """Nothing."""


def hog(size: int) -> int:
    return len(bytearray(size))


async def test_a_process_bounds_its_own_memory() -> None:
    lane = Lane(1, Bounds(memory=100 * MIB, cpu=5, seconds=30), prepare)
    with pytest.raises(OutOfBounds):
        await lane.do(hog, 150 * MIB)
    assert await lane.do(hog, 50 * MIB) == 50 * MIB
    lane.close()


async def test_a_sender_waits_for_one_piece_of_work_of_another_that_sent_many() -> None:
    lane = Lane(1, Bounds(memory=100 * MIB, cpu=5, seconds=30), prepare)
    order: list[str] = []

    async def send(sender: str) -> None:
        await lane.do(time.sleep, 0.01, sender=sender)
        order.append(sender)

    await asyncio.gather(*(send(sender) for sender in ["hostil"] * 30 + ["uno", "otro"] * 3))
    # While others wait, each has one turn in three. The first piece was begun before they came.
    assert order == ["hostil", *["hostil", "uno", "otro"] * 3, *["hostil"] * 26]
    lane.close()


async def test_a_caller_that_gives_up_leaves_its_turn_to_the_next() -> None:
    lane = Lane(1, Bounds(memory=100 * MIB, cpu=5, seconds=30), prepare)
    for _ in range(3):
        at_work = [asyncio.create_task(lane.do(os.getpid, sender=str(n))) for n in range(6)]
        await asyncio.sleep(0.01)
        for each in at_work[::2]:
            each.cancel()
        answers = await asyncio.gather(*at_work, return_exceptions=True)
        assert all(isinstance(each, int) for each in answers[1::2])
    assert isinstance(await asyncio.wait_for(lane.do(os.getpid), PATIENCE), int)
    lane.close()


async def test_work_of_a_sender_that_is_turned_away_is_not_begun() -> None:
    lane = Lane(1, Bounds(memory=100 * MIB, cpu=5, seconds=30), prepare)
    begun = asyncio.create_task(lane.do(time.sleep, 0.2, sender="hostil"))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(lane.do(os.getpid, sender=sender)) for sender in ["hostil"] * 3 + ["honesto"]]
    await asyncio.sleep(0)
    lane.turn_away("hostil")
    *away, honest = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in away] == [TurnedAway] * 3
    assert isinstance(honest, int)
    await begun
    assert isinstance(await lane.do(os.getpid, sender="hostil"), int), "only those that waited"
    lane.close()


def toil(seconds: float) -> str:
    """Work that is not done before this time of the wall, however much of the processor it gets."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "done"


async def test_a_process_that_a_busy_machine_slows_down_is_waited_for_and_one_that_sleeps_is_not() -> None:
    """The bound of time is for a process that hangs: an honest picture is not given up because others work too."""
    hurried = Bounds(memory=100 * MIB, cpu=60, seconds=1)
    lanes = [Lane(1, replace(hurried, patience=patience), prepare) for patience in (1, 6000)]
    with pytest.raises(OutOfBounds):
        await lanes[0].do(toil, 3.0)
    assert await lanes[1].do(toil, 3.0) == "done"
    with pytest.raises(OutOfBounds):
        await lanes[1].do(time.sleep, 600)
    with pytest.raises(OutOfBounds):  # the kernel ends it: patience gives no more processor time
        await Lane(1, replace(hurried, cpu=1, patience=6000), prepare).do(toil, 3600)
    for lane in lanes:
        lane.close()


def prepare_slow(times: float) -> None:
    bounded._slowness = lambda: times  # type: ignore[assignment]


def work_on(seconds: float) -> str:
    """Work that takes so much processor time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return "done"


async def test_a_slow_machine_gives_a_picture_more_processor_time() -> None:
    """The same picture is the same work on each machine."""
    bounds = Bounds(memory=100 * MIB, cpu=1, seconds=60, patience=20)
    usual, slow = (Lane(1, bounds, prepare_slow, (times,)) for times in (1.0, 3.0))
    with pytest.raises(OutOfBounds):
        await usual.do(work_on, 2.5)
    assert await slow.do(work_on, 2.5) == "done"
    with pytest.raises(OutOfBounds):
        await slow.do(work_on, 60.0)
    for lane in (usual, slow):
        lane.close()


async def test_a_process_that_has_no_time_yet_because_its_wait_goes_on_is_not_asleep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system counts a wait for a processor when it ends. So a machine that was stopped shows no time at all."""
    monkeypatch.setattr(bounded, "_ready_time_of", lambda _: 0.0)
    lane = Lane(1, Bounds(memory=100 * MIB, cpu=60, seconds=1, patience=6000), prepare)
    # Not a whole number of seconds: at the end of its work a process looks asleep for a moment.
    assert await lane.do(toil, 2.5) == "done"
    with pytest.raises(OutOfBounds):
        await lane.do(time.sleep, 600)
    lane.close()


async def test_no_process_is_left_running(stored: tuple[str, list[str]]) -> None:
    decoders = Decoders(2, stored[0], PIXELS)
    await decoders.decode(stored[1][0])
    left = children()
    assert left
    decoders.close()
    assert not psutil.wait_procs(left, timeout=PATIENCE)[1]


async def test_marks_of_a_form_are_found_by_the_process_that_reads_the_image(
    decoders: Decoders, stored: tuple[str, list[str]]
) -> None:
    plain = await decoders.decode(stored[1][0])
    looked = await decoders.decode(stored[1][0], marks=True)
    assert isinstance(plain, Reading)
    assert isinstance(looked, Reading)
    assert plain.marks is None
    assert looked.marks is not None
    assert len(looked.marks.squares) == 4
    assert replace(looked, marks=None) == plain
