"""The oracle: the facts that must be true after a night with any faults. It shares no code with the parts.

It knows the values on the actas, the receipts that the devices hold, and the cortes as outsiders saw them appear. It
reads the published tree as an outsider and does its own arithmetic (rule set `ine-2023`, `docs/rules.md` §4).
"""

import base64
import contextlib
import csv
import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from prep.domain.catalog import Acta, Catalog
from prep.domain.entry import HEADER, TOTAL, Field, Mark
from prep.files.official import OfficialFile, OfficialRow, Status, read_official
from prep.rehearsal.installation import command_line, log_key_of
from prep.rehearsal.replay import Sheet

SHOWN: Final = 3
"""A line of the score card shows at most this many errors."""


@dataclass(frozen=True, slots=True)
class OracleFinding:
    """One fact that must hold: its name, the number of items checked, and the errors found."""

    what: str
    looked_at: int
    wrong: Sequence[str]

    @property
    def holds(self) -> bool:
        return not self.wrong

    def told(self) -> str:
        """The errors in one line."""
        more = f" … y {len(self.wrong) - SHOWN} más" if len(self.wrong) > SHOWN else ""
        return "; ".join(self.wrong[:SHOWN]) + more


@dataclass(slots=True)
class Witnessed:
    """The facts that outsiders saw during the night."""

    receipts: dict[str, bytes] = field(default_factory=dict)
    """Sheet → the bytes of the first receipt of its image."""
    digests: dict[str, str] = field(default_factory=dict)
    """Sheet → the SHA-256 of its image."""
    unequal: list[str] = field(default_factory=list)
    """Requests that were sent again and got a different answer."""
    again: int = 0
    """Number of requests that were sent again."""
    cortes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Folder of a corte → the digest of each file when the corte appeared."""
    shown: list[int] = field(default_factory=list)
    """The cortes that index.json named, in order of time."""
    parked: list[dict[str, Any]] = field(default_factory=list)
    key: bytes = b""
    """The public key of receipts, PEM."""


def look(folder: Path) -> dict[str, str]:
    """File name → digest, of every file of a corte."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def judge(catalog: Catalog, sheets: Sequence[Sheet], public: Path, seen: Witnessed) -> list[OracleFinding]:
    """All facts that must hold for the night that was published in `public`."""
    index = json.loads((public / "index.json").read_text())
    last = public / index["carpeta"]
    files = {each["codigo"]: last / each["archivo"] for each in _read_manifest(last)["elecciones"]}
    results = {code: read_official(path.read_bytes()) for code, path in files.items()}
    claves = {acta.clave: acta for acta in catalog.actas}
    totals = json.loads((last / "totals.json").read_text())["elecciones"]
    return [
        _check_receipts(seen),
        OracleFinding("lo mismo enviado otra vez recibe lo mismo", seen.again, seen.unequal),
        _check_images_published(public, seen),
        _check_counted_once(public, results.values()),
        OracleFinding("mensajes apartados: ninguno", len(seen.parked), [str(each) for each in seen.parked]),
        _check_actas(sheets, claves, results, seen),
        _check_totals(catalog, sheets, claves, totals),
        _check_corte_chain(public, index, seen),
        _check_cortes_unchanged(public, seen),
        _check_with_verify(public),
        _check_with_audit(public),
        _check_proofs(public, seen),
    ]


