"""Judge whether the tables say what the topics say of an enrollment, and agree at rest."""

from collections.abc import Iterator
from typing import Final

from loadtests.auditor.contract import (
    CANCEL,
    CANCELLED,
    CLAIM_RELEASED,
    CONFIRMED,
    INELIGIBLE,
    OPENED,
    REJECTED,
    SEAT_RELEASED,
    SEAT_RESERVED,
    SEAT_UNAVAILABLE,
    VALIDATED,
)
from loadtests.auditor.report import Invariant, Violation
from loadtests.auditor.stories import Story, StoryJudge
from loadtests.auditor.tables import ClaimRow, EnrollmentRow, ReservationRow

NOTHING_SAID: Final = frozenset({"missing", "released"})  # a release before the question
LIVE: Final = frozenset({"pending", "confirmed"})
ENDED: Final = frozenset({"rejected", "cancelled"})


def _state(row: EnrollmentRow | ClaimRow | ReservationRow | None) -> str:
    return "missing" if row is None else row.state


def enrollment_as_told(story: Story) -> Iterator[Violation]:
    """Enrollment's row is in the state that its events tell."""
    row, outcome = story.enrollment, story.outcome
    if outcome is not None:
        told = {"EnrollmentConfirmed": "confirmed", "EnrollmentRejected": "rejected"}
        states = {told.get(outcome.type, "cancelled")}
    elif story.has(OPENED):
        states = {"pending"}
    else:
        states = {"missing", "unopened"}
    if _state(row) not in states:
        yield _contradiction(story, "enrollment", _state(row), states)
    stage = outcome.stage if outcome else None
    if row and row.stage != stage:
        text = f"stage {row.stage or 'none'} in the database, {stage or 'none'} by its events"
        yield story.violation(Invariant.ONE_EVENT, text)


def claim_as_told(story: Story) -> Iterator[Violation]:
    """Student's row is in the state that its events tell."""
    if story.has(CLAIM_RELEASED):
        states = {"released"}
    elif story.has(VALIDATED):
        states = {"claimed"}
    elif story.has(INELIGIBLE):
        states = {"refused", "released"}
    else:
        states = set(NOTHING_SAID)
    if _state(story.claim) not in states:
        yield _contradiction(story, "student", _state(story.claim), states)
    if story.claim and story.claim.credits and not story.has(VALIDATED):
        text = f"{story.claim.credits} credits in the database of student, 0 by its events"
        yield story.violation(Invariant.CLAIMS, text)


def reservation_as_told(story: Story) -> Iterator[Violation]:
    """Capacity's row is in the state that its events tell."""
    row = story.reservation
    if story.has(SEAT_RELEASED):
        states = {"released"}
    elif story.has(SEAT_RESERVED):
        states = {"reserved"}
    elif story.has(SEAT_UNAVAILABLE):
        states = {"refused", "released"}
    else:
        states = set(NOTHING_SAID)
    if _state(row) not in states:
        yield _contradiction(story, "capacity", _state(row), states)
    answered = story.has(SEAT_RESERVED, SEAT_UNAVAILABLE)
    if row is not None and row.is_answered != answered:
        text = f"capacity's row says answered: {row.is_answered}, its events: {answered}"
        yield story.violation(Invariant.ONE_EVENT, text)


def _contradiction(story: Story, service: str, found: str, states: set[str]) -> Violation:
    told = " or ".join(sorted(states))
    text = f"{found} in the database of {service}, {told} by its events"
    return story.violation(Invariant.ONE_EVENT, text)


def rows_name_the_same(story: Story) -> Iterator[Violation]:
    """Every row has the student and the sections of the events that made it."""
    told = (
        ("enrollment", story.enrollment, story.first(OPENED, CONFIRMED, CANCELLED, REJECTED)),
        ("student", story.claim, story.first(VALIDATED, INELIGIBLE) or story.end),
        ("capacity", story.reservation, story.first(SEAT_RESERVED, SEAT_UNAVAILABLE) or story.end),
    )
    for service, row, event in told:
        if row is None or event is None:
            continue
        in_row = (row.student_id, row.term, row.sections)
        in_event = (event.student_id, event.term, event.sections)
        if in_row != in_event:
            text = f"{_named(in_row)} in the database of {service}, {_named(in_event)} by"
            yield story.violation(Invariant.ALL_OR_NOTHING, f"{text} {event.type}")


