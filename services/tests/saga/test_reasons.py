"""Every reason of a refusal, alone and beside every other, through the whole saga."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import Producer

from loadtests.day.importing import publish_and_wait
from loadtests.day.kafka import producer_settings
from services.student.tests import faults
from services.student.tests.making import section, student
from services.tests.saga.client import Row, Saga, new_name
from services.tests.saga.refusals import reasons_of
from services.tests.saga.waiting import eventually
from shared.choreography import STUDENT_CATALOG
from shared.events import ReasonCode
from shared.identifiers import Term

LOCK_STUDENT = "SELECT FROM student WHERE student_id = $1 FOR UPDATE"
WITHDRAWN = "SELECT student_id FROM student WHERE student_id = ANY($1) AND is_withdrawn"

Codes = tuple[ReasonCode, ...]
Outcomes = dict[Codes, Row]


def combinations() -> list[Codes]:
    """Give no fault, each alone, every two, and all that go together."""
    everything = tuple(code for code in faults.FAULTS if code is not ReasonCode.UNKNOWN_STUDENT)
    return [(), *((one,) for one in faults.FAULTS), *faults.pairs(), everything]


def student_of(term: str, codes: Codes) -> str:
    return f"{term}.{'.'.join(codes) or 'fine'}"[:64]


def withdraw(saga: Saga, students: Sequence[str]) -> None:
    """Delete students from their catalog."""
    producer = Producer(producer_settings(saga.kafka_url))
    for one in students:
        producer.produce(STUDENT_CATALOG.name, None, one.encode())
    assert producer.flush(10) == 0


@pytest.fixture(scope="module")
async def asked(saga: Saga) -> Outcomes:
    """Give what requests came to, one for each combination of faults, each by its own student."""
    term = new_name("faults")
    who = {codes: student_of(term, codes) for codes in combinations()}
    assert len(set(who.values())) == len(who)
    wanted = {codes: faults.together(codes, Term(term)) for codes in who}
    first = [student(name, max_credits=faults.LIMIT) for name in who.values()]
    publish_and_wait(saga.kafka_url, [*faults.catalog(Term(term)), *first])

    holding = [
        saga.request(who[codes], term, *fault.held) for codes, fault in wanted.items() if fault.held
    ]
    assert set(await saga.states_of(holding)) == {"confirmed"}
    unknown = [codes for codes in who if ReasonCode.UNKNOWN_STUDENT in codes]
    changed = [
        student(who[codes], max_credits=faults.LIMIT, version=2, **fault.student)
        for codes, fault in wanted.items()
        if codes not in unknown
    ]
    publish_and_wait(saga.kafka_url, changed)
    names = [who[codes] for codes in unknown]
    withdraw(saga, names)
    await eventually("students withdrawn", lambda: _are_withdrawn(saga, names))

    ids = {codes: saga.request(who[codes], term, *fault.asked) for codes, fault in wanted.items()}
    return {codes: await saga.outcome(enrollment) for codes, enrollment in ids.items()}


async def _are_withdrawn(saga: Saga, names: list[str]) -> bool:
    return len(await saga.rows("student", WITHDRAWN, names)) == len(names)


def test_a_request_without_a_fault_is_confirmed(asked: Outcomes) -> None:
    assert asked[()]["state"] == "confirmed"


def test_every_rule_and_every_two_rules_are_told_at_once(asked: Outcomes) -> None:
    faulty = {codes: outcome for codes, outcome in asked.items() if codes}

    told = {codes: reasons_of(outcome) for codes, outcome in faulty.items()}

    assert told == {codes: faults.expected(codes) for codes in faulty}
    assert {outcome["stage"] for outcome in faulty.values()} == {"eligibility"}


@pytest.mark.parametrize(
    "sections",
    [
        ("full",),
        ("closed",),
        ("cancelled",),
        ("full", "closed"),
        ("cancelled", "full"),
        ("closed", "cancelled"),
        ("cancelled", "full", "open", "closed"),
    ],
    ids="-".join,
)
async def test_capacity_names_every_section_that_cannot_be_had(
    saga: Saga, no_seats: tuple[str, str], sections: tuple[str, ...]
) -> None:
    term, name = no_seats

    outcome = await saga.outcome(saga.request(name, term, *sections))

    refused = [one for one in sections if one != "open"]
    assert outcome["stage"] == "capacity"
    assert reasons_of(outcome) == [(ReasonCode(f"section_{one}"), one) for one in refused]


@pytest.fixture(scope="module")
async def no_seats(saga: Saga) -> tuple[str, str]:
    """Publish a term in which hardly anything can be had."""
    term = new_name("no-seats")
    states: list[dict[str, Any]] = [
        {"section_id": "full", "capacity": 0},
        {"section_id": "closed", "state": "closed"},
        {"section_id": "cancelled", "state": "cancelled"},
        {"section_id": "open"},
    ]
    sections = [section(worth=0, term=Term(term), **one) for one in states]
    publish_and_wait(saga.kafka_url, [*sections, student(term)])
    return term, term


async def test_a_request_that_names_no_section_is_a_bad_request(saga: Saga) -> None:
    term, (name,) = await saga.set_up({"A": 1})

    outcome = await saga.outcome(saga.request(name, term))

    assert outcome["stage"] == "request"
    assert reasons_of(outcome) == [(ReasonCode.BAD_REQUEST, None)]


async def test_an_answer_that_does_not_come_in_time_is_a_deadline(saga: Saga) -> None:
    term, (name,) = await saga.set_up({"A": 1})

    async with saga.connection("student") as connection, connection.transaction():
        await connection.execute(LOCK_STUDENT, name)  # so that she cannot be decided about
        late = await saga.outcome(saga.request(name, term, "A", deadline_seconds=0.3))

    assert late["stage"] == "deadline"
    assert reasons_of(late) == [(ReasonCode.DEADLINE, None)]
    await assert_nothing_stays(saga, late["enrollment_id"], term)


async def assert_nothing_stays(saga: Saga, enrollment_id: UUID, term: str) -> None:
    await saga.said_of(enrollment_id, "EnrollmentRejected", "StudentClaimReleased")
    await saga.rest()
    assert await saga.reserved(term) == {"A": 0}
