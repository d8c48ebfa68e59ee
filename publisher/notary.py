"""Who vouches for a corte: the institution's seal and the time stamps beside its SHA256SUMS.

A PREP night does not stop because a key cannot be used. A corte is sealed in its stage, before any reader sees it. If
the key does not answer, the corte goes out without its seal, an alarm sounds, the log gets an incident, and the seal
is made as soon as the key is back. Until then, a reader with the authority (`integrity verify --ca`) is told that the
seal is missing (AUT-01), which is true. Seals are made in the order of the cortes, so that their hours never go back.
The other choice, no corte without its seal, would let a person who pulls a token out of its socket stop the
publication.

Time stamps come from other institutions. They are asked for after a corte is out, again and again until they are there.
A file beside a SHA256SUMS is written once: an existing seal is never made again. A corte that is made again after a
loss gets a new seal, with a new hour, over the same bytes.
"""

import asyncio
import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

from integrity.layout import CORTES, SUMS
from integrity.sealing import cms
from integrity.sealing.asking import add_missing
from integrity.sealing.certificates import NotSealed, Problem, Purpose, judge_purpose, load, refuse_development
from integrity.sealing.cms import CmsSigner
from integrity.sealing.seal import SEAL, open_signer, place, read_sums_file
from integrity.sealing.sello import seals
from integrity.sealing.stamp import STAMPS, Authority
from prep import observe
from prep.domain.night import Night
from prep.errors import Rejected, reason_of
from prep.settings import Settings, now

log: Final = logging.getLogger(__name__)
PATIENCE: Final = 10.0
"""Seconds that a corte waits for the key, at most."""
LOOK: Final = 2.0
"""Seconds between two looks at missing seals and stamps."""
LONGEST_PAUSE: Final = 30.0
"""The same while the key cannot be used or an authority does not answer."""
TRIES: Final = 4
"""Failed requests after which a round ends, if authorities do not answer."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """Seals and stamps that published cortes still lack."""

    seals: int = 0
    stamps: int = 0
    why: str = ""
    """The reason of the first that could not be had."""


class Notary:
    """The institution's key, if it is present or not, and the authorities that stamp time."""

    def __init__(
        self,
        opened: Callable[[], CmsSigner] | None,
        authorities: Sequence[Authority] = (),
        *,
        zone: tzinfo,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """`opened` raises NotSealed while the key cannot be used. None: this institution does not seal.

        `zone` is that of the night, in which the page of the seal tells its hour.
        """
        self._zone = zone
        self._opened = opened
        self._authorities = authorities
        self._clock = clock
        self._signer: CmsSigner | None = None
        self._busy = threading.Lock()
        self._complete: set[Path] = set()
        self._tries: Counter[Path] = Counter()

    async def seal(self, folder: Path, corte_at: datetime, before: Path | None) -> str | None:
        """Seal a corte in its stage. Returns None, or why there is no seal yet. Never raises because of the key.

        `before` is the folder of the corte before. If that one still lacks its seal, this one waits: hours must not go
        back.
        """
        if self._opened is None:
            return None
        # A later seal first would make the earlier one look like a clock that went back.
        if before is not None and not (before / SEAL).exists():
            return f"el corte anterior ({before.name}) todavía no tiene su sello"
        return await self._ask_key(folder, corte_at)

    async def _ask_key(self, folder: Path, corte_at: datetime | None) -> str | None:
        try:
            async with asyncio.timeout(PATIENCE):  # the thread may go on by itself, and then holds `_busy`
                return await asyncio.to_thread(self._seal_folder, folder, corte_at)
        except TimeoutError:
            return f"la llave del sello no respondió en {PATIENCE:.0f} segundos"

    def _seal_folder(self, folder: Path, corte_at: datetime | None) -> str | None:
        if not self._busy.acquire(timeout=PATIENCE):
            return "la llave del sello sigue ocupada"
        try:
            assert self._opened is not None
            # The key is opened once; after a failure it is opened again, as a token may have been put back.
            self._signer = self._signer or self._opened()
            at = self._clock()  # a clock behind the corte's own hour would make a seal older than its corte
            made = seals(read_sums_file(folder / SUMS), self._signer, at=max(at, corte_at or at).astimezone(self._zone))
            # The .p7s comes last: if it is there, all are. If we stop before it, the next try keeps the sello.
            for file in sorted(made, key=lambda file: file == SEAL):
                if not (folder / file).exists():
                    place(folder / file, made[file])
        except NotSealed as problem:
            if (folder / SEAL).exists():  # another publisher of this tree was first
                return None
            if problem.problem is Problem.KEY:
                self._signer = None
            return problem.sentence
        finally:
            self._busy.release()
        return None

    async def complete(self, public: Path) -> Lacking:
        """Try once to make or get everything that published cortes lack; returns the rest."""
        lacking = await asyncio.to_thread(lambda: list(self._incomplete_cortes(public)))
        why = [await self._seal_all(lacking), await self._stamp_all(lacking)]
        await asyncio.to_thread(self._mark_complete, lacking)
        left = [folder for folder in lacking if folder not in self._complete]
        # Two gauges for the alarms of the operations room.
        unsealed = sum(not (folder / SEAL).exists() for folder in left) if self._opened else 0
        unstamped = sum(not (folder / file).exists() for folder in left for file in STAMPS[: len(self._authorities)])
        observe.SEALS_MISSING.set(unsealed)
        observe.STAMPS_MISSING.set(unstamped)
        return Lacking(unsealed, unstamped, next(filter(None, why), ""))

    def _incomplete_cortes(self, public: Path) -> Iterator[Path]:
        """The folders of cortes that may lack something, in their order."""
        with contextlib.suppress(FileNotFoundError):
            for folder in sorted((public / CORTES).iterdir(), key=lambda folder: (len(folder.name), folder.name)):
                if folder not in self._complete and (folder / SUMS).exists():
                    yield folder

    def _mark_complete(self, folders: Sequence[Path]) -> None:
        wanted = [*([SEAL] if self._opened else []), *STAMPS[: len(self._authorities)]]
        self._complete |= {folder for folder in folders if all((folder / file).exists() for file in wanted)}

    async def _seal_all(self, folders: Sequence[Path]) -> str:
        """Seal them in their order, up to the first that fails; returns the reason."""
        for folder in folders if self._opened else ():
            if not (folder / SEAL).exists() and (why := await self._ask_key(folder, None)):
                return why
        return ""

    async def _stamp_all(self, folders: Sequence[Path]) -> str:
        """Ask for stamps: first the least tried, then the newest, as a stamp is worth most soon after its corte."""
        failed: list[str] = []
        waiting = [
            folder
            for folder in folders
            if any(not (folder / file).exists() for file in STAMPS[: len(self._authorities)])
        ]
        for _, folder in sorted(enumerate(waiting), key=lambda each: (self._tries[each[1]], -each[0])):
            self._tries[folder] += 1
            missing = await add_missing(folder, self._authorities, after=await asyncio.to_thread(_sealed_at, folder))
            failed += missing.values()
            if len(failed) >= TRIES:
                break
        return next(iter(failed), "")

    async def serve(self, public: Path, stop: asyncio.Event) -> None:
        """Until `stop`: make every missing seal and stamp as soon as possible. An error is logged, and tried again."""
        failures, said = 0, ""
        while not stop.is_set():
            try:
                lacking = await self.complete(public)
                why = lacking.why
            except OSError as error:
                why = f"no se pudo leer o escribir en lo publicado: {reason_of(error)}"
            # The pause doubles with each failed round, up to `LONGEST_PAUSE`.
            failures = failures + 1 if why else 0
            if why and why != said:
                log.error("seals or stamps missing", extra={"data": {"why": why}})
            said = why
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(LONGEST_PAUSE, LOOK * 2.0 ** min(failures, 9)))


