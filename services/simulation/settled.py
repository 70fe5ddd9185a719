"""Judges a history once all is at rest: by the auditor, and by what only a simulator can see."""

from collections.abc import Iterable, Iterator
from dataclasses import astuple
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from loadtests.auditor.history import read_history
from loadtests.auditor.judging import judge
from loadtests.auditor.records import Record
from loadtests.auditor.tables import (
    AuditRecord,
    ClaimRow,
    Conflict,
    EnrollmentRow,
    ReservationRow,
    SectionRow,
    Tables,
)
from services.simulation.database import MemoryDatabase
from services.simulation.entries import judge_entries
from services.simulation.plan import Plan, Publish
from services.simulation.viewing import judge_view
from shared.choreography import REQUESTS, TOPICS, Service

if TYPE_CHECKING:
    from services.simulation.world import World

OURS: Final = frozenset(topic.name for topic in TOPICS if topic.writer is not None)


def judge_settled(world: "World") -> list[str]:
    """Give every violation that can be seen at rest; each begins with its invariant's number."""
    records = [
        Record(m.topic(), m.partition(), m.offset(), m.key(), m.value(), m.headers() or ())
        for topic in TOPICS
        for m in world.cluster.records(topic.name)
    ]
    tables = read_tables(world.databases)
    found = judge(read_history(records), tables)
    given_up = {enrollment_id for enrollment_id, _ in tables.excuses.discarded}
    violations = [
        *(f"{one.invariant.number}: {one.subject}: {one.text}" for one in found),
        *_judge_delivery(world, records),
        *judge_entries(world.databases, records, _early(world.plan)),
    ]
    return violations or list(judge_view(world, given_up))  # which can be no better than they


def _judge_delivery(world: "World", records: Iterable[Record]) -> Iterator[str]:
    """Every committed row of an outbox is in its topic, in order; nothing else is.

    Ids of the same enrollment are ordered as its commits are; repeats do not count.
    """
    published: dict[str, list[str]] = {}  # ids by subject, each at its first place
    seen: set[tuple[str, str]] = set()
    for record in records:
        if record.topic not in OURS:
            continue
        headers = dict(record.headers)
        subject = headers["ce_subject"].decode()
        event_id = headers["ce_id"].decode()
        if (record.topic, event_id) not in seen:
            seen.add((record.topic, event_id))
            published.setdefault(f"{record.topic}/{subject}", []).append(event_id)
    committed: dict[str, list[str]] = {}
    for row in sorted(world.committed, key=attrgetter("id")):
        committed.setdefault(f"{row.topic}/{row.subject}", []).append(str(row.event_id))
    for place in sorted(committed.keys() | published.keys()):
        wanted, found = committed.get(place, []), published.get(place, [])
        if wanted != found:
            yield f"6: {place}: committed {wanted}, published {found}"


def _early(plan: Plan) -> set[str]:
    """Name the entries of the catalogs that were there before any process, and stayed."""
    entries = [s for s in plan.steps if isinstance(s, Publish) and s.topic != REQUESTS.name]
    early = {one.key.decode() for one in entries if one.at_us == 0}
    return early - {one.key.decode() for one in entries if one.value is None}


def read_tables(databases: dict[Service, MemoryDatabase]) -> Tables:
    """Give the tables as the auditor reads them."""
    enrollment = databases[Service.ENROLLMENT]
    student = databases[Service.STUDENT]
    capacity = databases[Service.CAPACITY]
    return Tables(
        enrollments={
            str(e.enrollment_id): EnrollmentRow(
                str(e.enrollment_id),
                e.state,
                e.student_id,
                e.term,
                e.sections,
                e.deadline_at,
                e.decided_at,
                e.stage,
                e.cancelled_by,
            )
            for e in enrollment.rows("enrollment").values()
        },
        claims={
            str(c.enrollment_id): ClaimRow(
                str(c.enrollment_id),
                c.state,
                c.student_id,
                c.term,
                c.sections,
                c.credits,
                c.credit_limit,
                c.slots,
                c.decided_at,
            )
            for c in student.rows("claim").values()
        },
        reservations={
            str(r.enrollment_id): ReservationRow(
                str(r.enrollment_id), r.state, r.student_id, r.term, r.sections, r.is_answered
            )
            for r in capacity.rows("reservation").values()
        },
        sections={
            (key.term, key.section_id): SectionRow(row.reserved, row.seat_sequence)
            for key, row in capacity.rows("section").items()
        },
        conflicts=tuple(
            Conflict(str(c.enrollment_id), c.student_id, c.kind)
            for c in enrollment.rows("conflict").values()
        ),
        trails={
            service.value: tuple(
                AuditRecord(*astuple(record)) for record in database.rows("audit_trail").values()
            )
            for service, database in databases.items()
        },
    )
