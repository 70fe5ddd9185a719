"""Makes facts as they are while all is well, for tests to spoil."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.cli.why.facts import (
    DatabaseFacts,
    EnrollmentRow,
    Extent,
    Facts,
    Found,
    Lease,
    Letter,
    ProcessFacts,
    StepRow,
    TopicFacts,
)
from services.enrollment.model import EnrollmentState
from shared.choreography import TOPICS
from shared.identifiers import PartitionKey

ID = UUID("0192d0c8-0000-7000-8000-000000000001")
NOW = datetime(2031, 1, 15, 12, tzinfo=UTC)
LETTER_ID = 7
NAMES = ("enrollment", "student", "capacity", "ingress")
TOPIC_OF = {event.__name__: topic.name for topic in TOPICS for event in topic.events}


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def row(state: str = "pending", **changes: Any) -> EnrollmentRow:
    made = EnrollmentRow(
        EnrollmentState(state), "S1", "2031a", ("A",), opened_at=ago(20), deadline_at=ago(-100)
    )
    return replace(made, **changes)


def step(state: str, seconds: float = 19, **changes: Any) -> StepRow:
    return replace(StepRow(state, "S1", decided_at=ago(seconds)), **changes)


def released(seconds: float) -> StepRow:
    return step("released", seconds + 1, released_at=ago(seconds))


def letter(service: str, event_type: str | None, reason: str, **changes: Any) -> Letter:
    topic = TOPIC_OF[event_type or "EnrollmentRequested"]
    holds = event_type is not None
    made = Letter(service, LETTER_ID, topic, 0, 0, event_type, reason, "a detail", holds, ago(18))
    return replace(made, **changes)


def message(event_type: str, seconds: float, offset: int = 0, **changes: Any) -> Found:
    place = PartitionKey(TOPIC_OF[event_type], 0)
    made = Found(place, offset, event_type, None, ago(seconds), ago(seconds), "S1")
    return replace(made, **changes)


def process(name: str, **changes: Any) -> ProcessFacts:
    service = name.partition("-")[0]
    made = ProcessFacts(name, service, "ready", is_alive=True, is_answering=True)
    return replace(made, clock_ahead_seconds=0.0, **changes)


def a_database(name: str) -> DatabaseFacts:
    lease = Lease(1, f"{name}-1", ago(900))
    return DatabaseFacts(NOW, lease=lease, sessions=3, offsets=dict.fromkeys(places(), 10))


def places() -> list[PartitionKey]:
    return [PartitionKey(topic.name, 0) for topic in TOPICS]


def facts(
    enrollment: EnrollmentRow | None = None,
    student: StepRow | None = None,
    capacity: StepRow | None = None,
    *,
    letters: Sequence[Letter] = (),
    messages: Sequence[Found] = (),
    processes: Mapping[str, Mapping[str, Any]] | None = None,
    databases: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> Facts:
    """Everything runs, and every log has 10 messages, all of them read."""
    made = {name: a_database(name) for name in NAMES}
    made["enrollment"] = replace(made["enrollment"], enrollment=enrollment)
    made["student"] = replace(made["student"], step=student)
    made["capacity"] = replace(made["capacity"], step=capacity)
    for one in letters:
        before = made[one.service]
        made[one.service] = replace(before, letters=[*before.letters, one])
    for name, some in (databases or {}).items():
        made[name] = replace(made[name], **some)
    topics = TopicFacts({place: Extent(0, 10) for place in places()}, messages, looked_at=10)
    spoilt = processes or {}
    whole = Facts(
        ID,
        databases=made,
        topics=topics,
        processes=[process(name, **spoilt.get(name, {})) for name in NAMES],
        servers={"postgres": True, "kafka": True, "redis": True},
    )
    return replace(whole, **changes)
