"""The commands about logs: audit a log, prove an entry, check a proof, make a key, be a witness."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from integrity import durable, first_use
from integrity.authenticity import read_trust
from integrity.leaves import LONGEST_ENTRY
from integrity.log.audit import CannotProve, audit_log, check_proof, combine, in_words, prove
from integrity.log.note import (
    LONGEST_NOTE,
    Policy,
    SignatureKind,
    Signer,
    Unsupported,
    read_checkpoint,
    read_decimal,
    read_policy,
    read_signer,
    read_verifier_key,
)
from integrity.report import Report, printable
from integrity.sealing.certificates import NotSealed
from integrity.sums import Malformed
from integrity.verify import verify

_COULD_NOT: Final = 2
_HIGHEST_PORT: Final = 65535


class _Stop(Exception):
    """The command cannot be done; the Spanish sentence is for the person who gave it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def run(asked: argparse.Namespace, tell: Callable[[str], None]) -> Report | int:
    """Run one command. Returns the report of a verification, or the exit code of another command."""
    try:
        match asked.command:
            case "verify":
                return _run_verify(asked, tell)
            case "audit-log":
                return audit_log(asked.source, _read_given_policy(asked), origin=asked.origin, tell=tell)
            case "check-proof":
                policy = _read_given_policy(asked)
                leaf, data = _read_given_file(asked.leaf, LONGEST_ENTRY), _read_given_file(asked.proof, LONGEST_NOTE)
                return check_proof(data, leaf, policy, name=str(asked.proof), origin=asked.origin)
            case "prove":
                return _run_prove(asked.source, asked.index, asked.leaf, asked.out)
            case "log-key":
                return _make_key(asked.name, asked.out, SignatureKind.WITNESS if asked.witness else SignatureKind.LOG)
            case _:
                return _run_witness(asked)
    except _Stop as stop:
        print(f"? {printable(stop.sentence)}")
    except (Unsupported, NotSealed) as problem:
        print(f"? No se pudo: {printable(problem.sentence)}.")
    except Malformed as problem:
        print(f"? No se entiende lo que se dio: {printable(in_words(problem))}.")
    return _COULD_NOT


def _run_verify(asked: argparse.Namespace, tell: Callable[[str], None]) -> Report:
    if asked.first_use:
        return _verify_remembering(asked, tell)
    log = _read_given_policy(asked) if asked.key or asked.policy else None
    trust = read_trust(asked.ca, asked.tsa_ca) if asked.ca else None
    simulacro = asked.simulacro or None
    kept = read_checkpoint(_read_given_file(asked.checkpoint, LONGEST_NOTE)) if asked.checkpoint else None
    return verify(
        asked.source, tell, log=log, trust=trust, since=asked.since, simulacro=simulacro, now=asked.now, kept=kept
    )


def _verify_remembering(asked: argparse.Namespace, tell: Callable[[str], None]) -> Report:
    """Verify with the key that was remembered of this tree; the first time, remember its own."""
    held = first_use.recall(asked.source)
    report = verify(
        asked.source,
        tell,
        log=read_policy(held.policy) if held else None,
        trust=read_trust(asked.ca, asked.tsa_ca) if asked.ca else None,
        since=asked.since,
        simulacro=asked.simulacro or None,
        now=asked.now,
        kept=read_checkpoint(held.checkpoint) if held else None,
        first=held is None,
    )
    # A tree with a fault is not remembered, and a remembered one keeps the checkpoint that was good.
    if not report.wrong() and first_use.remember(asked.source, held):
        return replace(report, facts={**report.facts, "Recordada": f"la llave de este árbol, en {first_use.place()}"})
    return report


def _read_given_policy(asked: argparse.Namespace) -> Policy:
    if not asked.key and not asked.policy:
        raise _Stop("Falta decir en quién se confía: --key LLAVE o --policy ARCHIVO.")
    # A key alone asks for no witness; a policy may add witnesses, and both must name the same log.
    key = read_verifier_key(asked.key) if asked.key else None
    return combine(key, read_policy(_read_given_file(asked.policy, LONGEST_NOTE)) if asked.policy else None)


