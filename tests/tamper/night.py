"""A complete published night to cheat on: two elections, three cortes, a correction, log, witnesses, seals, stamps.

`tests.makers.tree_maker` writes the tree. This file makes everything that needs keys, from the files that the tree
holds at that moment. So a cheat with all keys (`Night.vouch`) can publish another night that agrees with itself.
"""

import csv
import functools
import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from integrity import layout, leaves
from integrity.log.note import Proof, SignatureKind, Signer, read_checkpoint
from integrity.log.tiles import Tiles
from integrity.log.writer import FileState, Sequencer
from integrity.sealing import development
from integrity.sealing.seal import PERSON, seal
from integrity.sealing.sello import seals
from publisher.site_files import constants
from tests.makers import tree_maker
from tests.makers.log_maker import signer
from tests.makers.seal_maker import STAMPING, Party, party, rsa_key
from tests.makers.tree_maker import make_tree, sha

ORIGIN = "prep.example.mx/bitacora"
LATER = timedelta(seconds=5)
IN_FORCE = {"since": datetime(2023, 1, 1, tzinfo=UTC), "until": datetime(2024, 1, 1, tzinfo=UTC)}
SIGNS = ("digital_signature", "content_commitment")
Said = list[dict[str, Any]]


@dataclass
class Authorities:
    """All who sign, and the authorities that the reader trusts."""

    root: Party = field(default_factory=lambda: party(name="Autoridad", **IN_FORCE))  # type: ignore[arg-type]
    time_root: Party = field(default_factory=lambda: party(name="Autoridad de tiempo", **IN_FORCE))  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        self.institute = self.sealer(self.root)
        self.person = party(self.root, name="Una funcionaria", **IN_FORCE)  # type: ignore[arg-type]
        self.stamper = self.time(self.time_root)

    def sealer(self, root: Party, **other: Any) -> Party:
        return party(root, **{"name": "Instituto Electoral", "key": rsa_key(), **IN_FORCE, **other})

    def time(self, root: Party, **other: Any) -> Party:
        about = {"name": "Sellador de tiempo", "uses": ["digital_signature"], "extended": STAMPING, **IN_FORCE}
        return party(root, **{**about, **other})


