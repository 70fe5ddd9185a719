"""Judge an enrollment across topics: nothing without its cause, nothing left without its answer."""

from collections.abc import Iterator
from typing import Final

from loadtests.auditor.contract import (
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
from loadtests.auditor.report import Awaited, Invariant, Violation
from loadtests.auditor.stories import Story, StoryJudge

CAUSES: Final = (  # what was said, what must have been said for it, what it breaks
    (VALIDATED, (OPENED,), Invariant.ONE_EVENT),
    (INELIGIBLE, (OPENED,), Invariant.ONE_EVENT),
    (SEAT_RESERVED, (VALIDATED,), Invariant.ONE_EVENT),
    (SEAT_UNAVAILABLE, (VALIDATED,), Invariant.ONE_EVENT),
    (CONFIRMED, (OPENED,), Invariant.ONE_OUTCOME),
    (CONFIRMED, (VALIDATED,), Invariant.CLAIMS),
    (CONFIRMED, (SEAT_RESERVED,), Invariant.ALL_OR_NOTHING),
    (CLAIM_RELEASED, (VALIDATED,), Invariant.ONE_EVENT),
    (CLAIM_RELEASED, (REJECTED, CANCELLED), Invariant.CLAIMS),
    (SEAT_RELEASED, (SEAT_RESERVED,), Invariant.ONE_EVENT),
    (SEAT_RELEASED, (REJECTED, CANCELLED), Invariant.ALL_OR_NOTHING),
)
QUESTIONS: Final = (
    (OPENED, VALIDATED, INELIGIBLE),
    (VALIDATED, SEAT_RESERVED, SEAT_UNAVAILABLE),
)
REJECTION_CAUSES: Final[dict[str | None, tuple[str, ...]]] = {
    "eligibility": (OPENED, INELIGIBLE),
    "capacity": (OPENED, SEAT_UNAVAILABLE),
    "deadline": (OPENED,),
    "request": (),
}
NEVER_SHOWN: Final = {"already_released"}
OWN_CODES: Final = {"request": {"bad_request"}, "deadline": {"deadline"}}


def nothing_without_cause(story: Story) -> Iterator[Violation]:
    """Every event has the event that it answers."""
    for said, causes, invariant in CAUSES:
        if story.has(said) and not story.has(*causes):
            text = f"{said} without {' or '.join(causes)}"
            yield story.violation(invariant, text, Awaited.CAUSE)


def rejected_as_refused(story: Story) -> Iterator[Violation]:
    """A rejection passes on the refusal of its stage."""
    rejected = story.first(REJECTED)
    if rejected is None:
        return
    if rejected.stage not in REJECTION_CAUSES:
        text = f"rejected at an unknown stage: {rejected.stage}"
        yield story.violation(Invariant.ONE_OUTCOME, text)
        return
    causes = REJECTION_CAUSES[rejected.stage]
    for cause in causes:
        if not story.has(cause):
            text = f"rejected at stage {rejected.stage} without {cause}"
            yield story.violation(Invariant.ONE_OUTCOME, text, Awaited.CAUSE)
    refusal = story.first(*(cause for cause in causes if cause != OPENED))
    if refusal and refusal.reasons != rejected.reasons:
        told = f"{_codes(rejected.reasons)} were told, {_codes(refusal.reasons)} by {refusal.type}"
        yield story.violation(Invariant.ONE_OUTCOME, f"other reasons: {told}")


def rejected_for_a_reason(story: Story) -> Iterator[Violation]:
    """A rejection has reasons, and such as its stage can have."""
    rejected = story.first(REJECTED)
    if rejected is None:
        return
    codes = {code for code, _ in rejected.reasons}
    own = OWN_CODES.get(rejected.stage or "")
    wrong = codes - own if own else codes & NEVER_SHOWN
    if wrong or not codes:
        text = f"rejected at stage {rejected.stage} for {_codes(rejected.reasons) or '0 reasons'}"
        yield story.violation(Invariant.ONE_OUTCOME, text)


def _codes(reasons: tuple[tuple[str, str | None], ...]) -> str:
    return ",".join(code for code, _ in reasons)


def released_only_after_the_end(story: Story) -> Iterator[Violation]:
    """Capacity says that an enrollment had ended only of one that had."""
    refusal = story.first(SEAT_UNAVAILABLE)
    codes = {code for code, _ in refusal.reasons} if refusal else set()
    if "already_released" in codes and story.end is None:
        text = f"refused as already released without {REJECTED} or {CANCELLED}"
        yield story.violation(Invariant.ONE_OUTCOME, text, Awaited.CAUSE)


def everything_answered(story: Story) -> Iterator[Violation]:
    """At rest, every question has its answer; an operator may have given a question up."""
    for question, *answers in QUESTIONS:
        is_due = story.has(question) and question not in story.discarded
        if is_due and not story.is_excused and not story.has(*answers):
            text = f"{question} without {' or '.join(answers)}"
            yield story.violation(Invariant.DELIVERY, text, Awaited.ANSWER)


def everything_given_back(story: Story) -> Iterator[Violation]:
    """At rest, an enrollment that ended holds neither a claim nor a seat."""
    if story.is_excused or story.end is None:
        return
    ended = story.end.type
    if story.has(VALIDATED) and not story.has(CLAIM_RELEASED):
        text = f"{ended}, but no {CLAIM_RELEASED}: its claim is an orphan"
        yield story.violation(Invariant.CLAIMS, text, Awaited.CLAIM_RELEASE)
    if story.has(SEAT_RESERVED) and not story.has(SEAT_RELEASED):
        text = f"{ended}, but no {SEAT_RELEASED}: its seats are orphans"
        yield story.violation(Invariant.ALL_OR_NOTHING, text, Awaited.SEAT_RELEASE)


CAUSE_JUDGES: Final[tuple[StoryJudge, ...]] = (
    nothing_without_cause,
    rejected_as_refused,
    rejected_for_a_reason,
    released_only_after_the_end,
    everything_answered,
    everything_given_back,
)
