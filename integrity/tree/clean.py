"""The clean data of a corte: the official file again, for programs. They are a pure function of published files.

    datos/0003/SHA256SUMS             the digests of the other files, as `sha256sum` writes them
    datos/0003/actas_GOB.csv          a row for each row of the official file: integers, a status, ISO times. The rows
                                      that give a column its first value come first, see `_rows`
    datos/0003/actas_GOB.parquet      the same table, typed
    datos/0003/libro_GOB.xlsx         its sums, and its rows if they are not too many: for a spreadsheet
    datos/0003/nist_GOB.json          its sums, in NIST SP 1500-100 (version 2)
    datos/0003/evidencia_GOB.csv      of each acta with an image: the image, its digest, its proof, its unit of the sums

The publisher writes them after the corte is out, the verifier makes them again, and a publisher that lost them makes
the same bytes from the folder of the corte (and, for the paths of images, from the lists of images up to it). No cell
is guessed: words of the official file go into a column of their own. `docs/tree.md` tells every column.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, Self

from integrity.layout import image_path, proof_path
from integrity.strict_json import Json, canonical_json
from integrity.sums import HEX, Malformed
from integrity.tree import forms
from integrity.tree.documents import QUANTITIES, SUMMARY_NAMES, TAIL, Manifest, PublishedElection
from integrity.tree.parquet import GROUP, Kind, ParquetWriter
from integrity.tree.workbook import MOST_ROWS, BookSheet, workbook

_PREAMBLE: Final = 7
_BOM: Final = "\ufeff"
_LEFT_OUT: Final = frozenset({"CLAVE_CASILLA", "CLAVE_ACTA", "CONTABILIZADA"})
"""Columns of the official file that ACTA and ESTADO say."""
_TEXTS: Final = frozenset(
    {
        *("ENTIDAD", "TIPO_CASILLA", "TIPO_ACTA", "OBSERVACIONES", "MECANISMOS_TRASLADO", "CODIGO_INTEGRIDAD"),
        *("ORIGEN", "DIGITALIZACION", "TIPO_DOCUMENTO"),
    }
)
_BEGINS: Final = {"TIPO_ACTA": "tipo_"}
"""Stands before each cell of a text column that may hold a number. A program that looks at the first rows only would
take the column for numbers, and stop at the first 2EMR."""
_NONE: Final = frozenset({"-", "N/A"})
_SIN_ACTA: Final = "Sin acta"
_LONGEST: Final = 18
"""Digits of a number; a longer one can only be the identification of a row fuera de catálogo, as it was read."""
EVIDENCE: Final = ("ACTA", "UNIDAD", "CODIGO_INTEGRIDAD", "IMAGEN", "PRUEBA")
_ESTADOS: Final = {"-": "por_capturar", "0": "no_contabilizada", "1": "contabilizada", "2": "fuera_de_catalogo"}


BOOK: Final = "libro_"
"""How the names of workbooks begin. A list of an older release has none of them."""


def data_names(code: str) -> tuple[str, str, str, str, str]:
    """The names of an election's files: the two forms of the table, the sums, the evidence, the workbook."""
    table = f"actas_{code}"
    return f"{table}.csv", f"{table}.parquet", f"nist_{code}.json", f"evidencia_{code}.csv", f"{BOOK}{code}.xlsx"


def make_data(
    manifest: Manifest,
    totals: Json,
    files: Mapping[str, Path],
    extension: Callable[[str], str],
    into: Path | None = None,
) -> dict[str, str]:
    """Digest by name of all clean data of a corte, in the order of the names; written into the folder `into`, if any.

    `totals` is its totals.json, `files` the official file by election. `extension` tells that of an image by its
    digest. Raises Malformed if the files do not have their form.
    """
    digests: dict[str, str] = {}
    try:
        for election, held in zip(manifest.elections, manifest.raw["elecciones"], strict=True):
            told = totals["elecciones"][election.code]
            table, parquet, sums, evidence, book = names = data_names(election.code)
            with ExitStack() as stack:
                sinks = {name: stack.enter_context(_Sink(into, name)) for name in names}
                actas = _write_rows(
                    files[election.code],
                    election,
                    offset=manifest.raw["fecha_hora"][-6:],
                    extension=extension,
                    sinks=[sinks[name] for name in (table, parquet, evidence)],
                )
                sinks[sums].write(canonical_json(nist_report(manifest, held, told)) + b"\n")
                sheets = [sums_sheet(election, told), *([actas] if actas.whole else [])]
                for piece in workbook(sheets):
                    sinks[book].write(piece)
            digests |= {name: sink.sha256 for name, sink in sinks.items()}
    except (LookupError, ValueError, csv.Error) as error:
        raise Malformed("archivos del corte con su forma", str(error)) from None
    return dict(sorted(digests.items()))


