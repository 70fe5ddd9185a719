"""The view's process: it reads the real topics, and a second reading of all changes nothing."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Producer

from services.enrollment.ingress.freshness import Freshness
from services.enrollment.ingress.log_ends import LogEnds
from services.enrollment.ingress.tests.test_view_reader import breaker
from services.enrollment.ingress.tests.view_making import (
    HAPPY,
    S1,
    STORIES,
    published,
    seat_reserved,
    seen,
)
from services.enrollment.ingress.view.model import Status
from services.enrollment.ingress.view.reader import View
from shared.choreography import REQUESTS, TOPIC_OF, VIEWED
from shared.codec import encode_body, encode_headers
from shared.database import Database
from shared.events import EnrollmentCancellationRequested, EnrollmentEvent, Event
from shared.identifiers import EnrollmentId, Term, new_event_id
from shared.tests.machinery import Servers, rows_of, unique, url_of

ROOT = Path(__file__).parents[4]
PROGRAM = """
from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.view.parts import view_parts
from shared.process import Process, load_settings, run_process

settings = load_settings(IngressSettings)
raise SystemExit(run_process(Process(view_parts(settings), settings)))
"""
LONG_AGO = datetime(2026, 2, 1, 10, tzinfo=UTC)


def publish(kafka_url: str, events: Sequence[Event], began_at: datetime = LONG_AGO) -> None:
    """Write events as the services and those outside do, one second apart by their own clocks."""
    producer = Producer({"bootstrap.servers": kafka_url, "log_level": 2})
    for second, event in enumerate(events):
        subject, key = "T/A", "T/A"
        if isinstance(event, EnrollmentEvent):
            subject, key = str(event.enrollment_id), event.student_id
        headers = encode_headers(
            event_id=new_event_id(),
            event_type=type(event).__name__,
            source="/test",
            subject=subject,
            occurred_at=began_at + timedelta(seconds=second),
            traceparent=None,
        )
        producer.produce(TOPIC_OF[type(event)].name, encode_body(event), key, headers=headers)
    assert producer.flush(20) == 0


def story_of(name: str, enrollment_id: EnrollmentId) -> list[EnrollmentEvent]:
    return [one.model_copy(update={"enrollment_id": enrollment_id}) for one in STORIES[name]]


@asynccontextmanager
async def kept(kafka_url: str, database: Database) -> AsyncIterator[View]:
    """Run a process that keeps the view in a database, and does nothing else."""
    environment = {
        "DATABASE_URL": url_of(database),
        "KAFKA_BOOTSTRAP_SERVERS": kafka_url,
        "INSTANCE": unique("slot"),
        "SESSION_TIMEOUT_SECONDS": "6",
        "INSECURE_DEV": "true",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield View(database, breaker())
        process.terminate()
        _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0, errors.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def read_to_the_end(kafka_url: str, view: View) -> None:
    """Wait until the view has read all that there is now."""
    topics = [topic.name for topic in {TOPIC_OF[event] for event in VIEWED}]
    freshness = Freshness(LogEnds(kafka_url, topics), view.positions)
    assert await freshness.has_reached_now(topics, 30)


async def test_what_is_in_the_topics_is_shown_with_its_own_times(
    servers: Servers, ingress_database: Database
) -> None:
    one, term = EnrollmentId(uuid4()), Term(unique("T"))
    reserved = seat_reserved(one, reserved=3).model_copy(update={"term": term})
    section = published(term=term)
    story = [*story_of("confirmed", one)[:3], reserved, *story_of("confirmed", one)[4:]]

    async with kept(servers.kafka_url, ingress_database) as view:
        began_at = datetime.now(UTC)
        publish(servers.kafka_url, [*story, section])
        await read_to_the_end(servers.kafka_url, view)
        shown = (await view.find([one]))[one]
        seats = await view.section(term, section.section_id)

    assert (shown.student_id, shown.status) == (S1, Status.CONFIRMED)
    assert shown.opened_at == LONG_AGO + timedelta(seconds=1)
    assert shown.decided_at == LONG_AGO + timedelta(seconds=4)
    happened = {happening.event: happening.at for happening in shown.happenings or ()}
    assert len(happened) == len(HAPPY)
    assert happened["StudentValidated"] == LONG_AGO + timedelta(seconds=2)
    asked_at = happened["EnrollmentRequested"]
    assert abs(asked_at - began_at) < timedelta(seconds=5)  # by the broker, not by the sender
    assert seats is not None
    assert (seats.capacity, seats.reserved) == (9, 3)


async def test_the_view_is_at_the_end_soon_after_a_request_to_cancel(
    servers: Servers, ingress_database: Database
) -> None:
    cancel = EnrollmentCancellationRequested(enrollment_id=EnrollmentId(uuid4()), student_id=S1)
    async with kept(servers.kafka_url, ingress_database) as view:
        publish(servers.kafka_url, [cancel])  # an empty log's end is reached before anybody reads
        await read_to_the_end(servers.kafka_url, view)
        freshness = Freshness(LogEnds(servers.kafka_url, [REQUESTS.name]), view.positions)
        publish(servers.kafka_url, [cancel])
        began = time.monotonic()

        assert await freshness.has_reached_now([REQUESTS.name], 5)
        took_seconds = time.monotonic() - began

    assert took_seconds < 0.8  # it would take a second if nobody heard of it


async def test_reading_everything_again_changes_nothing(
    servers: Servers, ingress_database: Database
) -> None:
    ids = {name: EnrollmentId(uuid4()) for name in STORIES if name != "bad"}
    tables = (
        "SELECT * FROM viewed_enrollment ORDER BY enrollment_id",
        "SELECT * FROM viewed_section ORDER BY term, section_id",
        "SELECT * FROM viewed_total",
    )
    async with kept(servers.kafka_url, ingress_database) as view:
        for name, one in ids.items():
            publish(servers.kafka_url, story_of(name, one))
        await read_to_the_end(servers.kafka_url, view)
        shown = await view.find(ids.values())
    before = [await rows_of(ingress_database, sql) for sql in tables]
    await rows_of(ingress_database, "DELETE FROM consumer_offset")

    async with kept(servers.kafka_url, ingress_database) as view:
        await read_to_the_end(servers.kafka_url, view)

    assert [await rows_of(ingress_database, sql) for sql in tables] == before
    assert {name: shown[one].saga_status for name, one in ids.items()} == {
        name: seen(*STORIES[name]).saga_status for name in ids
    }
