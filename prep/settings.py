"""Every setting of every part, read once from `PREP_*` when a process starts. An unknown variable stops the start."""

import os
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from prep.errors import Rejected

CENTRAL: Final = timezone(timedelta(hours=-6), "UTC-6")
"""Time on paper. Mexico has had no daylight saving time in most of its territory since 2022."""

PREFIX: Final = "PREP_"


class BusKind(StrEnum):
    EMBEDDED = "embedded"


class Settings(BaseSettings):
    """One typed object; the docstring of each field is its manual."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True)

    data: Path = Path("var")
    """Folder of everything this machine keeps: embedded Postgres, blobs, keys, logs."""
    public: Path = Path("var/publico")
    """Root of the published tree."""
    database: str = ""
    """URL of PostgreSQL for the application's role; empty: the embedded one under `data`."""
    database_owner: str = ""
    """URL for `prep migrate` and `prep catalog load`; empty: embedded, or the same as `database`."""
    bus: BusKind = BusKind.EMBEDDED
    blobs: str = ""
    """URL of the blob store (file:///…, s3://…); empty: the folder `blobs` under `data`."""

    host: str = "127.0.0.1"
    capture_port: int = 8700
    worker_metrics_port: int = 8701
    publisher_metrics_port: int = 8702
    """Where the publisher serves /metrics and /healthz, and the published tree itself (for demos; nginx otherwise)."""

    image_max_bytes: int = Field(default=15_000_000, ge=10_000)
    image_max_pixels: int = Field(default=60_000_000, ge=1_000_000)
    decoders: int = Field(default=2, ge=1, le=64)
    """Processes that decode images, for each worker."""
    attempts: int = Field(default=5, ge=1)
    """Tries of a message before it is parked."""

    lease_minutes: float = Field(default=10, gt=0)
    session_hours: float = Field(default=12, gt=0)
    qr_key: SecretStr | None = None
    """Key of the digest behind the QR text, where the stickers carry one."""

    siglas: str = Field(default="EDO", pattern=r"^[A-Z]{2,10}$")
    """The state's abbreviation in official file names."""
    simulacro: bool = True
    """True until somebody says otherwise: a rehearsal must never be taken for the real night."""
    start: datetime | None = None
    """First corte with data (ISO 8601 with offset); empty: as soon as the publisher starts."""
    end: datetime | None = None
    """The last corte is cut at this moment at the latest; empty: 24 h after `start`."""
    interval_seconds: float = Field(default=300, gt=0)
    """Time between cortes. *Check:* at least three an hour on the real night."""
    close_when_complete: bool = True
    """Cut the last corte as soon as every expected acta is captured and nothing waits (*check*, `domain.md` §8)."""

    @property
    def receipts_key(self) -> Path:
        """The Ed25519 key that signs receipts; made on first use, mode 0600."""
        return self.data / "llaves" / "acuses.pem"

    @property
    def blobs_url(self) -> str:
        return self.blobs or (self.data / "blobs").absolute().as_uri()


def read_settings() -> Settings:
    """The settings of this process. Raises Rejected with one sentence that names every variable that is wrong."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise Rejected(f"variables de entorno desconocidas: {', '.join(unknown)}")
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise Rejected(f"configuración inválida: {wrong}") from None


def now() -> datetime:
    """The machine's clock, in UTC: the one place that reads it. Everything else is handed a clock."""
    return datetime.now(UTC)
