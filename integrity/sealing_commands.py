"""The commands about seals and time: seal, let a person sign elsewhere, stamp, check; and those for development."""

import argparse
import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from integrity.authenticity import BESIDE, facts, judge, read_trust
from integrity.layout import SUMS
from integrity.report import SEAL_CHECKS, Ledger, Report, printable
from integrity.sealing import development
from integrity.sealing.asking import add_missing
from integrity.sealing.certificates import NotSealed, Problem, load, name, read_file
from integrity.sealing.seal import (
    LONGEST_SUMS,
    PERSON,
    export_text,
    import_signature,
    open_signer,
    place,
    read_sums_file,
)
from integrity.sealing.sello import SELLO, seals
from integrity.sealing.stamp import STAMPS, Authority
from integrity.sums import Malformed, read_sums

_COULD_NOT: Final = 2
_LONGEST_PASSPHRASE: Final = 1024
_HIGHEST_PORT: Final = 65535


def run(asked: argparse.Namespace) -> Report | int:
    """Run one command. Returns the report of a verification, or the exit code of another command."""
    try:
        match asked.command:
            case "stamp":
                return _run_stamp(asked)
            case "dev-ca":
                development.make_authority(asked.folder, now=_utc_now())
                return _print_done(
                    f"✓ {asked.folder}: autoridad, sello y sellado de tiempo de DESARROLLO, SIN VALIDEZ."
                )
            case "dev-tsa":
                return _serve_stamper(asked.folder, asked.port)
            case _:
                return _run_seal(asked)
    except NotSealed as problem:
        # A missing file or key is no fault of the corte: exit code 2, not 1.
        wrong = problem.problem not in {Problem.KEY, Problem.MISSING}
        print(f"{'✗' if wrong else '?'} {printable(problem.sentence)}.")
        return 1 if wrong else _COULD_NOT


def _run_seal(asked: argparse.Namespace) -> Report | int:
    match asked.action:
        case "sign":
            return _run_sign(_sums_path(asked.source), asked.certificate, asked.key, asked.passphrase_file)
        case "export":
            return _run_export(_sums_path(asked.source), asked.out)
        case "import":
            return _run_import(asked)
        case _:
            return _run_check(asked)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _print_done(what: str) -> int:
    print(what, flush=True)
    return 0


def _sums_path(source: Path) -> Path:
    return source / SUMS if source.is_dir() else source


def _run_sign(sums: Path, certificate: Path, key: str, passphrase_file: Path | None) -> int:
    passphrase = None
    if passphrase_file is not None:
        passphrase = read_file(passphrase_file, _LONGEST_PASSPHRASE).decode("utf-8", "replace").removesuffix("\n")
    content, at = read_sums_file(sums), _utc_now()
    signer = open_signer(certificate, key, passphrase)
    for file, held in seals(content, signer, at=at).items():
        place(sums.with_name(file), held)
        print(f"✓ {sums.with_name(file)}: sello de {name(signer.certificate)}")
    if not signer.is_rsa:
        print(f"- {SELLO}: no se hizo, porque la llave no es RSA")
    return 0


def _run_export(sums: Path, out: Path) -> int:
    """Copy the list that a person will sign, with instructions. Each listed file is compared with its digest first."""
    content = read_sums_file(sums)
    try:
        listed = read_sums(content)
    except Malformed as problem:
        sentence = f"{sums} no es una lista de huellas: se esperaba {problem.expected}; se encontró {problem.found}"
        raise NotSealed(Problem.FORM, sentence) from None
    # A person must not sign a list that its own folder contradicts.
    for file, digest in listed.items():
        if _sha256_of_file(sums.with_name(file)) != digest:
            raise NotSealed(Problem.CONTENT, f"{file} no tiene la huella que dice {sums}: no hay nada que firmar")
    text = export_text(content, out.name)
    place(out, content)
    place(out.with_name(out.name + ".instrucciones.txt"), text.encode())
    return _print_done(f"✓ {out}: lo que se firma ({len(listed)} archivos comprobados)\n\n{text}")


def _sha256_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise NotSealed(Problem.MISSING, f"no se puede leer {path}") from None


def _run_import(asked: argparse.Namespace) -> int:
    trusted = load(read_file(asked.ca, LONGEST_SUMS))
    target, found = import_signature(
        read_file(asked.p7s, BESIDE[PERSON]),
        _sums_path(asked.sums),
        trusted,
        simulacro=asked.simulacro,
        now=_utc_now(),
        as_seal=asked.as_seal,
    )
    return _print_done(f"✓ {target}: firma de {name(found.certificate)}, {found.at:%Y-%m-%d %H:%M:%S} UTC")


def _run_check(asked: argparse.Namespace) -> Report:
    """Judge the files beside one SHA256SUMS. The files that the list names are the task of `integrity verify`."""
    sums = _sums_path(asked.source)
    content = read_sums_file(sums)
    # A link counts as there: reading it then fails, which is told.
    beside = {file: read_file(sums.with_name(file), limit) for file, limit in BESIDE.items() if _is_there(sums, file)}
    trust = read_trust(asked.ca, asked.tsa_ca)
    ledger = Ledger(SEAL_CHECKS)
    where = str(sums.parent)
    found = judge(content, beside, trust, ledger, where=where, simulacro=asked.simulacro, now=_utc_now())
    ledger.facts.update(facts(found))
    return ledger.report(str(sums), "")


def _is_there(sums: Path, file: str) -> bool:
    path = sums.with_name(file)
    return path.is_symlink() or path.exists()


def _run_stamp(asked: argparse.Namespace) -> int:
    if len(asked.tsa) > len(STAMPS):
        raise NotSealed(Problem.MISSING, f"se admiten hasta {len(STAMPS)} autoridades de tiempo")
    trusted = load(read_file(asked.tsa_ca, LONGEST_SUMS))
    folder = _sums_path(asked.source).parent
    # Exit code 2 tells a script to ask again later: an authority may be slow.
    missing = asyncio.run(add_missing(folder, [Authority(url, trusted) for url in asked.tsa]))
    for file in STAMPS[: len(asked.tsa)]:
        print(f"? {file}: {printable(missing[file])}" if file in missing else f"✓ {folder / file}")
    return _COULD_NOT if missing else 0


def _serve_stamper(folder: Path, port: int) -> int:
    if not 0 <= port <= _HIGHEST_PORT:
        raise NotSealed(Problem.MISSING, f"el puerto debe estar entre 0 y {_HIGHEST_PORT}")
    signer = development.open_stamper(folder)
    try:
        server = development.StamperServer(signer, port, _utc_now)
    except OSError:
        raise NotSealed(Problem.MISSING, f"no se pudo abrir 127.0.0.1:{port}") from None
    with server:
        _print_done(f"Sellado de tiempo de DESARROLLO, SIN VALIDEZ, en http://127.0.0.1:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
