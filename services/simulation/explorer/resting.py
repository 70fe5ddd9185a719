"""Judges states at rest: every request has its one outcome, and holds what that says."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from services.capacity.model import ReservationState
from services.enrollment.decisions import body_hash
from services.enrollment.model import EnrollmentState
from services.simulation.explorer.contents import Contents, Rows
from services.simulation.oracle import short
from services.student.model import ClaimState
from shared.choreography import Service
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    StudentPublished,
    StudentWithdrawn,
)
from shared.identifiers import EnrollmentId, SectionKey, StudentId

ENDED: Final = frozenset(
    {EnrollmentState.CONFIRMED, EnrollmentState.REJECTED, EnrollmentState.CANCELLED}
)
SECTION_GIVEN_UP: Final = frozenset({"SectionPublished given up", "SectionWithdrawn given up"})
CATALOG_GIVEN_UP: Final = SECTION_GIVEN_UP | {
    "StudentPublished given up",
    "StudentWithdrawn given up",
}
QUESTION_GIVEN_UP: Final = "StudentValidated given up"
CANCEL_GIVEN_UP: Final = "EnrollmentCancellationRequested given up"

Held = Mapping[EnrollmentId, tuple[object, ...]]  # student, term and sections of what is held


def confirmed(contents: Contents) -> Held:
    """Give what enrollment says to be held."""
    rows = contents.rows("enrollment").values()
    return _held(row for row in rows if row.state is EnrollmentState.CONFIRMED)


def claimed(contents: Contents) -> Held:
    """Give what is claimed."""
    rows = contents.rows("claim").values()
    return _held(row for row in rows if row.state is ClaimState.CLAIMED)


def reserved(contents: Contents) -> Held:
    """Give who has seats, and where."""
    rows = contents.rows("reservation").values()
    return _held(row for row in rows if row.state is ReservationState.RESERVED)


def _held(rows: Iterator[Any]) -> Held:
    return {row.enrollment_id: (row.student_id, row.term, row.sections) for row in rows}


class Expectation:
    """What a configuration asks for, and so what must be true at rest."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._requests: list[EnrollmentRequested | MalformedRequest] = []
        self._cancels: list[EnrollmentCancellationRequested] = []
        self._sections: dict[SectionKey, SectionPublished] = {}
        self._withdrawn: dict[SectionKey | StudentId, None] = {}
        self._students: dict[StudentId, int] = {}
        for event in events:
            self._note(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, EnrollmentRequested | MalformedRequest):
            self._requests.append(event)
        elif isinstance(event, EnrollmentCancellationRequested):
            self._cancels.append(event)
        elif isinstance(event, SectionPublished):
            known = self._sections.get(event.key)
            if known is None or known.version < event.version:
                self._sections[event.key] = event
        elif isinstance(event, SectionWithdrawn):
            self._withdrawn[event.key] = None
        elif isinstance(event, StudentPublished):
            known_version = self._students.get(event.student_id, 0)
            self._students[event.student_id] = max(known_version, event.version)
        elif isinstance(event, StudentWithdrawn):
            self._withdrawn[event.student_id] = None

    def judge(self, contents: Mapping[Service, Contents]) -> Iterator[str]:
        """Say what is wrong with a state at rest."""
        enrollment = contents[Service.ENROLLMENT]
        student, capacity = contents[Service.STUDENT], contents[Service.CAPACITY]
        for service, one in contents.items():
            for table in ("outbox", "dead_letter"):
                if one.rows(table):
                    yield f"7: rows stay in the {table} of {service}"
        yield from self._judge_outcomes(enrollment)
        yield from self._judge_cancels(enrollment)
        yield from _judge_holdings(confirmed(enrollment), claimed(student), reserved(capacity))
        yield from _judge_marks(enrollment, (student.rows("claim"), capacity.rows("reservation")))
        yield from _judge_answers(student.rows("claim"), capacity)
        yield from self._judge_capacity(capacity)
        yield from self._judge_student(student)

    def _judge_outcomes(self, enrollment: Contents) -> Iterator[str]:
        rows, conflicts = enrollment.rows("enrollment"), enrollment.rows("conflict")
        recorded = {(key, student_id, digest) for key, student_id, _, digest in conflicts}
        for event in self._requests:
            name = short(event.enrollment_id)
            row = rows.get(event.enrollment_id)
            if row is None or row.state not in ENDED:
                yield f"3: {name} has no outcome: it is {'unknown' if row is None else row.state}"
                continue
            what = (event.enrollment_id, event.student_id, body_hash(event))
            if what[1:] != (row.student_id, row.body_sha256) and what not in recorded:
                yield f"5: another request for {name} was dropped without a trace"

    def _judge_cancels(self, enrollment: Contents) -> Iterator[str]:
        rows = enrollment.rows("enrollment")
        for event in self._cancels:
            if (CANCEL_GIVEN_UP, event.enrollment_id) in enrollment.said:
                continue
            row = rows.get(event.enrollment_id)
            if row is None:
                yield f"3: the cancel of {short(event.enrollment_id)} is lost"
            elif row.state is EnrollmentState.CONFIRMED and row.student_id == event.student_id:
                yield f"3: {short(event.enrollment_id)} was cancelled, and is confirmed"
        asked = {(event.enrollment_id, event.student_id) for event in self._cancels}
        for key, row in rows.items():
            if row.state is EnrollmentState.CANCELLED and (key, row.student_id) not in asked:
                yield f"3: {short(key)} is cancelled, and {row.student_id} has not asked for it"

    def _judge_capacity(self, capacity: Contents) -> Iterator[str]:
        if any(event_type in SECTION_GIVEN_UP for event_type, _ in capacity.said):
            return
        rows = capacity.rows("section")
        for key, event in self._sections.items():
            state = SectionState.CANCELLED if key in self._withdrawn else event.state
            wanted = f"{event.version}: {event.capacity} seats, {state}"
            row = rows.get(key)
            found = "none" if row is None else f"{row.version}: {row.capacity} seats, {row.state}"
            if found != wanted:
                yield (
                    f"catalog: capacity has version {found} of section {key.section_id}, and the "
                    f"newest is {wanted}"
                )

    def _judge_student(self, student: Contents) -> Iterator[str]:
        if any(event_type in CATALOG_GIVEN_UP for event_type, _ in student.said):
            return
        sections, students = student.rows("section"), student.rows("student")
        for key, event in self._sections.items():
            row = sections.get(key)
            if row is None or (row.published, row.is_withdrawn) != (event, key in self._withdrawn):
                yield f"catalog: student has section {key.section_id} as {row}, not {event}"
        for student_id, version in self._students.items():
            one = students.get(student_id)
            wanted = (version, student_id in self._withdrawn)
            if one is None or (one.published.version, one.is_withdrawn) != wanted:
                yield f"catalog: student has {student_id} as {one}, the newest is {version}"


