"""The three services' rules together, under every kind of interleaving that Kafka allows.

Each topic keeps order for each key alone; any message may be handled again at any time, also
long after, with no inbox to catch it; deadlines fire whenever they like.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.capacity import handlers as capacity_handlers
from services.capacity.model import ReservationState
from services.capacity.model import State as CapacityState
from services.enrollment import handlers as enrollment_handlers
from services.enrollment.model import DeadlinePolicy, EnrollmentState
from services.enrollment.model import State as EnrollmentsState
from services.student import handlers as student_handlers
from services.student.model import Claim, ClaimState
from services.student.model import State as StudentState
from shared.choreography import REQUESTS, TOPIC_OF, Service, Topic, subscriptions
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    Meeting,
    SeatReleased,
    SeatReserved,
    SectionPublished,
    StudentPublished,
    StudentValidated,
)
from shared.identifiers import CourseId, EnrollmentId, EventId, SectionId, StudentId, Term
from shared.message import Arrival, Emitted, Message
from shared.reaction import Rows, fold

DETERMINISTIC = settings(max_examples=200, derandomize=True, deadline=None)
TERM = Term("2026-1")
EPOCH = datetime(2026, 1, 12, 8, 0, tzinfo=UTC)
POLICY = DeadlinePolicy(default_seconds=10, maximum_seconds=30)
REACTIONS: dict[Service, Any] = {
    Service.ENROLLMENT: enrollment_handlers.REACTIONS,
    Service.STUDENT: student_handlers.REACTIONS,
    Service.CAPACITY: capacity_handlers.REACTIONS,
}
OUTCOMES = (EnrollmentConfirmed, EnrollmentRejected, EnrollmentCancelled)
MORNING = Meeting(days="1010000", weeks="1", start_minute=480, end_minute=570)
LATER = Meeting(days="1010000", weeks="1", start_minute=560, end_minute=650)


def section(
    section_id: str, capacity: int, *meetings: Meeting, version: int = 1
) -> SectionPublished:
    return SectionPublished(
        version=version,
        term=TERM,
        section_id=SectionId(section_id),
        course_id=CourseId(f"course-{section_id}"),
        capacity=capacity,
        credits=3,
        meetings=meetings,
    )


def student(student_id: str, max_credits: int, *, version: int = 1) -> StudentPublished:
    return StudentPublished(
        version=version, student_id=StudentId(student_id), max_credits=max_credits
    )


def requested(number: int, student_id: str, sections: Sequence[str]) -> EnrollmentRequested:
    return EnrollmentRequested(
        enrollment_id=EnrollmentId(UUID(int=number)),
        student_id=StudentId(student_id),
        term=TERM,
        sections=tuple(SectionId(s) for s in sections),
    )


def malformed(number: int, student_id: str) -> MalformedRequest:
    return MalformedRequest(
        enrollment_id=EnrollmentId(UUID(int=number)),
        student_id=StudentId(student_id),
        problems=("term: Field required",),
        body_sha256=bytes(32),
    )


def cancel(number: int, student_id: str) -> EnrollmentCancellationRequested:
    return EnrollmentCancellationRequested(
        enrollment_id=EnrollmentId(UUID(int=number)), student_id=StudentId(student_id)
    )


Log = tuple[Service, Topic, str]  # what one service reads, one topic, one key: order is kept


@dataclass
class System:
    """Three services in memory, and the logs between them."""

    enrollment: EnrollmentsState = field(default_factory=lambda: EnrollmentsState(Rows({}), POLICY))
    student: StudentState = field(
        default_factory=lambda: StudentState(claims={}, students={}, sections={})
    )
    capacity: CapacityState = field(default_factory=lambda: CapacityState(Rows({}), Rows({})))
    now: datetime = EPOCH
    said: list[Event] = field(default_factory=list)
    waiting: dict[Log, list[Event]] = field(default_factory=lambda: defaultdict(list))
    handled: list[tuple[Service, Event]] = field(default_factory=list)

    def publish(self, event: Event, key: str = "") -> None:
        topic = TOPIC_OF.get(type(event), REQUESTS)
        key = event.student_id if isinstance(event, EnrollmentEvent) and not key else key
        for service in Service:
            if topic in subscriptions(service):
                self.waiting[service, topic, key].append(event)

    def deliver(self, choice: int) -> None:
        """Let a service handle the next event of one of the logs."""
        logs = [log for log, events in self.waiting.items() if events]
        if logs:
            log = logs[choice % len(logs)]
            self.handle(log[0], self.waiting[log].pop(0))

    def deliver_again(self, choice: int) -> None:
        """Let a service handle an event that it has handled before."""
        if self.handled:
            self.handle(*self.handled[choice % len(self.handled)])

    def tick(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self._keep(enrollment_handlers.on_deadlines_passed(self.enrollment, self.now))

    def handle(self, service: Service, event: Event) -> None:
        self.handled.append((service, event))
        reactions = REACTIONS[service]
        if type(event) not in reactions:
            return
        topic = TOPIC_OF.get(type(event), REQUESTS).name
        message = Message(topic, 0, 0, None, b"{}", ())
        arrival = Arrival(message, EventId(UUID(int=0)), event, None)
        state = getattr(self, service.value)
        folded = fold(state, [arrival], set(), reactions, self.now)
        assert folded.parked == []
        self._keep(folded.emitted)

    def _keep(self, emitted: Sequence[Emitted]) -> None:
        for one in emitted:
            self.said.append(one.event)
            self.publish(one.event)
            self._check_claim(one.event)

    def _check_claim(self, event: Event) -> None:
        """Invariant 4, at each claim."""
        if not isinstance(event, StudentValidated):
            return
        held = self.claims(event.student_id)
        known = self.student.students.get(event.student_id)
        assert known is not None
        assert sum(claim.credits for claim in held) <= known.published.max_credits
        slots = [slot for claim in held for slot in claim.slots]
        for one, other in combinations(slots, 2):
            assert one.section_id == other.section_id or not one.clashes_with(other)

    def claims(self, student_id: StudentId) -> list[Claim]:
        return [
            claim
            for claim in self.student.claims.all()
            if claim.state is ClaimState.CLAIMED and claim.student_id == student_id
        ]

    def check_seats(self) -> None:
        """Invariant 1, at every step."""
        reserved = Counter(
            section_id
            for one in self.capacity.reservations.all()
            if one.state is ReservationState.RESERVED
            for section_id in one.sections
        )
        for known in self.capacity.sections.all():
            assert known.reserved == reserved[known.key.section_id]

    def settle(self) -> None:
        """Deliver everything that waits, and whatever comes of it."""
        while any(self.waiting.values()):
            self.deliver(0)


# What may happen, as data: a step is a kind and a number to choose by.

Step = tuple[str, int]
KINDS = ("ask", "ask", "deliver", "deliver", "deliver", "deliver", "again", "tick")


def steps(seed: int, length: int) -> list[Step]:
    """The first of the steps of a seed: a failure shrinks to the shortest history that has it."""
    chance = Random(seed)
    return [(chance.choice(KINDS), chance.randrange(1000)) for _ in range(length)]


histories = st.builds(steps, st.integers(0, 2**32), st.integers(20, 120))

ASKING: list[EnrollmentRequested | MalformedRequest] = [
    requested(1, "S1", ["A"]),
    requested(2, "S1", ["A", "B"]),  # the same section again
    requested(3, "S1", ["C"]),  # meets when A does
    requested(4, "S2", ["A"]),
    requested(5, "S2", ["B", "A"]),
    requested(6, "S2", ["D", "B"]),
    requested(7, "S3", ["A", "B", "D"]),
    requested(8, "S3", ["unknown", "A"]),
    requested(9, "S3", ["B"]),
    malformed(10, "S1"),
    requested(1, "S1", ["B"]),  # another body
    requested(4, "S3", ["A"]),  # another student
    malformed(7, "S3"),
]
CANCELS = [
    *(cancel(number, student_id) for number, student_id in ((1, "S1"), (2, "S1"), (3, "S1"))),
    *(cancel(number, student_id) for number, student_id in ((4, "S2"), (5, "S2"), (6, "S2"))),
    *(cancel(number, student_id) for number, student_id in ((7, "S3"), (8, "S3"), (10, "S1"))),
    cancel(1, "S2"),
    cancel(4, "S1"),
]
CHANGES: list[Event] = [
    section("A", 0, MORNING, version=2),
    section("A", 2, MORNING, version=3),
    section("B", 1, version=2),
    section("D", 0, version=2),
    student("S1", 3, version=2),
    student("S2", 12, version=2),
]
FROM_OUTSIDE: list[Event] = [*ASKING, *ASKING, *CANCELS, *CHANGES]
KEYS = ["", "", "a key that is not to be trusted"]


def started() -> System:
    system = System()
    for entry in (
        section("A", 1, MORNING),
        section("B", 2),
        section("C", 1, LATER),
        section("D", 1),
        student("S1", 9),
        student("S2", 6),
        student("S3", 9),
    ):
        system.publish(entry)
    system.settle()
    return system


def play(system: System, history: Sequence[Step]) -> None:
    for kind, choice in history:
        match kind:
            case "ask":
                event = FROM_OUTSIDE[choice % len(FROM_OUTSIDE)]
                system.publish(event, KEYS[choice % len(KEYS)])
            case "deliver":
                system.deliver(choice)
            case "again":
                system.deliver_again(choice)
            case _:
                system.tick(choice % 5)
        system.check_seats()


def played(history: Sequence[Step]) -> System:
    system = started()
    play(system, history)
    system.settle()
    system.check_seats()
    return system


def handled_requests(system: System) -> dict[EnrollmentId, EnrollmentRequested | MalformedRequest]:
    """The accepted requests: of each id the first that was handled."""
    accepted: dict[EnrollmentId, EnrollmentRequested | MalformedRequest] = {}
    for _, event in system.handled:
        if isinstance(event, EnrollmentRequested | MalformedRequest):
            accepted.setdefault(event.enrollment_id, event)
    return accepted


@given(histories)
@DETERMINISTIC
def test_an_enrollment_has_seats_in_all_of_its_sections_or_in_none(history: Sequence[Step]) -> None:
    system = played(history)

    reserved = {
        one.enrollment_id: one.sections
        for one in system.capacity.reservations.all()
        if one.state is ReservationState.RESERVED
    }

    confirmed = {
        one.enrollment_id: one.sections
        for one in system.enrollment.enrollments.all()
        if one.state is EnrollmentState.CONFIRMED
    }
    assert reserved == confirmed


@given(histories)
@DETERMINISTIC
def test_every_accepted_request_has_one_outcome_and_none_is_invented(
    history: Sequence[Step],
) -> None:
    system = played(history)

    told: dict[EnrollmentId, list[type[Event]]] = defaultdict(list)
    for event in system.said:
        if isinstance(event, OUTCOMES):
            told[event.enrollment_id].append(type(event))

    assert set(told) == set(handled_requests(system))
    for outcomes in told.values():
        is_cancelled_later = outcomes == [EnrollmentConfirmed, EnrollmentCancelled]
        assert len(outcomes) == 1 or is_cancelled_later


@given(histories)
@DETERMINISTIC
def test_an_accepted_cancel_never_ends_confirmed(history: Sequence[Step]) -> None:
    system = played(history)

    accepted = handled_requests(system)
    for _, event in system.handled:
        if not isinstance(event, EnrollmentCancellationRequested):
            continue
        request = accepted.get(event.enrollment_id)
        if request is not None and request.student_id == event.student_id:
            known = system.enrollment.enrollments.get(event.enrollment_id)
            assert known is not None
            assert known.state in (EnrollmentState.CANCELLED, EnrollmentState.REJECTED)


@given(histories)
@DETERMINISTIC
def test_when_it_is_quiet_what_is_claimed_is_what_is_confirmed(history: Sequence[Step]) -> None:
    system = played(history)

    claimed = {
        claim.enrollment_id
        for student_id in ("S1", "S2", "S3")
        for claim in system.claims(StudentId(student_id))
    }

    live = {
        one.enrollment_id: one.state
        for one in system.enrollment.enrollments.all()
        if one.state in (EnrollmentState.PENDING, EnrollmentState.CONFIRMED)
    }
    assert claimed == set(live)
    assert set(live.values()) <= {EnrollmentState.CONFIRMED}


@given(histories)
@DETERMINISTIC
def test_each_change_of_seats_and_claims_is_told_once(history: Sequence[Step]) -> None:
    system = played(history)

    counts = Counter(
        (event.enrollment_id, type(event))
        for event in system.said
        if isinstance(event, EnrollmentEvent)
    )
    assert all(count == 1 for count in counts.values())
    numbers: dict[SectionId, list[int]] = defaultdict(list)
    for event in system.said:
        if isinstance(event, SeatReserved | SeatReleased):
            for count in event.seats:
                numbers[count.section_id].append(count.seat_sequence)
    for sequence in numbers.values():
        assert sequence == list(range(1, len(sequence) + 1))


@given(histories)
@DETERMINISTIC
def test_a_second_reading_of_everything_changes_nothing(history: Sequence[Step]) -> None:
    system = played(history)
    said = list(system.said)

    for service, event in list(system.handled):
        system.handle(service, event)
    system.settle()

    assert system.said == said


def test_the_steps_reach_every_kind_of_end() -> None:
    """Or the properties above would hold of nothing."""
    reached: Counter[str] = Counter()

    for seed in range(100):
        for event in played(steps(seed, 70)).said:
            match event:
                case EnrollmentRejected(stage=stage):
                    reached[f"rejected at {stage}"] += 1
                case EnrollmentCancelled(was=was):
                    reached[f"cancelled while {was}"] += 1
                case EnrollmentOpened() | EnrollmentConfirmed() | SeatReleased():
                    reached[type(event).__name__] += 1
                case _:
                    pass

    assert set(reached) == {
        "EnrollmentOpened",
        "EnrollmentConfirmed",
        "SeatReleased",
        "rejected at request",
        "rejected at eligibility",
        "rejected at capacity",
        "rejected at deadline",
        "cancelled while pending",
        "cancelled while confirmed",
    }
    assert min(reached.values()) >= 5, reached