def _read_manifest(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content


# Promises.


def _check_receipts(seen: Witnessed) -> OracleFinding:
    key = load_pem_public_key(seen.key)
    assert isinstance(key, Ed25519PublicKey)
    wrong = [
        sheet for sheet, receipt in seen.receipts.items() if not _receipt_is_genuine(key, receipt, seen.digests[sheet])
    ]
    return OracleFinding("cada acuse lleva la firma Ed25519 y la huella de su imagen", len(seen.receipts), wrong)


def _receipt_is_genuine(key: Ed25519PublicKey, receipt: bytes, sha256: str) -> bool:
    said = json.loads(receipt)
    signed = json.dumps(said["acuse"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    try:
        key.verify(base64.b64decode(said["firma"]), signed.encode())
    except InvalidSignature:
        return False
    return bool(said["acuse"]["sha256"] == sha256)


def _check_images_published(public: Path, seen: Witnessed) -> OracleFinding:
    out = {row["SHA256"] for row in _published_images(public) if (public / row["ARCHIVO"]).is_file()}
    # A parked message names the digest of its image, so people can find it: this image is not lost.
    listed = json.dumps(seen.parked)
    lost = [key for key in seen.receipts if seen.digests[key] not in out and seen.digests[key] not in listed]
    return OracleFinding("cada imagen con acuse está publicada o apartada a la vista", len(seen.receipts), lost)


def _published_images(public: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted(public.glob("cortes/*/images.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return rows


def _check_counted_once(public: Path, results: Iterable[OfficialFile]) -> OracleFinding:
    rows = [row for file in results for row in file.rows]
    wrong: list[str] = []
    for what, values in (
        ("el acta", [row.clave_acta for row in rows if row.status is not Status.FUERA_DE_CATALOGO]),
        ("la imagen", [row.hash for row in rows if row.hash]),
        ("la imagen de images.csv", [row["SHA256"] for row in _published_images(public)]),
    ):
        wrong += [f"{what} {value} está {count} veces" for value, count in Counter(values).items() if count > 1]
    return OracleFinding("nada se cuenta dos veces", len(rows), wrong)


# Votes.


@dataclass(frozen=True, slots=True)
class Truth:
    """The right published values of a sheet."""

    status: Status
    votes: Mapping[str, Field]
    calculado: int
    contabilizada: str


def truth(sheet: Sheet, acta: Acta) -> Truth:
    """The right values by the rule set `ine-2023`: the sum of the vote fields, and whether the acta counts."""
    if sheet.values is None:
        return Truth(Status.SIN_ACTA, {}, 0, "0")
    votes = {code: said for code, said in sheet.values.items() if code not in {*HEADER, TOTAL}}
    numbers = [said for said in votes.values() if not isinstance(said, Mark)]
    # With lista nominal 0, the maximum of ballots is the limit. Invented catalogues always state one.
    limit = (acta.lista_nominal or acta.boletas_maximas or 0) + acta.representantes
    # All illegible, or all blank, does not count. Both mixed, without any number, counts with zeros: INE 2023.
    read = bool(numbers) or len(set(votes.values())) > 1
    counts = read and sum(numbers) <= limit
    return Truth(Status.CAPTURADA, votes, sum(numbers), "1" if counts else "0")


def _check_actas(
    sheets: Sequence[Sheet], claves: Mapping[str, Acta], results: Mapping[str, OfficialFile], seen: Witnessed
) -> OracleFinding:
    """Compare every row of the official files with its sheet, cell by cell; for fuera de catálogo, only the number."""
    rows = {row.clave_acta: (file, row) for file in results.values() for row in file.catalogued}
    wrong = [
        f"{sheet.key}: {reason}"
        for sheet in sheets
        if sheet.clave and (reason := _row_error(sheet, claves[sheet.clave], rows, seen.digests.get(sheet.key)))
    ]
    fuera = sum(len(file.rows) - len(file.catalogued) for file in results.values())
    expected = sum(not sheet.clave for sheet in sheets)
    if fuera != expected:
        wrong.append(f"fuera de catálogo: {fuera}, y llegaron {expected}")
    return OracleFinding("los votos de cada acta son los escritos en ella", len(sheets), wrong)


def _row_error(
    sheet: Sheet, acta: Acta, rows: Mapping[str, tuple[OfficialFile, OfficialRow]], sha256: str | None
) -> str:
    """The error in the row of this acta; "" if the row is right."""
    if sheet.clave not in rows:
        return "no tiene fila"
    file, row = rows[sheet.clave]
    right = truth(sheet, acta)
    said = {code: cell for code, cell in zip(file.vote_columns, row.cells, strict=True) if cell is not None}
    if row.status is not right.status:
        return f"está {row.status}, no {right.status}"
    if sheet.values is not None and (said != right.votes or row.hash != sha256):
        return "sus votos o su imagen son otros"
    if ((row.total_calculado or 0), row.contabilizada) != (right.calculado, right.contabilizada):
        return f"calculado {row.total_calculado}, contabilizada {row.contabilizada}; debe ser {right}"
    return ""


def _check_totals(
    catalog: Catalog, sheets: Sequence[Sheet], claves: Mapping[str, Acta], totals: Mapping[str, Any]
) -> OracleFinding:
    """Compare the votes and the counted actas of each election and of each contest."""
    codes = {election.id: election.code for election in catalog.elections}
    sums: dict[str, Counter[str]] = {}
    for sheet in sheets:
        if not sheet.clave:
            continue
        acta = claves[sheet.clave]
        right = truth(sheet, acta)
        for place in (codes[acta.election], f"contienda {acta.contest}"):
            counted = sums.setdefault(place, Counter())
            counted["actas"] += 1
            if right.contabilizada == "1":
                counted["contabilizadas"] += 1
                counted.update({code: said for code, said in right.votes.items() if not isinstance(said, Mark)})
    ours = {code: _published_counts(each) for code, each in totals.items()}
    for election in totals.values():
        ours |= {f"contienda {each['id']}": _published_counts(each) for each in election["contiendas"]}
    # The plus sign drops zeros: an option without votes may be absent on one side.
    wrong = [place for place in {**sums, **ours} if +sums.get(place, Counter()) != +ours.get(place, Counter())]
    return OracleFinding("los totales son la suma de lo escrito", sum(map(len, sums.values())), wrong)


def _published_counts(place: Mapping[str, Any]) -> Counter[str]:
    summary = place["resumen"]
    said = {"actas": int(summary["ACTAS_CAPTURADAS"]), "contabilizadas": int(summary["ACTAS_CONTABILIZADAS"])}
    return Counter({**place["votos"], **said})


# Cortes.


def _check_corte_chain(public: Path, index: Mapping[str, Any], seen: Witnessed) -> OracleFinding:
    """The cortes have no gaps, each names the digest of the one before, and index.json never went back."""
    folders = sorted((public / "cortes").iterdir())
    wrong = [] if index["fase"] == "final" else ["el último corte no es el final"]
    if [folder.name for folder in folders] != [f"{number:04}" for number in range(index["corte"] + 1)]:
        wrong.append(f"cortes {', '.join(folder.name for folder in folders)}")
    before = None
    for number, folder in enumerate(folders):
        said = _read_manifest(folder)
        if said["corte"] != number or said["anterior"] != before:
            wrong.append(f"el corte {folder.name} no sigue al anterior")
        before = {"corte": number, "sha256sums": hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()}
    if seen.shown != sorted(set(seen.shown)):
        wrong.append("index.json volvió a un corte anterior")
    return OracleFinding("los cortes van en orden, sin faltar ni repetirse", len(folders), wrong)


def _check_cortes_unchanged(public: Path, seen: Witnessed) -> OracleFinding:
    """No file of a corte changed.

    Later files are only allowed beside SHA256SUMS: its seal, its time stamp, its proof.
    """
    wrong = []
    for name, then in seen.cortes.items():
        now = look(public / "cortes" / name)
        # Files that changed, disappeared or are new.
        other = [file for file in {**then, **now} if then.get(file) != now.get(file)]
        wrong += [f"{name}/{file}" for file in other if file in then or not file.startswith("SHA256SUMS.")]
    return OracleFinding("ningún corte cambió después de publicado", len(seen.cortes), wrong)


def _check_with_verify(public: Path) -> OracleFinding:
    words = [command_line("integrity"), "verify", str(public), "--log-key", log_key_of(public), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wrong = [] if done.returncode == 0 else [*_failed_checks(done.stdout), f"terminó con {done.returncode}"]
    return OracleFinding("«integrity verify» aprueba todo lo publicado", len(list(public.glob("cortes/*"))), wrong)


def _check_with_audit(public: Path) -> OracleFinding:
    folder = public / "bitacora"
    size = (folder / "checkpoint").read_text(encoding="utf-8").splitlines()[1]
    words = ["audit-log", str(folder), "--policy", str(folder / "politica.txt"), "--json"]
    done = subprocess.run([command_line("integrity"), *words], capture_output=True, text=True, check=False)
    wrong = [] if done.returncode == 0 else [*_failed_checks(done.stdout), f"terminó con {done.returncode}"]
    return OracleFinding("«integrity audit-log» aprueba la bitácora", int(size), wrong)


def _check_proofs(public: Path, seen: Witnessed) -> OracleFinding:
    """Each receipt names a place for a proof, and the proof in that place is about the receipt's image."""
    wrong = []
    for sheet, receipt in seen.receipts.items():
        path = public / json.loads(receipt)["acuse"]["prueba"]
        if not path.is_file() or seen.digests[sheet].encode() not in _leaf_in_proof(path):
            wrong.append(sheet)
    return OracleFinding("cada acuse tiene su prueba donde dijo", len(seen.receipts), wrong)


def _leaf_in_proof(proof: Path) -> bytes:
    line = proof.read_bytes().split(b"\n")[1]
    return base64.b64decode(line.removeprefix(b"extra "))


def _failed_checks(report: str) -> Iterator[str]:
    with contextlib.suppress(json.JSONDecodeError):
        for check in json.loads(report)["comprobaciones"]:
            if check["resultado"] != "bien":
                yield f"{check['titulo']}: {check['hallazgos'] or check['motivos']}"
