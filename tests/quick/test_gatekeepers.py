"""A process of the gate that dies or stands still has passed nothing, and no part of a corte goes unread."""

from pathlib import Path

import pytest

from publisher import gatekeepers
from publisher.gate import CortePart, Expected

ELECTIONS = {"GOB": Expected(50_000, 0, [1]), "DIP": Expected(40_000, 0, [2])}


@pytest.mark.parametrize("seconds", [60.0, 0.0001], ids=["dies", "stands still"])
async def test_every_part_is_read_or_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The stage holds no file, so each process ends at the first part that it is asked for."""
    monkeypatch.setattr(gatekeepers, "GATE_SECONDS", seconds)
    async with gatekeepers.gatekeepers(tmp_path, tmp_path, [each.rows for each in ELECTIONS.values()]) as keepers:
        found = await keepers.findings(ELECTIONS)
    assert {each.check for each in found} == {"lectura"}
    assert {each.file for each in found} == {*ELECTIONS, *CortePart}
    assert any("manifest.json" in each.found or each.found == "no terminó" for each in found)
