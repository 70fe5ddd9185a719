"""A member of a group that gets all partitions, says so in a line, and hears nothing more."""

import sys
import time
from typing import Any, Final

from confluent_kafka import Consumer

from shared.consumer_settings import consumer_settings
from shared.topics import PARTITIONS

SESSION_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
JOIN_SECONDS_MAX: Final = 30.0
DEAF_SECONDS: Final = 60.0


def main() -> int:
    """Take the place of the first process of a service."""
    kafka_url, service, *topics = sys.argv[1:]
    owned: set[tuple[str, int]] = set()

    def on_assign(client: Any, partitions: Any) -> None:
        client.incremental_assign(partitions)
        owned.update((one.topic, one.partition) for one in partitions)

    client = Consumer(consumer_settings(kafka_url, service, f"{service}-1", SESSION_SECONDS))
    client.subscribe(topics, on_assign=on_assign)
    until_seconds = time.monotonic() + JOIN_SECONDS_MAX
    while len(owned) < PARTITIONS * len(topics):
        client.poll(POLL_SECONDS)
        if time.monotonic() > until_seconds:
            return 1
    print("owns all", flush=True)
    time.sleep(DEAF_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
