"""How to reach a Kafka cluster, and its topics as `prep bus init` makes them.

One cluster serves several nights: each has a prefix of its own for topics and groups. A new database must never read
the messages of another night.
"""

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.helpers import create_ssl_context

from prep.errors import Rejected, Unavailable
from prep.messages import PARTITIONS, Topic

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says each failure many times a second; we say it once

AWAY: Final = (KafkaError, OSError, TimeoutError)
"""What a cluster that does not answer looks like; also one that has not got the topic yet."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """How to reach a cluster, and the prefix under which everything of this night is in it."""

    servers: str
    prefix: str = "prep."
    tls: bool = False
    ca: Path | None = None
    """Certificates to trust (PEM); None: the system's."""
    user: str = ""
    password: str = field(default="", repr=False)
    mechanism: str = "SCRAM-SHA-512"

    def options(self) -> dict[str, Any]:
        """What every aiokafka client is given."""
        # SASL says who we are, TLS hides it: a cluster may ask for either, both or none.
        said: dict[str, Any] = {"bootstrap_servers": self.servers.split(",")}
        said["security_protocol"] = ("SASL_" if self.user else "") + ("SSL" if self.tls else "PLAINTEXT")
        if self.tls:
            said["ssl_context"] = _tls_context(self.ca)
        if self.user:
            said |= {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.user}
            said["sasl_plain_password"] = self.password
        return said

    def topic(self, topic: Topic) -> str:
        return f"{self.prefix}{topic}"

    def group(self, topic: Topic, group: str) -> str:
        """One group of Kafka for each topic, so that a rebalance of one topic is none of the other's business."""
        return f"{self.prefix}{topic}.{group}"


def _tls_context(ca: Path | None) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = create_ssl_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise Rejected(f"no se pueden leer los certificados de {ca}: {error}") from None
    return context


def error_text(error: BaseException) -> str:
    return str(error) or type(error).__name__


def topic_configs(replication: int) -> dict[str, str]:
    """Of a topic with that many copies. Messages are evidence: a person deletes them, no clock does."""
    # With three copies one node may be away, and publishing goes on with two.
    in_sync = 2 if replication >= 3 else 1
    return {
        "min.insync.replicas": str(in_sync),
        "flush.messages": "1",  # on the disk of each copy before it is acknowledged: brokers may share a power line
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",  # the node's own clock, with which each publisher compares its own
        "unclean.leader.election.enable": "false",
    }


async def create_topics(cluster: Cluster, replication: int) -> tuple[list[str], bool]:
    """Create the topics that lack; says what it did, a sentence a topic, and whether all is as it must be.

    Raises Unavailable if the cluster does not answer, Rejected if it cannot hold that many copies.
    """
    admin = AIOKafkaAdminClient(**cluster.options(), request_timeout_ms=10_000)
    try:
        async with asyncio.timeout(30):
            await admin.start()
            return await _create_topics(admin, cluster, replication)
    except AWAY as error:
        raise Unavailable(f"Kafka no responde en {cluster.servers}: {type(error).__name__}") from error
    finally:
        await admin.close()


async def _create_topics(admin: AIOKafkaAdminClient, cluster: Cluster, replication: int) -> tuple[list[str], bool]:
    wanted = {cluster.topic(topic): partitions for topic, partitions in PARTITIONS.items()}
    stated = topic_configs(replication)
    answer = await admin.create_topics(
        [NewTopic(name, partitions, replication, topic_configs=stated) for name, partitions in wanted.items()]
    )
    # Kafka answers for each topic: made now, there already, or refused.
    # A topic that is there already is compared and not changed: that is for a person to decide.
    sentences, well = [], True
    for name, code, message, *_ in answer.topic_errors:
        what = for_code(code)
        if not code:
            said = ", ".join(f"{key}={value}" for key, value in stated.items())
            sentences.append(f"{name}: creado con {wanted[name]} particiones y {replication} copias ({said})")
        elif what is TopicAlreadyExistsError:
            wrong = await _topic_differences(admin, name, wanted[name], replication)
            well = well and not wrong
            sentences += [f"{name}: ya existía y {each}" for each in wrong or ["es como debe"]]
        elif what is InvalidReplicationFactorError:
            raise Rejected(f"{name}: Kafka no tiene nodos para {replication} copias (PREP_KAFKA_REPLICATION)")
        else:
            raise what(message)
    return sentences, well


async def _topic_differences(admin: AIOKafkaAdminClient, name: str, partitions: int, replication: int) -> list[str]:
    """What of an existing topic is not as stated."""
    [topic] = await admin.describe_topics([name])
    # More partitions than stated do no harm. Fewer would be a bottleneck that nobody sees.
    wrong = []
    if len(topic["partitions"]) < partitions:
        wrong.append(f"tiene {len(topic['partitions'])} particiones; se necesitan {partitions}")
    # Every partition is looked at: one with fewer copies is enough to lose messages.
    copies = {len(each["replicas"]) for each in topic["partitions"]}
    if copies != {replication}:
        wrong.append(f"tiene {' y '.join(map(str, sorted(copies)))} copias; se piden {replication}")
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    [(_, _, _, _, entries)] = answer.resources
    has = {key: value for key, value, *_ in entries}
    wrong += [
        f"{key} es {has.get(key)}; debe ser {value}"
        for key, value in topic_configs(replication).items()
        if has.get(key) != value
    ]
    return wrong
