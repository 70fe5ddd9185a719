"""What each student held at each of her events, replayed in the order of student.events."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from loadtests.auditor.catalogs import Catalogs, PublishedSection, Slot
from loadtests.auditor.contract import CLAIM_RELEASED, STUDENT_EVENTS, VALIDATED
from loadtests.auditor.events import Event
from loadtests.auditor.history import History
from loadtests.auditor.tables import ClaimRow


@dataclass(frozen=True, slots=True)
class Claim:
    """What an enrollment claims; None where neither table nor catalogs can tell."""

    enrollment_id: str
    sections: tuple[str, ...]
    credits: int
    credit_limit: int | None
    slots: tuple[Slot, ...] | None


class Moment(NamedTuple):
    """An event of a student, and what she held in its term just before."""

    event: Event
    held: Mapping[str, Claim]


def replay(history: History, claims: Mapping[str, ClaimRow]) -> Iterator[Moment]:
    """Replay claims and releases; all events of a student are in one partition."""
    held: dict[tuple[str, str | None], dict[str, Claim]] = defaultdict(dict)
    for event in history.events:
        if event.topic != STUDENT_EVENTS:
            continue
        now_held = held[event.student_id, event.term]
        yield Moment(event, now_held)
        if event.type == VALIDATED:
            now_held[event.enrollment_id] = claim_of(event, claims, history.catalogs)
        elif event.type == CLAIM_RELEASED:
            now_held.pop(event.enrollment_id, None)


def claim_of(event: Event, claims: Mapping[str, ClaimRow], catalogs: Catalogs) -> Claim:
    """Give what an event claims: limit and slots by its row, or else by the catalogs."""
    row = claims.get(event.enrollment_id)
    return Claim(
        event.enrollment_id,
        event.sections,
        event.credits or 0,
        published_limit(event, catalogs) if row is None else row.credit_limit,
        published_slots(event, catalogs) if row is None else row.slots,
    )


def published_limit(event: Event, catalogs: Catalogs) -> int | None:
    """Give the student's limit where only one was ever published."""
    limits = catalogs.credit_limits.get(event.student_id, set())
    return next(iter(limits)) if len(limits) == 1 else None


def published_credits(event: Event, catalogs: Catalogs) -> int | None:
    """Add up the credits of an event's sections where each had only ever one number."""
    found = [_versions(event, section_id, catalogs) for section_id in event.sections]
    numbers = [{version.credits for version in versions} for versions in found]
    if any(len(one) != 1 for one in numbers):
        return None
    return sum(one.pop() for one in numbers)


def published_slots(event: Event, catalogs: Catalogs) -> tuple[Slot, ...] | None:
    """Give the slots of an event's sections where each had only ever the same ones."""
    found = [_versions(event, section_id, catalogs) for section_id in event.sections]
    times = [{version.slots for version in versions} for versions in found]
    if any(len(one) != 1 for one in times):
        return None
    return tuple(slot for one in times for slot in one.pop())


def _versions(event: Event, section_id: str, catalogs: Catalogs) -> list[PublishedSection]:
    return catalogs.sections.get((event.term or "", section_id), [])
