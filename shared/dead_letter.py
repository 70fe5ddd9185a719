"""The rules of dead letters: what a replay does, and what may be given up."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, Protocol

from shared.choreography import ENROLLMENT_EVENTS
from shared.codec import decode, encode_body
from shared.errors import DeadLetterError
from shared.events import EnrollmentRequested, MalformedRequest
from shared.identifiers import EnrollmentId
from shared.message import Arrival, Message, Unreadable
from shared.reaction import Context, Folded, Reactions, State, Unit, describe_error
from shared.trace_context import continue_or_begin


class Outcome(StrEnum):
    """What an operator lets become of the enrollment, where no deadline would end it."""

    REJECTED = "rejected"  # of a request: it is stored, and said to be, rejected
    STANDS = "stands"  # of a cancel: the enrollment stays as it is


UNREADABLE: Final = "unreadable"

# Without an outcome these would leave somebody waiting for ever.
OUTCOME_NEEDED: Final = {
    "EnrollmentRequested": Outcome.REJECTED,
    "MalformedRequest": Outcome.REJECTED,
    "EnrollmentCancellationRequested": Outcome.STANDS,
}

# The deadline ends an enrollment whose event is given up, and the compensations follow.
DISCARDABLE: Final = frozenset(
    {
        "EnrollmentOpened",
        "StudentValidated",
        "StudentRejected",
        "SeatReserved",
        "SeatUnavailable",
        "SectionPublished",
        "StudentPublished",
        "SectionWithdrawn",
        "StudentWithdrawn",
    }
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A parked message, with what was the matter."""

    id: int
    message: Message
    event_type: str | None
    enrollment_id: EnrollmentId | None
    reason: str
    detail: str
    holds: bool
    parked_at: datetime


class Letters(Protocol):
    """The dead letters of one service, in a transaction that the caller commits."""

    async def queue_of(self, letter_id: int) -> list[DeadLetter]:
        """Lock and read a dead letter and those of its enrollment and topic, oldest first."""

    async def delete(self, letter_id: int) -> None:
        """Forget a dead letter."""

    async def record(
        self, *, operator: str, action: str, subject: str, detail: str, now: datetime
    ) -> None:
        """Add what an operator did to the audit trail."""


def unknown_letter(letter_id: int) -> DeadLetterError:
    """Say that there is no such dead letter, whether or not there ever was."""
    return DeadLetterError(f"there is no dead letter {letter_id}: list them to see which are")


async def replay(
    letters: Letters,
    unit: Unit[State],
    letter_id: int,
    reactions: Reactions[State],
    *,
    operator: str,
    now: datetime,
) -> Folded:
    """Decide a dead letter, and those that wait behind it, in order; all or nothing.

    The inbox is not asked: parking took the id already. Deleting the row in the same transaction
    is what makes a second replay do nothing.
    """
    queue = await letters.queue_of(letter_id)
    arrivals = [_readable(letter, reactions) for letter in queue]
    folded = await _decide(unit, list(zip(queue, arrivals, strict=True)), reactions, now)
    for letter in queue:
        await _end(letters, letter, "replay", operator=operator, now=now)
    return folded


def _trace_of(arrival: Arrival) -> str | None:
    if arrival.enrollment_id is None:
        return arrival.traceparent
    return continue_or_begin(arrival.traceparent, arrival.enrollment_id, 0.0)


async def _decide(
    unit: Unit[State],
    queue: Sequence[tuple[DeadLetter, Arrival]],
    reactions: Reactions[State],
    now: datetime,
) -> Folded:
    state = await unit.load([arrival.event for _, arrival in queue])
    folded = Folded()
    for letter, arrival in queue:
        try:
            context = Context(now, _trace_of(arrival), arrival.message)
            emitted = reactions[type(arrival.event)](state, arrival.event, context)
        except Exception as error:
            raise DeadLetterError(
                f"dead letter {letter.id} fails again ({describe_error(error)}): nothing was "
                "changed; mend the cause first"
            ) from error
        folded.emitted.extend(emitted)
    await unit.save(state)
    await unit.emit(folded.emitted, now)
    return folded


def _readable(letter: DeadLetter, reactions: Reactions[State]) -> Arrival:
    match decode(letter.message, reactions.keys()):
        case Arrival() as arrival:
            return arrival
        case Unreadable(detail=detail):
            raise DeadLetterError(
                f"dead letter {letter.id} cannot be read ({detail}): ask its sender to send it "
                "again in the right form, then discard it"
            )
        case None:
            raise DeadLetterError(f"dead letter {letter.id}: this service has no reaction to it")


async def discard(
    letters: Letters,
    unit: Unit[State],
    letter_id: int,
    reactions: Reactions[State],
    *,
    outcome: Outcome | None,
    operator: str,
    now: datetime,
) -> Folded:
    """Give a dead letter up for good, where the rules allow it; the first of its queue only."""
    first, *behind = await letters.queue_of(letter_id)
    if first.id != letter_id:
        raise DeadLetterError(
            f"dead letter {first.id} comes before {letter_id}: replay or discard it first"
        )
    _may_discard(first, outcome)
    folded = Folded()
    if outcome is Outcome.REJECTED:
        arrival = _as_rejected(_readable(first, reactions))
        folded = await _decide(unit, [(first, arrival)], reactions, now)
    detail = f"outcome {outcome}, {len(behind)} wait behind it"
    await _end(letters, first, "discard", operator=operator, now=now, detail=detail)
    return folded


def _may_discard(letter: DeadLetter, outcome: Outcome | None) -> None:
    what = _type_of(letter)
    needed = OUTCOME_NEEDED.get(what)
    if not needed and what not in DISCARDABLE and what != UNREADABLE:
        raise DeadLetterError(
            f"an {what} must not be discarded, or what it ends would stay for ever: "
            f"mend the cause and replay dead letter {letter.id}"
        )
    if outcome is not needed:
        how = f"only with the outcome `{needed}`" if needed else "without an outcome"
        raise DeadLetterError(f"dead letter {letter.id} ({what}) is discarded {how}")


def _type_of(letter: DeadLetter) -> str:
    """Name the event; of our own events, an unreadable one has its name in a header still."""
    if letter.event_type is not None:
        return letter.event_type
    said = dict(letter.message.headers).get("ce_type", b"").decode(errors="replace")
    known = {event.__name__ for event in ENROLLMENT_EVENTS.events}
    is_ours = letter.message.topic == ENROLLMENT_EVENTS.name
    return said if is_ours and said in known else UNREADABLE


def _as_rejected(arrival: Arrival) -> Arrival:
    """Put a refusal in place of a request; it keeps its hash, so that a repeat is a duplicate."""
    event = arrival.event
    if isinstance(event, EnrollmentRequested):
        event = MalformedRequest(
            enrollment_id=event.enrollment_id,
            student_id=event.student_id,
            term=event.term,
            sections=event.sections,
            problems=("The request could not be handled; please ask again.",),
            body_sha256=sha256(encode_body(event)).digest(),
        )
    return replace(arrival, event=event)


async def _end(
    letters: Letters,
    letter: DeadLetter,
    action: str,
    *,
    operator: str,
    now: datetime,
    detail: str = "",
) -> None:
    message, what = letter.message, letter.event_type or UNREADABLE
    await letters.delete(letter.id)
    await letters.record(
        operator=operator,
        action=f"dead_letter.{action}",
        subject=f"{message.topic}/{message.partition}/{message.offset}",
        detail=f"{what} {letter.enrollment_id or ''} {detail}".strip(),
        now=now,
    )