def _sealed_at(folder: Path) -> datetime | None:
    """The hour that the seal states: a stamp from before it means that a clock went back."""
    try:
        return cms.signing_time(cms.read((folder / SEAL).read_bytes()))
    except (OSError, NotSealed):
        return None


def notary_of(settings: Settings, night: Night) -> Notary | None:
    """The notary of the settings; None if they name neither seal nor stamps. It also starts without its key.

    Raises Rejected for certificates that cannot be read, have another purpose, or are for development in a real night.
    """
    if not settings.seal_certificate and not settings.tsa:
        return None
    if bool(settings.seal_certificate) != bool(settings.seal_key):
        raise Rejected("PREP_SEAL_CERTIFICATE y PREP_SEAL_KEY van juntas")
    if bool(settings.tsa) != bool(settings.tsa_ca):
        raise Rejected("PREP_TSA y PREP_TSA_CA van juntas")
    try:
        opened = _key_of(settings, night)
        authorities = _authorities_of(settings, night)
    except NotSealed as problem:
        raise Rejected(problem.sentence) from None
    except OSError as error:
        raise Rejected(f"no se puede leer el certificado {error.filename}: {reason_of(error)}") from None
    return Notary(opened, authorities, zone=night.tz)


def _key_of(settings: Settings, night: Night) -> Callable[[], CmsSigner] | None:
    certificates, key, secret = settings.seal_certificate, settings.seal_key, settings.seal_passphrase
    if certificates is None:
        return None
    held = load(certificates.read_bytes())
    judge_purpose(held[0], Purpose.SEAL)
    refuse_development(held, simulacro=night.simulacro)
    passphrase = secret.get_secret_value() if secret else None
    return lambda: open_signer(certificates, key, passphrase)


def _authorities_of(settings: Settings, night: Night) -> list[Authority]:
    if settings.tsa_ca is None:
        return []
    trusted = load(settings.tsa_ca.read_bytes())
    refuse_development(trusted, simulacro=night.simulacro)
    return [Authority(url, trusted) for url in settings.tsa.split(",")]
