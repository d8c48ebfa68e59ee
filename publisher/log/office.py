"""What a sequencer works with: its folders, the log's key, made at first use, and the policy that it publishes."""

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
from prep.errors import Rejected
from prep.settings import Settings, now

BATCH: Final = 1000
"""Facts of each kind in one batch, at most."""
POLICY: Final = "politica.txt"
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class LogOffice:
    """What a sequencer works with."""

    url: str
    public: Path
    signer: Signer
    simulacro: bool
    policy: str
    """The text of `politica.txt`."""
    clock: Callable[[], datetime] = now
    step: Step = lambda _: nullcontext()
    """Entered before each step takes effect and left after it: `leaves`, those of `integrity.log`, `proofs`."""
    batch: int = BATCH
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Where witnesses of the policy answer, by their names in it, where that is not what the policy says."""
    patience: float = PATIENCE
    """Seconds that a head waits for its witnesses."""
    keys: Callable[[], Sequence[Signer]] = tuple
    """The keys that are here beside `signer`, looked for when the log passes from one to another."""

    @property
    def folder(self) -> Path:
        return self.public / LOG


def office_of(settings: Settings, url: str) -> LogOffice:
    signer = signing_key(settings.log_key, settings.log_name)
    policy = policy_text(signer, settings.log_policy)
    addresses = dict(each.split("=", 1) for each in settings.log_witnesses.split(",") if each)
    asked_at(policy, addresses)
    following = following_key(settings.log_key)

    def keys() -> Sequence[Signer]:
        return [signing_key(following, settings.log_name)] if following.exists() else []

    public = settings.public.absolute()
    return LogOffice(url, public, signer, settings.simulacro, policy, addresses=addresses, keys=keys)


def signing_key(path: Path, name: str) -> Signer:
    """The log's key, made at first use, mode 0600; of several processes that make it one wins.

    Raises Rejected where the file is no such key, is another log's, or where others on the machine may read it.
    """
    if not path.exists():
        if following_key(path).exists():  # stopped between the two renames of «prep log rotate --end»
            following_key(path).rename(path)
        else:
            _make_key(path, name)
    if path.stat().st_mode & _OTHERS:
        raise Rejected(f"la llave {path} la pueden leer otros usuarios; corrija con: chmod 600 {path}")
    try:
        signer = read_signer(path.read_text("utf-8"))
    except (Malformed, Unsupported, UnicodeDecodeError):
        raise Rejected(f"{path} no es una llave de bitácora") from None
    if signer.key.name != name or signer.key.kind is not SignatureKind.LOG:
        raise Rejected(f"la llave {path} es de la bitácora {signer.key.name}; esta es {name}")
    return signer


def _make_key(path: Path, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):  # another process was first: its key is the key
        durable.put(path, f"{Signer.generate(name, SignatureKind.LOG).to_text()}\n".encode(), mode=0o600)


def following_key(path: Path) -> Path:
    """Where the key that follows the one at `path` is while the two overlap (`prep log rotate`)."""
    return path.with_name(f"{path.name}.siguiente")


def signing_now(office: LogOffice, passed_to: Sequence[tuple[bytes, int]]) -> tuple[Signer, list[Signer]]:
    """The key that signs, and those before it that still do. Raises LogRefused where the one that must is not here."""
    if not passed_to:
        return office.signer, []
    here = {each.key.public: each for each in (*office.keys(), office.signer)}
    signer = here.get(passed_to[-1][0])
    if signer is None:
        raise LogRefused("la bitácora pasó a otra llave, que no está en esta máquina")
    return signer, [each for each in (office.signer,) if each.key != signer.key]


def policy_text(signer: Signer, file: Path | None) -> str:
    """The policy to publish: the file's, which must know this log, or one that asks for no witness."""
    if file is None:
        return f"log {signer.key}\nquorum none\n"
    try:
        text = file.read_text("utf-8")
        known = [each.key for each in read_policy(text.encode()).logs]
    except (OSError, UnicodeDecodeError):
        raise Rejected(f"no se puede leer la política {file}") from None
    except (Malformed, Unsupported) as problem:
        raise Rejected(f"la política {file} no se entiende: {problem}") from None
    if [key.name for key in known] != [signer.key.name]:
        raise Rejected(f"la política {file} no es de la bitácora {signer.key}")
    return text


def asked_at(policy: str, addresses: Mapping[str, str]) -> Policy:
    """The policy, with other addresses for those witnesses. Raises Rejected for one that it does not have."""
    read = read_policy(policy.encode())
    unknown = sorted(addresses.keys() - read.witnesses.keys())
    if unknown:
        raise Rejected(f"PREP_LOG_WITNESSES: la política no tiene ningún testigo «{unknown[0]}»")
    witnesses = {name: replace(each, url=addresses.get(name, each.url)) for name, each in read.witnesses.items()}
    return replace(read, witnesses=witnesses)