@dataclass(eq=False)
class Night:
    """The tree, the keys that sign for it, and the keys that a reader brings."""

    home: Path
    who: Authorities = field(default_factory=Authorities)
    log: Signer = field(default_factory=lambda: signer(ORIGIN))
    witnesses: Sequence[Signer] = tuple(
        signer(f"testigo-{n}.example.mx", SignatureKind.WITNESS, seed=10 + n) for n in range(3)
    )

    @property
    def tree(self) -> Path:
        return self.home / "publico"

    @property
    def policy(self) -> str:
        lines = [f"log {self.log.key}", *(f"witness t{n} {each.key}" for n, each in enumerate(self.witnesses))]
        return "\n".join([*lines, "group testigos 2 t0 t1 t2", "quorum testigos", ""])

    def make(self) -> "Night":
        tree_maker.CORRECTED[("GOB", 901, 2)] = [60, 71, 9, 7, 0, 4]
        # The maker's own pages are those of a release without the program of the site.
        tree_maker.SITE.update({name: constants()[name] for name in tree_maker.SITE})
        try:
            make_tree(self.tree)
        finally:
            tree_maker.CORRECTED.clear()
        self.vouch(self.tree)
        (self.home / "politica.txt").write_text(self.policy)
        (self.home / "llave.txt").write_text(f"{self.log.key}\n")
        (self.home / "autoridad.pem").write_bytes(self.who.root.certificate.public_bytes(Encoding.PEM))
        (self.home / "tiempo.pem").write_bytes(self.who.time_root.certificate.public_bytes(Encoding.PEM))
        return self

    def reader(self) -> list[str]:
        """The options of a reader who got keys and authorities from their owners."""
        names = {"--log-policy": "politica.txt", "--ca": "autoridad.pem", "--tsa-ca": "tiempo.pem"}
        return [word for option, name in names.items() for word in (option, str(self.home / name))]

    def remembering(self, which: int) -> list[str]:
        """The options of the same reader, with the checkpoint of a corte kept from that time."""
        return [*self.reader(), "--checkpoint", str(self.home / f"checkpoint-{which}")]

    def copy(self, to: Path) -> Path:
        return Path(shutil.copytree(self.tree, to, symlinks=True))

    # --- everything that keys make ------------------------------------------------------------------------------------

    def vouch(self, root: Path, said: Said | None = None, *, witnesses: int = 3) -> None:
        """Make log, proofs, openings, seals and stamps for the present tree; or for a log with the leaves `said`."""
        for path in root.glob("cortes/*/SHA256SUMS.*"):
            path.unlink()
        self.write_log(root, self.told(root) if said is None else said, witnesses=witnesses)
        for number, folder in enumerate(sorted((root / "cortes").iterdir())):
            self.seal(folder, person=number != 1)

    def told(self, root: Path, **start: Any) -> Said:
        """The leaves that the tree needs, in their order."""
        moment = {"fecha_hora": "2023-02-19T23:05:00.000000+00:00"}
        said: Said = [
            self._start_fields(root) | start,
            {"tipo": "software", "momento": "inicio", "lista": sha(b"programas"), **moment},
            {"tipo": "cero", "conteos": sha(b"ceros"), "software": sha(b"programas"), **moment},
        ]
        rounds, before = Counter[tuple[str, str]](), dict[tuple[str, str], list[str]]()
        for folder in sorted((root / "cortes").iterdir()):
            manifest = json.loads((folder / "manifest.json").read_bytes())
            when = (
                datetime.fromisoformat(manifest["fecha_hora"])
                .astimezone(UTC)
                .strftime("%Y-%m-%dT%H:%M:%S.000000+00:00")
            )
            said += _image_leaves(folder, said, when)
            said += [{"tipo": kind, "compromiso": committed(held)} for kind, held in _statements_of_fuera(folder)]
            shown = {(code, clave): cells for code, clave, cells in _captured_rows(folder, manifest)}
            for (code, clave), cells in shown.items():
                earlier = before.get((code, clave))
                if earlier != cells:
                    rounds[code, clave] += 1
                    for kind, held in statements_of_row(code, clave, cells, rounds[code, clave], earlier):
                        said += [{"tipo": kind, "compromiso": committed(held)}]
                    digest = leaves.row_digest(code, clave, cells)
                    said += [{"tipo": "version", "eleccion": code, "acta": clave, "contenido": digest}]
            before = shown
            about = {"corte": manifest["corte"], "fase": manifest["fase"], "fecha_hora": when}
            said += [{"tipo": "corte", **about, "sha256sums": sha((folder / "SHA256SUMS").read_bytes())}]
        return [*said, {"tipo": "cierre", "corte": said[-1]["corte"], "sha256sums": said[-1]["sha256sums"]}]

    def _start_fields(self, root: Path) -> dict[str, Any]:
        manifest = json.loads((root / "cortes" / "0000" / "manifest.json").read_bytes())
        return {
            "tipo": "inicio",
            "origen": ORIGIN,
            "simulacro": manifest["simulacro"],
            "catalogo": manifest["catalogo"],
            "reglas": leaves.rules_digest({code: held["sha256"] for code, held in manifest["reglas"].items()}),
            "politica": leaves.text_digest(self.policy),
            "clave": str(self.log.key),
            "declaracion": manifest["declaracion"]["sha256"],
            "dispositivos": leaves.keys_digest([("catd-01", bytes(32)), ("movil-07", bytes(32))]),
            "fecha_hora": "2023-02-19T23:00:00.000000+00:00",
        }

    def write_log(self, root: Path, said: Said, *, witnesses: int = 3, key: Signer | None = None) -> None:
        """The log from its first leaf, one batch for each corte; proofs; openings; cosignatures on the last checkpoint."""
        folder = root / "bitacora"
        shutil.rmtree(folder, ignore_errors=True)
        state = self.home / "cabeza"
        state.unlink(missing_ok=True)
        entries = entries_of(said)
        cortes = [number + 1 for number, leaf in enumerate(said) if leaf["tipo"] == "corte"]
        with Sequencer(folder, key or self.log, FileState(state)) as log:
            for first, end in zip([0, *cortes], [*cortes, len(said)], strict=True):
                log.append(entries[first:end])
                if end > first:
                    write_proofs(root, log, range(first, end), said, entries)
                if end in cortes and root == self.tree:
                    (self.home / f"checkpoint-{cortes.index(end)}").write_bytes(log.checkpoint())
            note = read_checkpoint(log.checkpoint()).note
        (folder / "politica.txt").write_text(self.policy)
        signed = [each.cosign(note.text, at=1676865600) for each in self.witnesses[:witnesses]]
        lines = [note.text, "\n", *(each.line for each in note.signatures), *signed]
        (folder / "checkpoint").write_text("".join(lines))
        for path in folder.rglob(".*"):
            shutil.rmtree(path)
        write_openings(root, said)

    def seal(
        self, folder: Path, *, person: bool = True, by: Party | None = None, stamper: Party | None = None,
        later: timedelta = LATER, stamped: timedelta = 2 * LATER,
    ) -> None:  # fmt: skip
        sums = (folder / "SHA256SUMS").read_bytes()
        at = datetime.fromisoformat(json.loads((folder / "manifest.json").read_bytes())["fecha_hora"]).astimezone(UTC)
        made = seals(sums, (by or self.who.institute).signer, at=at + later)
        if person:
            made[PERSON] = self._signed(sums, at + later)
        made["SHA256SUMS.tsr"] = self.stamp(sums, at + stamped, stamper)
        for name, content in made.items():
            (folder / name).write_bytes(content)

    # A cheat changes one corte; the others get the same signatures again, which openssl has judged already.

    @functools.cache  # noqa: B019 - a night lives as long as its tests
    def _signed(self, sums: bytes, at: datetime) -> bytes:
        return seal(sums, self.who.person.signer, at=at)

    @functools.cache  # noqa: B019
    def stamp(self, sums: bytes, at: datetime, stamper: Party | None = None) -> bytes:
        query = TimestampRequestBuilder(sums, HashAlgorithm.SHA256, nonce=True, cert_req=True).build().as_bytes()
        return development.answer(query, (stamper or self.who.stamper).signer, at=at)


