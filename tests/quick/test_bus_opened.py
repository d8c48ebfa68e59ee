"""The settings decide the bus; if a setting is missing, a sentence names it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from prep.bus.kafka import KafkaBus
from prep.bus.opened import cluster, open_bus
from prep.bus.table import EmbeddedBus
from prep.errors import Rejected
from prep.settings import BusKind, Settings


async def test_the_settings_decide_the_bus() -> None:
    assert isinstance(open_bus(Settings(), "postgresql://x"), EmbeddedBus)
    assert isinstance(open_bus(Settings(bus=BusKind.KAFKA, kafka="a:1,b:2"), "postgresql://x"), KafkaBus)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({}, "falta PREP_KAFKA"),
        ({"kafka": "a:1", "kafka_user": "prep"}, "van juntos"),
        ({"kafka": "a:1", "kafka_password": "x"}, "van juntos"),
        ({"kafka": "a:1", "kafka_ca": Path("ca.pem")}, "necesita PREP_KAFKA_TLS=true"),
    ],
)
def test_a_missing_setting_is_named(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Rejected, match=sentence):
        cluster(Settings(**said))


def test_the_settings_decide_how_a_cluster_is_reached() -> None:
    plain = cluster(Settings(kafka="a:1,b:2")).options()
    assert plain == {"bootstrap_servers": ["a:1", "b:2"], "security_protocol": "PLAINTEXT"}
    known = cluster(
        Settings(kafka="a:1", kafka_tls=True, kafka_user="prep", kafka_password=SecretStr("secreto"))
    ).options()
    assert (known["security_protocol"], known["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (known["sasl_plain_username"], known["sasl_plain_password"]) == ("prep", "secreto")
    assert known["ssl_context"].check_hostname
    with pytest.raises(Rejected, match="no se pueden leer los certificados"):
        cluster(Settings(kafka="a:1", kafka_tls=True, kafka_ca=Path("no-hay.pem"))).options()


def test_a_password_is_never_shown() -> None:
    said = Settings(kafka="a:1", kafka_user="prep", kafka_password=SecretStr("secreto"))
    assert "secreto" not in repr(said)
    assert "secreto" not in repr(cluster(said))
