"""Read the source of a replay: the results, candidates and rules that a person gives, and the catalogue made from them.

If a file cannot be read, the error is one sentence with the line of the person's own file, never with the line of the
catalogue that was made from it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from prep.domain.catalog import Catalog
from prep.domain.rules import OWN, RULE_SETS, RuleSet, read_rules, rule_set
from prep.errors import Rejected, reason_of
from prep.files.catalog_files import CatalogErrors, load_catalog
from prep.files.official import OfficialFile, read_official
from prep.files.official_candidates import CandidateRow, read_candidates
from prep.files.official_words import texts_of
from prep.files.published_zip import open_published
from prep.rehearsal.replay import Caveats, Sheet, examine, sheets
from prep.rehearsal.replay_catalog import catalog_folder, nivel_of, settled, unused_candidates
from prep.rehearsal.replay_rules import Proposal, propose

INFER: Final = "infer"
"""The word for rules that are inferred from the file itself."""


@dataclass(frozen=True)
class ReplaySource:
    """An official election, ready to be played."""

    name: str
    official: OfficialFile
    rules: RuleSet
    proposal: Proposal | None
    """Set if the rules were inferred from the file."""
    folder: Mapping[str, bytes]
    catalog: Catalog
    caveats: Caveats
    sheets: list[Sheet]
    used: tuple[str, ...]
    """The files that were used, and their use."""


def read_source(
    path: Path, *, rules: str, candidates: Path | None = None, skip_unknown: bool = False, election: str = ""
) -> ReplaySource:
    """`rules` is a known name, a file, or `infer`. Raises Rejected with one sentence for the person."""
    opened = open_published(path.name, _content(path), choose=election)
    stated = None if rules == INFER else _rules(rules)
    texts = texts_of(stated.texts) if stated else {}
    official = read_official(opened.results, texts=texts, skip_unknown=skip_unknown)
    people_name, people = opened.candidates_name, opened.candidates
    beside = candidates or (None if opened.used else _beside(path))
    if beside is not None:
        people_name, people = beside.name, _content(beside)
    rows = _candidates(people_name, people)
    nivel = nivel_of(official, rows)
    official, blanks = settled(official, nivel)
    proposal = propose(official, _name(path)) if stated is None else None
    known = stated or (proposal.rules if proposal else rule_set("ine-2023"))
    files = dict(catalog_folder(official, rows, rules=known.name, nivel=nivel))
    if known.name not in RULE_SETS:
        files[f"{OWN}{known.name}.json"] = known.canonical()
    catalog = _load(files, official)
    caveats = examine(official, known, blanks=blanks)
    caveats = replace(caveats, notes=(*caveats.notes, *unused_candidates(official, rows, nivel)))
    if proposal is not None:
        proposal = proposal.without(caveats.lost.keys() | caveats.reprinted.keys())
    stickers = {catalog.casillas[acta.casilla - 1].clave: acta.qr for acta in catalog.actas}
    played = sheets(official, known, caveats, candidatura=catalog.elections[0].candidatura, stickers=stickers)
    used = opened.used or (f"resultados: {path.name}",)
    if beside is not None:
        used = (*used, f"candidaturas: {beside.name}")
    return ReplaySource(path.stem, official, known, proposal, files, catalog, caveats, played, used)


def read_published(source: ReplaySource, data: bytes) -> OfficialFile:
    """Read the file that our own installation published, with the texts of the same rules."""
    return read_official(data, texts=texts_of(source.rules.texts))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Rejected(f"no se puede leer {path}: {reason_of(error)}") from None


def _rules(stated: str) -> RuleSet:
    if stated in RULE_SETS or not stated.endswith((".json", ".toml")):
        return rule_set(stated)
    return read_rules(Path(stated).name, _content(Path(stated)))


def _beside(path: Path) -> Path | None:
    """The candidates file in the same folder, found by its name; it may begin with the name of the results file."""
    named = [each for each in sorted(path.parent.glob("*")) if each != path and "candidaturas" in each.name.lower()]
    for each in named:
        before = re.split("candidaturas", each.name, flags=re.IGNORECASE)[0]
        if each.name.isupper() or "CANDIDATURAS" in each.name or "Candidaturas" in each.name:
            return each
        if before and path.name.startswith(before):
            return each
    return None


def _candidates(name: str, data: bytes) -> list[CandidateRow]:
    if not name:
        return []
    try:
        return read_candidates(data)
    except Rejected as error:
        raise Rejected(f"{name}: {error.sentence}") from None


def _name(path: Path) -> str:
    letters = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return f"{letters[:40] or 'archivo'}-inferidas"


def _load(files: Mapping[str, bytes], official: OfficialFile) -> Catalog:
    """Raises Rejected with the line of the official file, which has one row for each line of casillas.csv."""
    try:
        return load_catalog(files)
    except CatalogErrors as errors:
        first = errors.findings[0]
        rows = official.catalogued
        if first.file == "casillas.csv" and 0 <= first.line - 2 < len(rows):
            row = rows[first.line - 2]
            raise Rejected(f"línea {row.line}, casilla {row.clave}: {first.sentence}") from None
        raise Rejected(f"de este archivo no sale un catálogo: {first.sentence}") from None