# --- what the tree calls for ------------------------------------------------------------------------------------------


def _image_leaves(folder: Path, said: Said, when: str) -> Iterator[dict[str, Any]]:
    """A leaf for each image and one for each reading; every second image came from the telephone.

    The machine read the sticker of each acta but those of IDENTIFIED; an image without a published copy has one too.
    """
    rows = list(csv.DictReader(io.StringIO((folder / "images.csv").read_text())))
    originals = {row["CLAVE_ACTA"]: row["SHA256"] for row in rows if row["ARCHIVO"].endswith(".png")}
    sent = {device: sum(leaf.get("dispositivo") == device for leaf in said) for device in ("catd-01", "movil-07")}
    for number, row in enumerate(rows):
        original = originals.get(row["CLAVE_ACTA"], row["SHA256"])
        if original != row["SHA256"]:
            yield {"tipo": "derivada", "imagen": original, "sha256": row["SHA256"], "acta": _sticker(row["CLAVE_ACTA"])}
            continue
        if sum(each["CLAVE_ACTA"] == row["CLAVE_ACTA"] for each in rows) < 2:
            yield {"tipo": "derivada", "imagen": original, "sha256": sha(original.encode()), "acta": None}
        device = ("catd-01", "movil-07")[number % 2]
        sent[device] += 1
        about = {"sha256": original, "bytes": 1, "dispositivo": device, "secuencia": sent[device], "recibida": when}
        yield {"tipo": "imagen", **about, "anterior": None}


IDENTIFIED = {"280752B01001"}
"""Actas whose sticker no machine read: two people said that the images are theirs."""


def _sticker(clave: str) -> str | None:
    return None if clave == "-" or clave.strip("'") in IDENTIFIED else clave.strip("'")


def _statements_of_fuera(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Two people say of each image fuera de catálogo that it is of no acta."""
    for row in csv.DictReader(io.StringIO((folder / "images.csv").read_text())):
        if row["CLAVE_ACTA"] == "-":
            for person in (5, 6):
                said = {
                    "eleccion": "-",
                    "acta": "-",
                    "imagen": row["SHA256"],
                    "persona": _persona(row["SHA256"], person),
                }
                yield "identidad", _salted(said)


def _captured_rows(folder: Path, manifest: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Election, clave and cells of every captured row."""
    for election in manifest["elecciones"]:
        path = folder / election["archivo"]
        for cells in list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))[7:] if path.exists() else ():
            if len(cells) == len(tree_maker.HEADER) and dict(zip(tree_maker.HEADER, cells, strict=True))[
                "CONTABILIZADA"
            ] in {"0", "1"}:
                yield election["codigo"], cells[1].strip("'"), cells[12:]


