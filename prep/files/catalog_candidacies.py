"""The candidacies of a catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass

from prep.domain.catalog import Candidacy
from prep.files import csv_tables as cell
from prep.files.catalog_columns import Tables, all_sound, contests_known, maybe_entidad, maybe_territory
from prep.files.catalog_contests import ContestKey, Contests
from prep.files.catalog_elections import FOR_SOMEBODY, Drafts, expect_election
from prep.files.csv_tables import CsvTable


@dataclass(frozen=True, slots=True)
class CandidacyDraft:
    key: ContestKey
    options: tuple[int, ...]
    propietaria: str
    suplente: str

    def __call__(self, contests: Contests) -> Candidacy:
        return Candidacy(contests[self.key].contest.id, self.options, self.propietaria, self.suplente)


def read_candidacies(tables: Tables, drafts: Drafts, contests: Contests) -> list[CandidacyDraft]:
    """Read the candidacies. Two candidates with the same name are two candidacies.

    Errors: the same line twice, or one option in two candidacies with different lists of options. Two formulas of one
    list (senadurías) have the same options, and that is legal.
    """
    table = tables.get("candidaturas.csv")
    if table is None:
        return []
    none: tuple[str, ...] = ()
    elections = table.read("eleccion", cell.code, "")
    entidades = table.read("entidad", maybe_entidad, 0)
    ids = table.read("territorio", maybe_territory, 0)
    backing = table.read("opciones", cell.codes, none)
    owners = table.read("propietaria", cell.needed_name, "")
    substitutes = table.read("suplente", cell.name, "")
    keys = list(zip(elections, entidades, ids, strict=True))
    expect_election(table, elections, tables, drafts)
    if contests_known(tables) and all_sound(tables, "casillas.csv"):
        table.expect("territorio", lambda key: "" if key in contests else f"{key[0]} no tiene contienda ahí", keys)
        if all_sound(tables, "opciones.csv"):
            table.expect("opciones", lambda *held: _judge_backing(drafts, contests, *held), keys, backing)
    table.expect_once("propietaria", "la candidatura está repetida", keys, backing, owners, substitutes)
    _expect_whole_lists(table, keys, backing)
    return [
        CandidacyDraft(key, tuple(sorted(drafts[key[0]].places[code] for code in codes)), owner, substitute)
        for key, codes, owner, substitute in zip(keys, backing, owners, substitutes, strict=True)
        if not table.report
    ]


def _expect_whole_lists(table: CsvTable, keys: Sequence[ContestKey], backing: Sequence[tuple[str, ...]]) -> None:
    lists: dict[tuple[ContestKey, str], frozenset[str]] = {}
    for row, (key, codes) in enumerate(zip(keys, backing, strict=True)):
        shared = [code for code in codes if lists.setdefault((key, code), frozenset(codes)) != frozenset(codes)]
        # One option would give its votes to two different candidacies.
        if shared and row not in table.unsound:
            table.blame(row, "opciones", f"{shared[0]} ya está en otra candidatura de la misma contienda")


def _judge_backing(drafts: Drafts, contests: Contests, key: ContestKey, codes: tuple[str, ...]) -> str:
    draft, place = drafts.get(key[0]), contests.get(key)
    if draft is None or place is None:
        return ""
    if not codes:
        return "falta al menos una opción"
    if len(set(codes)) < len(codes):
        return "una opción está repetida"
    for code in codes:
        position = draft.places.get(code)
        if position is None or position not in place.contest.ballot:
            return f"«{code}» no está en la boleta de esa contienda"
        if draft.options[position].clase not in FOR_SOMEBODY:
            return f"los votos de {code} no cuentan para una candidatura"
    return ""
