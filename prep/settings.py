"""Every setting of every part, read once from `PREP_*` when a process starts. An unknown variable stops the start."""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from prep.errors import Rejected, reason_of
from prep.object_store import S3Access

PREFIX: Final = "PREP_"
RUN_SECRETS: Final = Path("/run/secrets")
OF_THE_NIGHT: Final = frozenset(
    f"{PREFIX}{name}"
    for name in (
        *("SIMULACRO", "SIGLAS", "START", "END", "INTERVAL_SECONDS", "ZERO_CEREMONY", "CLOSE_WHEN_COMPLETE"),
        *("LOG_ORIGIN", "LOG_POLICY"),
    )
)
"""What an environment said of the night, once. A restart with other words would have made another night."""


class BusKind(StrEnum):
    EMBEDDED = "embedded"
    KAFKA = "kafka"


class KafkaMechanism(StrEnum):
    """How Kafka is told the password."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class Part(StrEnum):
    """A part of the installation. The value is its role in PostgreSQL (`docs/threats.md`)."""

    CAPTURE = "prep_capture"
    WORKER = "prep_worker"
    """The workers, and `prep parked`."""
    PUBLISHER = "prep_publisher"
    """The publisher, and the ceremonies."""
    SEQUENCER = "prep_sequencer"
    """The sequencer, and `prep log`."""
    AUDIT = "prep_audit"
    """Reads and never writes: `prep verify-database`, and what the ceremonies count."""


def _networks(said: str) -> str:
    """Raises ValueError unless these are addresses or networks. An empty text is none."""
    for each in filter(None, said.split(",")):
        ip_network(each)
    return said


Port = Annotated[int, Field(ge=0, le=65_535)]
Minutes = Annotated[float, Field(gt=0, le=10_080)]
"""A week at most: a longer time is a slip of the hand, and no date could hold some of them."""


class Settings(BaseSettings):
    """One typed object; the docstring of each field is its manual."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    secrets: Path | None = None
    """Folder of files named like these settings (`prep_database`, `prep_qr_key`): each holds the value of one, as
    containers hand secrets over. Empty: `/run/secrets` if that exists. A variable of the same name wins."""
    # Places: folders, database, bus, store of images.
    data: Path = Path("var")
    """Folder of everything this machine keeps: embedded Postgres, blobs, keys, logs."""
    public: Path = Path("var/publico")
    """Root of the published tree."""
    site_url: str = Field(default="", pattern=r"^(https?://[^\s\"'<>]+)?$")
    """Where readers find the published tree (https://prep.example.mx): the pages name the picture of an election by its
    whole address, which other sites want. Empty: by its name."""
    database: str = ""
    """URL of PostgreSQL for every part that has none of its own below; empty: the embedded one under `data`."""
    database_capture: str = ""
    """URL of the same PostgreSQL for this part and its own role; this and the next four, if empty: `database`."""
    database_worker: str = ""
    database_publisher: str = ""
    database_sequencer: str = ""
    database_audit: str = ""
    """For `prep verify-database` and the ceremonies: a role that only reads."""
    database_owner: str = ""
    """URL for `prep migrate` and `prep catalog load`; empty: embedded, or the same as `database`."""
    database_replica: str = ""
    """URL of a streaming replica, for the publisher's role, from which cortes are read; empty: there is none."""
    replica_wait_seconds: float = Field(default=5, gt=0, le=3600)
    """How long a corte waits for the replica to come as far as the primary; then it is read from the primary."""
    bus: BusKind = BusKind.EMBEDDED
    """`embedded`: a table of the same PostgreSQL; `kafka`: the cluster at `kafka`, and intake without PostgreSQL."""
    kafka: str = Field(default="", pattern=r"^([^\s,]+:\d+(,[^\s,]+:\d+)*)?$")
    """Addresses of some nodes of the cluster, host:port, separated by commas."""
    kafka_prefix: str = Field(default="prep.", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    """Before the name of every topic and group: each night, and each rehearsal, on a cluster needs one of its own."""
    kafka_replication: int = Field(default=3, ge=1, le=9)
    """Copies of each message; from 3 on, 2 must hold a message before it is acknowledged."""
    kafka_tls: bool = False
    """Speak TLS to the cluster."""
    kafka_ca: Path | None = None
    """PEM file of the certificates to trust (with `kafka_tls`); empty: the system's."""
    kafka_user: str = ""
    """SASL user; empty: none."""
    kafka_password: SecretStr | None = None
    """SASL password of `kafka_user`."""
    kafka_mechanism: KafkaMechanism = KafkaMechanism.SCRAM_SHA_512
    """SASL mechanism of `kafka_user`."""
    blobs: str = ""
    """URL of the blob store (file:///…, s3://bucket/prefix); empty: the folder `blobs` under `data`."""
    s3_endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    """Of an S3 that is not Amazon's. This and the next three, where empty: the AWS_* environment says."""
    s3_region: str = ""
    s3_key_id: str = ""
    s3_secret: SecretStr = SecretStr("")
    s3_plain_http: bool = False
    """Speak to an S3 in the clear on another machine; on this one it is allowed without asking."""

    # Doors: loopback until somebody says otherwise, so that a first try opens none to the world.
    host: str = "127.0.0.1"
    proxies: Annotated[str, AfterValidator(_networks)] = "127.0.0.1,::1"
    """Addresses or networks, separated by commas, of the proxies in front of capture. They say in `X-Forwarded-For`
    which address a client has; nobody else is believed."""
    capture_port: Port = 8700
    worker_metrics_port: Port = 8701
    publisher_metrics_port: Port = 8702
    """Where the publisher serves /metrics and /healthz, and the published tree itself (for demos; nginx otherwise)."""
    sequencer_metrics_port: Port = 8703

    # Limits of an image: a picture that is too large must not stop a machine.
    image_max_bytes: int = Field(default=15_000_000, ge=10_000, le=1_000_000_000)
    image_max_pixels: int = Field(default=60_000_000, ge=1_000_000, le=1_000_000_000)
    decoders: int = Field(default=2, ge=1, le=64)
    """Processes that decode images, for each worker."""
    attempts: int = Field(default=5, ge=1, le=1000)
    """Tries of a message before it is parked."""

    # People.
    lease_minutes: Minutes = 10
    other_site_minutes: Minutes = 30
    """How long a second capture waits for a person at another site; after that anybody else may type it."""
    control_percent: float = Field(default=1, ge=0, le=10)
    """Of the captures that people are handed, how many are of an acta whose result is known, to measure how people
    type; nothing of these counts. 0: none."""
    session_hours: float = Field(default=12, gt=0, le=168)
    """How long a session lasts, at most."""
    session_idle_minutes: Minutes = 30
    """How long a session stays open without a request."""
    qr_key: SecretStr | None = None
    """Key of the digest behind the QR text, where the stickers carry one."""

    # Seals and time stamps.
    seal_certificate: Path | None = None
    """PEM file with the institution's certificate and those above it, which seals every corte; empty: no seal."""
    seal_key: str = ""
    """Its private key: a PEM file that only its owner can read, or `pkcs11:token=…;object=…?module-path=…`."""
    seal_passphrase: SecretStr | None = None
    """Passphrase of the file, or PIN of the token, of `seal_key`."""
    tsa: str = Field(default="", pattern=r"^(https?://[^\s,]+(,https?://[^\s,]+)?)?$")
    """One or two addresses of time stamp authorities (RFC 3161), separated by a comma; empty: no time stamps."""
    tsa_ca: Path | None = None
    """PEM file of the authorities above those of `tsa`."""

    # The log. Its name and its policy are of the night (prep/domain/night.py).
    log_witnesses: str = Field(default="", pattern=r"^([^\s=,]+=https?://[^\s,]+(,[^\s=,]+=https?://[^\s,]+)*)?$")
    """Addresses of the policy's witnesses, `nombre=url` separated by commas; empty: those of the policy. The log's
    first leaf holds the policy's digest, so that it cannot change during a night; addresses may."""

    def database_of(self, part: Part) -> str:
        """The address with which that part connects; empty: the embedded PostgreSQL."""
        own: dict[Part, str] = {
            Part.CAPTURE: self.database_capture,
            Part.WORKER: self.database_worker,
            Part.PUBLISHER: self.database_publisher,
            Part.SEQUENCER: self.database_sequencer,
            Part.AUDIT: self.database_audit,
        }
        return own[part] or self.database

    @property
    def own_postgres(self) -> bool:
        """Whether the institute runs PostgreSQL itself; if not, the embedded one runs under `data`."""
        return any(self.database_of(part) for part in Part) or bool(self.database_owner)

    @property
    def receipts_key(self) -> Path:
        """The Ed25519 key that signs receipts; made on first use, mode 0600."""
        return self.data / "llaves" / "acuses.pem"

    @property
    def log_key(self) -> Path:
        """The Ed25519 key that signs the log's checkpoints; made on first use, mode 0600."""
        return self.data / "llaves" / "bitacora.llave"

    @property
    def blobs_url(self) -> str:
        return self.blobs or (self.data / "blobs").absolute().as_uri()

    @property
    def s3(self) -> S3Access:
        # Out of its wrapper here only, for the one object that is never printed.
        secret = self.s3_secret.get_secret_value()
        return S3Access(self.s3_endpoint, self.s3_region, self.s3_key_id, secret, self.s3_plain_http)


def read_settings() -> Settings:
    """The settings of this process. Raises Rejected with one sentence that names every variable that is wrong."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    # A misspelt variable would leave its default in force, and nobody would see it.
    # Names count in any case, so a misspelt one does too.
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    _refuse_words_of_the_night(unknown)
    if unknown:
        raise Rejected(f"variables de entorno desconocidas: {', '.join(unknown)}")
    where: dict[str, Any] = {"_secrets_dir": _secrets_folder(known)}
    try:
        return Settings(**where)
    except SettingsError as error:
        # The library wraps what it met when it read a file.
        met = error.__cause__
        why = reason_of(met) if isinstance(met, OSError) else "no es un texto en UTF-8"
        name = re.search(r'field "(\w+)"', str(error))
        raise Rejected(f"no se puede leer el secreto {PREFIX.lower()}{name[1] if name else ''}: {why}") from None
    except ValidationError as error:
        # All of them in one sentence: an operator corrects the file once.
        wrong = "; ".join(
            f"{PREFIX}{name.upper()}: {_expected(name, each['type'], each.get('ctx', {}))}"
            for each in error.errors()
            for name in [str(each["loc"][0])]
        )
        raise Rejected(f"configuración inválida: {wrong}") from None


_FORMS: Final = {
    "site_url": "una dirección que comience con http:// o https://",
    "kafka": "nodo:puerto, separados por comas",
    "kafka_prefix": "hasta 100 letras sin acentos, números, puntos, guiones y «_»",
    "s3_endpoint": "una dirección que comience con http:// o https://",
    "proxies": "direcciones IP o redes, como 10.0.0.0/8, separadas por comas",
    "tsa": "una o dos direcciones que comiencen con http:// o https://, separadas por una coma",
    "log_witnesses": "nombre=dirección, separados por comas; cada dirección comienza con http:// o https://",
}
"""The form of each setting that a pattern or a function checks."""
_KINDS: Final = {
    "int_parsing": "un número entero",
    "int_parsing_size": "un número entero",
    "float_parsing": "un número",
    "finite_number": "un número",
    "bool_parsing": "true o false",
    "greater_than": "un número mayor que {gt:g}",
    "greater_than_equal": "un número de {ge:.0f} en adelante",
    "less_than_equal": "un número de {le:.0f} a lo más",
}


def _expected(name: str, wrong: str, limits: Mapping[str, float]) -> str:
    """The form that a wrong setting should have. Its value is not shown: it may be a secret."""
    kind = Settings.model_fields[name].annotation
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"se espera uno de: {', '.join(kind)}"
    form = _KINDS.get(wrong) or _FORMS.get(name, "un texto")
    return f"se espera {form.format(**limits)}"


def _refuse_words_of_the_night(unknown: Sequence[str]) -> None:
    """Raises Rejected for a variable, or a secret, that says something about the night."""
    found = [name for name in unknown if name.upper() in OF_THE_NIGHT]
    if found:
        sentence = "la noche se declara una vez, en noche.toml, con «prep night», y no en el entorno de una máquina"
        raise Rejected(f"{sentence}: quite {', '.join(found)}")


def _secrets_folder(known: set[str]) -> Path | None:
    """The folder of secrets. A file there that is no setting's is as wrong as an unknown variable."""
    named = os.environ.get(f"{PREFIX}SECRETS")
    folder = Path(named) if named else RUN_SECRETS
    if not folder.is_dir():
        if named:
            raise Rejected(f"{PREFIX}SECRETS: no es una carpeta: {folder}")
        return None
    # Files of other programs may lie there too: only names that begin like ours are looked at.
    unknown = sorted(path.name for path in folder.glob(f"{PREFIX.lower()}*") if path.name.upper() not in known)
    _refuse_words_of_the_night(unknown)
    if unknown:
        raise Rejected(f"secretos desconocidos en {folder}: {', '.join(unknown)}")
    return folder


def now() -> datetime:
    """The machine's clock, in UTC: the one place that reads it. Everything else is handed a clock."""
    return datetime.now(UTC)
