"""The gate: reads the files of a corte as a stranger would, and recomputes every figure from the rows.

It shares no code with what wrote them, and runs as a process of its own (`python -m publisher.gate FOLDER`), handed the
files, the corte before, and how large the catalogue is. What it finds wrong is a finding with the check, the file, what
was expected and what was found; with one finding the corte does not go out and the one before stays.

What it would have caught on real nights: rounding instead of truncating, a summary field holding another sum, a counted
acta of blanks printed as zeros, totals off by one or two, counted actas over the limit (`domain.md` §10).
"""

import csv
import hashlib
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TextIO

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
_MOST: Final = 20
"""Findings that are reported; one is enough to stop a corte."""
FOLDER: Final = "-"
_UNREAD: Final = {"Ilegible": "ilegible", "Sin dato": "sin_dato"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    check: str
    file: str
    expected: str
    found: str


class GateFailure(Exception):
    """The corte must not go out."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = findings[0]
        super().__init__(f"{first.check} en {first.file}: se esperaba {first.expected}, se encontró {first.found}")
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Expected:
    """What the database says of an election and no file of the corte can tell."""

    rows: int
    strays: int
    contests: Sequence[int]


@dataclass(slots=True)
class _Part:
    """The thirteen values of some set of rows, still as integers."""

    expected: int = 0
    strays: int = 0
    counted: int = 0
    not_counted: int = 0
    inconsistent: int = 0
    without_acta: int = 0
    nominal: int = 0
    all_votes: int = 0
    plain_votes: int = 0

    def add(self, other: "_Part") -> None:
        for name in _Part.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def values(self, rules: Mapping[str, Any], *, last: bool) -> dict[str, str]:
        captured = self.counted + self.not_counted
        voted = self.all_votes if last else self.plain_votes
        found = (
            self.expected,
            captured + self.strays,
            self.strays,
            captured,
            _share(captured, self.expected),
            self.counted,
            _share(self.counted, self.expected),
            _share(self.inconsistent, self.expected),
            self.not_counted - (0 if rules.get("sin_acta_not_counted", True) else self.without_acta),
            self.nominal,
            self.all_votes,
            self.plain_votes,
            _share(voted, self.nominal),
        )
        return dict(zip(_NAMES, map(str, found), strict=True))


def _share(part: int, whole: int) -> str:
    """Percentage with four decimals, cut off."""
    if not whole:
        return "0.0000"
    digits = str(part * 1_000_000 // whole).rjust(5, "0")
    return f"{digits[:-4]}.{digits[-4:]}"


class _Rows:
    """One election's CSV, read once from top to bottom."""

    def __init__(self, election: Mapping[str, Any], rules: Mapping[str, Any], images: Sequence[Path]) -> None:
        self.file: str = election["archivo"]
        self.codes = [option["codigo"] for option in election["opciones"]]
        self.rules = rules
        self.by_contest_place: dict[tuple[int, int], tuple[_Part, list[int]]] = {}
        self.whole = _Part()
        self.votes = [0] * len(self.codes)
        self.rows = 0
        self.place_of_clave: dict[str, tuple[int, int]] = {}
        self.findings: list[Finding] = []
        self._texts = {code: text for code, text in rules["texts"].items() if text}
        self._sin_acta = {text for code, text in self._texts.items() if code.startswith("sin_acta")}
        self._nivel = election["nivel"]
        contests = election["contiendas"]
        self._ballots = {(each["entidad"], each["territorio"]): each.get("votos_por_boleta", 1) for each in contests}
        self._folders = [folder / "imagenes" for folder in images]
        self._images: defaultdict[str, list[str]] = defaultdict(list)

    def blame(self, check: str, expected: object, found: object, *, file: str | None = None) -> None:
        self.findings.append(Finding(check, file or self.file, str(expected), str(found)))

    def read(self, file: TextIO, *, corrected: frozenset[str]) -> list[list[str]]:
        """Check every row; returns the lines above them."""
        reader = csv.reader(file, strict=True)
        above = [next(reader, []) for _ in range(_PREAMBLE)]
        if len(above[-1]) != len(set(above[-1])) or self.codes != above[-1][16 : 16 + len(self.codes)]:
            self.blame("columnas", self.codes, above[-1])
            return above
        width, first = len(above[-1]), 16
        last = first + len(self.codes)
        claves: set[str] = set()
        pending: list[list[int]] = []
        place, part = (0, 0), _Part()
        for cells in reader:
            self.rows += 1
            if len(cells) != width:
                self.blame("ancho", width, f"{len(cells)} celdas en el renglón {reader.line_num}")
                continue
            if cells[last + 5] == "2":
                self._stray(cells)
                continue
            clave = cells[1]
            if clave in claves:
                self.blame("clave_unica", "una vez", clave)
            claves.add(clave)
            here = (int(cells[2]), int(cells[4]) if cells[4] != "N/A" else 0)
            if here != place:
                self._close(place, part, pending)
                place, part, pending = here, _Part(), []
            if corrected and clave.strip("'") in corrected:
                self.place_of_clave[clave.strip("'")] = here
            votes = self._row(cells, cells[first:last], last, part)
            if votes:
                pending.append(votes)
        self._close(place, part, pending)
        self._check_images()
        return above

    def _close(self, place: tuple[int, int], part: _Part, rows: Sequence[Sequence[int]]) -> None:
        """Add what was read of one territory to its sums."""
        if not part.expected:
            return
        known, sums = self.by_contest_place.setdefault(place, (_Part(), [0] * len(self.codes)))
        known.add(part)
        self.whole.add(part)
        for column, values in enumerate(zip(*rows, strict=True)):
            added = sum(values)
            sums[column] += added
            self.votes[column] += added

    def _contest(self, cells: Sequence[str]) -> tuple[int, int]:
        entidad = 0 if self._nivel == "pais" else int(cells[2])
        return entidad, 0 if self._nivel in {"pais", "entidad"} or cells[4] == "N/A" else int(cells[4])

    def _stray(self, cells: Sequence[str]) -> None:
        self.whole.strays += 1
        if cells[0] != "-" or cells[1] != "-" or cells[10] != "3":
            self.blame("fuera_de_catalogo", "-,-,3", f"{cells[0]},{cells[1]},{cells[10]}")

    def _row(self, cells: Sequence[str], fields: Sequence[str], last: int, part: _Part) -> list[int] | None:
        """Check one row of the catalogue and count it; its votes, None where they do not count."""
        part.expected += 1
        total, nominal, representatives, said, counted = cells[last + 1 : last + 6]
        if counted == "-":
            if set(cells[12 : last + 2]) != {"-"} or set(cells[last + 4 :]) != {"-"}:
                self.blame("no_capturada", "todo «-»", cells[1])
            return None
        if said in self._sin_acta:
            self._without_acta(cells, fields, counted, total)
            part.not_counted += 1
            part.without_acta += 1
            return None
        joined = "".join(fields)
        if joined.isdigit() and joined.isascii():
            votes, unread = list(map(int, fields)), frozenset[str]()
        else:
            votes, unread = self._unread(cells, fields)
        self._images[cells[last + 7][:2]].append(cells[last + 7])
        added = sum(votes)
        if total != str(added):
            self.blame("total_calculado", added, f"{total} en {cells[1]}")
        limit = (int(nominal) + int(representatives)) * self._ballots.get(self._contest(cells), 1)
        # Without a lista nominal the limit is in no file: then the observation is believed, and must agree with itself.
        over = added > limit if nominal != "0" else self._texts.get("excede_lista_nominal", "\0") in said.split(", ")
        over = over and self.rules["excede_applies"]
        blank = len(unread) > 0 and not any(field.isdigit() for field in fields)
        self._observations(cells[1], said, over=over, blank=blank, unread=unread)
        counts = not over and (not blank or (len(unread) > 1 and self.rules["mixed_without_number_counts"]))
        if counted != str(int(counts)):
            self.blame("contabilizada", int(counts), f"{counted} en {cells[1]}")
        part.inconsistent += bool(over or unread)
        if not counts:
            part.not_counted += 1
            return None
        part.counted += 1
        part.nominal += int(nominal)
        part.all_votes += added
        if cells[8] != "S":
            part.plain_votes += added
        return votes

    def _without_acta(self, cells: Sequence[str], fields: Sequence[str], counted: str, total: str) -> None:
        if not {"Sin acta"} <= set(fields) <= {"Sin acta", "-"} or counted != "0" or total != "0":
            self.blame("sin_acta", "«Sin acta», total 0, no contabilizada", cells[1])

    def _unread(self, cells: Sequence[str], fields: Sequence[str]) -> tuple[list[int], frozenset[str]]:
        votes, unread = [], set()
        for field in fields:
            if field.isdigit() and field.isascii():
                votes.append(int(field))
                continue
            votes.append(0)
            if field in _UNREAD:
                unread.add(_UNREAD[field])
            elif field != "-":
                self.blame("celda", "número, Ilegible, Sin dato o -", f"«{field}» en {cells[1]}")
        return votes, frozenset(unread)

    def _observations(self, clave: str, said: str, *, over: bool, blank: bool, unread: frozenset[str]) -> None:
        """A blank printed as a zero shows here: its observation has nothing to stand on."""
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
        expected = {self._texts[code] for code in codes if code in self._texts}
        found = set(filter(None, said.split(", "))) - {self._texts.get("proceso_tecnico_operativo", "")}
        if expected != found:
            self.blame("observaciones", ", ".join(sorted(expected)) or "ninguna", f"«{said}» en {clave}")

    def _check_images(self) -> None:
        """Every CODIGO_INTEGRIDAD has its image: folder by folder, since asking for half a million names is slow."""
        for prefix, digests in self._images.items():
            there = {name.partition(".")[0] for folder in self._folders for name in _names(folder / prefix)}
            for digest in digests:
                if digest not in there:
                    self.blame("imagen", "la imagen de cada acta", digest)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  # names are enough, and there are many
    except FileNotFoundError:
        return []


def check_election(stage: Path, root: Path, code: str, expected: Expected) -> list[Finding]:
    """Everything that the files in `stage` say of one election.

    `root` is the published tree with the corte before; images that come out now may still stand beside `stage`.
    """
    manifest = _json(stage / "manifest.json")
    totals = _json(stage / "totals.json")["elecciones"].get(code)
    election = next((each for each in manifest["elecciones"] if each["codigo"] == code), None)
    if election is None or totals is None:
        return [Finding("eleccion", "manifest.json", code, "falta")]
    rules = manifest["reglas"][code]["contenido"]
    corrections = frozenset(each["acta"] for each in manifest["correcciones"] if each["eleccion"] == code)
    rows = _Rows(election, rules, (root, stage.parent))
    with (stage / election["archivo"]).open(encoding="utf-8-sig", newline="") as file:
        above = rows.read(file, corrected=corrections)
    last = manifest["fase"] == "final" and rules["last_corte_with_especiales"]
    _check_head(rows, above, election, totals, last=last)
    _check_size(rows, expected)
    contests = _check_contests(rows, election, totals, expected, last=last)
    _check_territories(rows, totals, last=last)
    _check_state(rows, totals, contests)
    if manifest["anterior"] is not None:
        folder = root / "cortes" / f"{manifest['anterior']['corte']:04}"
        before = _json(folder / "totals.json")["elecciones"].get(code)
        _check_growth(rows, before, totals, corrections)
    return rows.findings[:_MOST]


def _json(path: Path) -> Any:  # noqa: ANN401  # what a file holds
    return json.loads(path.read_bytes())


def _same(rows: _Rows, check: str, expected: object, found: object, *, file: str = "totals.json") -> None:
    if expected != found:
        if isinstance(expected, dict) and isinstance(found, dict):
            names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
            expected, found = ({name: each.get(name) for name in names[:3]} for each in (expected, found))
        rows.blame(check, expected, found, file=file)


def _check_head(
    rows: _Rows, above: Sequence[Sequence[str]], election: Mapping[str, Any], totals: Mapping[str, Any], *, last: bool
) -> None:
    thirteen = rows.whole.values(rows.rules, last=last)
    _same(rows, "trece_valores", thirteen, dict(zip(above[3], above[4], strict=False)), file=rows.file)
    _same(rows, "trece_valores", thirteen, totals["resumen"])
    _same(rows, "trece_valores", thirteen, election["resumen"], file="manifest.json")


def _check_size(rows: _Rows, expected: Expected) -> None:
    _same(rows, "renglones", expected.rows + expected.strays, rows.rows, file=rows.file)
    _same(rows, "fuera_de_catalogo", expected.strays, rows.whole.strays, file=rows.file)


def _check_contests(
    rows: _Rows, election: Mapping[str, Any], totals: Mapping[str, Any], expected: Expected, *, last: bool
) -> dict[str, int]:
    """Every contest from its rows; returns the state's distributed votes: the sum of the contests, nothing else."""
    _same(rows, "contiendas", sorted(expected.contests), sorted(each["id"] for each in totals["contiendas"]))
    shown = {each["id"]: each for each in totals["contiendas"]}
    state: Counter[str] = Counter()
    for contest in election["contiendas"]:
        part, votes = _gathered(rows, contest["entidad"], contest["territorio"])
        own = shown.get(contest["id"])
        if own is None:
            continue
        where = f"totals.json, contienda {contest['id']}"
        ballot = {rows.codes[position]: votes[position] for position in contest["boleta"]}
        _same(rows, "resumen", part.values(rows.rules, last=last), own["resumen"], file=where)
        _same(rows, "votos", ballot, _shown(own["votos"], ballot), file=where)
        _same(rows, "votos_fuera_de_boleta", sum(votes), sum(ballot.values()), file=where)
        shares = _distribute(election["opciones"], ballot)
        _same(rows, "votos_por_partido", shares, _shown(own["votos_por_partido"], shares), file=where)
        state.update(shares)
        for each in own["candidaturas"]:
            count = sum(ballot.get(code, 0) for code in each["opciones"])
            told = (each["votos"], each["porcentaje"])
            right = (count, _share(count, part.all_votes))
            _same(rows, "candidatura", right, told, file=f"{where}, candidatura {each['id']}")
    return dict(state)


def _shown(votes: Mapping[str, int], ballot: Mapping[str, int]) -> dict[str, int]:
    """Without the zeros of options that are not on the ballot."""
    return {code: count for code, count in votes.items() if code in ballot or count}


def _gathered(rows: _Rows, entidad: int, territory: int) -> tuple[_Part, list[int]]:
    """The sums over every place of a contest or territory; 0 stands for all."""
    part, votes = _Part(), [0] * len(rows.codes)
    if territory:
        found = [rows.by_contest_place.get((entidad, territory), (_Part(), votes))]
    else:
        found = [sums for (own, _), sums in rows.by_contest_place.items() if entidad in {0, own}]
    for other, counts in found:
        part.add(other)
        votes = [one + more for one, more in zip(votes, counts, strict=True)]
    return part, votes


def _distribute(options: Sequence[Mapping[str, Any]], votes: Mapping[str, int]) -> dict[str, int]:
    """Coalition votes to parties: even parts, and the rest one by one to the parties with most votes of their own."""
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


def _check_territories(rows: _Rows, totals: Mapping[str, Any], *, last: bool) -> None:
    told = {(each["tipo"], each["entidad"], each["id"]) for each in totals["territorios"]}
    entidades = {entidad for entidad, _ in rows.by_contest_place}
    places = {place for place in rows.by_contest_place if place[1]}
    _same(rows, "entidades", entidades, {entidad for tipo, entidad, _ in told if tipo == "entidad"})
    _same(rows, "territorios", places, {(entidad, own) for tipo, entidad, own in told if tipo != "entidad"})
    for each in totals["territorios"]:
        part, votes = _gathered(rows, each["entidad"], 0 if each["tipo"] == "entidad" else each["id"])
        where = f"totals.json, {each['tipo']} {each['entidad']}-{each['id']}"
        _same(rows, "resumen", part.values(rows.rules, last=last), each["resumen"], file=where)
        _same(rows, "votos", dict(zip(rows.codes, votes, strict=True)), each["votos"], file=where)


def _check_state(rows: _Rows, totals: Mapping[str, Any], distributed: Mapping[str, int]) -> None:
    whole = rows.whole
    captured = whole.counted + whole.not_counted
    actas = {
        "esperadas": whole.expected,
        "capturadas": captured,
        "contabilizadas": whole.counted,
        "no_contabilizadas": whole.not_counted,
        "sin_acta": whole.without_acta,
        "fuera_de_catalogo": whole.strays,
    }
    _same(rows, "actas", actas, totals["actas"])
    votes = dict(zip(rows.codes, rows.votes, strict=True))
    _same(rows, "votos", votes, totals["votos"])
    _same(rows, "votos", whole.all_votes, sum(totals["votos"].values()))
    _same(rows, "votos_por_partido", dict(distributed), totals["votos_por_partido"])
    _same(rows, "votos_por_partido", whole.all_votes, sum(totals["votos_por_partido"].values()))


def _check_growth(
    rows: _Rows, before: Mapping[str, Any] | None, totals: Mapping[str, Any], corrections: frozenset[str]
) -> None:
    """No total shrinks, but where an acta of that very place was corrected."""
    if before is None:
        rows.blame("contiendas", "la elección del corte anterior", "no estaba")
        return
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


def _check_part_growth(rows: _Rows, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    where = f"totals.json, {before['nombre']} ({before['id']})"
    for code, votes in before["votos"].items():
        if after["votos"].get(code, -1) < votes:
            rows.blame("disminuye", f"{code}: al menos {votes}", after["votos"].get(code), file=where)
    for name in ("ACTAS_CAPTURADAS", "ACTAS_CONTABILIZADAS", "TOTAL_VOTOS_C_CS"):
        if int(after["resumen"].get(name, -1)) < int(before["resumen"][name]):
            found = after["resumen"].get(name)
            rows.blame("disminuye", f"{name}: al menos {before['resumen'][name]}", found, file=where)


def check_folder(stage: Path, root: Path) -> list[Finding]:
    """What belongs to no single election: the chain, and the images that this corte brings out."""
    manifest = _json(stage / "manifest.json")
    findings = []
    if manifest["anterior"] is not None:
        sums = root / "cortes" / f"{manifest['anterior']['corte']:04}" / "SHA256SUMS"
        digest = hashlib.sha256(sums.read_bytes()).hexdigest()
        if digest != manifest["anterior"]["sha256sums"] or manifest["anterior"]["corte"] != manifest["corte"] - 1:
            findings.append(Finding("cadena", "manifest.json", digest, str(manifest["anterior"])))
    elif manifest["corte"]:
        findings.append(Finding("cadena", "manifest.json", str(manifest["corte"] - 1), "sin corte anterior"))
    return [*findings, *_check_images(stage, root)][:_MOST]


def _check_images(stage: Path, root: Path) -> Iterator[Finding]:
    seen: defaultdict[str, int] = defaultdict(int)
    with (stage / "images.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            seen[row["SHA256"]] += 1
            paths = [path for path in (stage.parent / row["ARCHIVO"], root / row["ARCHIVO"]) if path.exists()]
            digest = hashlib.sha256(paths[0].read_bytes()).hexdigest() if paths else "no está"
            if digest != row["SHA256"] or not Path(row["ARCHIVO"]).name.startswith(digest):
                yield Finding("imagen", "images.csv", row["SHA256"], digest)
    yield from (Finding("imagen", "images.csv", "una vez", digest) for digest, times in seen.items() if times > 1)


def main() -> None:
    """FOLDER ROOT, and on stdin what is expected of each election, `FOLDER` standing for what belongs to none.

    Findings on stdout. Exit status 0, or 1 with findings.
    """
    stage, root = map(Path, sys.argv[1:3])
    findings = []
    for election, expected in json.load(sys.stdin).items():
        if election == FOLDER:
            findings += check_folder(stage, root)
        else:
            findings += check_election(stage, root, election, Expected(**expected))
    json.dump([asdict(finding) for finding in findings], sys.stdout, ensure_ascii=False)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
