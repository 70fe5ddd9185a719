"""A reader more at rest: the ingress's view, from the topics in an order of its own, says the same.

What the view shows follows from the topics alone. So it need not run beside the services: it is
kept once all is still, in one of the orders in which a reader of these partitions may come by.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from random import Random
from typing import TYPE_CHECKING, Final

from services.capacity.model import Section
from services.enrollment.ingress.view.handlers import REACTIONS
from services.enrollment.ingress.view.model import (
    SagaStatus,
    State,
    Status,
    ViewedEnrollment,
    ViewedSection,
)
from services.enrollment.ingress.view.parts import view_topics
from services.enrollment.model import Enrollment, EnrollmentState
from services.simulation.runtime import moment
from shared.choreography import SECTION_CATALOG, Service
from shared.codec import decode, raw_headers
from shared.identifiers import EnrollmentId, PartitionKey, SectionKey
from shared.message import Arrival, Message
from shared.reaction import Rows, fold

if TYPE_CHECKING:
    from services.simulation.world import World

READ_AT_ONCE_MAX: Final = 8
SLOW_POWER: Final = 8  # a few partitions are read long after the others
AGAIN_SHARE: Final = 0.1  # so many readings are of what was read before
OVER: Final = frozenset({SagaStatus.COMPLETED, SagaStatus.COMPENSATED})

Logs = Mapping[PartitionKey, list[Message]]


def judge_view(world: "World", excused: AbstractSet[str]) -> Iterator[str]:
    """Give everything that the view shows otherwise than the services know it.

    `excused` are enrollments of which operators gave something up: the topics tell more of them.
    """
    state = State(Rows({}), Rows({}))
    for messages in _readings(_logs(world), Random(world.plan.seed)):
        read = (decode(one, REACTIONS.keys()) for one in messages)
        arrivals = [one for one in read if isinstance(one, Arrival)]
        folded = fold(state, arrivals, set(), REACTIONS, moment(world.scheduler.now_us))
        yield from (f"view: {one.detail}" for one in folded.parked)
    enrollments = world.databases[Service.ENROLLMENT].rows("enrollment")
    yield from _judge_enrollments(state, enrollments, excused)
    for key, section in world.databases[Service.CAPACITY].rows("section").items():
        yield from _judge_section(key, section, state.sections.get(key))


def _logs(world: "World") -> Logs:
    logs: dict[PartitionKey, list[Message]] = {}
    for topic in view_topics():
        for record in world.cluster.records(topic.name):
            message = Message(
                record.topic(),
                record.partition(),
                record.offset(),
                record.key(),
                record.value(),
                raw_headers(record.headers()),
            )
            logs.setdefault(message.partition_key, []).append(message)
    return logs


def _readings(logs: Logs, random: Random) -> Iterator[list[Message]]:
    """Read all partitions to their ends, each in its order and at its pace, some parts twice.

    Not those of the catalog: a tombstone has no version, so it is right only where it stands. That
    it is read once is sure, since the position is committed with what was read.
    """
    positions = dict.fromkeys(logs, 0)
    pace = {key: random.random() ** SLOW_POWER for key in logs}
    while positions:
        [key] = random.choices(list(positions), [pace[key] for key in positions])
        begin = positions[key]
        if begin and key.topic != SECTION_CATALOG.name and random.random() < AGAIN_SHARE:
            begin = random.randrange(begin)
        end = begin + random.randint(1, READ_AT_ONCE_MAX)
        yield logs[key][begin:end]
        positions[key] = max(positions[key], end)
        if positions[key] >= len(logs[key]):
            del positions[key]


def _judge_enrollments(
    state: State, known: Mapping[EnrollmentId, Enrollment], excused: AbstractSet[str]
) -> Iterator[str]:
    viewed = {one.enrollment_id: one for one in state.enrollments.all()}
    there = {
        enrollment_id: one
        for enrollment_id, one in known.items()
        if one.state is not EnrollmentState.UNOPENED
    }
    for enrollment_id in sorted(viewed.keys() | there.keys()):
        if str(enrollment_id) not in excused:
            found, wanted = viewed.get(enrollment_id), there.get(enrollment_id)
            yield from _judge_enrollment(enrollment_id, found, wanted)
    recount = Counter(one.status for one in viewed.values())
    if any(recount[status] != state.totals[status] for status in Status):
        yield f"view: it counts {dict(state.totals)}, and shows {dict(recount)}"


def _judge_enrollment(
    enrollment_id: EnrollmentId, viewed: ViewedEnrollment | None, known: Enrollment | None
) -> Iterator[str]:
    shown, wanted = _as_viewed(viewed), _as_known(known)
    if shown != wanted:
        yield f"view: enrollment {enrollment_id} is {wanted}, and is shown as {shown}"
    if viewed is None:
        return
    if viewed.saga_status not in OVER:
        yield f"view: enrollment {enrollment_id} is over, and is shown as {viewed.saga_status}"
    heard = Counter(one.event for one in viewed.happenings or ())
    if heard.total() > len(heard):
        yield f"view: enrollment {enrollment_id} is shown with {dict(heard)}"


def _as_viewed(one: ViewedEnrollment | None) -> tuple[object, ...] | None:
    if one is None:
        return None
    return one.status.value, one.student_id, one.term, one.sections, one.stage


def _as_known(one: Enrollment | None) -> tuple[object, ...] | None:
    if one is None:
        return None
    return one.state.value, one.student_id, one.term, one.sections, one.stage


def _judge_section(key: SectionKey, known: Section, viewed: ViewedSection | None) -> Iterator[str]:
    wanted = (known.reserved, known.seat_sequence, known.capacity, known.state)
    shown = (
        None
        if viewed is None
        else (viewed.reserved, viewed.seat_sequence, viewed.capacity, viewed.state)
    )
    if shown != wanted:
        yield f"view: {key.section_id} of {key.term} has {wanted}, and is shown with {shown}"
