import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from deploy.local.servers import LocalServers
from loadtests.day.applying import wait_until_applied
from loadtests.day.catalogs import CatalogEntry, key_of, read_catalogs_of
from loadtests.day.collector import Outcome
from loadtests.day.importing import publish
from loadtests.day.kafka import DayError, consumer_settings, end_offsets, producer_settings
from loadtests.day.news import news
from loadtests.day.playing import Progress, play
from loadtests.day.requests import Batch, prepare
from loadtests.day.tests.making import dataset, request, section, student
from shared.choreography import ENROLLMENT_EVENTS, REQUESTS, SECTION_CATALOG, STUDENT_CATALOG
from shared.identifiers import Term

NOW = datetime(2031, 1, 2, tzinfo=UTC)
CATALOGS = (SECTION_CATALOG.name, STUDENT_CATALOG.name)


def new_catalog() -> list[CatalogEntry]:
    term = f"term-{uuid4().hex[:8]}"
    sections = [section(f"1.{n}", term=term) for n in range(20)]
    students = [student(f"{term}-S{n}") for n in range(20)]
    return [*sections, *students]


def new_in(kafka_url: str, entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
    known = read_catalogs_of(kafka_url)
    both = known[SECTION_CATALOG.name] | known[STUDENT_CATALOG.name]
    return list(news(entries, both, Term("fall")))


def store_offsets(kafka_url: str, group: str, topics: Sequence[str]) -> None:
    consumer = Consumer(consumer_settings(kafka_url) | {"group.id": group})
    places = [
        TopicPartition(place.topic, place.partition, end)
        for topic in topics
        for place, end in end_offsets(consumer, topic).items()
    ]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


def test_what_was_published_is_no_news_and_what_changed_has_the_next_version(
    servers: LocalServers,
) -> None:
    entries = new_catalog()
    publish(servers.kafka_url, new_in(servers.kafka_url, entries))

    again = new_in(servers.kafka_url, entries)
    changed = new_in(servers.kafka_url, [entries[0].model_copy(update={"capacity": 6})])

    assert again == []
    assert [(key_of(entry), entry.version) for entry in changed] == [(key_of(entries[0]), 2)]


def test_an_import_waits_for_each_service_that_reads_the_catalogs(servers: LocalServers) -> None:
    kafka_url = servers.kafka_url
    places = publish(kafka_url, new_in(kafka_url, new_catalog()))

    with pytest.raises(DayError, match="student and capacity did not apply"):
        wait_until_applied(kafka_url, places, 0.2)
    store_offsets(kafka_url, "student", CATALOGS)
    with pytest.raises(DayError, match=r"^capacity did not apply"):
        wait_until_applied(kafka_url, places, 0.2)
    store_offsets(kafka_url, "capacity", CATALOGS[:1])
    wait_until_applied(kafka_url, places, 0.2)


def test_a_topic_that_is_missing_is_an_error_that_says_so(servers: LocalServers) -> None:
    consumer = Consumer(consumer_settings(servers.kafka_url))

    with pytest.raises(DayError, match=r"no topic not\.there"):
        end_offsets(consumer, "not.there")
    consumer.close()


def test_kafka_that_is_away_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.day.kafka.ANSWER_SECONDS_MAX", 0.5)
    consumer = Consumer(consumer_settings("127.0.0.1:1"))

    with pytest.raises(DayError, match="does not answer"):
        end_offsets(consumer, "enrollment.events")
    consumer.close()


@contextmanager
def answering(kafka_url: str, answers: Callable[[dict[str, Any]], list[str]]) -> Iterator[None]:
    """Stand in for the services: publish what `answers` says of each request."""
    stop = threading.Event()
    consumer = Consumer(consumer_settings(kafka_url))
    ends = end_offsets(consumer, REQUESTS.name)
    consumer.assign([TopicPartition(*place, end) for place, end in ends.items()])
    producer = Producer(producer_settings(kafka_url))

    def work() -> None:
        while not stop.is_set():
            message = consumer.poll(0.05)
            if message is None:
                continue
            body = json.loads(message.value() or b"")
            for kind in answers(body):
                headers = [("ce_type", kind), ("ce_subject", body["enrollment_id"])]
                answer = json.dumps({"reasons": [{"code": "section_full"}]})
                producer.produce(ENROLLMENT_EVENTS.name, answer, message.key(), headers=headers)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        producer.flush(5)
        consumer.close()


def day_of(students: int) -> Batch:
    requests = (request(n, f"S{n}", "1.1") for n in range(students))
    return prepare([dataset(*requests)], uuid4().hex, NOW)


def answers(body: dict[str, Any]) -> list[str]:
    """Confirm even students, twice; reject the others; cancel one; say nothing of another."""
    number = int(body["student_id"][1:])
    if number == 7:
        return []
    if number == 8:
        return ["EnrollmentOpened", "EnrollmentCancelled"]
    if number % 2:
        return ["EnrollmentOpened", "EnrollmentRejected"]
    return ["EnrollmentOpened", "EnrollmentConfirmed", "EnrollmentConfirmed"]


@pytest.mark.parametrize("rate", [None, 400])
def test_a_run_publishes_all_and_takes_the_first_outcome_of_each(
    servers: LocalServers, rate: float | None
) -> None:
    told: list[Progress] = []

    with answering(servers.kafka_url, answers):
        played = play(
            servers.kafka_url,
            day_of(600),
            rate=rate,
            patience_seconds=1.5,
            on_progress=told.append,
        )

    outcomes = played.outcomes
    assert len(played.started_at) == 600
    assert outcomes.counts == Counter(
        {Outcome.CONFIRMED: 299, Outcome.REJECTED: 299, Outcome.CANCELLED: 1}
    )
    assert outcomes.reasons == {"section_full": 299}
    assert outcomes.decided_at[7] == 0
    assert told[-1].in_flight == 1
    assert played.not_delivered == 0


def test_a_run_keeps_to_its_schedule(servers: LocalServers) -> None:
    with answering(servers.kafka_url, lambda _: ["EnrollmentConfirmed"]):
        played = play(
            servers.kafka_url, day_of(100), rate=100, patience_seconds=5, on_progress=print
        )

    gaps = [b - a for a, b in zip(played.started_at, played.started_at[1:], strict=False)]
    assert gaps == pytest.approx([0.01] * 99)
    assert played.started_at[0] == played.first_at
    assert played.outcomes.are_complete
    assert all(
        decided > started
        for started, decided in zip(played.started_at, played.outcomes.decided_at, strict=True)
    )
