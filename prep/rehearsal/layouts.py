"""The layouts of the forms that a rehearsal draws, as files of its catalogue."""

import json
from dataclasses import replace
from typing import Any, Final

from prep.domain.catalog import Catalog
from prep.domain.entry import HEADER, TOTAL
from prep.domain.layout import LAYOUTS
from prep.files.catalog_files import load_catalog
from prep.rehearsal.drawing.press import PrintedForm, describe
from prep.rehearsal.plan import Plan

MOST: Final = 60
"""A blank form takes half a second: with more different ballots than this, no form is described."""


def with_layouts(plan: Plan) -> Plan:
    """The same plan, whose catalogue describes the forms as they will be drawn."""
    folder = {**plan.folder, **layout_files(plan.catalog)}
    return replace(plan, folder=folder, catalog=load_catalog(folder))


def layout_files(catalog: Catalog) -> dict[str, bytes]:
    """One file for an election whose contests have the same ballot, else one for each contest; none if too many."""
    if len({(contest.election, contest.ballot) for contest in catalog.contests}) > MOST:
        return {}
    files: dict[str, bytes] = {}
    described: dict[tuple[str, ...], dict[str, Any]] = {}
    for election in catalog.elections:
        contests = [contest for contest in catalog.contests if contest.election == election.id]
        alike = len({contest.ballot for contest in contests}) == 1
        for contest in contests[:1] if alike else contests:
            rows = tuple(election.options[position].code for position in contest.ballot)
            if rows not in described:
                described[rows] = describe(PrintedForm("", "", HEADER, rows, TOTAL))
            place = {} if alike else {"entidad": contest.entidad, "territorio": contest.territory}
            name = election.code if alike else f"{election.code}-{contest.entidad}-{contest.territory}"
            told = {"eleccion": election.code, **place, **described[rows]}
            files[f"{LAYOUTS}{name}.json"] = json.dumps(told, ensure_ascii=False).encode()
    return files
