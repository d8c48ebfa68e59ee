"""The bus that the settings name."""

from typing import TYPE_CHECKING

from prep.bus.contract import Bus
from prep.bus.table import EmbeddedBus
from prep.errors import Rejected
from prep.settings import BusKind, Settings

if TYPE_CHECKING:
    from prep.bus.kafka_cluster import Cluster


def open_bus(settings: Settings, database: str) -> Bus:
    """Kafka, or the embedded one on the PostgreSQL at `database`. It connects when it is used."""
    # The one place that knows both: everybody else has a Bus.
    match settings.bus:
        case BusKind.EMBEDDED:
            return EmbeddedBus(database)
        case BusKind.KAFKA:
            from prep.bus.kafka import KafkaBus  # noqa: PLC0415  # only a night on Kafka loads its client

            return KafkaBus(cluster(settings))


def cluster(settings: Settings) -> "Cluster":
    """The cluster of these settings. Raises Rejected if they do not say enough."""
    from prep.bus.kafka_cluster import Cluster  # noqa: PLC0415

    # Said here and not by pydantic: these settings are wrong only together, and only with Kafka.
    if not settings.kafka:
        raise Rejected("falta PREP_KAFKA: las direcciones de Kafka, como kafka1:9092,kafka2:9092,kafka3:9092")
    if bool(settings.kafka_user) != (settings.kafka_password is not None):
        raise Rejected("PREP_KAFKA_USER y PREP_KAFKA_PASSWORD van juntos")
    if settings.kafka_ca and not settings.kafka_tls:
        raise Rejected("PREP_KAFKA_CA necesita PREP_KAFKA_TLS=true")
    return Cluster(
        settings.kafka,
        prefix=settings.kafka_prefix,
        tls=settings.kafka_tls,
        ca=settings.kafka_ca,
        user=settings.kafka_user,
        password=settings.kafka_password.get_secret_value() if settings.kafka_password else "",
        mechanism=settings.kafka_mechanism,
    )
