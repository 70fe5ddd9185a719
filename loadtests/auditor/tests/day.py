"""A small sound day, told by topics and tables, in which a test plants one fault."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID
from zlib import crc32

from loadtests.auditor.catalogs import Slot
from loadtests.auditor.history import History, Place, read_history
from loadtests.auditor.judging import judge
from loadtests.auditor.records import Record
from loadtests.auditor.tables import (
    AuditRecord,
    ClaimRow,
    Conflict,
    DeadLetter,
    EnrollmentRow,
    ReservationRow,
    SectionRow,
    Tables,
)

TERM = "T"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DEADLINE = NOON + timedelta(seconds=30)
TOPIC_OF = {"Student": "student.events", "Seat": "capacity.events", "Enroll": "enrollment.events"}
OUTSIDE = {
    "EnrollmentRequested": "enrollment.requests",
    "EnrollmentCancellationRequested": "enrollment.requests",
    "SectionPublished": "section.catalog",
    "StudentPublished": "student.catalog",
}


def topic_of(event_type: str) -> str:
    return OUTSIDE.get(event_type) or next(
        topic for prefix, topic in TOPIC_OF.items() if event_type.startswith(prefix)
    )


@dataclass
class Message:
    topic: str
    type: str
    key: str
    id: str
    body: dict[str, Any]
    traceparents: int = 1
    partition: int | None = None
    raw: bytes | None = None

    def record(self, offsets: Counter[tuple[str, int]]) -> Record:
        partition = crc32(self.key.encode()) % 4 if self.partition is None else self.partition
        offset = offsets[self.topic, partition]
        offsets[self.topic, partition] += 1
        headers = (
            ("ce_specversion", b"1.0"),
            ("ce_type", self.type.encode()),
            ("ce_id", self.id.encode()),
            ("ce_subject", str(self.body.get("enrollment_id", "")).encode()),
            *([("traceparent", b"00-1-2-01")] * self.traceparents),
        )
        value = json.dumps(self.body).encode() if self.raw is None else self.raw
        return Record(self.topic, partition, offset, self.key.encode(), value, headers)


@dataclass
class Section:
    capacity: int
    credits: int
    start_minute: int
    reserved: int = 0
    seat_sequence: int = 0

    def slot(self, section_id: str) -> Slot:
        return Slot(section_id, 1, 1, self.start_minute, self.start_minute + 60)


@dataclass
class Day:
    messages: list[Message] = field(default_factory=list)
    catalog: dict[str, Section] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    enrollments: dict[str, EnrollmentRow] = field(default_factory=dict)
    claims: dict[str, ClaimRow] = field(default_factory=dict)
    reservations: dict[str, ReservationRow] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    trail: list[AuditRecord] = field(default_factory=list)
    seats: dict[tuple[str, str], SectionRow] | None = None  # where a test sets them apart

    # What happens from outside

    def publish_section(self, section_id: str, *, capacity: int, start_minute: int) -> None:
        self.catalog[section_id] = Section(capacity, 3, start_minute)
        meeting = {"days": "1000000", "weeks": "1", "start_minute": start_minute}
        body = {
            "version": 1,
            "term": TERM,
            "section_id": section_id,
            "course_id": "C",
            "capacity": capacity,
            "credits": 3,
            "meetings": [{**meeting, "end_minute": start_minute + 60}],
        }
        self.say("SectionPublished", f"{TERM}/{section_id}", body)

    def publish_student(self, student_id: str, *, max_credits: int) -> None:
        self.limits[student_id] = max_credits
        body = {"version": 1, "student_id": student_id, "max_credits": max_credits}
        self.say("StudentPublished", student_id, body)

    def request(self, number: int, student_id: str, *sections: str, **more: Any) -> str:
        enrollment_id = str(UUID(int=number))
        body = {"enrollment_id": enrollment_id, "student_id": student_id, "term": TERM}
        self.say("EnrollmentRequested", student_id, {**body, "sections": list(sections), **more})
        return enrollment_id

    def ask_to_cancel(self, enrollment_id: str, student_id: str) -> None:
        body = {"enrollment_id": enrollment_id, "student_id": student_id}
        self.say("EnrollmentCancellationRequested", student_id, body)

    # What the services do, each step with its event and its row

    def open(self, enrollment_id: str, student_id: str, *sections: str) -> None:
        self.enrollments[enrollment_id] = EnrollmentRow(
            enrollment_id, "pending", student_id, TERM, sections, DEADLINE, None, None, ()
        )
        self.tell(enrollment_id, "EnrollmentOpened")

    def validate(self, enrollment_id: str) -> None:
        _, _, student_id, term, sections, *_ = self.enrollments[enrollment_id]
        credit_sum = sum(self.catalog[s].credits for s in sections)
        self.claims[enrollment_id] = ClaimRow(
            enrollment_id,
            "claimed",
            student_id,
            term,
            sections,
            credit_sum,
            self.limits[student_id],
            tuple(self.catalog[s].slot(s) for s in sections),
            NOON + timedelta(seconds=len(self.claims)),
        )
        self.tell(enrollment_id, "StudentValidated", credits=credit_sum)

    def find_ineligible(self, enrollment_id: str, code: str, section_id: str) -> None:
        _, _, student_id, term, sections, *_ = self.enrollments[enrollment_id]
        self.claims[enrollment_id] = ClaimRow(
            enrollment_id, "refused", student_id, term, sections, 0, 0, (), NOON
        )
        reason = {"code": code, "section_id": section_id, "detail": "No."}
        self.tell(enrollment_id, "StudentRejected", reasons=[reason])

    def reserve(self, enrollment_id: str) -> None:
        self._answer(enrollment_id, "reserved")
        self.tell(enrollment_id, "SeatReserved", seats=self._move(enrollment_id, 1))

    def find_full(self, enrollment_id: str, section_id: str) -> None:
        reason = {"code": "section_full", "section_id": section_id, "detail": "Full."}
        self._answer(enrollment_id, "refused")
        seats = self._move(enrollment_id, 0)
        self.tell(enrollment_id, "SeatUnavailable", seats=seats, reasons=[reason])

    def confirm(self, enrollment_id: str) -> None:
        self._end(enrollment_id, "confirmed", None)
        self.tell(enrollment_id, "EnrollmentConfirmed")

    def reject(self, enrollment_id: str, stage: str, *codes: str, section: str = "") -> None:
        self._end(enrollment_id, "rejected", stage)
        reasons = [{"code": code, "detail": "No."} for code in codes]
        for reason in reasons if section else ():
            reason["section_id"] = section
        self.tell(enrollment_id, "EnrollmentRejected", stage=stage, reasons=reasons)
        self.give_back(enrollment_id)

    def cancel(self, enrollment_id: str) -> None:
        was = self.enrollments[enrollment_id].state
        self._end(enrollment_id, "cancelled", None)
        self.tell(enrollment_id, "EnrollmentCancelled", was=was)
        self.give_back(enrollment_id)

    def give_back(self, enrollment_id: str) -> None:
        _, _, student_id, term, sections, *_ = self.enrollments[enrollment_id]
        claim = self.claims.get(enrollment_id) or ClaimRow(
            enrollment_id, "", student_id, term, sections, 0, 0, (), NOON
        )
        self.claims[enrollment_id] = claim._replace(state="released")
        if claim.state == "claimed":
            self.tell(enrollment_id, "StudentClaimReleased", credits=claim.credits)
        row = self.reservations.get(enrollment_id) or ReservationRow(
            enrollment_id, "", student_id, term, sections, False
        )
        self.reservations[enrollment_id] = row._replace(state="released")
        if row.state == "reserved":
            self.tell(enrollment_id, "SeatReleased", seats=self._move(enrollment_id, -1))

    def enroll(self, number: int, student_id: str, *sections: str) -> str:
        enrollment_id = self.request(number, student_id, *sections)
        self.open(enrollment_id, student_id, *sections)
        self.validate(enrollment_id)
        self.reserve(enrollment_id)
        self.confirm(enrollment_id)
        return enrollment_id

    def record_action(self, action: str, subject: str, detail: str) -> None:
        previous = self.trail[-1].hash if self.trail else bytes(32)
        parts = (NOON.isoformat(), "operator", action, subject, detail)
        digest = sha256(previous + "\x1f".join(parts).encode()).digest()
        number = len(self.trail) + 1
        self.trail.append(
            AuditRecord(number, NOON, "operator", action, subject, detail, previous, digest)
        )

    # How it is told, and how a fault is planted

    def tell(self, enrollment_id: str, event_type: str, **more: Any) -> None:
        row = self.enrollments[enrollment_id]
        body = {
            "enrollment_id": enrollment_id,
            "student_id": row.student_id,
            "term": row.term,
            "sections": list(row.sections),
        }
        self.say(event_type, row.student_id, {**body, **more})

    def say(self, event_type: str, key: str, body: dict[str, Any]) -> None:
        event_id = str(UUID(int=10**6 + len(self.messages)))
        self.messages.append(Message(topic_of(event_type), event_type, key, event_id, body))

    def find(self, enrollment_id: str, event_type: str) -> Message:
        return next(
            message
            for message in self.messages
            if message.type == event_type and message.body.get("enrollment_id") == enrollment_id
        )

    def drop(self, enrollment_id: str, event_type: str) -> None:
        self.messages.remove(self.find(enrollment_id, event_type))

    def repeat(self, enrollment_id: str, event_type: str, **changes: Any) -> None:
        self.messages.append(replace(self.find(enrollment_id, event_type), **changes))

    def records(self) -> list[Record]:
        offsets: Counter[tuple[str, int]] = Counter()
        return [message.record(offsets) for message in self.messages]

    def history(self) -> History:
        return read_history(self.records())

    def tables(self) -> Tables:
        rows = {(TERM, s): SectionRow(c.reserved, c.seat_sequence) for s, c in self.catalog.items()}
        return Tables(
            self.enrollments,
            self.claims,
            self.reservations,
            rows if self.seats is None else self.seats,
            tuple(self.conflicts),
            tuple(self.letters),
            {"enrollment": tuple(self.trail)},
        )

    def violations(self) -> list[str]:
        return [str(violation) for violation in judge(self.history(), self.tables())]

    def violations_of_topics(self) -> list[str]:
        return [str(violation) for violation in judge(self.history())]

    def _answer(self, enrollment_id: str, state: str) -> None:
        _, _, student_id, term, sections, *_ = self.enrollments[enrollment_id]
        self.reservations[enrollment_id] = ReservationRow(
            enrollment_id, state, student_id, term, sections, True
        )

    def _move(self, enrollment_id: str, seats: int) -> list[dict[str, Any]]:
        return [self._entry(s, seats) for s in self.enrollments[enrollment_id].sections]

    def _entry(self, section_id: str, seats: int) -> dict[str, Any]:
        section = self.catalog[section_id]
        section.reserved += seats
        section.seat_sequence += abs(seats)
        return {
            "section_id": section_id,
            "seat_sequence": section.seat_sequence,
            "reserved": section.reserved,
            "capacity": section.capacity,
            "version": 1,
        }

    def _end(self, enrollment_id: str, state: str, stage: str | None) -> None:
        row = self.enrollments[enrollment_id]
        self.enrollments[enrollment_id] = row._replace(
            state=state, stage=stage, decided_at=DEADLINE
        )


def ends_of(records: list[Record]) -> dict[Place, int]:
    ends: dict[Place, int] = {}
    for record in records:
        place = (record.topic, record.partition)
        ends[place] = max(record.offset + 1, ends.get(place, 0))
    return ends


CONFIRMED, OTHER, FULL, INELIGIBLE, MALFORMED = (str(UUID(int=n)) for n in range(1, 6))
CANCELLED, EARLY, LATE, PARKED = (str(UUID(int=n)) for n in range(6, 10))


def sound_day() -> Day:
    """One enrollment of every kind. Section 1 has 2 seats, and both are taken at the end."""
    day = Day()
    day.publish_section("1", capacity=2, start_minute=480)
    day.publish_section("2", capacity=9, start_minute=600)
    day.publish_section("3", capacity=9, start_minute=500)  # clashes with section 1
    for student_id in ("ann", "bob", "cem", "dot"):
        day.publish_student(student_id, max_credits=6)
    day.enroll(1, "ann", "1", "2")
    day.enroll(2, "bob", "1")
    _refused(day)
    _cancelled(day)
    _late(day)
    _parked(day)
    return day


def _refused(day: Day) -> None:
    day.open(day.request(3, "cem", "1", "2"), "cem", "1", "2")
    day.validate(FULL)
    day.find_full(FULL, "1")
    day.reject(FULL, "capacity", "section_full", section="1")
    day.open(day.request(4, "ann", "3"), "ann", "3")
    day.find_ineligible(INELIGIBLE, "time_conflict", "3")
    day.reject(INELIGIBLE, "eligibility", "time_conflict", section="3")
    day.request(5, "cem")  # names no section
    day.enrollments[MALFORMED] = EnrollmentRow(
        MALFORMED, "pending", "cem", TERM, (), None, None, None, ()
    )
    day.reject(MALFORMED, "request", "bad_request")


def _cancelled(day: Day) -> None:
    day.enroll(6, "dot", "2")
    day.ask_to_cancel(CANCELLED, "dot")
    day.cancel(CANCELLED)
    day.ask_to_cancel(EARLY, "dot")
    day.request(7, "dot", "2")
    day.enrollments[EARLY] = EnrollmentRow(
        EARLY, "pending", "dot", TERM, ("2",), DEADLINE, None, None, ()
    )
    day.cancel(EARLY)


def _late(day: Day) -> None:
    """The seats come after the deadline, and are given back."""
    day.open(day.request(8, "cem", "2"), "cem", "2")
    day.validate(LATE)
    day.reserve(LATE)
    day.reject(LATE, "deadline", "deadline")


def _parked(day: Day) -> None:
    """Its event waits for an operator, who has dealt with an unreadable message before."""
    day.open(day.request(9, "dot", "2"), "dot", "2")
    day.letters.append(
        DeadLetter("student", "enrollment.events", "enrollment.events/0/0", PARKED, "raised", True)
    )
    day.say("EnrollmentRequested", "x", {"student_id": "x"})
    place = next(r for r in reversed(day.records()) if r.topic == "enrollment.requests")
    subject = f"enrollment.requests/{place.partition}/{place.offset}"
    day.record_action("dead_letter.discard", subject, "unreadable  0 wait behind it")
    day.record_action("settings.show", "enrollment", "")
