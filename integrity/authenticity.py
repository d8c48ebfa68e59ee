"""Who vouches for a SHA256SUMS, and since when: seals, signatures and time stamps judged together (AUT-01 … AUT-06).

Each file beside SHA256SUMS is about SHA256SUMS and not about the others. A time stamp proves that the list of digests
existed at its moment; a seal tells who answers for it. The hour that a seal states is compared with the stamps. A file
that is missing although another file shows that it was made is a finding. A stamp that has not come yet is *not
checked*, as stamps may come late. Without a trusted authority no seal is good.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from integrity.report import SEAL_CHECKS, Ledger
from integrity.sealing import cms, sello, stamp
from integrity.sealing.certificates import NotSealed, Problem, load, name, read_file, refuse_development
from integrity.sealing.seal import CLOCK_TOLERANCE, LONGEST_SUMS, PERSON, SEAL, Seal, verify_seal
from integrity.sealing.sello import SELLO, verify_sello
from integrity.sealing.stamp import STAMPS, Stamp, judge_after, verify_stamp

BESIDE: Final[Mapping[str, int]] = {
    SEAL: cms.LONGEST,
    PERSON: cms.LONGEST,
    SELLO: sello.LONGEST,
    **dict.fromkeys(STAMPS, stamp.LONGEST),
}
"""The files that may stand beside SHA256SUMS, and the most bytes each may have. All but the seal and the sello may
appear after the corte was published."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The authorities that a reader believes; the publisher did not choose them."""

    seals: Sequence[x509.Certificate] = ()
    stamps: Sequence[x509.Certificate] = ()
    policies: Collection[str] = ()
    """Accepted time stamp policies; empty: any."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The seals and stamps that were found good."""

    seal: Seal | None = None
    person: Seal | None = None
    sello: Seal | None = None
    stamps: Mapping[str, Stamp] = field(default_factory=dict)


def read_trust(ca: Path, tsa_ca: Path | None) -> Trust:
    """The authorities in the files that a reader names. Raises NotSealed."""
    stamps = load(read_file(tsa_ca, LONGEST_SUMS)) if tsa_ca else ()
    return Trust(load(read_file(ca, LONGEST_SUMS)), stamps)


def judge(
    sums: bytes,
    beside: Mapping[str, bytes],
    trust: Trust,
    ledger: Ledger,
    *,
    where: str,
    simulacro: bool,
    corte_at: datetime | None = None,
    before: Evidence | None = None,
    now: datetime | None = None,
    stamped: bool = True,
) -> Evidence:
    """Judge the files `beside` a SHA256SUMS (by name, those of `BESIDE` that exist) and write into the ledger.

    `where` is the folder, for findings; `corte_at` the time in the manifest; `before` the evidence of the corte before.
    `stamped`: time stamps are expected, because the reader asks for them or because there are some.
    """
    there = {file: content for file, content in beside.items() if file in BESIDE}
    if not trust.seals:
        ledger.unable([*SEAL_CHECKS], f"{where}: no se dijo en qué autoridad se confía")
        return Evidence()
    if simulacro:
        ledger.not_applicable("AUT-06", "es un simulacro")

    # 1. The time stamps first: the earliest is the moment at which the certificates are judged.
    stamps = _judge_stamps(sums, there, trust, ledger, where=where) if stamped else {}
    proved = min((each.at for each in stamps.values()), default=None)

    def sealed(check: str, file: str) -> Seal | None:
        verify = verify_sello if file == SELLO else verify_seal
        ledger.did(check)
        try:
            return verify(there[file], sums, trust.seals, simulacro=True, at=proved)
        except NotSealed as problem:
            _tell_not_sealed(problem, check, f"{where}/{file}", ledger)
            return None

    # 2. The institution's seal, a person's signature, the sello; the purpose of the night is judged in step 3 (AUT-06).
    if SEAL not in there:
        ledger.wrong("AUT-01", f"{where}/{SEAL}", expected="el sello de la institución", found="nada")
    found = sealed("AUT-01", SEAL) if SEAL in there else None
    if PERSON not in there:
        ledger.not_applicable("AUT-02", "no hay firma de una persona")
    person = sealed("AUT-02", PERSON) if PERSON in there else None
    if SELLO in there:
        in_text = sealed("AUT-03", SELLO)
    else:
        in_text = None
        _judge_no_sello(found, where, ledger)
    # 3. No certificate for development in a real night; no hour before one that it must follow.
    evidence = Evidence(found, person, in_text, stamps)
    _judge_development(evidence, ledger, where, simulacro=simulacro)
    _judge_times(evidence, ledger, where, corte_at=corte_at, before=before, now=now)
    return evidence


