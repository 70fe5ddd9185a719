"""Runs by HTTP with a real Kafka: the server that is asked also says what came of it."""

import asyncio
import json
from collections.abc import Sequence

from aiohttp import web
from confluent_kafka import Producer

from deploy.local.servers import LocalServers
from loadtests.day.by_http.playing import PlayedByHttp, play_by_http
from loadtests.day.by_http.tests.edge import Seen, accepted, asks_of, edge, enrollment_of
from loadtests.day.collector import Outcome
from loadtests.day.kafka import producer_settings
from loadtests.day.playing import Progress
from loadtests.plain_http.client import Address
from shared.choreography import ENROLLMENT_EVENTS

REASONS = json.dumps({"reasons": [{"code": "section_full"}]})


class Decider:
    """Accepts every request but the last, and decides all but number 7: even ones confirmed."""

    def __init__(self, kafka_url: str) -> None:
        self._producer = Producer(producer_settings(kafka_url) | {"linger.ms": 0})

    async def take(self, request: web.Request, _: Seen) -> web.Response:
        key = request.headers["Idempotency-Key"]
        if key == "19":
            return web.Response(status=422)
        kind = "EnrollmentRejected" if int(key) % 2 else "EnrollmentConfirmed"
        if key != "7":
            await self._say(kind, enrollment_of(key))
        return accepted(request)

    async def _say(self, kind: str, enrollment_id: str) -> None:
        """Have the outcome in Kafka before the answer is given."""
        headers: dict[str, str | bytes | None] = {"ce_type": kind, "ce_subject": enrollment_id}
        self._producer.produce(ENROLLMENT_EVENTS.name, REASONS, b"s", headers=headers)
        await asyncio.to_thread(self._producer.flush, 10)


async def play(
    kafka_url: str, addresses: Sequence[Address], told: list[Progress], *, patience_seconds: float
) -> PlayedByHttp:
    return await asyncio.to_thread(
        play_by_http,
        kafka_url,
        addresses,
        asks_of(20),
        rate=None,
        connections=4,
        patience_seconds=patience_seconds,
        on_progress=told.append,
    )


async def test_a_run_asks_for_all_and_takes_the_outcome_of_each_that_was_accepted(
    servers: LocalServers,
) -> None:
    told: list[Progress] = []

    async with edge(Decider(servers.kafka_url).take) as (address, _):
        played = await play(servers.kafka_url, [address], told, patience_seconds=1.5)

    assert played.log.counts == {"202": 19, "422": 1}
    assert (played.not_delivered, played.delivery_error) == (1, "422")
    assert played.outcomes.counts == {Outcome.CONFIRMED: 10, Outcome.REJECTED: 8}
    assert played.outcomes.reasons == {"section_full": 8}
    assert [n for n, at in enumerate(played.outcomes.decided_at) if not at] == [7, 19]
    assert len(played.started_at) == 20
    assert played.ended_at - played.outcomes.last_at > 1.5
    assert told[-1].sent == 20


async def test_an_outcome_that_comes_before_the_answer_is_not_lost(servers: LocalServers) -> None:
    decider = Decider(servers.kafka_url)

    async def take_late(request: web.Request, seen: Seen) -> web.Response:
        answer = await decider.take(request, seen)
        await asyncio.sleep(0.2)
        return answer

    async with edge(take_late) as (address, _):
        played = await play(servers.kafka_url, [address], [], patience_seconds=1.5)

    assert played.outcomes.counts == {Outcome.CONFIRMED: 10, Outcome.REJECTED: 8}


async def test_a_run_that_nobody_answers_ends_when_patience_does(servers: LocalServers) -> None:
    is_over = asyncio.Event()

    async def never(_request: web.Request, _seen: Seen) -> web.Response:
        await is_over.wait()
        return web.Response(status=503)

    async with edge(never) as (address, _):
        played = await play(servers.kafka_url, [address], [], patience_seconds=0.5)
        is_over.set()

    assert (played.not_delivered, played.delivery_error) == (20, "never answered")
    assert played.outcomes.decided == 0
