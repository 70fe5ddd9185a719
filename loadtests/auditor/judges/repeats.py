"""Judge what the table of conflicts has of requests and cancels that changed nothing."""

from collections.abc import Iterator

from loadtests.auditor.contract import CANCEL
from loadtests.auditor.report import Invariant, Violation
from loadtests.auditor.requests import Request
from loadtests.auditor.stories import Story


def contradictions_recorded(story: Story) -> Iterator[Violation]:
    """Every other body, and every other student's request or cancel, is on record."""
    row = story.enrollment
    if row is None or story.is_excused or row.state == "unopened":
        return
    yield from _other_bodies(story, row.student_id)
    yield from _foreign_requests(story, row.student_id)
    yield from _foreign_cancels(story, row.student_id)


def _recorded(story: Story, kind: str) -> list[str]:
    return [conflict.student_id for conflict in story.conflicts if conflict.kind == kind]


def _other_bodies(story: Story, owner: str) -> Iterator[Violation]:
    own = {(r.kind, r.body) for r in story.requests if r.student_id == owner}
    recorded = len(_recorded(story, "conflicting_duplicate"))
    if own and recorded != len(own) - 1:
        text = f"{len(own)} different requests of its student, {recorded} recorded as conflicting"
        yield story.violation(Invariant.REPEATS, text)


def _foreign_requests(story: Story, owner: str) -> Iterator[Violation]:
    others = {request.student_id for request in story.requests} - {owner}
    found = set(_recorded(story, "foreign_request"))
    if found != others:
        text = f"requested by {len(others)} other students, {len(found)} recorded as foreign"
        yield story.violation(Invariant.REPEATS, text)


def _foreign_cancels(story: Story, owner: str) -> Iterator[Violation]:
    cancels = [cancel for cancel in story.cancels if cancel.student_id != owner]
    possible = {cancel.student_id for cancel in cancels}
    certain = {cancel.student_id for cancel in cancels if _came_after_a_request(cancel, story)}
    certain -= possible if CANCEL in story.discarded else set()
    found = set(_recorded(story, "foreign_cancel"))
    if not certain <= found <= possible:
        text = f"cancelled by {len(possible)} other students, by {len(certain)} surely after its"
        yield story.violation(
            Invariant.REPEATS, f"{text} request, {len(found)} recorded as foreign"
        )


def _came_after_a_request(cancel: Request, story: Story) -> bool:
    """Only within a partition is that certain; one that came before is rightly forgotten."""
    return any(
        request.partition == cancel.partition and request.offset < cancel.offset
        for request in story.requests
    )
