"""One round on real servers: the reference's server does our work, and is measured."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer

from deploy.local import keys
from deploy.local.servers import LocalServers
from deploy.local.tokens import issuer_with
from loadtests.day.kafka import consumer_settings, end_offsets
from loadtests.frameworks.asking import prepare
from loadtests.frameworks.load import LoadError
from loadtests.frameworks.measuring import Bench
from loadtests.frameworks.pairs import REFERENCE
from shared.choreography import TOPIC_OF
from shared.events import EnrollmentRequested

REQUESTS = 120
WARM_UP = 20


@pytest.fixture
def bench(servers: LocalServers, tmp_path: Path) -> Bench:
    """A small bench."""
    keys.make(tmp_path)
    return Bench(servers, tmp_path, connections=4)


@pytest.fixture
def requests(bench: Bench) -> list[bytes]:
    """Enough for one round."""
    issuer = issuer_with(keys.private_key_file(bench.directory))
    return prepare(WARM_UP + REQUESTS, issuer)


def published(servers: LocalServers) -> int:
    consumer = Consumer(consumer_settings(servers.kafka_url))
    try:
        return sum(end_offsets(consumer, TOPIC_OF[EnrollmentRequested].name).values())
    finally:
        consumer.close()


def test_the_reference_does_all_the_work_and_is_measured(
    bench: Bench, requests: list[bytes]
) -> None:
    before = published(bench.servers)

    with bench.running(REFERENCE) as server:
        one = server.measure(requests[:WARM_UP], requests[WARM_UP:])

    assert published(bench.servers) - before == len(requests)
    bench.forget(REFERENCE, len(requests))
    with pytest.raises(LoadError, match=f"remembers 0 of {len(requests)}"):
        bench.forget(REFERENCE, len(requests))
    assert one.per_second > 0
    assert 0 < one.p50_ms <= one.p99_ms
    assert one.cpu_us > 0


def test_another_answer_than_202_ends_the_measurement_with_what_it_was(
    bench: Bench, requests: list[bytes]
) -> None:
    without_token = [one.replace(b"Bearer", b"Basic") for one in requests]

    with bench.running(REFERENCE) as server, pytest.raises(LoadError, match="500"):
        server.measure(without_token[:WARM_UP], without_token[WARM_UP:])
