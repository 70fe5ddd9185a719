"""Cuts of the shipped registration day, each in a term of its own."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from uuid import UUID, uuid4

from loadtests.day.dataset import Dataset, read_day
from loadtests.day.importing import import_datasets
from loadtests.day.playing import Played, play
from loadtests.day.report import DayReport
from loadtests.day.requests import Batch, Outgoing, prepare
from loadtests.day.running import Wishes, run_day
from services.tests.saga.client import ROOT, Mail, Saga, new_name
from shared.events import SectionPublished
from shared.identifiers import SectionId, Term

SHIPPED_DAY = ROOT / "loadtests" / "data" / "pu-cs-fal07"
PATIENCE_SECONDS = 60.0


def cut_of_the_day(requests: int, *, seats_factor: float = 1) -> Dataset:
    """Give the first requests of the day; with fewer seats or more, if it is to be about those."""
    day = read_day(SHIPPED_DAY)
    term = Term(new_name("day"))
    asking = day.requests[:requests]
    asked_for = set(chain.from_iterable(request.sections for request in asking))
    students = {request.student_id for request in asking}
    return replace(
        day,
        term=term,
        sections=tuple(_sections(day, term, asked_for, seats_factor)),
        students=tuple(one for one in day.students if one.student_id in students),
        requests=asking,
    )


def _sections(
    day: Dataset, term: Term, asked_for: set[SectionId], seats_factor: float
) -> Iterator[SectionPublished]:
    for section in day.sections:
        if section.section_id in asked_for:
            seats = max(1, int(section.capacity * seats_factor))
            yield section.model_copy(update={"term": term, "capacity": seats})


def requests_of(day: Dataset) -> Batch:
    """Write the requests of a day, under ids that depend on the term alone."""
    return prepare([day], day.term, datetime.now(UTC))


def with_new_event_ids(batch: Batch) -> Batch:
    """Ask for the same enrollments in the same words, as new events."""
    messages = [one._replace(event_id=str(uuid4()).encode()) for one in batch.messages]
    return batch._replace(messages=messages)


def with_deadline(batch: Batch, seconds: float) -> Batch:
    """Ask for the same with a deadline."""
    return batch._replace(messages=[_with_deadline(one, seconds) for one in batch.messages])


def _with_deadline(message: Outgoing, seconds: float) -> Outgoing:
    body = json.loads(message.body) | {"deadline_seconds": seconds}
    return message._replace(body=json.dumps(body).encode())


def mails_of(batch: Batch) -> list[Mail]:
    """Give the messages of a batch as any producer may send them."""
    return [Mail(one.key, one.body, batch.headers_of(one)) for one in batch.messages]


def ids_of(batch: Batch) -> list[UUID]:
    """Name the enrollments that a batch asks for."""
    return [UUID(one.enrollment_id.decode()) for one in batch.messages]


async def import_day(saga: Saga, day: Dataset) -> None:
    """Publish what is new in a day's catalogs, and wait until it is applied."""
    await asyncio.to_thread(import_datasets, saga.kafka_url, [day], _ignore)


async def play_day(saga: Saga, batch: Batch, *, rate: float | None = None) -> Played:
    """Publish the requests of a day, and wait for all their outcomes."""
    return await asyncio.to_thread(
        play,
        saga.kafka_url,
        batch,
        rate=rate,
        patience_seconds=PATIENCE_SECONDS,
        on_progress=_ignore,
    )


def _ignore(_: object) -> None:
    """For those who want no news."""


async def run_a_day(saga: Saga, day: Dataset, *, rate: float) -> DayReport:
    """Import a day, play it, audit everything, and report."""
    return await asyncio.to_thread(
        run_day,
        day,
        saga.kafka_url,
        saga.database_urls,
        Wishes(run=day.term, rate=rate, patience_seconds=PATIENCE_SECONDS),
        pids={},
        say=_ignore,
        on_progress=_ignore,
    )
