"""The gate: reads the files of a corte like a stranger, and recomputes every figure from the rows.

It shares no code with the programs that wrote the numbers, and runs as processes of its own (`python -m publisher.gate
FOLDER`, started by `publisher.gatekeepers`). It is given the files, the corte before, and the size of the catalogue.
Beside its own checks it makes the public ones (`public_checks`), and asks for the statements of people that new rows
stand on (`standing`). A fault is a finding with the check, the file, the expected and the found value. With one finding
the corte does not go out, and the one before stays.

It stops the errors of real nights: rounding instead of truncating, a summary field with another sum, a counted
acta whose blanks were printed as zeros, totals off by one or two, counted actas over the limit (`docs/rules.md` §10).
"""

import csv
import hashlib
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

from integrity.tree.forms import BY_LISTA
from publisher import standing
from publisher.public_checks import PublicFinding, staged_election, staged_folder, staged_zip

_NAMES: Final = (
    "ACTAS_ESPERADAS",
    "ACTAS_REGISTRADAS",
    "ACTAS_FUERA_CATALOGO",
    "ACTAS_CAPTURADAS",
    "PORCENTAJE_ACTAS_CAPTURADAS",
    "ACTAS_CONTABILIZADAS",
    "PORCENTAJE_ACTAS_CONTABILIZADAS",
    "PORCENTAJE_ACTAS_INCONSISTENCIAS",
    "ACTAS_NO_CONTABILIZADAS",
    "LISTA_NOMINAL_ACTAS_CONTABILIZADAS",
    "TOTAL_VOTOS_C_CS",
    "TOTAL_VOTOS_S_CS",
    "PORCENTAJE_PARTICIPACION_CIUDADANA",
)
_PREAMBLE: Final = 7
"""Lines above the rows."""
MANY: Final = 15_000
"""Rows from which on columns are faster, though numpy must be loaded."""
_MOST: Final = 20
"""Findings that are reported; a single one stops a corte."""
_BOM: Final = b"\xef\xbb\xbf"

# The forms of the cells that are added up. All others are the public checks' (`publisher.public_checks`).
_NATURAL: Final = r"(?:0|[1-9]\d{0,6})"
_PEOPLE: Final = re.compile(rf"{_NATURAL}\n{_NATURAL}", re.ASCII)
_OBSERVED: Final = (
    "excede_lista_nominal",
    "todos_ilegibles",
    "todos_vacios",
    "todos_sin_numero",
    "ilegible",
    "sin_dato",
    "proceso_tecnico_operativo",
)
"""Observations in the order in which their texts are printed."""
_IDENTITY: Final = ("SECCION", "ID_CASILLA", "TIPO_CASILLA", "EXT_CONTIGUA", "UBICACION_CASILLA", "TIPO_ACTA")
_HEADER: Final = (
    "TOTAL_BOLETAS_SOBRANTES",
    "TOTAL_PERSONAS_VOTARON",
    "TOTAL_REP_PARTIDO_CI_VOTARON",
    "TOTAL_VOTOS_SACADOS",
)
_TAIL: Final = (
    *("TOTAL_VOTOS_ASENTADO", "TOTAL_VOTOS_CALCULADO", "LISTA_NOMINAL", "REPRESENTANTES_PP_CI", "OBSERVACIONES"),
    *("CONTABILIZADA", "MECANISMOS_TRASLADO", "CODIGO_INTEGRIDAD", "FECHA_HORA_ACOPIO", "FECHA_HORA_CAPTURA"),
    *("FECHA_HORA_VERIFICACION", "ORIGEN", "DIGITALIZACION", "TIPO_DOCUMENTO", "COTEJADA"),
)
_UNREAD: Final = {"Ilegible": "ilegible", "Sin dato": "sin_dato"}


class CortePart(StrEnum):
    """The checks beside those of the elections, each by itself."""

    ZIP = "-zip"
    IMAGES = "-imagenes"
    FOLDER = "-"


@dataclass(frozen=True, slots=True)
class GateFinding:
    """One fault."""

    check: str
    file: str
    expected: str
    found: str


class GateFailure(Exception):
    """The corte must not go out; `findings` say why."""

    def __init__(self, findings: Sequence[GateFinding]) -> None:
        first = findings[0]
        super().__init__(f"{first.check} en {first.file}: se esperaba {first.expected}, se encontró {first.found}")
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Expected:
    """Numbers of an election that only the database knows: no file of the corte can prove them."""

    rows: int
    fuera: int
    contests: Sequence[int]


