"""The gate: reads the files of a corte like a stranger, and recomputes every figure from the rows.

It shares no code with the programs that wrote the numbers, and runs as processes of its own (`python -m publisher.gate
FOLDER`, started by `publisher.gatekeepers`). It is given the files, the corte before, and the size of the catalogue.
`gate_rows` judges each row and adds up; this file compares the sums with every figure that the corte states. Beside its
own checks it makes the public ones (`public_checks`), and asks for the statements of people that new rows stand on
(`standing`). A fault is a finding with the check, the file, the expected and the found value. With one finding the
corte does not go out, and the one before stays.

It stops the errors of real nights: rounding instead of truncating, a summary field with another sum, a counted
acta whose blanks were printed as zeros, totals off by one or two, counted actas over the limit (`docs/rules.md` §10).
"""

import csv
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final

from publisher import standing
from publisher.gate_rows import SUMMARY, GateFinding, GateRows, GateSums, truncated_share
from publisher.public_checks import PublicFinding, staged_election, staged_folder, staged_zip

MANY: Final = 15_000
"""Rows from which on columns are faster, though numpy must be loaded."""
_MOST: Final = 20
"""Findings that are reported; a single one stops a corte."""
_BOM: Final = b"\xef\xbb\xbf"


class CortePart(StrEnum):
    """The checks beside those of the elections, each by itself."""

    ZIP = "-zip"
    IMAGES = "-imagenes"
    FOLDER = "-"


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


def _told_hour(local: datetime) -> str:
    """dd/mm/aaaa HH:MM (UTC-6), in the offset of the manifest."""
    offset = f"{local:%z}"
    hours = f"UTC{offset[0]}{int(offset[1:3])}" + (f":{offset[3:5]}" if offset[3:5] != "00" else "")
    return f"{local:%d/%m/%Y %H:%M} ({hours})"


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
    _expect_same(rows, "encabezado", [*SUMMARY], above[3], file=rows.file)
    _expect_same(rows, "encabezado", len(SUMMARY), len(above[4]), file=rows.file)
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
"""The counts of a `GateSums` in the order of the public verifier's sums."""


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
            right = (count, truncated_share(count, part.all_votes))
            _expect_same(rows, "candidatura", right, told, file=f"{where}, candidatura {each['id']}")
    return dict(state)


def _without_off_ballot(votes: Mapping[str, int], ballot: Mapping[str, int]) -> dict[str, int]:
    """Without the zeros of options that are not on the ballot."""
    return {code: count for code, count in votes.items() if code in ballot or count}


def _sums_of_places(rows: GateRows, entidad: int, territory: int) -> tuple[GateSums, list[int]]:
    """The sums over every place of a contest or territory; the number 0 means all."""
    part, votes = GateSums(), [0] * len(rows.codes)
    if territory:
        found = [rows.by_contest_place.get((entidad, territory), (GateSums(), votes))]
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