def statements_of_row(
    code: str, clave: str, cells: list[str], ronda: int, before: list[str] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The statements behind a captured row, each with its kind and its salt; `before` is the row that was out before.

    Two people typed most actas. One acta was typed by three, of whom the third agreed with the first; and one by three
    who all differed, so that a fourth person chose.
    """
    about = {"eleccion": code, "acta": clave}
    if "Sin acta" in cells:
        for person in (7, 9):
            said = {**about, "criterio": f"sin_acta_{cells[-11][-2]}", "persona": _persona(clave, person)}
            yield "sin_acta", _salted(said, ronda)
        return
    if clave in IDENTIFIED and (before is None or before[-8] != cells[-8]):
        for person in (5, 6):
            yield "identidad", _salted({**about, "imagen": cells[-8], "persona": _persona(clave, person)}, ronda)
    right = [*cells[:-14]]
    typed = {AGREED: [right, _mistaken(right, 1), right], CHOSEN: [_mistaken(right, 1), right, _mistaken(right, 2)]}
    # An acta whose quantities stay was only compared with the paper.
    again = before is not None and before[:-14] == right
    for ordinal, fields in enumerate(() if again else typed.get(clave, [right, right]), 1):
        # A cell that no form can hold was typed by nobody: the statement says that it was blank.
        marks = ["N" if _is_number(cell) else MARKS.get(cell, "S") for cell in fields]
        numbers = [int(cell) if mark == "N" else None for cell, mark in zip(fields, marks, strict=True)]
        given: dict[str, Any] = {"numeros": numbers, "marcas": "".join(marks)}
        yield (
            "captura",
            _salted({**about, **given, "ronda": ronda, "ordinal": ordinal, "persona": _persona(clave, ordinal)}),
        )
    if clave == CHOSEN and not again:
        yield "resolucion", _salted({**about, "ronda": ronda, "elige": 2, "persona": _persona(clave, 4)})
    if cells[-1] in {"1", "2", "3"}:
        yield "cotejo", _salted({**about, "ronda": ronda, "resultado": int(cells[-1]), "persona": _persona(clave, 8)})


AGREED, CHOSEN = "280749C01001", "280753S01001"
MARKS = {"Ilegible": "I", "Sin dato": "S", "-": "X"}


def _mistaken(cells: list[str], by: int) -> list[str]:
    return [str((int(cells[0]) if _is_number(cells[0]) else 0) + by), *cells[1:]]


def _is_number(cell: str) -> bool:
    return cell.isdigit() and cell.isascii() and len(cell) < 10


def _persona(clave: str, person: int) -> str:
    return leaves.pseudonym(b"secreto", "", clave, person)


def _salted(held: dict[str, Any], time: int = 1) -> dict[str, Any]:
    """With a salt, which is another one if the same is said again."""
    told = json.dumps(held, sort_keys=True) + ("" if time == 1 else str(time))
    return {**held, "sal": hashlib.sha256(told.encode()).hexdigest()[:32]}


def committed(held: dict[str, Any]) -> str:
    """The commitment to a statement, in its leaf."""
    return leaves.commitment(
        bytes.fromhex(held["sal"]), **{name: value for name, value in held.items() if name not in {"sal", "numero"}}
    )


def entries_of(said: Said) -> list[bytes]:
    links: dict[str, str] = {}
    entries = []
    for number, leaf in enumerate(said):
        held = {name: value for name, value in leaf.items() if name not in {"tipo", "numero"}}
        chained = leaf["tipo"] == "imagen" and "anterior" in held and held["anterior"] is None
        if chained:
            held["anterior"] = links.get(held["dispositivo"])
        entries.append(leaves.leaf(leaf["tipo"], number, held))
        if leaf["tipo"] == "imagen":
            links[held["dispositivo"]] = leaves.link(entries[-1])
    return entries


def write_proofs(root: Path, log: Sequencer, places: range, said: Said, entries: Sequence[bytes]) -> None:
    checkpoint = read_checkpoint(log.checkpoint())
    tiles: Tiles = log.tiles()
    for index in places:
        leaf = said[index]
        if leaf["tipo"] == "imagen":
            path = root / layout.proof_path(leaf["sha256"])
        elif leaf["tipo"] == "corte" and (root / "cortes" / f"{leaf['corte']:04}").is_dir():
            path = root / "cortes" / f"{leaf['corte']:04}" / layout.CORTE_PROOF
        else:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Proof(index, tuple(tiles.inclusion(index)), checkpoint, entries[index]).to_bytes())


def write_openings(root: Path, said: Said) -> None:
    """The openings of the actas that each corte brought out."""
    places = {leaf["compromiso"]: number for number, leaf in enumerate(said) if "compromiso" in leaf}
    before: dict[tuple[str, str], list[str]] = {}
    rounds = Counter[tuple[str, str]]()
    (root / "bitacora" / "aperturas").mkdir()
    for folder in sorted((root / "cortes").iterdir()):
        manifest = json.loads((folder / "manifest.json").read_bytes())
        fresh = [held for _, held in _statements_of_fuera(folder)]
        shown = {(code, clave): cells for code, clave, cells in _captured_rows(folder, manifest)}
        for (code, clave), cells in shown.items():
            earlier = before.get((code, clave))
            if earlier != cells:
                rounds[code, clave] += 1
                fresh += [held for _, held in statements_of_row(code, clave, cells, rounds[code, clave], earlier)]
        before = shown
        opened = sorted(
            ((places[given], held) for held in fresh if (given := committed(held)) in places), key=lambda each: each[0]
        )
        if opened:
            lines = [tree_maker.canonical({**held, "numero": number}) for number, held in opened]
            (root / layout.opening_path(manifest["corte"])).write_bytes(b"".join(lines))