def _named(what: tuple[str, str | None, tuple[str, ...]]) -> str:
    student_id, term, sections = what
    return f"{student_id} {term}/{','.join(sections)}"


def every_request_has_a_row(story: Story) -> Iterator[Violation]:
    """A request makes a row; a cancel before it makes one that no request leaves unopened."""
    row = story.enrollment
    if story.is_excused:
        return
    if story.requests and (row is None or row.state == "unopened"):
        text = f"{len(story.requests)} requests, and enrollment's row is {_state(row)}"
        yield story.violation(Invariant.ONE_OUTCOME, text)
    if story.cancels and row is None and CANCEL not in story.discarded:
        text = f"{len(story.cancels)} cancels, and enrollment's row is missing"
        yield story.violation(Invariant.ONE_OUTCOME, text)


def every_row_has_its_message(story: Story) -> Iterator[Violation]:
    """No row without a request or cancel of its student."""
    row = story.enrollment
    if row is None:
        return
    messages = story.cancels if row.state == "unopened" else story.requests
    if row.student_id not in {message.student_id for message in messages}:
        text = f"{row.state} for student {row.student_id}, who sent 0 messages about it"
        yield story.violation(Invariant.ONE_OUTCOME, text)
    cancelling = {cancel.student_id for cancel in story.cancels}
    is_settled = not story.is_excused and CANCEL not in story.discarded
    if row.state == "unopened" and set(row.cancelled_by) != cancelling and is_settled:
        text = f"cancelled by {len(row.cancelled_by)} students in the database, {len(cancelling)}"
        yield story.violation(Invariant.ONE_OUTCOME, f"{text} in the topic")


def settled(story: Story) -> Iterator[Violation]:
    """At rest, confirmed holds everything, ended holds nothing, nothing is pending."""
    if story.is_excused:
        return
    state, claim, reservation = map(_state, (story.enrollment, story.claim, story.reservation))
    if state == "pending" and story.enrollment:
        text = f"pending at rest; its deadline is {story.enrollment.deadline_at}"
        yield story.violation(Invariant.AT_REST, text)
    if state == "confirmed" and claim != "claimed":
        yield story.violation(Invariant.CLAIMS, f"confirmed, and its claim is {claim}")
    if state == "confirmed" and reservation != "reserved":
        text = f"confirmed, and its reservation is {reservation}"
        yield story.violation(Invariant.ALL_OR_NOTHING, text)
    if state not in LIVE and claim == "claimed":
        yield story.violation(Invariant.CLAIMS, f"{state}, and its claim is claimed")
    if state not in LIVE and reservation == "reserved":
        text = f"{state}, and its reservation is reserved"
        yield story.violation(Invariant.ALL_OR_NOTHING, text)
    for service, found in (("student", claim), ("capacity", reservation)):
        if state in ENDED and found in ("missing", "refused"):
            text = f"{state}, and {service}'s row is {found} instead of released"
            yield story.violation(Invariant.DELIVERY, text)


def no_deadline_before_its_time(story: Story) -> Iterator[Violation]:
    """A deadline rejects nothing before it has passed."""
    row = story.enrollment
    if not (row and row.stage == "deadline" and row.decided_at and row.deadline_at):
        return
    if row.decided_at < row.deadline_at:
        text = f"rejected by its deadline {row.deadline_at} at {row.decided_at}"
        yield story.violation(Invariant.AT_REST, text)


AGREEMENT_JUDGES: Final[tuple[StoryJudge, ...]] = (
    enrollment_as_told,
    claim_as_told,
    reservation_as_told,
    rows_name_the_same,
    every_request_has_a_row,
    every_row_has_its_message,
)
SETTLED_JUDGES: Final[tuple[StoryJudge, ...]] = (settled, no_deadline_before_its_time)
