"""The settings of Kafka's client for a member whose offsets the database keeps."""

from typing import Any, Final

# Read ahead little: what is read ahead of one partition delays what comes in another. While
# anything of a partition waits to be read, it is asked for more every so often and not with each
# arrival: every question costs the broker and us, whatever comes of it.
READ_AHEAD_MESSAGES: Final = 1
FETCH_BYTES: Final = 128 * 1024
FETCH_BACKOFF_MS: Final = 10
# A client that is told of no leader, as by a broker that comes back, asks again only then, and
# joins no group before: by default after five minutes.
METADATA_REFRESH_MS: Final = 2_000


def consumer_settings(
    bootstrap_servers: str, group: str, instance: str | None, session_timeout_seconds: float
) -> dict[str, Any]:
    """Give the settings of a cooperative member whose offsets are kept elsewhere.

    With an instance it is static: it keeps its place in the group until its session is over.
    """
    name = {} if instance is None else {"group.instance.id": f"{group}-{instance}"}
    return {
        "bootstrap.servers": bootstrap_servers,
        "group.id": group,
        **name,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": int(session_timeout_seconds * 1000),
        "heartbeat.interval.ms": 1000,
        "enable.auto.commit": True,
        "auto.commit.interval.ms": 400,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "queued.min.messages": READ_AHEAD_MESSAGES,
        "fetch.message.max.bytes": FETCH_BYTES,
        "fetch.queue.backoff.ms": FETCH_BACKOFF_MS,
        "fetch.wait.max.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": METADATA_REFRESH_MS,
        "log_level": 2,
    }
