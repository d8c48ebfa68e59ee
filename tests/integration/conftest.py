"""What most tests of the parts ask for: the application's connections, and a bus, on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from prep.bus import Bus
from prep.bus.embedded import EmbeddedBus
from prep.store.database import Pool, open_pool
from tests.conftest import Night


@pytest.fixture
async def pool(night: Night) -> AsyncIterator[Pool]:
    async with await open_pool(night.app) as opened:
        yield opened


@pytest.fixture
async def bus(night: Night) -> AsyncIterator[Bus]:
    opened = EmbeddedBus(night.app)
    yield opened
    await opened.close()
