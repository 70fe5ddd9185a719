"""What is made of facts: a table of situations, each with its cause and what to do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.cli.output import Table
from services.cli.why.causes import CauseKind, Verdict
from services.cli.why.clocks import clock_errors
from services.cli.why.diagnosis import diagnose
from services.cli.why.facts import Extent, Facts, Known, Lease, TopicFacts, Unseen, Waiting
from services.cli.why.telling import data_of, parts_of, stuck_data, stuck_parts
from services.cli.why.tests.making import (
    ID,
    LETTER_ID,
    NOW,
    ago,
    facts,
    letter,
    message,
    places,
    process,
    released,
    row,
    step,
)
from services.cli.why.topics import partition_of, unread_window, window
from shared.identifiers import PartitionKey
from shared.tests.test_producer import JAVA_HASHES

K, V = CauseKind, Verdict
DOWN: dict[str, Any] = {"is_alive": False, "is_answering": False, "state": "backing-off"}
FROZEN: dict[str, Any] = {"is_answering": False}
OPEN: dict[str, Any] = {"breakers": {"database": "open", "kafka": "closed"}}
AGAIN = f"enroll why {ID}"
PENDING: dict[str, Any] = {"enrollment": row(), "student": step("claimed")}  # capacity is awaited
UNREAD: dict[str, Any] = {"messages": [message("StudentValidated", 19, offset=10)]}
OPENED = message("EnrollmentOpened", 20, offset=3)
REQUESTED = message("EnrollmentRequested", 20, offset=10)
DEADLINE: dict[str, Any] = {
    "stage": "deadline",
    "reasons": [{"code": "deadline"}],
    "decided_at": ago(5),
}
LOGS = {place: Extent(0, 10) for place in places()}


def with_log(topic: str, extent: Extent, **more: Any) -> TopicFacts:
    """Give logs of which one is unlike the others."""
    return TopicFacts(LOGS | {PartitionKey(topic, 0): extent}, looked_at=10, **more)


def replay(service: str) -> str:
    return f"enroll dead-letters replay {LETTER_ID} --service {service}"


def unknown_section(stage: str) -> dict[str, Any]:
    reasons = [{"code": "unknown_section", "section_id": "A"}]
    return {"stage": stage, "reasons": reasons, "decided_at": ago(19)}


def sections(student: int | None, capacity: int | None) -> dict[str, Any]:
    known = {"student": Known(student), "capacity": Known(capacity)}
    return {name: {"sections": {"A": one}} for name, one in known.items()}


GIVEN_BACK: dict[str, Any] = {"student": released(3), "capacity": released(3)}

# Facts; the service and kind of the cause; the next command; what it all comes to.
SITUATIONS: dict[str, tuple[Facts, str, CauseKind, str | None, Verdict]] = {
    "has just been opened": (
        facts(row(opened_at=ago(1))),
        *("student", K.ON_ITS_WAY, AGAIN, V.FINE),
    ),
    "has just been validated": (
        facts(row(), step("claimed", 1)),
        *("capacity", K.ON_ITS_WAY, AGAIN, V.FINE),
    ),
    "student is down": (
        facts(row(), messages=[replace(OPENED, offset=10)], processes={"student": DOWN}),
        *("student", K.PROCESS_DOWN, "enroll restart student", V.STUCK),
    ),
    "capacity is frozen": (
        facts(**PENDING, **UNREAD, processes={"capacity": FROZEN}),
        *("capacity", K.PROCESS_SILENT, "enroll restart capacity", V.STUCK),
    ),
    "enrollment is down with an answer to read": (
        facts(
            **PENDING,
            capacity=step("reserved", 15),
            messages=[message("SeatReserved", 15, offset=10)],
            processes={"enrollment": DOWN},
        ),
        *("enrollment", K.PROCESS_DOWN, "enroll restart enrollment", V.STUCK),
    ),
    "no process can be asked and none is connected": (
        replace(
            facts(**PENDING, **UNREAD, databases={"capacity": {"sessions": 0}}), processes=None
        ),
        *("capacity", K.PROCESS_DOWN, "enroll status", V.STUCK),
    ),
    "a breaker is open": (
        facts(**PENDING, **UNREAD, processes={"capacity": OPEN}),
        *("capacity", K.BREAKER_OPEN, "enroll status", V.STUCK),
    ),
    "poison in capacity": (
        facts(**PENDING, letters=[letter("capacity", "StudentValidated", "decision_raised")]),
        *("capacity", K.DEAD_LETTER, replay("capacity"), V.STUCK),
    ),
    "a dead letter comes before a process that is down": (
        facts(
            **PENDING,
            letters=[letter("capacity", "StudentValidated", "decision_raised")],
            processes={"capacity": DOWN},
        ),
        *("capacity", K.DEAD_LETTER, replay("capacity"), V.STUCK),
    ),
    "poison in enrollment": (
        facts(
            **PENDING,
            capacity=step("reserved"),
            letters=[letter("enrollment", "SeatReserved", "database_refused")],
        ),
        *("enrollment", K.DEAD_LETTER, replay("enrollment"), V.STUCK),
    ),
    "a version that capacity does not know": (
        facts(
            **PENDING,
            letters=[letter("capacity", None, "unknown_version", topic="student.events")],
        ),
        "capacity",
        K.UNKNOWN_VERSION,
        f"enroll dead-letters show {LETTER_ID} --service capacity",
        V.STUCK,
    ),
    "a request that cannot be read": (
        facts(letters=[letter("enrollment", None, "bad_content")]),
        "enrollment",
        K.UNREADABLE,
        f"enroll dead-letters show {LETTER_ID} --service enrollment",
        V.STUCK,
    ),
    "a request that was sent again in a form that can be read": (
        facts(
            letters=[letter("enrollment", None, "unknown_version")],
            messages=[message("EnrollmentRequested", 30, offset=3), REQUESTED],
            processes={"enrollment": DOWN},
        ),
        *("enrollment", K.PROCESS_DOWN, "enroll restart enrollment", V.STUCK),
    ),
    "an end behind a dead letter": (
        facts(
            row("rejected", **DEADLINE),
            capacity=released(4),
            letters=[
                letter("student", "EnrollmentOpened", "decision_raised"),
                letter("student", "EnrollmentRejected", "held", id=LETTER_ID + 1),
            ],
        ),
        *("student", K.HELD, replay("student"), V.STUCK),
    ),
    "an end that is not read behind a dead letter": (
        facts(
            row("cancelled", decided_at=ago(5)),
            capacity=released(4),
            letters=[letter("student", "EnrollmentOpened", "decision_raised")],
        ),
        *("student", K.HELD, replay("student"), V.STUCK),
    ),
    "an outbox that its relay does not empty": (
        facts(
            **PENDING,
            databases={
                "student": {
                    "outbox_depth": 3,
                    "outbox_oldest_at": ago(30),
                    "outbox_own": [Waiting("StudentValidated", ago(19))],
                }
            },
        ),
        *("student", K.OUTBOX_BLOCKED, "enroll restart student", V.STUCK),
    ),
    "an outbox that a stranger has the right to publish": (
        facts(
            **PENDING,
            databases={
                "student": {
                    "outbox_own": [Waiting("StudentValidated", ago(19))],
                    "lease": Lease(42, "psql", None),
                }
            },
        ),
        "student",
        K.OUTBOX_BLOCKED,
        'psql -d student -c "SELECT pg_terminate_backend(42)"',
        V.STUCK,
    ),
    "an outbox whose process is down": (
        facts(
            **PENDING,
            databases={"student": {"outbox_own": [Waiting("StudentValidated", ago(19))]}},
            processes={"student": DOWN},
        ),
        *("student", K.PROCESS_DOWN, "enroll restart student", V.STUCK),
    ),
    "capacity is behind": (
        facts(
            **PENDING,
            topics=with_log(
                "student.events",
                Extent(0, 900),
                messages=[message("StudentValidated", 19, offset=800)],
                first_unread={("capacity", PartitionKey("student.events", 0)): ago(60)},
            ),
        ),
        *("capacity", K.LAG, AGAIN, V.STUCK),
    ),
    "capacity is behind and the deadline is near": (
        facts(
            row(deadline_at=ago(-8)),
            step("claimed"),
            topics=with_log(
                "student.events",
                Extent(0, 900),
                messages=[message("StudentValidated", 19, offset=800)],
                first_unread={("capacity", PartitionKey("student.events", 0)): ago(60)},
            ),
        ),
        *("capacity", K.DEADLINE_NEAR, None, V.STUCK),
    ),
    "a process is down and the deadline is near": (
        facts(row(deadline_at=ago(-8)), step("claimed"), **UNREAD, processes={"capacity": DOWN}),
        *("capacity", K.PROCESS_DOWN, "enroll restart capacity", V.STUCK),
    ),
    "the deadline has passed and enrollment is down": (
        facts(
            row(deadline_at=ago(9)),
            step("claimed"),
            messages=[message("StudentValidated", 19, offset=3)],
            processes={"enrollment": DOWN},
        ),
        *("enrollment", K.PROCESS_DOWN, "enroll restart enrollment", V.STUCK),
    ),
    "a partition waits for an operator": (
        facts(**PENDING, topics=with_log("student.events", Extent(20, 30))),
        *("capacity", K.PARTITION_WAITS, "enroll restart capacity", V.STUCK),
    ),
    "the intake is closed": (
        facts(
            messages=[REQUESTED],
            processes={"enrollment": {"closed_topics": ["enrollment.requests"]}},
        ),
        *("enrollment", K.INTAKE_CLOSED, AGAIN, V.STUCK),
    ),
    "read, and no trace of it": (
        facts(**PENDING, messages=[message("StudentValidated", 19, offset=3)]),
        *("capacity", K.UNEXPLAINED, "enroll audit", V.STUCK),
    ),
    "a request that nobody reads": (
        facts(messages=[REQUESTED], processes={"enrollment": DOWN}),
        *("enrollment", K.PROCESS_DOWN, "enroll restart enrollment", V.STUCK),
    ),
    "never arrived": (facts(), "outside", K.NEVER_ARRIVED, AGAIN, V.STUCK),
    "never arrived and the ingress is down": (
        facts(processes={"ingress": DOWN}),
        *("ingress", K.PROCESS_DOWN, "enroll restart ingress", V.STUCK),
    ),
    "never arrived and the ingress cannot reach its view": (
        facts(processes={"ingress": {"breakers": {"http.database": "open"}}}),
        *("outside", K.NEVER_ARRIVED, AGAIN, V.STUCK),
    ),
    "never arrived, among what cannot be read": (
        facts(databases={"enrollment": {"unreadable": 2}}),
        "outside",
        K.NEVER_ARRIVED,
        "enroll dead-letters list --service enrollment",
        V.STUCK,
    ),
    "a cancel before its request": (
        facts(row("unopened", opened_at=None, deadline_at=None, decided_at=ago(20))),
        *("enrollment", K.CANCEL_WAITING, AGAIN, V.STUCK),
    ),
    "a cancel that is not read": (
        facts(
            row("confirmed", decided_at=ago(15)),
            step("claimed"),
            step("reserved"),
            messages=[message("EnrollmentCancellationRequested", 1, offset=10)],
        ),
        *("enrollment", K.CANCEL_WAITING, AGAIN, V.STUCK),
    ),
    "a cancel that is parked": (
        facts(
            row("confirmed", decided_at=ago(15)),
            step("claimed"),
            step("reserved"),
            letters=[letter("enrollment", "EnrollmentCancellationRequested", "decision_raised")],
        ),
        *("enrollment", K.DEAD_LETTER, replay("enrollment"), V.STUCK),
    ),
    "confirmed": (
        facts(row("confirmed", decided_at=ago(15)), step("claimed"), step("reserved")),
        *("enrollment", K.DECIDED, None, V.FINE),
    ),
    "confirmed without Redis": (
        facts(
            row("confirmed", decided_at=ago(15)),
            step("claimed"),
            step("reserved"),
            servers={"redis": False},
        ),
        *("redis", K.SERVER_DOWN, "enroll restart redis", V.FINE),
    ),
    "cancelled": (
        facts(row("cancelled", decided_at=ago(4)), **GIVEN_BACK),
        *("enrollment", K.DECIDED, None, V.FINE),
    ),
    "cancelled a moment ago": (
        facts(row("cancelled", decided_at=ago(1)), step("claimed"), step("reserved")),
        *("student", K.ON_ITS_WAY, AGAIN, V.FINE),
    ),
    "cancelled long ago and not given back": (
        facts(row("cancelled", decided_at=ago(60)), step("claimed"), released(59)),
        *("student", K.UNEXPLAINED, "enroll audit", V.STUCK),
    ),
    "the section is full": (
        facts(
            row(
                "rejected",
                stage="capacity",
                reasons=[{"code": "section_full", "section_id": "A", "detail": "A is full."}],
                decided_at=ago(4),
            ),
            **GIVEN_BACK,
        ),
        *("capacity", K.REFUSED, None, V.FINE),
    ),
    "nobody knows the section": (
        facts(
            row("rejected", **unknown_section("eligibility")),
            **GIVEN_BACK,
            databases=sections(None, None),
        ),
        *("student", K.UNKNOWN_SECTION, "enroll import DIR", V.FINE),
    ),
    "only student knows the section": (
        facts(
            row("rejected", **unknown_section("capacity")),
            **GIVEN_BACK,
            databases=sections(1, None),
        ),
        *("capacity", K.CATALOGS_DISAGREE, "enroll import DIR", V.FINE),
    ),
    "all know the section by now": (
        facts(
            row("rejected", **unknown_section("eligibility")),
            **GIVEN_BACK,
            databases=sections(1, 1),
        ),
        *("student", K.UNKNOWN_SECTION, None, V.FINE),
    ),
    "student was late": (
        facts(row("rejected", **DEADLINE), **GIVEN_BACK),
        *("student", K.DEADLINE_PASSED, None, V.FINE),
    ),
    "capacity was late": (
        facts(
            row("rejected", **DEADLINE),
            step("released", 19, released_at=ago(3)),
            released(3),
        ),
        *("capacity", K.DEADLINE_PASSED, None, V.FINE),
    ),
    "a deadline passed by a clock that is ahead": (
        facts(row("rejected", **(DEADLINE | {"decided_at": ago(-3600)})), **GIVEN_BACK),
        *("enrollment", K.CLOCK_OFF, "timedatectl status", V.FINE),
    ),
    "a deadline that was over on arrival": (
        facts(
            row(opened_at=ago(620), deadline_at=ago(590)),
            messages=[
                message("EnrollmentRequested", 20),
                replace(OPENED, said_at=ago(620), logged_at=ago(19)),
            ],
        ),
        *("enrollment", K.CLOCK_OFF, "timedatectl status", V.STUCK),
    ),
    "Kafka is down": (
        facts(
            **PENDING,
            topics=None,
            servers={"kafka": False},
            unseen=[Unseen("kafka", "Kafka does not answer")],
        ),
        *("kafka", K.SERVER_DOWN, "enroll restart kafka", V.STUCK),
    ),
    "Kafka is down and nobody knows it": (
        facts(topics=None, servers={"kafka": False}, unseen=[Unseen("kafka", "away")]),
        *("kafka", K.SERVER_DOWN, "enroll restart kafka", V.STUCK),
    ),
    "confirmed while Kafka is down": (
        facts(
            row("confirmed", decided_at=ago(15)),
            step("claimed"),
            step("reserved"),
            topics=None,
            servers={"kafka": False},
        ),
        *("enrollment", K.DECIDED, None, V.FINE),
    ),
    "PostgreSQL is down": (
        replace(
            facts(messages=[OPENED]),
            databases={},
            servers={"postgres": False},
            unseen=[Unseen("postgres/enrollment", "away")],
        ),
        *("postgres", K.SERVER_DOWN, "enroll restart postgres", V.UNSEEN),
    ),
    "everything is down": (
        Facts(ID, servers={"postgres": False, "kafka": False}),
        *("postgres", K.SERVER_DOWN, "enroll status", V.UNSEEN),
    ),
    "the tables of student cannot be read": (
        facts(row(), unseen=[Unseen("postgres/student", "no data", is_outage=False)]),
        *("student", K.NO_DATA, "enroll status", V.STUCK),
    ),
    "enrollment has never run": (
        replace(facts(), databases={}, unseen=[Unseen("postgres/enrollment", "no data")]),
        *("enrollment", K.NO_DATA, "enroll status", V.UNSEEN),
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_has_its_cause_and_what_to_do(name: str) -> None:
    seen, service, kind, command, verdict = SITUATIONS[name]

    found = diagnose(seen, NOW)

    cause = found.finding.cause
    assert (cause.service, cause.kind) == (service, kind)
    assert (found.finding.next.command, found.verdict) == (command, verdict)


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_can_be_told_to_people_and_to_programs(name: str) -> None:
    found = diagnose(SITUATIONS[name][0], NOW)

    lines = [part for part in parts_of(found, NOW) if not isinstance(part, Table)]

    assert lines[0].startswith(str(ID))
    assert found.finding.cause.sentence in "\n".join(lines)
    assert lines[-1].strip() in {
        found.finding.next.command,
        f"Next: {found.finding.next.sentence}",
    }
    assert {"cause", "next", "facts", "unseen", "where"} <= data_of(found).keys()


def test_every_kind_of_cause_is_in_the_table() -> None:
    assert {situation[2] for situation in SITUATIONS.values()} == set(CauseKind)


def test_a_pending_one_says_when_its_deadline_rejects_it() -> None:
    found = diagnose(facts(row()), NOW)

    assert found.notes == [
        "undecided, it will be rejected at 2031-01-15 12:01:40 UTC by its deadline, in 100.0 s"
    ]


def test_what_is_the_matter_beside_the_cause_is_said_too() -> None:
    seen = facts(
        row("confirmed", decided_at=ago(15)),
        letters=[letter("student", "EnrollmentOpened", "decision_raised")],
        processes={"capacity": OPEN},
    )

    assert diagnose(seen, NOW).notes == [
        f"student has parked EnrollmentOpened as dead letter {LETTER_ID}: decision_raised",
        "capacity has a breaker that is not closed: database",
    ]


def test_a_repeat_of_a_request_says_nothing_of_a_clock() -> None:
    seen = facts(row(), messages=[message("EnrollmentRequested", 20), OPENED, REQUESTED])
    late = facts(row(), messages=[OPENED, message("EnrollmentRequested", 1, offset=9)])

    assert not clock_errors(seen, NOW)
    assert not clock_errors(late, NOW)


def test_an_event_that_was_logged_before_it_was_said_tells_of_a_clock_that_is_ahead() -> None:
    seen = facts(row(), messages=[replace(OPENED, said_at=ago(-40))])

    assert clock_errors(seen, NOW) == {"enrollment": timedelta(seconds=60)}


def test_a_process_tells_of_its_clock_and_all_together_of_ours() -> None:
    one = facts(row(), processes={"student": {}})
    off = [
        replace(process(name), clock_ahead_seconds=90.0 if name == "student" else 0.0)
        for name in ("enrollment", "student")
    ]
    ours = [replace(process(name), clock_ahead_seconds=-90.0) for name in ("enrollment", "student")]

    assert clock_errors(replace(one, processes=off), NOW) == {"student": timedelta(seconds=90)}
    assert clock_errors(replace(one, processes=ours), NOW) == {
        "this machine": timedelta(seconds=90)
    }


def test_the_stuck_are_grouped_by_cause() -> None:
    found = [
        diagnose(facts(**PENDING, **UNREAD, processes={"capacity": DOWN}), NOW),
        diagnose(facts(row(), letters=[letter("student", "EnrollmentOpened", "x")]), NOW),
        diagnose(facts(**PENDING, **UNREAD, processes={"capacity": DOWN}), NOW),
    ]

    data = stuck_data(found, 5)

    assert [(one["service"], one["kind"], one["count"]) for one in data["causes"]] == [
        ("capacity", K.PROCESS_DOWN, 2),
        ("student", K.DEAD_LETTER, 1),
    ]
    assert [item["waits_for"] for item in data["items"]] == ["capacity", "student", "capacity"]
    assert isinstance(stuck_parts(found, 5)[-1], Table)
    assert stuck_parts([], 5) == ["No enrollment is pending for more than 5 s."]


def test_the_topics_are_read_from_where_the_enrollment_began_but_never_without_bound() -> None:
    whole, long = Extent(0, 500), Extent(1_000, 900_000)

    assert window(whole, None) == Extent(0, 500)
    assert window(long, None) == Extent(898_000, 900_000)
    assert window(long, 899_999) == Extent(898_000, 900_000)
    assert window(long, 300_000) == Extent(300_000, 400_000)
    assert window(long, 10) == Extent(1_000, 101_000)


def test_what_is_not_read_yet_is_looked_at_too_and_nothing_twice() -> None:
    log, tail, early = Extent(0, 900_000), Extent(898_000, 900_000), Extent(300_000, 400_000)

    assert unread_window(log, tail, 899_000) == Extent(900_000, 900_000)
    assert unread_window(log, tail, 890_000) == Extent(890_000, 898_000)
    assert unread_window(log, tail, 100_000) == Extent(100_000, 200_000)
    assert unread_window(log, early, 899_000) == Extent(899_000, 900_000)
    assert unread_window(log, early, 350_000) == Extent(400_000, 500_000)
    assert unread_window(log, early, 900_000) == Extent(900_000, 900_000)


@pytest.mark.parametrize("key", JAVA_HASHES)
def test_a_key_lies_where_kafkas_own_client_puts_it(key: str) -> None:
    assert partition_of(key.encode(), 4) == (JAVA_HASHES[key] & 0x7FFFFFFF) % 4
