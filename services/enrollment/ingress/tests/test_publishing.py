"""The ingress's producer on a real broker: acknowledged, or given up in time."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from deploy.local.servers import LocalServers
from services.enrollment.ingress.publishing import (
    Outgoing,
    Publisher,
    ingress_producer_settings,
)
from shared.choreography import REQUESTS
from shared.errors import DeliveryFailedError
from shared.events import EnrollmentRequested
from shared.identifiers import EnrollmentId, SectionId, StudentId, Term, new_event_id
from shared.tests.machinery import PrivateServers, read_topic
from shared.topics import create_topics

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def outgoing(student: str = "S1") -> Outgoing:
    event = EnrollmentRequested(
        enrollment_id=EnrollmentId(uuid4()),
        student_id=StudentId(student),
        term=Term("2031a"),
        sections=(SectionId("A"),),
    )
    return Outgoing(event, TRACEPARENT, datetime.now(UTC))


@asynccontextmanager
async def publisher(kafka_url: str, timeout_seconds: float = 2) -> AsyncIterator[Publisher]:
    made = Publisher(ingress_producer_settings(kafka_url, timeout_seconds), new_event_id)
    made.start()
    yield made
    await made.stop()


async def test_a_request_is_in_its_topic_as_a_cloud_event_once_it_is_published(
    servers: LocalServers,
) -> None:
    sent = outgoing()

    async with publisher(servers.kafka_url) as made:
        await made.publish(sent)

    subject = str(sent.event.enrollment_id).encode()
    [message] = [
        one
        for one in read_topic(servers.kafka_url, REQUESTS.name)
        if dict(one.headers() or []).get("ce_subject") == subject
    ]
    headers = dict(message.headers() or [])
    assert message.key() == b"S1"
    assert headers["ce_type"] == b"EnrollmentRequested"
    assert headers["traceparent"] == TRACEPARENT.encode()
    assert EnrollmentRequested.model_validate_json(message.value() or b"") == sent.event


async def test_a_thousand_at_once_are_all_acknowledged(servers: LocalServers) -> None:
    async with publisher(servers.kafka_url) as made:
        async with asyncio.timeout(10):
            await asyncio.gather(*(made.publish(outgoing(f"S{n}")) for n in range(1000)))


async def test_what_kafka_does_not_acknowledge_in_time_is_given_up() -> None:
    async with publisher("127.0.0.1:1", timeout_seconds=0.5) as made:
        began = time.monotonic()

        with pytest.raises(DeliveryFailedError):
            await made.publish(outgoing())

        assert time.monotonic() - began < 5


async def test_one_that_gives_up_waiting_does_not_disturb_the_others(
    servers: LocalServers,
) -> None:
    async with publisher(servers.kafka_url) as made:
        impatient = asyncio.ensure_future(made.publish(outgoing()))
        await asyncio.sleep(0)
        impatient.cancel()

        async with asyncio.timeout(5):
            await made.publish(outgoing())


async def test_publishing_goes_on_once_kafka_has_come_back(
    private_servers: PrivateServers,
) -> None:
    create_topics(private_servers.kafka_url)
    async with publisher(private_servers.kafka_url, timeout_seconds=1) as made:
        await made.publish(outgoing())
        os.kill(private_servers.kafka_pid, signal.SIGSTOP)
        try:
            with pytest.raises(DeliveryFailedError):
                await made.publish(outgoing())
        finally:
            os.kill(private_servers.kafka_pid, signal.SIGCONT)

        async with asyncio.timeout(20):
            await _until_published(made)


async def _until_published(made: Publisher) -> None:
    while True:
        try:
            return await made.publish(outgoing())
        except DeliveryFailedError:
            await asyncio.sleep(0.1)
