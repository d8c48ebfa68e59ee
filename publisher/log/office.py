"""The settings of a sequencer: its folders, the log's key (made at first use), and the policy that it publishes."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from integrity import durable
from integrity.layout import LOG
from integrity.log.note import Policy, SignatureKind, Signer, Unsupported, read_policy, read_signer
from integrity.log.witness import PATIENCE
from integrity.log.writer import LogRefused, Step
from integrity.sums import Malformed
from prep.domain.night import Night
from prep.errors import Rejected
from prep.settings import Settings, now

BATCH: Final = 1000
"""Facts of each kind in one batch, at most."""
POLICY: Final = "politica.txt"
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class LogOffice:
    """Everything that a sequencer is given."""

    url: str
    public: Path
    signer: Signer
    night: Night
    policy: str
    """The text of `politica.txt`."""
    clock: Callable[[], datetime] = now
    step: Step = lambda _: nullcontext()
    """Entered before each step takes effect and left after it: `leaves`, those of `integrity.log`, `proofs`."""
    batch: int = BATCH
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Addresses of witnesses, by their names in the policy, if they differ from those in the policy."""
    patience: float = PATIENCE
    """Seconds that a head waits for its witnesses."""
    keys: Callable[[], Sequence[Signer]] = tuple
    """The keys on this machine besides `signer`; read when the log passes from one key to another."""

    @property
    def folder(self) -> Path:
        """The folder of the log in the published tree."""
        return self.public / LOG


def office_of(settings: Settings, url: str, night: Night) -> LogOffice:
    """The sequencer's office for these settings. Raises Rejected for a key, or a policy, that is not of this night."""
    signer = signing_key(settings.log_key, night.log_name)
    policy = policy_text(signer, night.policy)
    addresses = dict(each.split("=", 1) for each in settings.log_witnesses.split(",") if each)
    asked_at(policy, addresses)
    following = following_key(settings.log_key)

    def keys() -> Sequence[Signer]:
        return [signing_key(following, night.log_name)] if following.exists() else []

    public = settings.public.absolute()
    return LogOffice(url, public, signer, night, policy, addresses=addresses, keys=keys)


def signing_key(path: Path, name: str) -> Signer:
    """The log's key, made at first use with mode 0600. If several processes make it at once, one wins.

    Raises Rejected if the file is no such key, is the key of another log, or if other users of the machine can read it.
    """
    if not path.exists():
        if following_key(path).exists():  # `prep log rotate --end` stopped between its two renames
            following_key(path).rename(path)
        else:
            _make_key(path, name)
    # Any reader of this file could sign a second history of the log.
    if path.stat().st_mode & _OTHERS:
        raise Rejected(f"la llave {path} la pueden leer otros usuarios; corrija con: chmod 600 {path}")
    try:
        signer = read_signer(path.read_text("utf-8"))
    except (Malformed, Unsupported, UnicodeDecodeError):
        raise Rejected(f"{path} no es una llave de bitácora") from None
    # The key's name is the origin of the log: another name would begin another log.
    if signer.key.name != name or signer.key.kind is not SignatureKind.LOG:
        raise Rejected(f"la llave {path} es de la bitácora {signer.key.name}; esta es {name}")
    return signer


def _make_key(path: Path, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):  # another process was first, and its key counts
        durable.put(path, f"{Signer.generate(name, SignatureKind.LOG).to_text()}\n".encode(), mode=0o600)


def following_key(path: Path) -> Path:
    """The place of the next key while two keys overlap (`prep log rotate`)."""
    return path.with_name(f"{path.name}.siguiente")


def signing_now(office: LogOffice, passed_to: Sequence[tuple[bytes, int]]) -> tuple[Signer, list[Signer]]:
    """The key that signs, and the older ones that still sign beside it.

    `passed_to` is the public key and the leaf of each rotation. Raises LogRefused if the newest key is not on this
    machine.
    """
    if not passed_to:
        return office.signer, []
    here = {each.key.public: each for each in (*office.keys(), office.signer)}
    signer = here.get(passed_to[-1][0])
    if signer is None:
        raise LogRefused("la bitácora pasó a otra llave, que no está en esta máquina")
    return signer, [each for each in (office.signer,) if each.key != signer.key]


def policy_text(signer: Signer, declared: str | None) -> str:
    """The policy to publish: the declared one, which must know this log; if none is, one without witnesses."""
    if declared is None:
        return f"log {signer.key}\nquorum none\n"
    try:
        known = [each.key for each in read_policy(declared.encode()).logs]
    except (Malformed, Unsupported) as problem:
        raise Rejected(f"la política declarada no se entiende: {problem}") from None
    if [key.name for key in known] != [signer.key.name]:
        raise Rejected(f"la política declarada no es de la bitácora {signer.key}")
    return declared


def asked_at(policy: str, addresses: Mapping[str, str]) -> Policy:
    """The policy with other addresses for some witnesses. Raises Rejected for a witness that it does not have."""
    read = read_policy(policy.encode())
    # A misspelled name would leave a witness unasked all night.
    unknown = sorted(addresses.keys() - read.witnesses.keys())
    if unknown:
        raise Rejected(f"PREP_LOG_WITNESSES: la política no tiene ningún testigo «{unknown[0]}»")
    witnesses = {name: replace(each, url=addresses.get(name, each.url)) for name, each in read.witnesses.items()}
    return replace(read, witnesses=witnesses)