def _judge_marks(enrollment: Contents, holding: Iterable[Rows]) -> Iterator[str]:
    """Whoever held or may yet hold something for an enrollment knows that it has ended."""
    for enrollment_id, row in enrollment.rows("enrollment").items():
        if row.state not in ENDED or row.state is EnrollmentState.CONFIRMED:
            continue
        for one in (rows.get(enrollment_id) for rows in holding):
            if one is None or one.released_at is None:
                yield f"6: {short(enrollment_id)} has ended, and not everybody knows"


def _judge_answers(claims: Rows, capacity: Contents) -> Iterator[str]:
    """Whoever was found eligible got an answer about seats."""
    for enrollment_id, claim in claims.items():
        answer = capacity.rows("reservation").get(enrollment_id)
        is_given_up = (QUESTION_GIVEN_UP, enrollment_id) in capacity.said
        is_answered = answer is not None and answer.is_answered
        if claim.credits and not is_answered and not is_given_up:
            yield f"3: the question for seats of {short(enrollment_id)} has no answer"


def _judge_holdings(confirmed: Held, claimed: Held, reserved: Held) -> Iterator[str]:
    for enrollment_id in sorted(confirmed.keys() | claimed.keys() | reserved.keys()):
        wanted = confirmed.get(enrollment_id)
        for number, what, held in ((2, "seats", reserved), (4, "claim", claimed)):
            found = held.get(enrollment_id)
            if found == wanted:
                continue
            name = short(enrollment_id)
            if wanted is None:
                yield f"{number}: {name} is not confirmed, and has {what} for ever"
            else:
                yield f"{number}: {name} is confirmed, and its {what} are {found}"
