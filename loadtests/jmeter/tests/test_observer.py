"""The observer on a real Kafka, to which the test writes what JMeter and the services would."""

from collections.abc import Sequence
from time import sleep, time
from uuid import UUID, uuid4

from confluent_kafka import Producer

from deploy.local.processes import wait_until
from deploy.local.servers import LocalServers
from loadtests.day.kafka import producer_settings
from loadtests.jmeter.observer import observed
from loadtests.jmeter.sightings import SOURCE
from shared.choreography import ENROLLMENT_EVENTS, REQUESTS
from shared.clock import system_clock
from shared.codec import encode_headers
from shared.identifiers import new_event_id

APART_SECONDS = 0.3
SEEN_SECONDS_MAX = 60
JMETER = SOURCE.decode()


def publish(
    kafka_url: str, topic: str, event_type: str, ids: Sequence[UUID], source: str = JMETER
) -> None:
    """Write an event of each enrollment, and return when Kafka has them."""
    producer = Producer(producer_settings(kafka_url))
    for one in ids:
        headers = encode_headers(
            event_id=new_event_id(),
            event_type=event_type,
            source=source,
            subject=str(one),
            occurred_at=system_clock(),
            traceparent=None,
        )
        producer.produce(topic, b"{}", str(one), headers=headers)
    assert producer.flush(60) == 0


def names(ids: Sequence[UUID]) -> set[bytes]:
    return {str(one).encode() for one in ids}


def test_it_sees_each_request_of_jmeter_and_the_first_outcome_of_each(
    servers: LocalServers,
) -> None:
    url = servers.kafka_url
    earlier, ours, foreign = uuid4(), [uuid4() for _ in range(20)], uuid4()
    publish(url, REQUESTS.name, "EnrollmentRequested", [earlier])
    publish(url, ENROLLMENT_EVENTS.name, "EnrollmentConfirmed", [earlier])

    with observed(url) as seen:
        began_ms = time() * 1000
        publish(url, REQUESTS.name, "EnrollmentRequested", ours)
        publish(url, REQUESTS.name, "EnrollmentRequested", [foreign], source="/elsewhere")
        publish(url, ENROLLMENT_EVENTS.name, "EnrollmentOpened", ours)
        sleep(APART_SECONDS)
        publish(url, ENROLLMENT_EVENTS.name, "EnrollmentConfirmed", ours[:10])
        publish(url, ENROLLMENT_EVENTS.name, "EnrollmentRejected", ours[10:])
        assert wait_until(lambda: names(ours) <= seen.decided_ms.keys(), SEEN_SECONDS_MAX)
        first_ms = {name: seen.decided_ms[name] for name in names(ours)}
        publish(url, ENROLLMENT_EVENTS.name, "EnrollmentConfirmed", ours[:10])  # once more

    assert seen.asked.keys() & names([earlier, *ours, foreign]) == names(ours)
    assert not seen.decided_ms.keys() & names([earlier])
    assert {name: seen.decided_ms[name] for name in names(ours)} == first_ms
    for name, decided_ms in first_ms.items():
        asked = seen.asked[name]
        assert began_ms - 1 <= asked.sent_ms <= asked.logged_ms + 1  # Kafka knows milliseconds
        assert asked.sent_ms + 1000 * APART_SECONDS <= decided_ms


def test_what_was_written_last_is_read_although_it_is_over(servers: LocalServers) -> None:
    ours = [uuid4() for _ in range(2000)]

    with observed(servers.kafka_url) as seen:
        publish(servers.kafka_url, REQUESTS.name, "EnrollmentRequested", ours)
        publish(servers.kafka_url, ENROLLMENT_EVENTS.name, "EnrollmentConfirmed", ours)

    assert names(ours) <= seen.asked.keys()
    assert names(ours) <= seen.decided_ms.keys()
