"""The layouts of printed forms that a catalogue brings, each for all contests of an election or for one."""

from collections.abc import Mapping

from prep.domain.catalog import ContestId
from prep.domain.layout import LAYOUTS, FormLayout, StatedLayout, read_layout, unknown_fields
from prep.files.catalog_columns import Tables, all_sound
from prep.files.catalog_contests import Contests
from prep.files.catalog_elections import Drafts
from prep.files.csv_tables import FileFinding

StatedLayouts = Mapping[str, StatedLayout]
"""File → layout."""


def read_layouts(files: Mapping[str, bytes], report: list[FileFinding]) -> StatedLayouts:
    """The layouts among the files of a catalogue. Their errors are added to the report."""
    found = {}
    for name, data in sorted(files.items()):
        if name.startswith(LAYOUTS):
            stated, wrong = read_layout(data)
            report += [FileFinding(name, 0, "", sentence) for sentence in wrong]
            if stated is not None:
                found[name] = stated
    return found


def place_layouts(
    stated: StatedLayouts, drafts: Drafts, contests: Contests, tables: Tables, report: list[FileFinding]
) -> dict[tuple[str, int, int], FormLayout]:
    """The layout of each contest that has one, by the key of the contest: its own, or that of its election."""
    # A wrong line of these files is one error; the layouts that name it are not wrong because of it.
    if not all_sound(tables, "elecciones.csv", "opciones.csv", "contiendas.csv", "territorios.csv", "casillas.csv"):
        return {}
    placed: dict[tuple[str, int, int], FormLayout] = {}
    by_place: dict[tuple[str, tuple[int, int] | None], str] = {}
    # Those of a whole election first, so that one of a single contest comes after it and counts.
    for name, each in sorted(stated.items(), key=lambda item: item[1].place is not None):
        wrong = _judge(each, drafts, contests)
        other = by_place.setdefault((each.election, each.place), name)
        if other != name:
            wrong = f"eleccion: {other} describe ya el mismo formato"
        if wrong:
            report.append(FileFinding(name, 0, "", wrong))
            continue
        keys = (
            [key for key in contests if key[0] == each.election]
            if each.place is None
            else [(each.election, *each.place)]
        )
        placed |= dict.fromkeys(keys, each.layout)
    return placed


def _judge(stated: StatedLayout, drafts: Drafts, contests: Contests) -> str:
    draft = drafts.get(stated.election)
    if draft is None:
        return f"eleccion: «{stated.election[:40]}» no está en elecciones.csv"
    if stated.place is not None and (stated.election, *stated.place) not in contests:
        entidad, territory = stated.place
        return f"territorio: {stated.election} no tiene contienda en entidad {entidad}, territorio {territory}"
    if unknown := unknown_fields(stated.layout, [option.code for option in draft.options]):
        return f"campos.{unknown[0][:40]}: no es un campo de las actas de {stated.election}"
    return ""


def by_contest(placed: Mapping[tuple[str, int, int], FormLayout], contests: Contests) -> dict[ContestId, FormLayout]:
    return {contests[key].contest.id: layout for key, layout in placed.items() if key in contests}
