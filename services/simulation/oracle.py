"""Watches every commit of the simulated databases, and says at once what must never be."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, assert_never
from uuid import UUID

from services.capacity.model import Reservation, ReservationState, Section
from services.enrollment.model import Enrollment, EnrollmentState
from services.student.model import Claim, ClaimState, Student
from shared.choreography import Service
from shared.identifiers import EnrollmentId, SectionKey, StudentId, Term

Change = tuple[Any, Any, Any]  # a key, its row before and its row after; None where there is none
Changes = Mapping[str, Sequence[Change]]

NEXT_STATES: Final[Mapping[EnrollmentState | None, frozenset[EnrollmentState]]] = {
    None: frozenset(EnrollmentState) - {EnrollmentState.CONFIRMED},
    EnrollmentState.UNOPENED: frozenset(EnrollmentState) - {EnrollmentState.CONFIRMED},
    EnrollmentState.PENDING: frozenset(
        {EnrollmentState.CONFIRMED, EnrollmentState.REJECTED, EnrollmentState.CANCELLED}
    ),
    EnrollmentState.CONFIRMED: frozenset({EnrollmentState.CANCELLED}),
    EnrollmentState.REJECTED: frozenset(),
    EnrollmentState.CANCELLED: frozenset(),
}
OUTCOMES: Final[Mapping[str, EnrollmentState]] = {
    "EnrollmentConfirmed": EnrollmentState.CONFIRMED,
    "EnrollmentRejected": EnrollmentState.REJECTED,
    "EnrollmentCancelled": EnrollmentState.CANCELLED,
}


class Oracle:
    """Judges commit after commit, each against those before; adds to `violations`."""

    def __init__(self, violations: list[str]) -> None:
        self.violations = violations
        self._holders: dict[SectionKey, set[EnrollmentId]] = defaultdict(set)
        self._claims: dict[tuple[StudentId, Term], dict[EnrollmentId, Claim]] = defaultdict(dict)
        self._withdrawn: set[StudentId] = set()

    def on_commit(self, service: Service, changes: Changes) -> None:
        """Judge a commit."""
        match service:
            case Service.ENROLLMENT:
                found = self._judge_enrollments(changes)
            case Service.STUDENT:
                found = self._judge_claims(changes)
            case Service.CAPACITY:
                found = self._judge_seats(changes)
            case unreachable:
                assert_never(unreachable)
        self.violations.extend(found)

    def _judge_enrollments(self, changes: Changes) -> Iterator[str]:
        said = _said(changes)
        for enrollment_id, before, after in changes.get("enrollment", ()):
            yield from _judge_step(before, after)
            if after is not None:
                outcomes = [
                    OUTCOMES[name] for name in said.pop(enrollment_id, ()) if name in OUTCOMES
                ]
                yield from _judge_outcomes(before, after, outcomes)
        for enrollment_id, names in said.items():
            yield f"8: {short(enrollment_id)} did not change, and is said to be: {names}"

    def _judge_claims(self, changes: Changes) -> Iterator[str]:
        said = _said(changes)
        new: list[Claim] = []
        for enrollment_id, before, after in changes.get("claim", ()):
            held, holds = _holds_claim(before), _holds_claim(after)
            names = said.pop(enrollment_id, [])
            yield from _judge_balance(
                enrollment_id, names, holds - held, "StudentValidated", "StudentClaimReleased"
            )
            if holds and not held:
                new.append(after)
            elif held and not holds:
                self._claims[before.student_id, before.term].pop(enrollment_id, None)
        yield from self._judge_new_claims(new)
        yield from self._judge_students(new, changes.get("student", ()))
        for enrollment_id, names in said.items():
            yield f"8: {short(enrollment_id)} has no claim that changed, and yet: {names}"

    def _judge_new_claims(self, new: Sequence[Claim]) -> Iterator[str]:
        """Those that were given up in the same commit may have made room, so they went first."""
        for claim in new:
            assert claim.term is not None
            held = self._claims[claim.student_id, claim.term]
            held[claim.enrollment_id] = claim
            claimed = sum(one.credits for one in held.values())
            if claimed > claim.credit_limit:
                yield (
                    f"4: {claim.student_id} holds {claimed} credits in {claim.term}, over the "
                    f"limit of {claim.credit_limit} that {short(claim.enrollment_id)} was "
                    "claimed under"
                )
            yield from _judge_overlaps(claim, held)

    def _judge_students(
        self, new: Sequence[Claim], changed: Sequence[tuple[StudentId, Any, Student]]
    ) -> Iterator[str]:
        """Whoever is new in the catalog, or was deleted, in this very commit may claim in it."""
        for student_id in {claim.student_id for claim in new} & self._withdrawn:
            if all(student_id != one for one, _, _ in changed):
                yield f"4: {student_id} claims, and was deleted from the catalog"
        for student_id, _, after in changed:
            if after.is_withdrawn:
                self._withdrawn.add(student_id)
            else:
                self._withdrawn.discard(student_id)

    def _judge_seats(self, changes: Changes) -> Iterator[str]:
        said = _said(changes)
        for enrollment_id, before, after in changes.get("reservation", ()):
            held, holds = _holds_seats(before), _holds_seats(after)
            names = said.pop(enrollment_id, [])
            yield from _judge_balance(
                enrollment_id, names, holds - held, "SeatReserved", "SeatReleased"
            )
            self._move_holder(before if held else None, after if holds else None)
        for key, before, after in changes.get("section", ()):
            yield from self._judge_section(key, before, after)
        for enrollment_id, names in said.items():
            yield f"8: {short(enrollment_id)} has no reservation that changed, and yet: {names}"

    def _move_holder(self, before: Reservation | None, after: Reservation | None) -> None:
        for key, enrollment_id in _seats_of(before):
            self._holders[key].discard(enrollment_id)
        for key, enrollment_id in _seats_of(after):
            self._holders[key].add(enrollment_id)

    def _judge_section(
        self, key: SectionKey, before: Section | None, after: Section | None
    ) -> Iterator[str]:
        name = f"section {key.section_id} of {key.term}"
        if after is None:
            yield f"1: {name} has disappeared"
            return
        holders = len(self._holders[key])
        if after.reserved != holders:
            yield f"1: {name} counts {after.reserved} reserved seats, {holders} are held"
        if before is not None and after.seat_sequence < before.seat_sequence:
            yield f"1: {name} counts its changes backwards"
        most = max(after.capacity, before.capacity if before else 0)
        grown = after.reserved > (before.reserved if before else 0)
        if grown and after.reserved > most:
            yield f"1: {name} is oversold: {after.reserved} of {most} seats are reserved"


def short(enrollment_id: EnrollmentId) -> str:
    """Name an enrollment of a history by its number."""
    return f"enrollment {enrollment_id.int >> 64}"


def _judge_step(before: Enrollment | None, after: Enrollment | None) -> Iterator[str]:
    if after is None:
        if before is not None and before.state is not EnrollmentState.UNOPENED:
            yield f"3: {short(before.enrollment_id)} has disappeared"
        return
    was = before.state if before else None
    if after.state is not was and after.state not in NEXT_STATES[was]:
        yield f"3: {short(after.enrollment_id)} was {was} and is {after.state}"
    if before and was is not EnrollmentState.UNOPENED and before.student_id != after.student_id:
        yield f"3: {short(after.enrollment_id)} has changed hands"


def _said(changes: Changes) -> dict[EnrollmentId, list[str]]:
    """Give the events of a commit, in order, by enrollment."""
    said: dict[EnrollmentId, list[str]] = {}
    for _, before, row in changes.get("outbox", ()):
        if before is None and row is not None:
            said.setdefault(EnrollmentId(UUID(row.subject)), []).append(row.event_type)
    return said


def _judge_outcomes(
    before: Enrollment | None, after: Enrollment, outcomes: Sequence[EnrollmentState]
) -> Iterator[str]:
    """Each outcome that is said is a step, and the last of them is how it stands."""
    state = before.state if before else None
    for outcome in outcomes:
        if outcome not in NEXT_STATES[state]:
            yield f"3: {short(after.enrollment_id)} is {state} and is said to be {outcome}"
        state = outcome
    if after.state in OUTCOMES.values() and state is not after.state:
        yield f"8: {short(after.enrollment_id)} is {after.state}, and nothing says so"


def _judge_balance(
    enrollment_id: EnrollmentId, names: Sequence[str], change: int, taken: str, given_back: str
) -> Iterator[str]:
    """What is said of taking and giving back adds up to what became of the row."""
    count = Counter(names)
    if count[taken] - count[given_back] != change or count[taken] > 1 or count[given_back] > 1:
        yield (
            f"8: of {short(enrollment_id)} {change:+d} was taken, and it is said: "
            f"{count[taken]} {taken}, {count[given_back]} {given_back}"
        )


def _judge_overlaps(claim: Claim, held: Mapping[EnrollmentId, Claim]) -> Iterator[str]:
    for other in held.values():
        if other is claim:
            continue
        if set(other.sections) & set(claim.sections):
            yield (
                f"4: {claim.student_id} holds a section twice, by {short(claim.enrollment_id)} "
                f"and {short(other.enrollment_id)}"
            )
        if any(slot.clashes_with(one) for slot in claim.slots for one in other.slots):
            yield (
                f"4: {claim.student_id} has two sections at one time, by "
                f"{short(claim.enrollment_id)} and {short(other.enrollment_id)}"
            )


def _holds_claim(claim: Claim | None) -> bool:
    return claim is not None and claim.state is ClaimState.CLAIMED


def _holds_seats(reservation: Reservation | None) -> bool:
    return reservation is not None and reservation.state is ReservationState.RESERVED


def _seats_of(reservation: Reservation | None) -> list[tuple[SectionKey, EnrollmentId]]:
    if reservation is None or reservation.term is None:
        return []
    return [
        (SectionKey(reservation.term, section_id), reservation.enrollment_id)
        for section_id in reservation.sections
    ]
