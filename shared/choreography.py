"""The one table that says who writes which topic, and what reacts to what."""

from dataclasses import dataclass
from enum import StrEnum

from shared import events as e
from shared.events import Event


class Service(StrEnum):
    """A service, which is also the name of its database, role and consumer group."""

    ENROLLMENT = "enrollment"
    STUDENT = "student"
    CAPACITY = "capacity"


@dataclass(frozen=True)
class Topic:
    """A topic, who may write it, and the events it carries."""

    name: str
    writer: Service | None  # None: systems outside
    events: tuple[type[Event], ...]
    is_catalog: bool = False


@dataclass(frozen=True)
class Reaction:
    """What one service does on one event; `says` lists what it may emit.

    No outcome waits for one that `can_wait`: it may come with the next that cannot.
    """

    on: type[Event] | str
    service: Service
    decides: str
    says: tuple[type[Event], ...] = ()
    can_wait: bool = False


REQUESTS = Topic(
    "enrollment.requests", None, (e.EnrollmentRequested, e.EnrollmentCancellationRequested)
)
ENROLLMENT_EVENTS = Topic(
    "enrollment.events",
    Service.ENROLLMENT,
    (e.EnrollmentOpened, e.EnrollmentConfirmed, e.EnrollmentRejected, e.EnrollmentCancelled),
)
STUDENT_EVENTS = Topic(
    "student.events",
    Service.STUDENT,
    (e.StudentValidated, e.StudentRejected, e.StudentClaimReleased),
)
CAPACITY_EVENTS = Topic(
    "capacity.events", Service.CAPACITY, (e.SeatReserved, e.SeatUnavailable, e.SeatReleased)
)
SECTION_CATALOG = Topic("section.catalog", None, (e.SectionPublished,), is_catalog=True)
STUDENT_CATALOG = Topic("student.catalog", None, (e.StudentPublished,), is_catalog=True)

TOPICS = (
    REQUESTS,
    ENROLLMENT_EVENTS,
    STUDENT_EVENTS,
    CAPACITY_EVENTS,
    SECTION_CATALOG,
    STUDENT_CATALOG,
)

DEADLINE_PASSED = "deadline passed"

REACTIONS = (
    Reaction(
        e.EnrollmentRequested,
        Service.ENROLLMENT,
        "id known: nothing; content bad: refuse; else open",
        (e.EnrollmentOpened, e.EnrollmentRejected, e.EnrollmentCancelled),
    ),
    Reaction(
        e.EnrollmentOpened,
        Service.STUDENT,
        "eligible? then claim credits and time slots",
        (e.StudentValidated, e.StudentRejected),
    ),
    Reaction(
        e.StudentValidated,
        Service.CAPACITY,
        "a seat free in every section? then take them all",
        (e.SeatReserved, e.SeatUnavailable),
    ),
    Reaction(
        e.SeatReserved, Service.ENROLLMENT, "still pending? confirm", (e.EnrollmentConfirmed,)
    ),
    Reaction(
        e.StudentRejected, Service.ENROLLMENT, "still pending? reject", (e.EnrollmentRejected,)
    ),
    Reaction(
        e.SeatUnavailable, Service.ENROLLMENT, "still pending? reject", (e.EnrollmentRejected,)
    ),
    Reaction(DEADLINE_PASSED, Service.ENROLLMENT, "still pending? reject", (e.EnrollmentRejected,)),
    Reaction(
        e.EnrollmentCancellationRequested,
        Service.ENROLLMENT,
        "pending or confirmed? cancel; id unknown: remember",
        (e.EnrollmentCancelled,),
    ),
    Reaction(
        e.EnrollmentRejected,
        Service.STUDENT,
        "mark released; held a claim? give it back",
        (e.StudentClaimReleased,),
        can_wait=True,
    ),
    Reaction(
        e.EnrollmentCancelled,
        Service.STUDENT,
        "mark released; held a claim? give it back",
        (e.StudentClaimReleased,),
        can_wait=True,
    ),
    Reaction(
        e.EnrollmentRejected,
        Service.CAPACITY,
        "mark released; held seats? give them back",
        (e.SeatReleased,),
        can_wait=True,
    ),
    Reaction(
        e.EnrollmentCancelled,
        Service.CAPACITY,
        "mark released; held seats? give them back",
        (e.SeatReleased,),
        can_wait=True,
    ),
    Reaction(e.SectionPublished, Service.CAPACITY, "newer version? keep it"),
    Reaction(e.SectionPublished, Service.STUDENT, "newer version? keep it"),
    Reaction(e.StudentPublished, Service.STUDENT, "newer version? keep it"),
)

# The ingress watches: these keep its view, and it says nothing.
VIEWED: tuple[type[Event], ...] = (
    *REQUESTS.events,
    *ENROLLMENT_EVENTS.events,
    *STUDENT_EVENTS.events,
    *CAPACITY_EVENTS.events,
    e.SectionPublished,
)

FROM_OUTSIDE = frozenset(topic.name for topic in TOPICS if topic.writer is None)
TOPIC_OF: dict[type[Event], Topic] = {event: topic for topic in TOPICS for event in topic.events}


def subscriptions(service: Service) -> tuple[Topic, ...]:
    """List the topics that a service reads: those that carry an event it reacts to."""
    read = {TOPIC_OF[r.on] for r in REACTIONS if r.service is service and isinstance(r.on, type)}
    return tuple(topic for topic in TOPICS if topic in read)


def patient_events(service: Service) -> frozenset[type[Event]]:
    """Name the events whose reaction in a service can wait for the next that cannot."""
    return frozenset(
        r.on for r in REACTIONS if r.service is service and r.can_wait and isinstance(r.on, type)
    )
