"""Judge each claim against what its student held then, in the order of student.events."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loadtests.auditor.catalogs import Catalogs, Slot
from loadtests.auditor.contract import CLAIM_RELEASED, STUDENT_EVENTS, VALIDATED
from loadtests.auditor.events import Event
from loadtests.auditor.history import History
from loadtests.auditor.report import Invariant, Violation
from loadtests.auditor.tables import ClaimRow, Tables

Student = tuple[str, str]  # a student and a term


@dataclass(frozen=True, slots=True)
class Claim:
    """What an enrollment claims; None where neither table nor catalogs can tell."""

    enrollment_id: str
    sections: tuple[str, ...]
    credits: int
    credit_limit: int | None
    slots: tuple[Slot, ...] | None


def violation(student: Student, text: str) -> Violation:
    """Say what is wrong with a student's claims."""
    return Violation(Invariant.CLAIMS, f"student {student[0]} in term {student[1]}", text)


def judge_claims(history: History, tables: Tables) -> Iterator[Violation]:
    """Replay each student's claims and releases."""
    held: dict[Student, dict[str, Claim]] = defaultdict(dict)
    for event in history.events:
        if event.topic != STUDENT_EVENTS:
            continue
        student = (event.student_id, event.term or "")
        if event.type == VALIDATED:
            row = tables.claims.get(event.enrollment_id)
            yield from _judge_row(student, event, row, history.catalogs)
            claim = _claim(event, row, history.catalogs)
            yield from _judge_claim(student, claim, list(held[student].values()))
            held[student][event.enrollment_id] = claim
        elif event.type == CLAIM_RELEASED:
            released = held[student].pop(event.enrollment_id, None)
            yield from _judge_release(student, event, released)


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


def _claim(event: Event, row: ClaimRow | None, catalogs: Catalogs) -> Claim:
    return Claim(
        event.enrollment_id,
        event.sections,
        event.credits or 0,
        _published_limit(event, catalogs) if row is None else row.credit_limit,
        _published_slots(event, catalogs) if row is None else row.slots,
    )


def _judge_row(
    student: Student, event: Event, row: ClaimRow | None, catalogs: Catalogs
) -> Iterator[Violation]:
    """Trust neither the row nor the event where the catalogs leave no doubt."""
    found: list[tuple[str, object, object]] = [
        ("credits in the catalog", event.credits, _published_credits(event, catalogs))
    ]
    if row is not None:
        found += [
            ("credits in the database", event.credits, row.credits),
            ("as limit in the catalog", row.credit_limit, _published_limit(event, catalogs)),
            (
                "as slots in the catalog",
                sorted(row.slots),
                _sorted(_published_slots(event, catalogs)),
            ),
        ]
    for what, said, known in found:
        if known is not None and said != known:
            text = f"enrollment {event.enrollment_id} claims with {said}, {known} {what}"
            yield violation(student, text)


def _sorted(slots: tuple[Slot, ...] | None) -> list[Slot] | None:
    return None if slots is None else sorted(slots)


def _published_limit(event: Event, catalogs: Catalogs) -> int | None:
    limits = catalogs.credit_limits.get(event.student_id, set())
    return next(iter(limits)) if len(limits) == 1 else None


def _published_credits(event: Event, catalogs: Catalogs) -> int | None:
    total = 0
    for section_id in event.sections:
        versions = catalogs.sections.get((event.term or "", section_id), ())
        credits_said = {version.credits for version in versions}
        if len(credits_said) != 1:
            return None
        total += credits_said.pop()
    return total


def _published_slots(event: Event, catalogs: Catalogs) -> tuple[Slot, ...] | None:
    slots: list[Slot] = []
    for section_id in event.sections:
        versions = catalogs.sections.get((event.term or "", section_id), ())
        slots_said = {version.slots for version in versions}
        if len(slots_said) != 1:
            return None
        slots.extend(slots_said.pop())
    return tuple(slots)


def judge_held_claims(claims: Mapping[str, ClaimRow]) -> Iterator[Violation]:
    """Judge what each student holds at rest, by the rows alone."""
    held: dict[Student, list[ClaimRow]] = defaultdict(list)
    for row in claims.values():
        if row.state == "claimed":
            held[row.student_id, row.term or ""].append(row)
    for student, rows in held.items():
        latest = max(row.decided_at.timestamp() if row.decided_at else 0.0 for row in rows)
        limit = max(
            row.credit_limit
            for row in rows
            if not row.decided_at or row.decided_at.timestamp() == latest
        )
        total = sum(row.credits for row in rows)
        if total > limit:
            text = f"{len(rows)} claims hold {total} credits, the latest limit is {limit}"
            yield violation(student, text)
        yield from _overlaps(student, rows)


def _overlaps(student: Student, rows: Sequence[ClaimRow]) -> Iterator[Violation]:
    """Without a limit, since that is judged by the sum."""
    claims = [Claim(r.enrollment_id, r.sections, r.credits, None, r.slots) for r in rows]
    for number, claim in enumerate(claims):
        yield from _judge_claim(student, claim, claims[:number])
