"""Judge the refusals of student: what it says that she held, she held then."""

from collections.abc import Iterator, Mapping

from loadtests.auditor.catalogs import Catalogs, Slot
from loadtests.auditor.contract import INELIGIBLE
from loadtests.auditor.events import Event
from loadtests.auditor.history import History
from loadtests.auditor.holdings import (
    Claim,
    Moment,
    published_credits,
    published_limit,
    published_slots,
    replay,
)
from loadtests.auditor.report import Invariant, Violation
from loadtests.auditor.tables import ClaimRow


def judge_refusals(history: History, claims: Mapping[str, ClaimRow]) -> Iterator[Violation]:
    """Judge the reasons that depend on claims; a stale claim would refuse for ever."""
    for moment in replay(history, claims):
        if moment.event.type != INELIGIBLE:
            continue
        for code, section_id in moment.event.reasons:
            text = _objection(code, section_id or "", moment, history.catalogs)
            if text is not None:
                subject = f"enrollment {moment.event.enrollment_id}"
                yield Violation(Invariant.CLAIMS, subject, f"refused for {code}: {text}")


def _objection(code: str, section_id: str, moment: Moment, catalogs: Catalogs) -> str | None:
    event, held = moment.event, list(moment.held.values())
    match code:
        case "already_enrolled":
            holding = sum(section_id in claim.sections for claim in held)
            return None if holding else f"0 of {len(held)} claims hold section {section_id}"
        case "credit_limit":
            return _within_limit(event, held, catalogs)
        case "time_conflict":
            return _without_clash(event, section_id, held, catalogs)
        case _:
            return None


def _within_limit(event: Event, held: list[Claim], catalogs: Catalogs) -> str | None:
    already = {section_id for claim in held for section_id in claim.sections}
    new = event._replace(sections=tuple(s for s in event.sections if s not in already))
    limit, asked = published_limit(event, catalogs), published_credits(new, catalogs)
    claimed = sum(claim.credits for claim in held)
    if limit is None or asked is None or claimed + asked > limit:
        return None
    return f"{claimed} credits claimed and {asked} asked for, the limit is {limit}"


def _without_clash(
    event: Event, section_id: str, held: list[Claim], catalogs: Catalogs
) -> str | None:
    taken: list[Slot] = []
    for slots in (published_slots(event, catalogs), *(claim.slots for claim in held)):
        if slots is None:
            return None
        taken += slots
    own = [slot for slot in taken if slot.section_id == section_id]
    others = [slot for slot in taken if slot.section_id != section_id]
    if any(one.clashes_with(other) for one in own for other in others):
        return None
    return f"section {section_id} clashes with 0 of {len(others)} slots held or asked for"
