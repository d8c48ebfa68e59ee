"""The rows of one election, as the gate reads them: each is judged by itself, and added to the sums of its place.

`GateRows` reads row by row and tells every fault. `publisher.columns` fills the same object from columns.
"""

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from integrity.tree.forms import BY_LISTA

SUMMARY: Final = (
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


@dataclass(frozen=True, slots=True)
class GateFinding:
    """One fault."""

    check: str
    file: str
    expected: str
    found: str


@dataclass(slots=True)
class GateSums:
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

    def add(self, other: "GateSums") -> None:
        for name in GateSums.__slots__:
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
            truncated_share(captured, self.expected),
            self.counted,
            truncated_share(self.counted, self.expected),
            truncated_share(self.inconsistent, self.expected),
            self.not_counted - (0 if rules.get("sin_acta_not_counted", True) else self.without_acta),
            self.nominal,
            self.all_votes,
            self.plain_votes,
            truncated_share(voted, self.nominal),
        )
        return dict(zip(SUMMARY, map(str, found), strict=True))


def truncated_share(part: int, whole: int) -> str:
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
        self.by_contest_place: dict[tuple[int, int], tuple[GateSums, list[int]]] = {}
        self.whole = GateSums()
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
        place, part, off = (-1, -1), GateSums(), frozenset[int]()
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
                place, part, pending = here, GateSums(), []
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

    def _close_territory(self, place: tuple[int, int], part: GateSums, rows: Sequence[Sequence[int]]) -> None:
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

    def sums_at(self, place: tuple[int, int]) -> tuple[GateSums, list[int]]:
        """The sums of a place, to add to."""
        return self.by_contest_place.setdefault(place, (GateSums(), [0] * len(self.codes)))

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
        self, cells: Sequence[str], fields: Sequence[str], off: frozenset[int], part: GateSums
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
