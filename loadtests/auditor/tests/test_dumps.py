import random
from collections.abc import Callable
from io import StringIO

import pytest

from loadtests.auditor import DumpError, Report, audit_dump
from loadtests.auditor.contract import SAGA_TOPICS
from loadtests.auditor.dumps import Cut, write
from loadtests.auditor.records import Record
from loadtests.auditor.tables import Excuses
from loadtests.auditor.tests.day import (
    CONFIRMED,
    FULL,
    LATE,
    OTHER,
    PARKED,
    Day,
    ends_of,
    sound_day,
)

WAITING = Excuses(parked=frozenset({PARKED}))


def quiet(_: str) -> None:
    """For those who report to nobody."""


def lines_of(
    records: list[Record], *, is_at_rest: bool = True, excuses: Excuses = WAITING
) -> list[bytes]:
    file = StringIO()
    write(Cut(ends_of(records), is_at_rest, excuses), records, file, quiet)
    return file.getvalue().encode().splitlines(keepends=True)


def judged(records: list[Record], *, is_at_rest: bool = True) -> Report:
    lines = lines_of(records, is_at_rest=is_at_rest)
    return audit_dump(lines, "day.jsonl", on_progress=quiet)


def test_a_dump_of_a_sound_day_is_sound_and_counted() -> None:
    report = judged(sound_day().records())

    assert (report.exit_code, report.violations, report.still_open) == (0, (), {})
    states = {"confirmed": 2, "rejected": 4, "cancelled": 2, "pending": 1}
    assert report.enrollments_by_state == states
    assert (report.sections, report.seats_reserved, report.excused_enrollments) == (2, 3, 1)
    assert report.events_by_topic["enrollment.events"] == 16


def test_of_an_event_that_an_operator_gave_up_a_dump_needs_no_answer() -> None:
    day = sound_day()
    records = day.records()
    excuses = Excuses(discarded=frozenset({(PARKED, "EnrollmentOpened")}))

    report = audit_dump(lines_of(records, excuses=excuses), "day.jsonl", on_progress=quiet)

    assert [str(one) for one in report.violations] == [
        f"invariant 3: enrollment {PARKED}: EnrollmentOpened, but 0 outcomes; 1 is due"
    ]


def lose_an_outcome(day: Day) -> None:
    day.drop(OTHER, "EnrollmentConfirmed")


def lose_a_release(day: Day) -> None:
    day.drop(LATE, "StudentClaimReleased")


def lose_an_answer(day: Day) -> None:
    day.drop(FULL, "StudentValidated")
    day.drop(FULL, "SeatUnavailable")


def lose_a_ledger_entry(day: Day) -> None:
    day.find(OTHER, "SeatReserved").body["seats"][0]["seat_sequence"] = 7


def say_a_second_outcome(day: Day) -> None:
    day.tell(CONFIRMED, "EnrollmentRejected", stage="deadline", reasons=[{"code": "deadline"}])


def oversell(day: Day) -> None:
    day.find(OTHER, "SeatReserved").body["seats"][0]["reserved"] = 1


PLANTED = [
    (lose_an_outcome, "EnrollmentOpened, but 0 outcomes; 1 is due", "outcomes"),
    (lose_a_release, "its claim is an orphan", "claims to be given back"),
    (lose_an_answer, "EnrollmentOpened without", "answers of student and capacity"),
    (lose_a_ledger_entry, "seat_sequence 7 at its change 2", "sections with a missing"),
    (say_a_second_outcome, "both EnrollmentConfirmed and EnrollmentRejected", None),
    (oversell, "1 reserved at seat_sequence 2, 2 by counting", None),
]


@pytest.mark.parametrize(("plant", "told", "_awaited"), PLANTED)
def test_a_planted_violation_is_found_in_a_dump_at_rest(
    plant: Callable[[Day], None], told: str, _awaited: str | None
) -> None:
    day = sound_day()
    plant(day)

    report = judged(day.records())

    assert report.exit_code == 1
    assert told in "\n".join(map(str, report.violations))


@pytest.mark.parametrize(("plant", "told", "awaited"), PLANTED)
def test_in_motion_what_is_missing_is_still_open_and_a_contradiction_is_not(
    plant: Callable[[Day], None], told: str, awaited: str | None
) -> None:
    day = sound_day()
    plant(day)

    report = judged(day.records(), is_at_rest=False)

    is_open = any(what.startswith(awaited) for what in report.still_open) if awaited else False
    assert is_open == (awaited is not None)
    assert (told in "\n".join(map(str, report.violations))) == (awaited is None)
    assert report.exit_code == (0 if awaited else 1)


@pytest.mark.parametrize("seed", range(50))
def test_no_cut_of_a_sound_day_in_motion_shows_a_violation(seed: int) -> None:
    chance = random.Random(seed)
    records = sound_day().records()
    kept = {
        place: chance.randint(0, end) if place[0] in SAGA_TOPICS else end
        for place, end in ends_of(records).items()
    }

    report = judged([r for r in records if r.offset < kept[r.topic, r.partition]], is_at_rest=False)

    assert [str(violation) for violation in report.violations] == []


def without_last(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def cut_within_a_line(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[5][:40]]


def without_a_record(lines: list[bytes]) -> list[bytes]:
    return [*lines[:20], *lines[21:-1], lines[-1].replace(b"51", b"50")]


def with_a_foreign_topic(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b'"section.catalog"', b'"payroll"'), *lines[4:]]


BROKEN: list[tuple[Callable[[list[bytes]], list[bytes]], str]] = [
    (lambda _: [], "line 1 is not how a dump begins"),
    (lambda lines: lines[1:], "line 1 is not how a dump begins"),
    (lambda lines: [lines[0].replace(b'"dump": 1', b'"dump": 2')], "line 1 is not how a dump"),
    (without_last, "it was cut off after line 52: dump again"),
    (cut_within_a_line, "line 6 is no record"),
    (lambda lines: [*lines[:7], b"\xff\n", *lines[8:]], "line 8 is no record"),
    (with_a_foreign_topic, "line 4 is no record (there is no topic payroll)"),
    (lambda lines: [*lines[:9], *lines[10:]], "line 52 counts 51 records, 50 are there"),
    (without_a_record, "is not whole, so it proves nothing: "),
    (lambda lines: [*lines[:-1], lines[-1][:-3]], "line 53 was cut off"),
    (lambda lines: [*lines, *lines], "line 54 comes after the end"),
]


@pytest.mark.parametrize(("broken", "told"), BROKEN)
def test_a_broken_dump_is_named_with_its_line(
    broken: Callable[[list[bytes]], list[bytes]], told: str
) -> None:
    lines = broken(lines_of(sound_day().records()))

    with pytest.raises(DumpError) as raised:
        audit_dump(lines, "day.jsonl", on_progress=quiet)

    assert str(raised.value).startswith("day.jsonl")
    assert told in str(raised.value)