def list_of(digests: Mapping[str, str]) -> bytes:
    """The SHA256SUMS of these files."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()


class _Sink:
    """A file that is hashed as it is written; without a folder it is only hashed."""

    def __init__(self, into: Path | None, name: str) -> None:
        self._file = None if into is None else (into / name).open("wb")
        self._hash = hashlib.sha256()
        self.sha256 = ""

    def __enter__(self) -> Self:
        return self

    def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        if self._file is not None:
            self._file.write(piece)

    def __exit__(self, *_: object) -> None:
        self.sha256 = self._hash.hexdigest()
        if self._file is not None:
            self._file.close()


# --- the rows ---------------------------------------------------------------------------------------------------------


def clean_columns(election: PublishedElection) -> list[tuple[str, Kind]]:
    """The columns of the table: name and kind."""
    names = [name for name in election.columns if name not in _LEFT_OUT]
    place = election.identity[5]
    kept = [(name, _kind_of(name, place)) for name in names]
    return [("ACTA", Kind.TEXT), ("ESTADO", Kind.TEXT), *kept, ("ILEGIBLES", Kind.TEXT), ("SIN_DATO", Kind.TEXT)]


def _kind_of(name: str, place: str) -> Kind:
    if name in forms.MOMENTS:
        return Kind.MOMENT
    return Kind.TEXT if name in _TEXTS or name == place else Kind.NUMBER


def _write_rows(
    file: Path,
    election: PublishedElection,
    *,
    offset: str,
    extension: Callable[[str], str],
    sinks: Sequence[_Sink],
) -> BookSheet:
    """Read the official file once: write the table, its Parquet and the evidence, three sinks; return its sheet."""
    table, parquet, evidence = sinks
    columns = clean_columns(election)
    sheet = BookSheet("Actas", columns, MOST_ROWS)
    typed = ParquetWriter(parquet.write, columns)
    table.write(_lines([[name for name, _ in columns]], above=_BOM))
    evidence.write(_lines([EVIDENCE], above=_BOM))
    rows_in_order = _rows(file, election, columns)
    while rows := [*islice(rows_in_order, GROUP)]:
        cells = _clean(rows, election, columns, offset)
        table.write(_lines(zip(*cells, strict=True)))
        typed.add(cells)
        sheet.add(cells)
        evidence.write(_lines(_evidence(rows, election, extension)))
    typed.close()
    return sheet


def _rows(file: Path, election: PublishedElection, columns: Sequence[tuple[str, Kind]]) -> Iterator[list[str]]:
    """The rows of the official file, one at least for each column that has a value somewhere, then all others.

    Programs look at the first rows to know what a column holds: polars at 100. Early in a night most rows are empty,
    and a candidacy of one municipio has its votes far down. So the row with the first value of a column of numbers or
    moments comes first.
    """
    missing = {
        election.columns.index(name): _Cleaned(name, kind, "")
        for name, kind in columns
        if kind is not Kind.TEXT and name in election.columns
    }
    first: dict[int, list[str]] = {}
    with _official_rows(file, len(election.columns)) as rows:
        for number, row in enumerate(rows):
            if given := [place for place, clean in missing.items() if clean[row[place]]]:
                first[number] = row
                for place in given:
                    del missing[place]
                if not missing:
                    break
    yield from first.values()
    with _official_rows(file, len(election.columns)) as rows:
        yield from (row for number, row in enumerate(rows) if number not in first)


@contextmanager
def _official_rows(file: Path, width: int) -> Iterator[Iterator[list[str]]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        yield (_of_width(row, width) for row in islice(csv.reader(text, strict=True), _PREAMBLE, None))


def _of_width(row: list[str], width: int) -> list[str]:
    if len(row) != width:
        raise Malformed(f"filas de {width} celdas", "otra")
    return row


def _lines(rows: Iterator[Sequence[str]] | Sequence[Sequence[str]], above: str = "") -> bytes:
    out = io.StringIO(above)
    out.seek(0, io.SEEK_END)
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


class _Cleaned(dict[str, str]):
    """The clean text of a cell, made once for each text."""

    def __init__(self, name: str, kind: Kind, offset: str) -> None:
        super().__init__()
        self._begins, self._kind, self._offset = _BEGINS.get(name, ""), kind, offset

    def __missing__(self, cell: str) -> str:
        self[cell] = made = self._made(cell)
        return made

    def _made(self, cell: str) -> str:
        match self._kind:
            case Kind.TEXT:
                return "" if cell in _NONE else self._begins + cell
            case Kind.NUMBER:
                plain = cell.isascii() and cell.isdigit() and len(cell) <= _LONGEST
                return str(int(cell)) if plain else ""
            case Kind.MOMENT:
                # Cells have the clock of the night's zone, and the manifest its offset.
                at = forms.moment(cell)
                return f"{at[:4]}-{at[4:6]}-{at[6:8]}T{at[8:]}{self._offset}" if at else ""


def _clean(
    rows: Sequence[Sequence[str]], election: PublishedElection, columns: Sequence[tuple[str, Kind]], offset: str
) -> list[list[str]]:
    """The cells of each clean column."""
    official = dict(zip(election.columns, zip(*rows, strict=True), strict=True))
    first = len(election.identity)
    typed = slice(first, len(election.columns) - len(TAIL) + 1)
    """From the first quantity to TOTAL_VOTOS_ASENTADO."""
    votes = slice(first + len(QUANTITIES), typed.stop - 1)
    claves = [clave.strip("'") for clave in official["CLAVE_ACTA"]]
    made = {
        "ACTA": [f"{election.code}/{clave}" if clave not in _NONE else "" for clave in claves],
        "ESTADO": [
            "sin_acta" if estado in {"0", "1"} and _SIN_ACTA in row[votes] else _ESTADOS.get(estado, "")
            for row, estado in zip(rows, official["CONTABILIZADA"], strict=True)
        ],
        "ILEGIBLES": _named(rows, election.columns, typed, "Ilegible"),
        "SIN_DATO": _named(rows, election.columns, typed, "Sin dato"),
    }
    return [
        made[name] if name in made else [*map(_Cleaned(name, kind, offset).__getitem__, official[name])]
        for name, kind in columns
    ]


def _named(rows: Sequence[Sequence[str]], names: Sequence[str], typed: slice, word: str) -> list[str]:
    """Of each row, the names of the columns that hold the word, with a space between them."""
    return [
        " ".join(name for name, cell in zip(names[typed], row[typed], strict=True) if cell == word)
        if word in row[typed]
        else ""
        for row in rows
    ]


def _evidence(
    rows: Sequence[Sequence[str]], election: PublishedElection, extension: Callable[[str], str]
) -> Iterator[list[str]]:
    digest_at = election.columns.index("CODIGO_INTEGRIDAD")
    for row in rows:
        digest = row[digest_at]
        if HEX.fullmatch(digest):
            entidad, place = _number(row[2]), _number(row[4])
            unit = unit_id(election.territory, entidad, place) if place else unit_id("entidad", entidad, entidad)
            ending = extension(digest)
            image = image_path(digest, ending) if ending else ""
            yield [f"{election.code}/{row[1].strip(chr(39))}", unit, digest, image, proof_path(digest)]


def _number(cell: str) -> int:
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= _LONGEST else 0


# --- the sums, as a sheet ---------------------------------------------------------------------------------------------


def sums_sheet(election: PublishedElection, told: Json) -> BookSheet:
    """A row for the election, each contest and each territory: its thirteen values, then its votes by option.

    `told` is its entry of totals.json. An option that is not on the ballot of a contest has an empty cell.
    """
    texts, numbers = ("TIPO", "NOMBRE"), ("ID_ENTIDAD", "ID_TERRITORIO")
    codes = [option.code for option in election.options]
    columns = [
        *((name, Kind.TEXT) for name in texts),
        *((name, Kind.NUMBER) for name in (*numbers, *SUMMARY_NAMES, *codes)),
    ]
    held: list[tuple[str, str, object, object, Json]] = [("eleccion", election.title, "", "", told)]
    held += [("contienda", each["nombre"], each["entidad"], each["territorio"], each) for each in told["contiendas"]]
    held += [(each["tipo"], each["nombre"], each["entidad"], each["id"], each) for each in told["territorios"]]
    rows = [
        [
            *(kind, name, str(entidad), str(number)),
            *(each["resumen"][name] for name in SUMMARY_NAMES),
            *(str(each["votos"].get(code, "")) for code in codes),
        ]
        for kind, name, entidad, number, each in held
    ]
    sheet = BookSheet("Sumas", columns)
    sheet.add([*zip(*rows, strict=True)])
    return sheet


# --- the sums, as NIST SP 1500-100 ------------------------------------------------------------------------------------

_UNITS: Final = {"pais": "country", "entidad": "state", "municipio": "municipality"}
"""Kinds of territory that NIST names too; the others are `other`, with our word as OtherType."""
_PEOPLE: Final = ("nulos", "no_registradas")
"""Classes of options that are no candidacy."""


def unit_id(kind: str, entidad: int, number: int) -> str:
    """The `@id` of a territory: the whole country is `u-pais-0-0`, an entidad `u-entidad-28-28`."""
    return f"u-{kind}-{entidad}-{number}"


def nist_report(manifest: Manifest, election: Json, told: Json) -> Json:
    """An ElectionReport of NIST SP 1500-100 (version 2) with the sums of one election: its contests and territories.

    `election` is the entry of the manifest, `told` that of totals.json.
    """
    raw = manifest.raw
    declared = raw.get("declaracion", {}).get("contenido", {})
    options = sorted(election["opciones"], key=lambda option: option["posicion"])
    units = _units(election, told)
    complete = told["actas"]["capturadas"] == told["actas"]["esperadas"]
    going_on = "unofficial-complete" if complete else "unofficial-partial"
    entidades = {contest["entidad"] for contest in told["contiendas"]}
    alone = next(iter(entidades)) if len(entidades) == 1 else 0
    candidates: list[Json] = []
    contests = [_contest(each, election, options, told, candidates) for each in told["contiendas"]]
    day = (declared.get("inicio") or raw["fecha_hora"])[:10]
    return {
        "@type": "ElectionResults.ElectionReport",
        "Format": "summary-contest",
        "GeneratedDate": raw["fecha_hora"],
        "IsTest": raw["simulacro"],
        "Issuer": declared.get("instituto", {}).get("nombre") or manifest.edo,
        "IssuerAbbreviation": manifest.edo,
        "Notes": f"Resultados preliminares, de carácter informativo: corte {raw['corte']} ({raw['fase']}).",
        "SequenceStart": 1,
        "SequenceEnd": 1,
        "Status": "pre-election" if raw["fase"] == "cero" else going_on,
        "VendorApplicationId": "prep-abierto",
        "GpUnit": [*units.values()],
        "Party": [_party(option, options) for option in options if option["clase"] not in _PEOPLE],
        "Election": [
            {
                "@type": "ElectionResults.Election",
                "ElectionScopeId": unit_id("entidad", alone, alone) if alone else unit_id("pais", 0, 0),
                "StartDate": day,
                "EndDate": day,
                "Name": _text(election["titulo"]),
                "Type": "other",
                "OtherType": election["ambito"],
                "Candidate": candidates,
                "Contest": contests,
            }
        ],
    }


def _units(election: Json, told: Json) -> dict[str, Json]:
    """Every territory that a sum is of, by `@id`."""
    units: dict[str, Json] = {}

    def add(kind: str, entidad: int, number: int, name: str, summary: Mapping[str, str] | None) -> None:
        named = unit_id(kind, entidad, number)
        nist = _UNITS.get(kind, "other")
        unit: Json = {"@id": named, "@type": "ElectionResults.ReportingUnit", "Name": name, "Type": nist}
        unit |= {"OtherType": kind} if nist == "other" else {}
        if summary is not None:
            unit |= _reported(summary)
        units.setdefault(named, unit)

    for held in told["territorios"]:
        add(held["tipo"], held["entidad"], held["id"], held["nombre"], held["resumen"])
    for contest in told["contiendas"]:
        add(*_place(contest, election), contest["nombre"], contest["resumen"])
    add("pais", 0, 0, "México", None)
    return units


def _place(contest: Json, election: Json) -> tuple[str, int, int]:
    """Kind, entidad and number of the territory that a contest elects for."""
    entidad, number, nivel = contest["entidad"], contest["territorio"], election["nivel"]
    if number:
        return f"distrito_{election['ambito']}" if nivel in {"pais", "entidad", "distrito"} else nivel, entidad, number
    return ("entidad" if entidad else "pais"), entidad, entidad


def _reported(summary: Mapping[str, str]) -> Json:
    return {
        "SubUnitsReported": int(summary["ACTAS_CONTABILIZADAS"]),
        "TotalSubUnits": int(summary["ACTAS_ESPERADAS"]),
    }


def _text(words: str) -> Json:
    return {"Text": [{"Content": words, "Language": "es-MX"}]}


def _party(option: Json, options: Sequence[Json]) -> Json:
    joined = [f"p-{options[place]['posicion']}" for place in option["partidos"]]
    return {
        "@id": f"p-{option['posicion']}",
        "@type": f"ElectionResults.{'Coalition' if joined else 'Party'}",
        "Abbreviation": option["codigo"],
        "Name": _text(option["nombre"] or option["codigo"]),
        **({"PartyIds": joined} if joined else {}),
    }


def _contest(contest: Json, election: Json, options: Sequence[Json], told: Json, candidates: list[Json]) -> Json:
    entry = next(each for each in election["contiendas"] if each["id"] == contest["id"])
    own = unit_id(*_place(contest, election))
    # If the whole election is one contest, every territory is a part of it.
    parts = {own: contest["votos"]}
    if len(told["contiendas"]) == 1:
        for held in told["territorios"]:
            parts.setdefault(unit_id(held["tipo"], held["entidad"], held["id"]), held["votos"])
    by_code = {option["codigo"]: option for option in options}
    ballot = [options[place]["codigo"] for place in entry["boleta"]]
    selections: list[Json] = []

    def select(name: str, codes: Sequence[str], more: Json) -> None:
        counts = [count for unit, votes in parts.items() for count in _counts(unit, votes, codes)]
        about = {"@id": f"s-{contest['id']}-{name}", "SequenceOrder": len(selections) + 1, "VoteCounts": counts}
        selections.append(about | more)

    def stand(name: str, words: str) -> str:
        candidates.append({"@id": name, "@type": "ElectionResults.Candidate", "BallotName": _text(words)})
        return name

    taken: set[str] = set()
    for each in contest["candidaturas"]:
        taken |= {*each["opciones"]}
        parties = [f"p-{by_code[code]['posicion']}" for code in each["opciones"] if by_code[code]["clase"] == "partido"]
        who = stand(f"k-{each['id']}", each["propietaria"])
        select(f"k{each['id']}", each["opciones"], _candidate_selection(who) | {"EndorsementPartyIds": parties})
    for code in ballot:
        option = by_code[code]
        if option["clase"] == "no_registradas":
            who = stand(f"k-{contest['id']}-no-registradas", "Candidaturas no registradas")
            select("no-registradas", [code], _candidate_selection(who) | {"IsWriteIn": True})
        elif code not in taken and option["clase"] != "nulos":
            party = {"@type": "ElectionResults.PartySelection", "PartyIds": [f"p-{option['posicion']}"]}
            select(f"p{option['posicion']}", [code], party)
    votes_of_a_ballot = entry.get("votos_por_boleta", 1)
    return {
        "@id": f"c-{contest['id']}",
        "@type": "ElectionResults.CandidateContest",
        "ElectoralDistrictId": own,
        "Name": contest["nombre"],
        "VotesAllowed": votes_of_a_ballot,
        "VoteVariation": "plurality",
        **_reported(contest["resumen"]),
        "BallotSelection": selections,
        "SummaryCounts": [
            _summary_counts(unit, votes, by_code, cast=votes_of_a_ballot == 1) for unit, votes in parts.items()
        ],
    }


def _candidate_selection(who: str) -> Json:
    return {"@type": "ElectionResults.CandidateSelection", "CandidateIds": [who]}


def _counts(unit: str, votes: Mapping[str, int], codes: Sequence[str]) -> Iterator[Json]:
    """The votes of a candidacy in one territory; then those of each option that they are the sum of."""
    yield {"Count": sum(votes.get(code, 0) for code in codes), "GpUnitId": unit, "Type": "total"}
    if len(codes) > 1:
        for code in codes:
            yield {"Count": votes.get(code, 0), "GpUnitId": unit, "OtherType": code, "Type": "other"}


def _summary_counts(unit: str, votes: Mapping[str, int], by_code: Mapping[str, Json], *, cast: bool) -> Json:
    def of(clase: str) -> int:
        return sum(count for code, count in votes.items() if by_code[code]["clase"] == clase)

    told: Json = {"GpUnitId": unit, "Type": "total", "BallotsRejected": of("nulos"), "WriteIns": of("no_registradas")}
    return told | ({"BallotsCast": sum(votes.values())} if cast else {})