def _judge_stamps(
    sums: bytes,
    there: Mapping[str, bytes],
    trust: Trust,
    ledger: Ledger,
    *,
    where: str,
) -> dict[str, Stamp]:
    if not trust.stamps:
        ledger.unable(["AUT-04", "AUT-05"], f"{where}: no se dijo en qué autoridad de tiempo se confía")
        return {}
    stamps: dict[str, Stamp] = {}
    for file in (file for file in STAMPS if file in there):
        ledger.did("AUT-04")
        try:
            stamps[file] = verify_stamp(there[file], sums, trust.stamps, policies=trust.policies)
        except NotSealed as problem:
            _tell_not_sealed(problem, "AUT-04", f"{where}/{file}", ledger)
    # Stamps come after the corte, so their absence is not wrong, and not good either.
    if not any(file in there for file in STAMPS):
        ledger.unable(["AUT-04"], f"{where}: todavía no hay ningún sello de tiempo")
    return stamps


def _judge_no_sello(found: Seal | None, where: str, ledger: Ledger) -> None:
    """An RSA key always makes both forms of the seal. One without the other means that the other was taken away."""
    # Whether the key is RSA is known from the seal's certificate alone.
    if found is None:
        ledger.unable(["AUT-03"], f"{where}: sin un sello bueno no se sabe si debía haber también {SELLO}")
    elif isinstance(found.certificate.public_key(), rsa.RSAPublicKey):
        ledger.wrong("AUT-03", f"{where}/{SELLO}", expected="el sello en base64", found="nada")
    else:
        ledger.not_applicable("AUT-03", "la llave de la institución no es RSA")


def _judge_development(evidence: Evidence, ledger: Ledger, where: str, *, simulacro: bool) -> None:
    # A rehearsal may use development certificates; a real night never.
    for file, found in () if simulacro else _seals_and_stamps(evidence):
        ledger.did("AUT-06")
        try:
            refuse_development([found.certificate, *found.above], simulacro=simulacro)
        except NotSealed as problem:
            _tell_not_sealed(problem, "AUT-06", f"{where}/{file}", ledger)


def _judge_times(
    evidence: Evidence,
    ledger: Ledger,
    where: str,
    *,
    corte_at: datetime | None,
    before: Evidence | None,
    now: datetime | None,
) -> None:
    for file, found in _seals_and_stamps(evidence):
        ledger.did("AUT-05")
        if now is not None and found.at > now + CLOCK_TOLERANCE:
            ledger.wrong(
                "AUT-05", f"{where}/{file}", expected=f"una hora hasta {now:%Y-%m-%d %H:%M:%S}", found=found.at
            )
        # A seal cannot be older than the corte that it seals.
        if corte_at is not None and found.at + CLOCK_TOLERANCE < corte_at:
            ledger.wrong(
                "AUT-05", f"{where}/{file}", expected=f"una hora desde la del corte, {corte_at}", found=found.at
            )
    # Seals are made in the order of the cortes: an earlier hour means a clock that went back, or a false seal.
    made = evidence.seal
    earlier = before.seal if before is not None else None
    if made is not None and earlier is not None and made.at + CLOCK_TOLERANCE < earlier.at:
        expected = f"una hora desde la del sello anterior, {earlier.at}"
        ledger.wrong("AUT-05", f"{where}/{SEAL}", expected=expected, found=made.at)
    for file, found_stamp in evidence.stamps.items():
        try:
            judge_after(found_stamp, made.at if made is not None else None)
        except NotSealed as problem:
            _tell_not_sealed(problem, "AUT-05", f"{where}/{file}", ledger)


def _seals_and_stamps(evidence: Evidence) -> Iterator[tuple[str, Seal | Stamp]]:
    yield from (
        (file, found)
        for file, found in ((SEAL, evidence.seal), (PERSON, evidence.person), (SELLO, evidence.sello))
        if found is not None
    )
    yield from evidence.stamps.items()


_EXPECTED: Final[Mapping[Problem, str]] = {
    Problem.FORM: "un archivo bien formado",
    Problem.CONTENT: "que sea sobre este SHA256SUMS",
    Problem.SIGNATURE: "una firma válida",
    Problem.ATTRIBUTES: "los atributos firmados, completos y ciertos",
    Problem.ALGORITHM: "algoritmos fuertes y conocidos",
    Problem.CHAIN: "un certificado bajo una autoridad de confianza",
    Problem.EXPIRED: "un certificado en vigor",
    Problem.NOT_YET: "un certificado en vigor",
    Problem.PURPOSE: "un certificado para este uso",
    Problem.DEVELOPMENT: "un certificado con validez",
    Problem.CLOCK: "horas que no retrocedan",
    Problem.POLICY: "una política que se acepta",
    Problem.ACCURACY: "un reloj exacto",
}


def _tell_not_sealed(problem: NotSealed, check: str, path: str, ledger: Ledger) -> None:
    position = f"problema «{problem.problem.value}»"
    expected = _EXPECTED.get(problem.problem, "un sello bueno")
    ledger.wrong(check, path, expected=expected, found=problem.sentence, position=position)


def facts(evidence: Evidence) -> dict[str, str]:
    """The facts for a person, by file: the signer's name and the time."""
    told: dict[str, str] = {}
    for file, found in _seals_and_stamps(evidence):
        told[file] = f"{name(found.certificate)}, {found.at:%Y-%m-%d %H:%M:%S %Z}"
    return told
