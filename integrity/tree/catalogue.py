"""The catalogue of the night, which the tree brings: each corte shows the actas that it expects, and no other (CON-20).

    catalogo/SHA256SUMS      the digests of the other files; its own digest is the one that each manifest states, and
                             the log's first leaf (EVI-09)
    catalogo/catalogo.json   elections, options, contests and candidacies; the digests of the institute's own files
    catalogo/actas_GOB.csv   the expected actas of an election, in the order of its official file

So nobody can leave a casilla out, or give it another lista nominal, without another first leaf. A tree that has a log
must bring its catalogue; one without a log may be older than published catalogues, and then this is *not checked*.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from integrity.layout import CATALOGUE, CATALOGUE_JSON, LOG, SUMS, catalogue_actas
from integrity.log.tiles import CHECKPOINT
from integrity.report import Ledger
from integrity.source import Fetched, Missing, Source, SourceError
from integrity.strict_json import DIGEST, Each, Json, conform, read_json
from integrity.sums import Malformed, read_sums
from integrity.tree import forms
from integrity.tree.documents import ELECTION, Manifest, PublishedElection
from integrity.tree.rows import FileInCorte, changes, natural, split_line
from integrity.tree.tree import blame, malformed

CHECK: Final = "CON-20"
_SUMS_LIMIT: Final = 1 << 20
_JSON_LIMIT: Final = 64 << 20
_ACTAS_LIMIT: Final = 4 << 30
_LONGEST_LINE: Final = 1 << 16
_PREAMBLE: Final = 7
_BOM: Final = b"\xef\xbb\xbf"
_MAXIMUM: Final = "BOLETAS_MAXIMAS"
_LIMIT: Final = ("LISTA_NOMINAL", "REPRESENTANTES_PP_CI")
_COUNT: Final = re.compile(r"0|[1-9]\d{0,6}", re.ASCII)
_TOLD: Final = ("codigo", "titulo", "anio", "ambito", "nivel", "opciones")
"""Of an election, the fields that stand in the manifest in the same form."""

# What a night expects, from before it began.
FORM: Final = {
    "formato": int,
    "fuente": Each(DIGEST),
    "elecciones": [
        {
            **{name: ELECTION[name] for name in _TOLD},
            "reglas": DIGEST,
            "contiendas": [
                {
                    **ELECTION["contiendas"][0],
                    "candidaturas": [{"id": int, "propietaria": str, "suplente": str, "opciones": [str]}],
                }
            ],
        }
    ],
}


@dataclass(frozen=True, slots=True)
class PublishedCatalogue:
    """The catalogue in a tree, in its form, with the digests of its own list."""

    digest: str
    elections: Mapping[str, Json]
    """By code, in their order."""
    actas: Mapping[str, Fetched]
    """By code: the file of its expected actas."""
    told: set[str] = field(default_factory=set)
    """Files whose form was found wrong: each is told once, and not for every corte."""


def file_names(codes: Iterator[str] | Mapping[str, object]) -> frozenset[str]:
    """The names in the folder of the catalogue of a night with these elections."""
    return frozenset({SUMS, CATALOGUE_JSON, *(catalogue_actas(code) for code in codes)})


def read_catalogue(tree: Source, ledger: Ledger, *, only: str = "") -> PublishedCatalogue | None:
    """The catalogue of the tree; None, with the reason in the ledger, if it is not there or not in its form.

    With `only`, the expected actas of that election alone are read.
    """
    path = f"{CATALOGUE}/{SUMS}"
    try:
        listed = tree.fetch(path, _SUMS_LIMIT)
    except Missing as missing:
        # The first leaf of a log names a catalogue. So nobody can take the catalogue away from a tree that has a log.
        if _has_log(tree):
            blame(missing, [CHECK], path, ledger)
        else:
            ledger.unable([CHECK], "el árbol no trae su catálogo, ni una bitácora que lo nombre")
        return None
    except SourceError as error:
        blame(error, [CHECK], path, ledger)
        return None
    try:
        sums = read_sums(listed.local.read_bytes())
    except Malformed as problem:
        malformed(problem, CHECK, path, ledger)
        return None
    wanted = {CATALOGUE_JSON, catalogue_actas(only)} & {*sums} if only else sums
    files = _fetch_listed(tree, {name: sums[name] for name in wanted}, ledger)
    if files is None:
        return None
    try:
        elections = _read_elections(files)
    except Malformed as problem:
        malformed(problem, CHECK, f"{CATALOGUE}/{CATALOGUE_JSON}", ledger)
        return None
    if {*sums} != file_names(elections) - {SUMS}:
        ledger.wrong(CHECK, path, expected="los archivos de sus elecciones", found=", ".join(sums))
        return None
    actas = {code: files[catalogue_actas(code)] for code in elections if catalogue_actas(code) in files}
    return PublishedCatalogue(listed.sha256, elections, actas)


def _has_log(tree: Source) -> bool:
    try:
        return tree.exists(f"{LOG}/{CHECKPOINT}")
    except SourceError:
        return True


def _fetch_listed(tree: Source, sums: Mapping[str, str], ledger: Ledger) -> dict[str, Fetched] | None:
    files = {}
    for name, digest in sums.items():
        path = f"{CATALOGUE}/{name}"
        try:
            files[name] = tree.fetch(path, _JSON_LIMIT if name == CATALOGUE_JSON else _ACTAS_LIMIT)
        except SourceError as error:
            blame(error, [CHECK], path, ledger)
            return None
        ledger.did(CHECK)
        if files[name].sha256 != digest:
            ledger.wrong(CHECK, path, expected=digest, found=files[name].sha256)
            return None
    return files


def _read_elections(files: Mapping[str, Fetched]) -> dict[str, Json]:
    if CATALOGUE_JSON not in files:
        raise Malformed(f"«{CATALOGUE_JSON}» en su lista", "nada")
    raw = read_json(files[CATALOGUE_JSON].local.read_bytes())
    conform(raw, FORM)
    if raw["formato"] != 1:
        raise Malformed("el formato 1, el único que este programa conoce", str(raw["formato"]))
    elections = {election["codigo"]: election for election in raw["elecciones"]}
    if len(elections) < len(raw["elecciones"]):
        raise Malformed("elecciones sin repetir", ", ".join(elections))
    return elections


# --- a corte against the catalogue ------------------------------------------------------------------------------------


def judge_manifest(catalogue: PublishedCatalogue, path: str, manifest: Manifest, ledger: Ledger) -> None:
    """The manifest names this catalogue, and has its elections, options and contests, in their order."""
    ledger.did(CHECK)
    if manifest.raw["catalogo"] != catalogue.digest:
        found = manifest.raw["catalogo"]
        ledger.wrong(
            CHECK, path, expected=f"{catalogue.digest}, de {CATALOGUE}/{SUMS}", found=found, position="catalogo"
        )
    ours, theirs = [election.code for election in manifest.elections], [*catalogue.elections]
    if ours != theirs:
        expected = ", ".join(theirs)
        ledger.wrong(CHECK, path, expected=f"{expected}, del catálogo", found=", ".join(ours), position="elecciones")
    for raw in manifest.raw["elecciones"]:
        election = catalogue.elections.get(raw["codigo"])
        if election is None:
            continue
        contests = [
            {name: held for name, held in contest.items() if name != "candidaturas"}
            for contest in election["contiendas"]
        ]
        told = {**{name: election[name] for name in _TOLD}, "contiendas": contests, "reglas": election["reglas"]}
        shown = {**raw, "reglas": manifest.raw["reglas"][raw["codigo"]]["sha256"]}
        for held in (told, shown):
            held["opciones"] = sorted(held["opciones"], key=lambda option: int(option["posicion"]))
        for name, value in told.items():
            if shown[name] != value:
                position = f"{raw['codigo']}, {name}"
                ledger.wrong(CHECK, path, expected=f"{value}, del catálogo", found=shown[name], position=position)


def judge_candidacies(catalogue: PublishedCatalogue, path: str, totals: Json, ledger: Ledger) -> None:
    """totals.json has the candidacies of the catalogue in each contest."""
    for code, told in totals["elecciones"].items():
        if code not in catalogue.elections:
            continue
        ledger.did(CHECK)
        expected = {each["id"]: each["candidaturas"] for each in catalogue.elections[code]["contiendas"]}
        for contest in told["contiendas"]:
            found = [
                {name: held for name, held in each.items() if name not in {"votos", "porcentaje"}}
                for each in contest["candidaturas"]
            ]
            if found != expected.get(contest["id"], []):
                position = f"{code}, candidaturas de la contienda {contest['id']}"
                ledger.wrong(CHECK, path, expected="las del catálogo", found="otras", position=position)


def judge_rows(catalogue: PublishedCatalogue, sheet: FileInCorte, before: Path | None) -> None:
    """Line N of the official file is the acta N of the catalogue, with its values; all of them are there.

    `before` is the same file in the corte before, if it was compared: then only the lines that changed are.
    """
    election, ledger = sheet.judge.election, sheet.ledger
    if election.code not in catalogue.actas:
        return  # `judge_manifest` says so
    name = f"{CATALOGUE}/{catalogue_actas(election.code)}"
    with catalogue.actas[election.code].local.open("rb") as handle:
        expected = _Expected(handle, election)
        if not expected.sound:
            if name not in catalogue.told:
                catalogue.told.add(name)
                ledger.wrong(CHECK, name, expected="las columnas de las actas esperadas", found="otras")
            return
        for number, line in _lines_to_compare(sheet.file, before):
            if line is not None:
                ledger.did(CHECK)
            want = expected.acta(number - _PREAMBLE)
            have = None if line is None or line.startswith(b"-,-,") else line
            where = f"línea {number}"
            if want is None and have is not None:
                found = have[:40].decode(errors="replace")
                ledger.wrong(CHECK, sheet.name, expected="ninguna otra acta", found=found, position=where)
                return
            if want is not None and have is None:
                ledger.wrong(CHECK, sheet.name, expected=f"el acta {want[1]}", found="nada", position=where)
                return
            if want is not None and have is not None and not _judge_line(sheet, where, have, want):
                return


class _Expected:
    """The expected actas in a file of the catalogue, read forwards."""

    def __init__(self, handle: IO[bytes], election: PublishedElection) -> None:
        self._handle = handle
        self._number = 0
        columns = [*election.identity, *_LIMIT, _MAXIMUM]
        self._width, self._none = len(columns), [""] * len(columns)
        head = self._handle.readline(_LONGEST_LINE)
        self.sound = head.startswith(_BOM) and split_line(head.removeprefix(_BOM)) == columns

    def acta(self, number: int) -> list[str] | None:
        """The cells of that acta, each time of a later one; None behind the last. A line that is no acta is blank."""
        line = b""
        while self._number < number:
            self._number += 1
            line = self._handle.readline(_LONGEST_LINE)
        if not line:
            return None
        cells = split_line(line)
        return cells if cells is not None and len(cells) == self._width and _is_maximum(cells[-1]) else self._none


def _is_maximum(cell: str) -> bool:
    return not cell or _COUNT.fullmatch(cell) is not None


def _lines_to_compare(file: Path, before: Path | None) -> Iterator[tuple[int, bytes | None]]:
    """The number and the bytes of each line behind the head; None for one that is not there (any more)."""
    if before is not None:
        yield from ((change.number, change.new) for change in changes(before, file))
        return
    number = 0
    with file.open("rb") as handle:
        while line := handle.readline(_LONGEST_LINE):
            number += 1
            if number > _PREAMBLE:
                yield number, line
    # One line more than there are: if the catalogue has an acta for it, that acta is missing.
    yield max(number, _PREAMBLE) + 1, None


def _judge_line(sheet: FileInCorte, where: str, line: bytes, want: list[str]) -> bool:
    """Compare one row with its acta. False if it is another acta: then no later line needs to be compared."""
    columns, have = sheet.judge.columns, split_line(line)
    if have is None or len(have) != len(columns.names):
        return True  # CON-07 says so
    if have[:2] != want[:2]:
        expected = f"{want[0]},{want[1]}, del catálogo"
        sheet.ledger.wrong(CHECK, sheet.name, expected=expected, found=",".join(have[:2]), position=where)
        return False
    fixed = [*range(columns.identity.stop), *(columns.tail[name] for name in _LIMIT)]
    for place, value in zip(fixed, want, strict=False):
        if have[place] != value:
            position = f"{where}, {columns.names[place]}"
            expected = f"«{value}», del catálogo"
            sheet.ledger.wrong(CHECK, sheet.name, expected=expected, found=f"«{have[place]}»", position=position)
    _judge_maximum(sheet, where, have, want[-1])
    return True


def _judge_maximum(sheet: FileInCorte, where: str, have: list[str], maximum: str) -> None:
    """A captured row without a lista nominal is over the limit if it is over the maximum of ballots, and only then."""
    election, tail = sheet.judge.election, sheet.judge.columns.tail
    text = election.rules.texts.get("excede_lista_nominal", "")
    lista, people, total = (natural(have[tail[name]]) for name in (*_LIMIT, "TOTAL_VOTOS_CALCULADO"))
    captured = have[tail["CONTABILIZADA"]] in {"0", "1"} and "Sin acta" not in have[sheet.judge.columns.votes]
    if not captured or not text or not election.rules.excede_applies or None in {people, total}:
        return
    if lista != 0 or have[8] in forms.BY_LISTA:
        return  # the file itself has its limit (CON-10)
    contest = election.contests.get(sheet.judge.contest(sheet.judge.place(have)))
    votes = contest.votes_per_ballot if contest else 1
    over = bool(maximum) and (total or 0) > (int(maximum) + (people or 0)) * votes
    said = f", {text}, " in f", {have[tail['OBSERVACIONES']]}, "
    if over != said:
        expected = f"«{text}»" if over else f"nada de «{text}»: su máximo de boletas es {maximum or 'ninguno'}"
        found = f"«{have[tail['OBSERVACIONES']]}»"
        sheet.ledger.wrong(CHECK, sheet.name, expected=expected, found=found, position=f"{where}, OBSERVACIONES")