@dataclass(slots=True)
class _Part:
    """The thirteen values of a set of rows, still as integers."""

    expected: int = 0
    fuera: int = 0
    counted: int = 0
    not_counted: int = 0
    inconsistent: int = 0
    without_acta: int = 0
    nominal: int = 0
    all_votes: int = 0
    plain_votes: int = 0
    missing_nominal: int = 0

    def add(self, other: "_Part") -> None:
        for name in _Part.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def values(self, rules: Mapping[str, Any], *, last: bool) -> dict[str, str]:
        # domain.md §4: rows sin acta count as captured; participation counts especial casillas in the last corte only.
        captured = self.counted + self.not_counted
        voted = self.all_votes if last else self.plain_votes
        found = (
            self.expected,
            captured + self.fuera,
            self.fuera,
            captured,
            _truncated_share(captured, self.expected),
            self.counted,
            _truncated_share(self.counted, self.expected),
            _truncated_share(self.inconsistent, self.expected),
            self.not_counted - (0 if rules.get("sin_acta_not_counted", True) else self.without_acta),
            self.nominal,
            self.all_votes,
            self.plain_votes,
            _truncated_share(voted, self.nominal),
        )
        return dict(zip(_NAMES, map(str, found), strict=True))


def _truncated_share(part: int, whole: int) -> str:
    """Percentage with four decimals, truncated and never rounded (domain.md §4)."""
    if not whole:
        return "0.0000"
    digits = str(part * 1_000_000 // whole).rjust(5, "0")
    return f"{digits[:-4]}.{digits[-4:]}"


class GateRows:
    """One election's CSV, read once from top to bottom: by this class row by row, or by `publisher.columns`."""

    def __init__(self, election: Mapping[str, Any], rules: Mapping[str, Any], images: Sequence[Path]) -> None:
        self.file: str = election["archivo"]
        self.codes = [option["codigo"] for option in election["opciones"]]
        self.columns = _columns(election, self.codes)
        self.territory = self.columns[5].lower()
        self._nivel: str = election["nivel"]
        every = {*range(len(self.codes))}
        self.off_ballot = {
            (each["entidad"], each["territorio"]): frozenset(every - {*each["boleta"]})
            for each in election["contiendas"]
        }
        self.rules = rules
        self.by_contest_place: dict[tuple[int, int], tuple[_Part, list[int]]] = {}
        self.whole = _Part()
        self.votes = [0] * len(self.codes)
        self.rows = 0
        self.place_of_clave: dict[str, tuple[int, int]] = {}
        self.findings: list[GateFinding] = []
        self._texts = {code: text for code, text in rules["texts"].items() if text}
        self._sin_acta = {text for code, text in self._texts.items() if code.startswith("sin_acta")}
        contests = election["contiendas"]
        self.ballots = {(each["entidad"], each["territorio"]): each.get("votos_por_boleta", 1) for each in contests}
        self.folders = [folder / "imagenes" for folder in images]
        self._images: defaultdict[str, list[str]] = defaultdict(list)

    def blame(self, check: str, expected: object, found: object, *, file: str | None = None) -> None:
        self.findings.append(GateFinding(check, file or self.file, str(expected), str(found)))

    def read(self, file: TextIO, *, corrected: frozenset[str]) -> list[list[str]]:
        """Check every row; returns the lines above the rows.

        `corrected` holds the claves that the manifest corrects.
        """
        reader = csv.reader(self._whole_lines(file), strict=True)
        above = [next(reader, []) for _ in range(_PREAMBLE)]
        # With other columns no cell means what we think, so no row is read.
        if above[-1] != self.columns:
            self.blame("columnas", self.columns, above[-1])
            return above
        width, first = len(above[-1]), 16
        last = first + len(self.codes)
        claves: set[str] = set()
        # Rows of one territory stand together, so their votes are added column by column at its end: that is much
        # faster.
        pending: list[list[int]] = []
        place, part, off = (-1, -1), _Part(), frozenset[int]()
        for cells in reader:
            self.rows += 1
            if len(cells) != width:
                self.blame("ancho", width, f"{len(cells)} celdas en el renglón {reader.line_num}")
                continue
            if cells[last + 5] == "2":
                self.check_fuera(cells)
                continue
            if self.whole.fuera:
                self.blame("fuera_de_catalogo", "al final", cells[1])
            clave = cells[1]
            if clave in claves:
                self.blame("clave_unica", "una vez", clave)
            claves.add(clave)
            here = self.place_in(cells)
            if here != place:
                self._close_territory(place, part, pending)
                place, part, pending = here, _Part(), []
                off = self.ballot_of(here, clave)
            if corrected and clave.strip("'") in corrected:
                self.place_of_clave[clave.strip("'")] = here
            votes = self.check_row(cells, cells[first:last], off, part)
            if votes:
                pending.append(votes)
        self._close_territory(place, part, pending)
        if reader.line_num != self.rows + _PREAMBLE:
            self.blame("renglones", "uno por línea", f"{reader.line_num} líneas y {self.rows} renglones")
        self.check_images()
        return above

    def _close_territory(self, place: tuple[int, int], part: _Part, rows: Sequence[Sequence[int]]) -> None:
        """Add the rows of one territory, now complete, to its sums."""
        if not part.expected:
            return
        # Rows of one place need not stand together: then its sums are found again here.
        known, sums = self.sums_at(place)
        known.add(part)
        self.whole.add(part)
        for column, values in enumerate(zip(*rows, strict=True)):
            added = sum(values)
            sums[column] += added
            self.votes[column] += added

    def sums_at(self, place: tuple[int, int]) -> tuple[_Part, list[int]]:
        """The sums of a place, to add to."""
        return self.by_contest_place.setdefault(place, (_Part(), [0] * len(self.codes)))

    @staticmethod
    def place_in(cells: Sequence[str]) -> tuple[int, int]:
        """Entidad and territory in which the casilla of a row votes; 0 for none."""
        return int(cells[2]), int(cells[4]) if cells[4] != "N/A" else 0

    def contest_at(self, place: tuple[int, int]) -> tuple[int, int]:
        """The contest in which a place votes."""
        return {"pais": (0, 0), "entidad": (place[0], 0)}.get(self._nivel, place)

    def _whole_lines(self, file: TextIO) -> Iterator[str]:
        """The lines of the file. Readers take each for one row, so each must end as RFC 4180 says."""
        for number, line in enumerate(file, 1):
            if not line.endswith("\r\n") or "\0" in line:
                self.blame("línea", "CRLF al final", f"otro final en la línea {number}")
            yield line

    def ballot_of(self, place: tuple[int, int], clave: str) -> frozenset[int]:
        """The options that are not on the ballot of the contest in which that place votes."""
        key = self.contest_at(place)
        if key not in self.off_ballot:
            self.blame("contienda", "una de las del manifiesto", f"ninguna en {clave}")
        return self.off_ballot.get(key, frozenset())

    def check_fuera(self, cells: Sequence[str]) -> None:
        self.whole.fuera += 1
        last = 16 + len(self.codes)
        said = cells[last + 4]
        empty = {*cells[:2], *cells[12 : last + 4], *cells[last + 6 : last + 11], *cells[last + 13 :]} == {"-"}
        if not empty or cells[10] != "3" or said != self._texts.get("fuera_de_catalogo", ""):
            self.blame("fuera_de_catalogo", "-,-,3 y «-»", f"{cells[0]},{cells[1]},{cells[10]}, «{said}»")

    def check_row(
        self, cells: Sequence[str], fields: Sequence[str], off: frozenset[int], part: _Part
    ) -> list[int] | None:
        """Check one row of the catalogue and count it. Returns its votes; None if they do not count (domain.md §4).

        `off` holds the places of the options that are not on its ballot: their cells hold `-`.
        """
        part.expected += 1
        last = 16 + len(self.codes)
        total, nominal, representatives, said, counted = cells[last + 1 : last + 6]
        if not _PEOPLE.fullmatch(f"{nominal}\n{representatives}"):
            self.blame("celda", "lista nominal y representantes", f"{nominal}, {representatives} en {cells[1]}")
            return None
        if counted == "-":
            if set(cells[12 : last + 2]) != {"-"} or set(cells[last + 4 :]) != {"-"}:
                self.blame("no_capturada", "todo «-»", cells[1])
            part.missing_nominal += int(nominal)
            return None
        # Sin acta: captured, not counted, no inconsistency (domain.md §4).
        if said in self._sin_acta:
            self._without_acta(cells, fields, off)
            part.not_counted += 1
            part.without_acta += 1
            return None
        # Almost every row has numbers only: one test for the whole row saves most of the time.
        joined = "".join(fields)
        if joined.isdigit() and joined.isascii() and "" not in fields:
            votes, unread = list(map(int, fields)), frozenset[str]()
            if off or max(votes) >= 10**7 or [*map(str, votes)] != fields:
                self.blame("celda", "números sin ceros delante, y «-» fuera de la boleta", f"{fields} en {cells[1]}")
        else:
            votes, unread = self._read_unread_fields(cells, fields, off)
        # Kept by folder; they are looked up at the end, folder by folder.
        self._images[cells[last + 7][:2]].append(cells[last + 7])
        added = sum(votes)
        if total != str(added):
            self.blame("total_calculado", added, f"{total} en {cells[1]}")
        limit = (int(nominal) + int(representatives)) * self.ballots.get(self.contest_at(self.place_in(cells)), 1)
        # Without a lista nominal the limit is in no file: the observation is believed, and the row must agree with it.
        # A casilla with a lista nominal by its type has that limit even if it is 0.
        over = (
            added > limit
            if nominal != "0" or cells[8] in BY_LISTA
            else self._texts.get("excede_lista_nominal", "\0") in said.split(", ")
        )
        # Quintana Roo 2019 did not apply the limit: the rule set decides (domain.md §5).
        over = over and self.rules["excede_applies"]
        # domain.md §5: illegible and blank fields count or not by the rule set of the election.
        blank = len(unread) > 0 and not any(field.isdigit() for field in fields)
        self._check_observations(cells[1], said, over=over, blank=blank, unread=unread)
        counts = not over and (not blank or (len(unread) > 1 and self.rules["mixed_without_number_counts"]))
        if counted != str(int(counts)):
            self.blame("contabilizada", int(counts), f"{counted} en {cells[1]}")
        # Each acta once, even if several observations hold (domain.md §4).
        part.inconsistent += bool(over or unread)
        if not counts:
            part.not_counted += 1
            return None
        part.counted += 1
        part.nominal += int(nominal)
        part.all_votes += added
        # Type S is an especial casilla: its voters are in no lista nominal.
        if cells[8] != "S":
            part.plain_votes += added
        return votes

    def _without_acta(self, cells: Sequence[str], fields: Sequence[str], off: frozenset[int]) -> None:
        last = 16 + len(self.codes)
        total, counted = cells[last + 1], cells[last + 5]
        alike = {*cells[12:16], cells[last]} == {"Sin acta"} and {*cells[last + 7 : last + 11]} == {"-"}
        votes = ["-" if position in off else "Sin acta" for position in range(len(fields))]
        if not alike or [*fields] != votes or counted != "0" or total != "0":
            self.blame("sin_acta", "«Sin acta» («-» fuera de la boleta), total 0, no contabilizada", cells[1])

    def _read_unread_fields(
        self, cells: Sequence[str], fields: Sequence[str], off: frozenset[int]
    ) -> tuple[list[int], frozenset[str]]:
        votes, unread = [], set()
        for position, field in enumerate(fields):
            if re.fullmatch(_NATURAL, field, re.ASCII) and position not in off:
                votes.append(int(field))
                continue
            votes.append(0)
            if field in _UNREAD and position not in off:
                unread.add(_UNREAD[field])
            elif field != "-" or position not in off:
                self.blame("celda", "número, Ilegible, Sin dato o -", f"«{field}» en {cells[1]}")
        return votes, frozenset(unread)

    def _check_observations(self, clave: str, said: str, *, over: bool, blank: bool, unread: frozenset[str]) -> None:
        """OBSERVACIONES must follow from the votes.

        A blank printed as a zero shows here: its observation has no cause.
        """
        if not said and not over and not unread:
            return
        codes = set(unread)
        mixed = len(unread) > 1
        if blank and not (mixed and self.rules["mixed_without_number_counts"]):
            every = (
                "todos_sin_numero" if mixed else {"ilegible": "todos_ilegibles"}.get(next(iter(unread)), "todos_vacios")
            )
            codes = {every, *(codes if self.rules["partial_beside_all"] or every not in self._texts else ())}
        if over:
            alone = self.rules.get("excede_alone", False)
            codes = {"excede_lista_nominal", *(() if alone else codes)}
        # An acta identified by another procedure has a text more, and no cell that shows it.
        right = [self._in_words(codes), self._in_words(codes | {"proceso_tecnico_operativo"})]
        if said not in right:
            self.blame("observaciones", right[0] or "ninguna", f"«{said}» en {clave}")

    def _in_words(self, codes: set[str]) -> str:
        texts = [self._texts[code] for code in _OBSERVED if code in codes and code in self._texts]
        return ", ".join(dict.fromkeys(texts))

    def check_images(self) -> None:
        """Every CODIGO_INTEGRIDAD has its image. Folders are listed: to ask for half a million names would be slow."""
        for prefix, digests in self._images.items():
            for digest in self.missing_images(prefix, digests):
                self.blame("imagen", "la imagen de cada acta", digest)

    def missing_images(self, prefix: str, digests: Sequence[str]) -> list[str]:
        """Those of these digests with that prefix that no image has."""
        names = {name for folder in self.folders for name in _names_in(folder / prefix)}
        # Almost every image is a JPEG.
        others = [digest for digest in digests if f"{digest}.jpg" not in names]
        stems = {name.partition(".")[0] for name in names} if others else set()
        return [digest for digest in others if digest not in stems]


def _told_hour(local: datetime) -> str:
    """dd/mm/aaaa HH:MM (UTC-6), in the offset of the manifest."""
    offset = f"{local:%z}"
    hours = f"UTC{offset[0]}{int(offset[1:3])}" + (f":{offset[3:5]}" if offset[3:5] != "00" else "")
    return f"{local:%d/%m/%Y %H:%M} ({hours})"


def _columns(election: Mapping[str, Any], codes: Sequence[str]) -> list[str]:
    """The names of all columns. Only the two of the territory differ between kinds of election (domain.md §6)."""
    # An office of the whole country or of an entidad has no territory of its own: its rows name the distritos.
    by_district = election["nivel"] in {"pais", "entidad", "distrito"}
    kind = f"DISTRITO_{election['ambito'].upper()}" if by_district else election["nivel"].upper()
    first = ("CLAVE_CASILLA", "CLAVE_ACTA", "ID_ENTIDAD", "ENTIDAD", f"ID_{kind}", kind)
    return [*first, *_IDENTITY, *_HEADER, *codes, *_TAIL]


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  # names are enough, and there are many
    except FileNotFoundError:
        return []


def check_election(
    stage: Path, root: Path, code: str, expected: Expected, *, public: bool = False, columnar: bool | None = None
) -> list[GateFinding]:
    """Every fault in the files of one election in `stage`; with `public`, also those of the public checks.

    `root` is the published tree with the corte before; images that come out now may still be beside `stage`. `columnar`
    chooses the engine; None: by the number of rows.
    """
    manifest = _load_json(stage / "manifest.json")
    totals = _load_json(stage / "totals.json")["elecciones"].get(code)
    election = next((each for each in manifest["elecciones"] if each["codigo"] == code), None)
    if election is None or totals is None:
        return [GateFinding("eleccion", "manifest.json", code, "falta")]
    rules = manifest["reglas"][code]["contenido"]
    corrections = frozenset(each["acta"] for each in manifest["correcciones"] if each["eleccion"] == code)
    rows, above = _read_rows(
        lambda: GateRows(election, rules, (root, stage.parent)),
        stage / election["archivo"],
        corrections,
        columnar=expected.rows >= MANY if columnar is None else columnar,
    )
    hour = _told_hour(datetime.fromisoformat(manifest["fecha_hora"]))
    _expect_same(rows, "encabezado", [[election["titulo"]], [hour], [], []], [*above[:3], above[5]], file=rows.file)
    _expect_same(rows, "encabezado", [*_NAMES], above[3], file=rows.file)
    _expect_same(rows, "encabezado", len(_NAMES), len(above[4]), file=rows.file)
    last = manifest["fase"] == "final" and rules["last_corte_with_especiales"]
    _check_head(rows, above, election, totals, last=last)
    _check_size(rows, expected)
    contests = _check_contests(rows, election, totals, expected, last=last)
    _check_territories(rows, totals, last=last)
    _check_state(rows, totals, contests)
    if manifest["anterior"] is not None:
        folder = root / "cortes" / f"{manifest['anterior']['corte']:04}"
        before = _load_json(folder / "totals.json")["elecciones"].get(code)
        _check_growth(rows, before, totals, corrections)
    if public:
        sums = {
            place: (*(getattr(part, name) for name in _IN_PUBLIC), *votes)
            for place, (part, votes) in rows.by_contest_place.items()
        }
        told = staged_election(stage, root, code, sums, fuera=rows.whole.fuera, rows=rows.rows)
        return [*rows.findings[:_MOST], *_as_findings(told)]
    return rows.findings[:_MOST]


def _read_rows(
    begin: Callable[[], GateRows], path: Path, corrected: frozenset[str], *, columnar: bool
) -> tuple[GateRows, list[list[str]]]:
    """All rows of the file, and the lines above them: as columns if it is plain and numpy is there, else one by one."""
    if columnar:
        with suppress(ImportError):
            from publisher import columns  # noqa: PLC0415  # an extra package, and slow to load for a small night

            rows = begin()
            _check_mark(rows, path)
            if not rows.findings and (found := columns.read(rows, path, corrected=corrected)) is not None:
                return rows, found
    # It tells every fault; so a file in which the other engine saw one is read again.
    rows = begin()
    _check_mark(rows, path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return rows, rows.read(file, corrected=corrected)


def check_standing(stage: Path, root: Path, code: str) -> list[GateFinding]:
    """The new rows of one election that do not stand on the statements of people (publisher.standing)."""
    manifest = _load_json(stage / "manifest.json")
    election = next((each for each in manifest["elecciones"] if each["codigo"] == code), None)
    if election is None:
        return []  # `check_election` has said so
    anterior, texts = manifest["anterior"], manifest["reglas"][code]["contenido"]["texts"]
    before = root / "cortes" / f"{anterior['corte']:04}" / election["archivo"] if anterior is not None else None
    faults = islice(standing.unsupported_rows(stage, before, election, texts), _MOST)
    expected = "las declaraciones de las personas que debían"
    return [GateFinding(standing.CHECK, election["archivo"], expected, f"{acta}: {fault}") for acta, fault in faults]


def check_fuera(stage: Path) -> list[GateFinding]:
    """The new images fuera de catálogo that two people did not say to be so."""
    expected = "las declaraciones de las personas que debían"
    faults = islice(standing.unsupported_fuera(stage), _MOST)
    return [GateFinding(standing.CHECK, "images.csv", expected, f"{image}: {fault}") for image, fault in faults]


_IN_PUBLIC: Final = (
    *(
        "expected",
        "counted",
        "not_counted",
        "inconsistent",
        "without_acta",
        "nominal",
        "all_votes",
        "plain_votes",
        "missing_nominal",
    ),
)
"""The counts of a `_Part` in the order of the public verifier's sums."""


def _as_findings(differences: Sequence[PublicFinding]) -> list[GateFinding]:
    return [GateFinding(*each) for each in differences[:_MOST]]


def _check_mark(rows: GateRows, path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(2 * len(_BOM))
    if not start.startswith(_BOM) or start == _BOM * 2:
        rows.blame("encabezado", "la marca UTF-8 una vez", start.hex())


def _load_json(path: Path) -> Any:  # noqa: ANN401  # what a file holds
    return json.loads(path.read_bytes())


def _expect_same(rows: GateRows, check: str, expected: object, found: object, *, file: str = "totals.json") -> None:
    # A set has another order in each process, and a finding must have the same words in all of them.
    assert not isinstance(expected, set | frozenset)
    if expected != found:
        if isinstance(expected, dict) and isinstance(found, dict):
            names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
            expected, found = ({name: each.get(name) for name in names[:3]} for each in (expected, found))
        rows.blame(check, expected, found, file=file)


def _check_head(
    rows: GateRows,
    above: Sequence[Sequence[str]],
    election: Mapping[str, Any],
    totals: Mapping[str, Any],
    *,
    last: bool,
) -> None:
    # The same thirteen values stand in three files: CSV, totals.json and manifest.json.
    thirteen = rows.whole.values(rows.rules, last=last)
    _expect_same(rows, "trece_valores", thirteen, dict(zip(above[3], above[4], strict=False)), file=rows.file)
    _expect_same(rows, "trece_valores", thirteen, totals["resumen"])
    _expect_same(rows, "trece_valores", thirteen, election["resumen"], file="manifest.json")


def _check_size(rows: GateRows, expected: Expected) -> None:
    _expect_same(rows, "renglones", expected.rows + expected.fuera, rows.rows, file=rows.file)
    _expect_same(rows, "fuera_de_catalogo", expected.fuera, rows.whole.fuera, file=rows.file)


def _check_contests(
    rows: GateRows, election: Mapping[str, Any], totals: Mapping[str, Any], expected: Expected, *, last: bool
) -> dict[str, int]:
    """Every contest, from its rows. Returns the state's votes by party: the sum of the contests (domain.md §4)."""
    _expect_same(rows, "contiendas", sorted(expected.contests), sorted(each["id"] for each in totals["contiendas"]))
    shown = {each["id"]: each for each in totals["contiendas"]}
    state: Counter[str] = Counter()
    for contest in election["contiendas"]:
        part, votes = _sums_of_places(rows, contest["entidad"], contest["territorio"])
        own = shown.get(contest["id"])
        if own is None:
            continue
        # Votes, votes by party and candidacies of one contest, all from its own rows.
        where = f"totals.json, contienda {contest['id']}"
        ballot = {rows.codes[position]: votes[position] for position in contest["boleta"]}
        _expect_same(rows, "resumen", part.values(rows.rules, last=last), own["resumen"], file=where)
        _expect_same(rows, "votos", ballot, _without_off_ballot(own["votos"], ballot), file=where)
        # Votes for an option that is not on this ballot would be in no contest's total.
        _expect_same(rows, "votos_fuera_de_boleta", sum(votes), sum(ballot.values()), file=where)
        shares = _distribute_coalitions(election["opciones"], ballot)
        _expect_same(
            rows, "votos_por_partido", shares, _without_off_ballot(own["votos_por_partido"], shares), file=where
        )
        state.update(shares)
        for each in own["candidaturas"]:
            count = sum(ballot.get(code, 0) for code in each["opciones"])
            told = (each["votos"], each["porcentaje"])
            right = (count, _truncated_share(count, part.all_votes))
            _expect_same(rows, "candidatura", right, told, file=f"{where}, candidatura {each['id']}")
    return dict(state)


def _without_off_ballot(votes: Mapping[str, int], ballot: Mapping[str, int]) -> dict[str, int]:
    """Without the zeros of options that are not on the ballot."""
    return {code: count for code, count in votes.items() if code in ballot or count}


def _sums_of_places(rows: GateRows, entidad: int, territory: int) -> tuple[_Part, list[int]]:
    """The sums over every place of a contest or territory; the number 0 means all."""
    part, votes = _Part(), [0] * len(rows.codes)
    if territory:
        found = [rows.by_contest_place.get((entidad, territory), (_Part(), votes))]
    else:
        found = [sums for (own, _), sums in rows.by_contest_place.items() if entidad in {0, own}]
    for other, counts in found:
        part.add(other)
        votes = [one + more for one, more in zip(votes, counts, strict=True)]
    return part, votes


def _distribute_coalitions(options: Sequence[Mapping[str, Any]], votes: Mapping[str, int]) -> dict[str, int]:
    """Coalition votes to parties: equal parts, then one by one to the parties with more votes of their own."""
    codes = {option["posicion"]: option["codigo"] for option in options}
    shares = {option["codigo"]: votes[option["codigo"]] for option in options if option["codigo"] in votes}
    for option in options:
        if option["clase"] != "coalicion" or option["codigo"] not in votes:
            continue
        del shares[option["codigo"]]
        ranked = sorted(option["partidos"], key=lambda party: (-votes.get(codes[party], 0), party))
        for rank, party in enumerate(ranked):
            extra = 1 if rank < votes[option["codigo"]] % len(ranked) else 0
            shares[codes[party]] = shares.get(codes[party], 0) + votes[option["codigo"]] // len(ranked) + extra
    return shares


def _check_territories(rows: GateRows, totals: Mapping[str, Any], *, last: bool) -> None:
    told = {(each["tipo"], each["entidad"], each["id"]) for each in totals["territorios"]}
    own = rows.territory
    entidades = {entidad for entidad, _ in rows.by_contest_place}
    places = {(own, *place) for place in rows.by_contest_place if place[1]}
    _expect_same(rows, "entidades", sorted(entidades), sorted({place for tipo, place, _ in told if tipo == "entidad"}))
    _expect_same(rows, "territorios", sorted(places), sorted(place for place in told if place[0] != "entidad"))
    for each in totals["territorios"]:
        part, votes = _sums_of_places(rows, each["entidad"], 0 if each["tipo"] == "entidad" else each["id"])
        where = f"totals.json, {each['tipo']} {each['entidad']}-{each['id']}"
        _expect_same(rows, "resumen", part.values(rows.rules, last=last), each["resumen"], file=where)
        _expect_same(rows, "votos", dict(zip(rows.codes, votes, strict=True)), each["votos"], file=where)


def _check_state(rows: GateRows, totals: Mapping[str, Any], distributed: Mapping[str, int]) -> None:
    whole = rows.whole
    captured = whole.counted + whole.not_counted
    actas = {
        "esperadas": whole.expected,
        "capturadas": captured,
        "contabilizadas": whole.counted,
        "no_contabilizadas": whole.not_counted,
        "sin_acta": whole.without_acta,
        "fuera_de_catalogo": whole.fuera,
    }
    _expect_same(rows, "actas", actas, totals["actas"])
    votes = dict(zip(rows.codes, rows.votes, strict=True))
    _expect_same(rows, "votos", votes, totals["votos"])
    _expect_same(rows, "votos", whole.all_votes, sum(totals["votos"].values()))
    _expect_same(rows, "votos_por_partido", dict(distributed), totals["votos_por_partido"])
    _expect_same(rows, "votos_por_partido", whole.all_votes, sum(totals["votos_por_partido"].values()))


def _check_growth(
    rows: GateRows, before: Mapping[str, Any] | None, totals: Mapping[str, Any], corrections: frozenset[str]
) -> None:
    """No total shrinks, unless an acta of that very place was corrected (domain.md §2)."""
    if before is None:
        rows.blame("contiendas", "la elección del corte anterior", "no estaba")
        return
    # Corrections after publication are normal, and only at the corrected place may a total go down.
    excused = {rows.place_of_clave[clave] for clave in corrections if clave in rows.place_of_clave}
    for kind in ("contiendas", "territorios"):
        now = {(each.get("tipo"), each["entidad"], each["id"]): each for each in totals[kind]}
        for each in before[kind]:
            entidad, territory = each["entidad"], each["territorio" if kind == "contiendas" else "id"]
            anywhere = not territory or each.get("tipo") == "entidad"
            if any(entidad in {0, own} and (anywhere or territory == place) for own, place in excused):
                continue
            after = now.get((each.get("tipo"), entidad, each["id"]), {"votos": {}, "resumen": {}})
            _check_part_growth(rows, each, after)


def _check_part_growth(rows: GateRows, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    where = f"totals.json, {before['nombre']} ({before['id']})"
    for code, votes in before["votos"].items():
        if after["votos"].get(code, -1) < votes:
            rows.blame("disminuye", f"{code}: al menos {votes}", after["votos"].get(code), file=where)
    for name in ("ACTAS_CAPTURADAS", "ACTAS_CONTABILIZADAS", "TOTAL_VOTOS_C_CS"):
        if int(after["resumen"].get(name, -1)) < int(before["resumen"][name]):
            found = after["resumen"].get(name)
            rows.blame("disminuye", f"{name}: al menos {before['resumen'][name]}", found, file=where)


def check_chain(stage: Path, root: Path) -> list[GateFinding]:
    """Each manifest holds the digest of the list of the corte before."""
    manifest = _load_json(stage / "manifest.json")
    if manifest["anterior"] is not None:
        sums = root / "cortes" / f"{manifest['anterior']['corte']:04}" / "SHA256SUMS"
        digest = hashlib.sha256(sums.read_bytes()).hexdigest()
        if digest != manifest["anterior"]["sha256sums"] or manifest["anterior"]["corte"] != manifest["corte"] - 1:
            return [GateFinding("cadena", "manifest.json", digest, str(manifest["anterior"]))]
    elif manifest["corte"]:
        return [GateFinding("cadena", "manifest.json", str(manifest["corte"] - 1), "sin corte anterior")]
    return []


def check_images(stage: Path, root: Path) -> list[GateFinding]:
    """Each image of the list is there, once, under the name of its bytes."""
    return [*islice(_faults_of_images(stage, root), _MOST)]


def _faults_of_images(stage: Path, root: Path) -> Iterator[GateFinding]:
    seen: defaultdict[str, int] = defaultdict(int)
    with (stage / "images.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            seen[row["SHA256"]] += 1
            digest = _digest_of(stage.parent / row["ARCHIVO"]) or _digest_of(root / row["ARCHIVO"]) or "no está"
            if digest != row["SHA256"] or not row["ARCHIVO"].rpartition("/")[2].startswith(digest):
                yield GateFinding("imagen", "images.csv", row["SHA256"], digest)
    yield from (GateFinding("imagen", "images.csv", "una vez", digest) for digest, times in seen.items() if times > 1)


def _digest_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _check_part(stage: Path, root: Path, part: str, expected: Mapping[str, Any] | None) -> list[GateFinding]:
    match part:
        case CortePart.FOLDER:
            return [*check_chain(stage, root), *_as_findings(staged_folder(stage, root))] or check_fuera(stage)
        case CortePart.ZIP:
            return _as_findings(staged_zip(stage))
        case CortePart.IMAGES:
            return check_images(stage, root)
    assert expected is not None
    return check_election(stage, root, part, Expected(**expected), public=True) or check_standing(stage, root, part)


def main() -> None:
    """FOLDER ROOT [--columns]; on stdin, line by line, a `CortePart`; or an election and its expected numbers.

    Answers each line with the findings as JSON on one line of stdout.
    """
    stage, root = map(Path, sys.argv[1:3])
    if "--columns" in sys.argv[3:]:
        with suppress(ImportError):  # loaded before it is needed
            from publisher import columns  # noqa: F401, PLC0415
    for line in sys.stdin:
        findings = _check_part(stage, root, *json.loads(line))
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
