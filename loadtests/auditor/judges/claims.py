"""Judge each claim against what its student held then."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from loadtests.auditor.catalogs import Slot
from loadtests.auditor.contract import CLAIM_RELEASED, VALIDATED
from loadtests.auditor.events import Event
from loadtests.auditor.history import History
from loadtests.auditor.holdings import (
    Claim,
    claim_of,
    published_credits,
    published_limit,
    published_slots,
    replay,
)
from loadtests.auditor.report import Invariant, Violation
from loadtests.auditor.tables import ClaimRow

Student = tuple[str, str | None]  # a student and a term


def violation(student: Student, text: str) -> Violation:
    """Say what is wrong with a student's claims."""
    return Violation(Invariant.CLAIMS, f"student {student[0]} in term {student[1]}", text)


def judge_claims(history: History, claims: Mapping[str, ClaimRow]) -> Iterator[Violation]:
    """Judge every claim and every release as it came."""
    for event, held in replay(history, claims):
        student = (event.student_id, event.term)
        if event.type == VALIDATED:
            yield from _judge_terms(student, event, history, claims)
            claim = claim_of(event, claims, history.catalogs)
            yield from _judge_claim(student, claim, list(held.values()))
        elif event.type == CLAIM_RELEASED:
            yield from _judge_release(student, event, held.get(event.enrollment_id))


def _judge_claim(student: Student, new: Claim, held: Sequence[Claim]) -> Iterator[Violation]:
    claimed = sum(claim.credits for claim in held)
    if new.credit_limit is not None and claimed + new.credits > new.credit_limit:
        text = f"enrollment {new.enrollment_id} claims {new.credits} credits on top of {claimed}"
        yield violation(student, f"{text}, the limit then was {new.credit_limit}")
    taken = list(new.slots or ())
    for number, slot in enumerate(taken):
        yield from _clashes(student, new, taken[:number], slot, new)
    for other in held:
        for section_id in set(new.sections) & set(other.sections):
            text = f"section {section_id} is claimed by enrollments {other.enrollment_id}"
            yield violation(student, f"{text} and {new.enrollment_id}")
        for slot in other.slots or ():
            yield from _clashes(student, new, taken, slot, other)


def _clashes(
    student: Student, new: Claim, taken: Sequence[Slot], slot: Slot, other: Claim
) -> Iterator[Violation]:
    for one in taken:
        if one.section_id != slot.section_id and one.clashes_with(slot):
            text = f"section {one.section_id} of enrollment {new.enrollment_id} clashes with"
            yield violation(
                student, f"{text} section {slot.section_id} of enrollment {other.enrollment_id}"
            )


def _judge_release(student: Student, event: Event, released: Claim | None) -> Iterator[Violation]:
    if released is not None and released.credits != event.credits:
        text = f"enrollment {event.enrollment_id} claimed {released.credits} credits"
        yield violation(student, f"{text} and gave back {event.credits}")


def _judge_terms(
    student: Student, event: Event, history: History, claims: Mapping[str, ClaimRow]
) -> Iterator[Violation]:
    """Trust neither the row nor the event where the catalogs leave no doubt."""
    catalogs, row = history.catalogs, claims.get(event.enrollment_id)
    found: list[tuple[str, object, object]] = [
        ("credits in the catalog", event.credits, published_credits(event, catalogs))
    ]
    if row is not None:
        slots = published_slots(event, catalogs)
        found += [
            ("credits in the database", event.credits, row.credits),
            ("as limit in the catalog", row.credit_limit, published_limit(event, catalogs)),
            (
                "as slots in the catalog",
                sorted(row.slots),
                None if slots is None else sorted(slots),
            ),
        ]
    for what, said, known in found:
        if known is not None and said != known:
            text = f"enrollment {event.enrollment_id} claims with {said}, {known} {what}"
            yield violation(student, text)


def judge_held_claims(claims: Mapping[str, ClaimRow]) -> Iterator[Violation]:
    """Judge what each student holds at rest, by the rows alone."""
    held: dict[Student, list[ClaimRow]] = defaultdict(list)
    for row in claims.values():
        if row.state == "claimed":
            held[row.student_id, row.term].append(row)
    for student, rows in held.items():
        total, limit = sum(row.credits for row in rows), _latest_limit(rows)
        if total > limit:
            text = f"{len(rows)} claims hold {total} credits, the latest limit is {limit}"
            yield violation(student, text)
        overlapping = [Claim(r.enrollment_id, r.sections, r.credits, None, r.slots) for r in rows]
        for number, claim in enumerate(overlapping):
            yield from _judge_claim(student, claim, overlapping[:number])


def _latest_limit(rows: Sequence[ClaimRow]) -> int:
    """Claims of one batch have the same time: the highest of their limits counts."""
    latest = max((row.decided_at for row in rows if row.decided_at), default=None)
    return max(row.credit_limit for row in rows if row.decided_at == latest or latest is None)
