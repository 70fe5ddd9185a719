"""Judge what became of a request: one outcome, the right one, none invented, none lost."""

from collections.abc import Iterator
from typing import Final

from loadtests.auditor.contract import CANCEL, CANCELLED, CONFIRMED, OPENED, REJECTED, REQUEST
from loadtests.auditor.events import Event
from loadtests.auditor.report import Awaited, Invariant, Violation
from loadtests.auditor.requests import Kind
from loadtests.auditor.stories import Story, StoryJudge


def _told(story: Story) -> Event | None:
    return story.first(OPENED, REJECTED, CANCELLED, CONFIRMED)


def none_invented(story: Story) -> Iterator[Violation]:
    """An enrollment has the student and the content of a request that was made for its id."""
    told = _told(story)
    if told is None:
        return
    if not any(request.student_id == told.student_id for request in story.requests):
        asking = ",".join(sorted({r.student_id for r in story.requests})) or "nobody"
        text = f"{told.type} is of student {told.student_id}; {asking} asked for this id"
        yield story.violation(Invariant.ONE_OUTCOME, text)
        return
    kind = Kind.MALFORMED if told.stage == "request" else Kind.VALID
    kinds = {kind, Kind.VALID} if REQUEST in story.discarded else {kind}
    wanted = (told.student_id, told.term, told.sections)
    found = {(r.student_id, r.term, r.sections) for r in story.requests if r.kind in kinds}
    if wanted not in found:
        text = f"{told.type} for {told.term}/{','.join(told.sections)} answers no {kind.value}"
        yield story.violation(Invariant.ONE_OUTCOME, text)


def none_lost(story: Story) -> Iterator[Violation]:
    """At rest, every id that was asked for has an outcome."""
    if story.is_excused or story.outcome is not None:
        return
    if story.has(OPENED):
        text = f"{OPENED}, but 0 outcomes; 1 is due"
    elif story.requests:
        text = f"{len(story.requests)} requests, but 0 outcomes; 1 is due"
    else:
        return
    yield story.violation(Invariant.ONE_OUTCOME, text, Awaited.OUTCOME)


def cancels_count(story: Story) -> Iterator[Violation]:
    """A cancel by the enrollment's student leaves nothing confirmed; without one, none is."""
    told = _told(story)
    if told is None:
        return
    cancels = sum(cancel.student_id == told.student_id for cancel in story.cancels)
    is_binding = cancels > 0 and not story.is_excused and CANCEL not in story.discarded
    if is_binding and story.outcome and story.outcome.type == CONFIRMED:
        text = f"{cancels} cancels of its student, and it ends confirmed"
        yield story.violation(Invariant.ONE_OUTCOME, text, Awaited.CANCEL)
    if story.has(CANCELLED) and not cancels:
        text = f"{CANCELLED}, but 0 cancels of student {told.student_id}"
        yield story.violation(Invariant.ONE_OUTCOME, text)


def cancelled_from_what_it_was(story: Story) -> Iterator[Violation]:
    """What was confirmed before its cancel was said to be, and only that."""
    cancelled = story.first(CANCELLED)
    was = "confirmed" if story.has(CONFIRMED) else "pending"
    if cancelled and cancelled.was != was:
        text = f"{CANCELLED} says it was {cancelled.was}; by its events it was {was}"
        yield story.violation(Invariant.ONE_OUTCOME, text)


REQUEST_JUDGES: Final[tuple[StoryJudge, ...]] = (
    none_invented,
    none_lost,
    cancels_count,
    cancelled_from_what_it_was,
)