def _read_given_file(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError:
        raise _Stop(f"No se pudo leer el archivo {path}.") from None
    # One byte more than the limit was asked for, so a longer file is known without reading it whole.
    if len(data) > limit:
        raise _Stop(f"El archivo {path} tiene más de {limit} bytes.")
    return data


def _run_prove(source: str, index: str | None, leaf: Path | None, out: Path | None) -> int:
    try:
        proof = prove(
            source,
            index=None if index is None else read_decimal(index, "un índice"),
            leaf=None if leaf is None else _read_given_file(leaf, LONGEST_ENTRY),
        )
    except CannotProve as problem:
        print(f"{'✗' if problem.is_wrong else '?'} No hay prueba: {printable(problem.sentence)}.", file=sys.stderr)
        return 1 if problem.is_wrong else _COULD_NOT
    # To standard output, so that a proof can be piped.
    if out is None:
        sys.stdout.write(proof.to_bytes().decode())
        return 0
    _create_file(out, proof.to_bytes(), mode=0o644)
    print(f"✓ {out}: la entrada {proof.index} de {proof.checkpoint.size}.")
    return 0


def _make_key(name: str, out: Path | None, kind: SignatureKind) -> int:
    signer = Signer.generate(name, kind)
    # The private file is made first: without it, a public key would have no owner.
    private = out or Path("testigo.llave" if kind is SignatureKind.WITNESS else "bitacora.llave")
    _create_file(private, f"{signer.to_text()}\n".encode(), mode=0o600)
    _create_file(private.with_name(private.name + ".pub"), f"{signer.key}\n".encode(), mode=0o644)
    print(f"✓ Llave privada, que nadie más debe tener: {private}")
    print(f"✓ Llave pública, para repartir: {private}.pub\n  {signer.key}")
    return 0


def _create_file(path: Path, content: bytes, *, mode: int) -> None:
    """Create a file, never over another one: a key that is written over ends its log for ever."""
    try:
        durable.create(path, content, mode=mode)
    except FileExistsError:
        raise _Stop(f"Ya hay un archivo {path}; no se escribió encima.") from None
    except OSError:
        raise _Stop(f"No se pudo crear el archivo {path}.") from None


def _run_witness(asked: argparse.Namespace) -> int:
    signer = read_signer(_read_given_file(asked.private, LONGEST_NOTE).decode("utf-8", "replace"))
    # A log key that signs as a witness would let a log witness itself.
    if signer.key.kind is not SignatureKind.WITNESS:
        raise _Stop(f"La llave de {asked.private} es de bitácora; la de un testigo se crea con log-key --witness.")
    logs = [read_verifier_key(text) for text in asked.log]
    if any(key.kind is not SignatureKind.LOG for key in logs):
        raise _Stop("Después de --log va la llave pública de una bitácora.")
    if not 0 <= asked.port <= _HIGHEST_PORT:
        raise _Stop(f"El puerto debe estar entre 0 y {_HIGHEST_PORT}.")
    from integrity.log.witness import Memory, serve  # noqa: PLC0415  # only a witness serves
    from integrity.log.writer import LogRefused  # noqa: PLC0415

    try:
        # The memory is opened before the port: without it the witness must not answer.
        server = serve(signer, logs, Memory(asked.memory), host=asked.host, port=asked.port, tell=_print_now)
    except OSError:
        raise _Stop(f"No se pudo abrir {asked.host}:{asked.port}.") from None
    except LogRefused as problem:
        raise _Stop(f"No se pudo: {problem.sentence}.") from None
    with server:
        _print_now(f"Testigo {signer.key}\nEscucha en http://{asked.host}:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def _print_now(what: str) -> None:
    print(what, flush=True)
