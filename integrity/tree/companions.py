"""The files beside the official one: CANDIDATURAS says who stands for each option, LEEME.txt tells every column.

Both follow from the manifest and `totals.json`, so each is compared with them and not believed (CON-17). The people of
an election are the same in all its cortes: a candidacy that appears or goes during the night is found here too.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from integrity.report import Ledger
from integrity.strict_json import Json, canonical_json
from integrity.tree.documents import Manifest, PublishedElection
from integrity.tree.forms import right_name
from integrity.tree.rows import Columns, split_line
from integrity.tree.totals import cell

_BOM: Final = b"\xef\xbb\xbf"
_PEOPLE: Final = ("PARTIDO_CI", "CANDIDATURA_PROPIETARIA", "CANDIDATURA_SUPLENTE")


def people_of(totals: Json) -> bytes:
    """All candidacies of a corte without their votes; equal bytes for equal people."""
    return canonical_json(
        [
            [code, contest["id"], held["id"], held["propietaria"], held["suplente"], held["opciones"]]
            for code, told in sorted(totals["elecciones"].items())
            for contest in told["contiendas"]
            for held in contest["candidaturas"]
        ]
    )


def judge_people(election: PublishedElection, told: Json, file: bytes | None, folder: str, ledger: Ledger) -> None:
    """The candidacies of one election in totals.json, and its file CANDIDATURAS, line by line."""
    where = f"{folder}/{election.candidaturas}"
    ledger.did("CON-17")
    ids = [held["id"] for contest in told["contiendas"] for held in contest["candidaturas"]]
    if len({*ids}) < len(ids):
        ledger.wrong(
            "CON-17", f"{folder}/totals.json", expected="candidaturas sin número repetido", found=election.code
        )
    for contest in told["contiendas"]:
        for held in contest["candidaturas"]:
            named = right_name(held["propietaria"]) and (not held["suplente"] or right_name(held["suplente"]))
            if not named or not held["opciones"]:
                found = f"la candidatura {held['id']} de {election.code}"
                ledger.wrong("CON-17", f"{folder}/totals.json", expected="sus nombres y sus opciones", found=found)
    if file is None:
        ledger.unable(["CON-17"], f"falta {where}")
        return
    expected = [*_candidate_lines(election, told)]
    lines = file.removeprefix(_BOM).split(b"\r\n")
    have_lines = [split_line(line + b"\r\n") for line in lines[:-1]]
    if not file.startswith(_BOM) or lines[-1] or len(have_lines) != len(expected):
        ledger.wrong(
            "CON-17", where, expected=f"{len(expected)} líneas UTF-8 terminadas en CRLF", found=len(have_lines)
        )
    for number, (want, have) in enumerate(zip(expected, have_lines, strict=False), start=1):
        if want != have:
            said = "otra cosa" if have is None else ",".join(have)
            ledger.wrong("CON-17", where, expected=",".join(want), found=said, position=f"línea {number}")


def _candidate_lines(election: PublishedElection, told: Json) -> Iterator[list[str]]:
    """The header, then one line for each option of each candidacy, in the order of contests and candidacies."""
    by_place = election.nivel not in {"pais", "entidad"}
    own = Columns(election).names[4]
    yield ["ID_ENTIDAD", *([own] if by_place else []), *_PEOPLE]
    people = {contest["id"]: contest["candidaturas"] for contest in told["contiendas"]}
    for contest in election.contests.values():
        place = [str(contest.entidad), *([str(contest.territorio)] if by_place else [])]
        for held in people.get(contest.id, ()):
            for option in held["opciones"]:
                yield [*place, *map(cell, (option, held["propietaria"], held["suplente"]))]


def judge_readme(manifest: Manifest, file: bytes | None, folder: str, ledger: Ledger) -> None:
    """LEEME.txt is text that names every file of the elections, every column, and every text of OBSERVACIONES."""
    where = f"{folder}/LEEME.txt"
    ledger.did("CON-17")
    if file is None:
        ledger.unable(["CON-17"], f"falta {where}")
        return
    try:
        text = file.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.endswith("\r\n") or "\0" in text or text.count("\n") != text.count("\r\n"):
        ledger.wrong("CON-17", where, expected="un texto UTF-8 con líneas terminadas en CRLF", found="otra cosa")
    lines = {line.strip() for line in text.split("\r\n")}
    columns = {line.split(": ", 1)[0] for line in lines if ": " in line}
    for election in manifest.elections:
        names = [f"{place}. {name}" for place, name in enumerate(Columns(election).names, 1)]
        texts = [said for said in election.rules.texts.values() if said]
        for name in _missing([*names, *texts], columns):
            ledger.wrong("CON-17", where, expected=f"«{name}»", found="nada")
        for name in (election.archivo, election.candidaturas):
            if not any(line.startswith(f"{name} — ") for line in lines):
                ledger.wrong("CON-17", where, expected=f"«{name}»", found="nada")


def _missing(wanted: Sequence[str], told: set[str]) -> Iterator[str]:
    return (name for name in wanted if name not in told)
