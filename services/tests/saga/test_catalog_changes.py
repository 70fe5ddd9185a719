"""Sections change while students enroll: what was confirmed stays, what comes is judged anew."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from loadtests.day.importing import publish_and_wait
from services.student.tests.making import meeting, section, student
from services.tests.saga.client import Row, Saga, new_name
from services.tests.saga.refusals import Found, reasons_of
from shared.events import ReasonCode, SectionPublished
from shared.identifiers import Term

EARLY, LATE = [meeting(480, 540)], [meeting(900, 960)]


@dataclass(frozen=True)
class Change:
    """How a section was and became, and what a second student hears when she asks for it then."""

    after: Mapping[str, Any]
    hears: ReasonCode | None
    before: Mapping[str, Any] = field(default_factory=dict)
    names_section: bool = True


CHANGES = {
    "closed": Change({"state": "closed"}, ReasonCode.SECTION_CLOSED),
    "cancelled": Change({"state": "cancelled"}, ReasonCode.SECTION_CANCELLED),
    "opened": Change({"state": "open"}, None, {"state": "open"}),
    "capacity-up": Change({"capacity": 2}, None, {"capacity": 1}),
    "capacity-down": Change({"capacity": 0}, ReasonCode.SECTION_FULL, {"capacity": 5}),
    "moved": Change({"meetings": EARLY}, ReasonCode.TIME_CONFLICT, {"meetings": LATE}),
    "dearer": Change({"credits": 19}, ReasonCode.CREDIT_LIMIT, names_section=False),
    "harder": Change({"prerequisites": [["basics"]]}, ReasonCode.PREREQUISITE),
    "tied": Change({"corequisites": ["theory"]}, ReasonCode.COREQUISITE),
}


@dataclass(frozen=True)
class Told:
    """What the first student has after a change, and the second has heard."""

    term: str
    first: UUID
    second: Row


def published(term: str, name: str, version: int) -> SectionPublished:
    change = CHANGES[name]
    fields = {"credits": 1, **change.before, **(change.after if version > 1 else {})}
    return section(name, version=version, term=Term(term), **fields)


@pytest.fixture(scope="module")
async def told(saga: Saga) -> dict[str, Told]:
    """Have two students ask for each section, one before and one after it changed."""
    term = new_name("changes")
    who = {name: (f"{term}.{name}.1", f"{term}.{name}.2") for name in CHANGES}
    students = [student(one, max_credits=18) for both in who.values() for one in both]
    busy = section("busy", *EARLY, worth=0, term=Term(term))
    before = [published(term, name, 1) for name in CHANGES]
    publish_and_wait(saga.kafka_url, [*before, busy, *students])
    firsts = {name: saga.request(one, term, name) for name, (one, _) in who.items()}
    busy_ones = [saga.request(other, term, "busy") for _, other in who.values()]
    assert set(await saga.states_of([*firsts.values(), *busy_ones])) == {"confirmed"}

    publish_and_wait(saga.kafka_url, [published(term, name, 2) for name in CHANGES])
    seconds = {name: saga.request(other, term, name) for name, (_, other) in who.items()}
    return {name: Told(term, firsts[name], await saga.outcome(seconds[name])) for name in CHANGES}


@pytest.mark.parametrize("name", CHANGES)
def test_who_asks_after_a_change_is_judged_by_it(told: dict[str, Told], name: str) -> None:
    change = CHANGES[name]

    expected: Found = []
    if change.hears is not None:
        expected = [(change.hears, name if change.names_section else None)]
    assert reasons_of(told[name].second) == expected


async def test_a_change_takes_nothing_away_and_what_is_given_back_is_what_was_claimed(
    saga: Saga, told: dict[str, Told]
) -> None:
    (term,) = {one.term for one in told.values()}
    states = await saga.states_of([one.first for one in told.values()])
    taken = await saga.reserved(term)

    for one in told.values():
        first = await saga.outcome(one.first)
        saga.cancel(first["enrollment_id"], first["student_id"])
        await saga.said_of(one.first, "SeatReleased", "StudentClaimReleased")

    admitted = {name for name, change in CHANGES.items() if change.hears is None}
    assert set(states) == {"confirmed"}
    assert {name: taken[name] - (name in admitted) for name in CHANGES} == dict.fromkeys(CHANGES, 1)
    left = await saga.reserved(term)
    assert {name: left[name] - (name in admitted) for name in CHANGES} == dict.fromkeys(CHANGES, 0)
    credits_back = {
        saga.event(one.first, "StudentClaimReleased")["credits"] for one in told.values()
    }
    assert credits_back == {1}
