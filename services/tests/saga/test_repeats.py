import asyncio
from collections import defaultdict
from contextlib import closing
from uuid import UUID

from loadtests.day.collector import Outcome
from loadtests.day.one_by_one import serve_one_by_one
from services.tests.saga.client import Row, Saga, message, request_body
from services.tests.saga.days import (
    cut_of_the_day,
    ids_of,
    import_day,
    mails_of,
    play_day,
    requests_of,
    with_new_event_ids,
)
from services.tests.saga.waiting import eventually

REQUESTS = 2_000  # the whole day
TABLES = {
    ("enrollment", "enrollment"): "student_id",
    ("student", "claim"): "student_id",
    ("capacity", "reservation"): "student_id",
    ("capacity", "section"): "section_id",
}
# What differs between two days that came to the same: names and times.
NAMES_AND_TIMES = {
    *("term", "enrollment_id", "body_sha256", "traceparent"),
    *("requested_at", "opened_at", "deadline_at", "decided_at", "released_at"),
}
CONFIRMED_STORY = [
    *("SeatReserved",),
    *("EnrollmentOpened", "EnrollmentConfirmed"),
    *("StudentValidated",),
]
CONFLICTS = "SELECT * FROM conflict WHERE enrollment_id = ANY($1) ORDER BY kind"


async def everything_known_of(saga: Saga, term: str) -> dict[str, list[Row]]:
    """Give every row of a term in all three databases."""
    return {
        table: await saga.rows(
            service, f"SELECT * FROM {table} WHERE term = $1 ORDER BY {key}", term
        )
        for (service, table), key in TABLES.items()
    }


def without_names_and_times(known: dict[str, list[Row]]) -> dict[str, list[Row]]:
    return {
        table: [{k: v for k, v in row.items() if k not in NAMES_AND_TIMES} for row in rows]
        for table, rows in known.items()
    }


async def test_a_day_asked_again_changes_no_row_and_says_nothing(saga: Saga) -> None:
    day = cut_of_the_day(REQUESTS, seats_factor=0.125)
    batch = requests_of(day)
    await import_day(saga, day)
    played = await play_day(saga, batch)
    await saga.rest()
    before, said_before = await everything_known_of(saga, day.term), len(saga.all_events())

    saga.send(*mails_of(batch))
    await saga.rest()
    after_the_same_events = await everything_known_of(saga, day.term)
    saga.send(*mails_of(with_new_event_ids(batch)))
    await saga.rest()
    after_new_events = await everything_known_of(saga, day.term)

    ids = [row["enrollment_id"] for row in before["enrollment"]]
    assert len(ids) == len(before["claim"]) == len(before["reservation"]) == len(day.requests)
    assert set(played.outcomes.counts) == {Outcome.CONFIRMED, Outcome.REJECTED}
    assert after_the_same_events == before
    assert after_new_events == before
    assert len(saga.all_events()) == said_before
    assert await saga.rows("enrollment", CONFLICTS, ids) == []


async def test_a_day_from_two_producers_at_once_comes_to_the_same_as_from_one(saga: Saga) -> None:
    # No section may fill, or the order between students would decide.
    alone, together = (cut_of_the_day(REQUESTS, seats_factor=2) for _ in range(2))
    await import_day(saga, alone)
    await import_day(saga, together)
    batch = requests_of(together)

    await play_day(saga, requests_of(alone))
    repeats = mails_of(with_new_event_ids(batch))
    with closing(Saga(saga.state_dir)) as another:
        await asyncio.gather(
            asyncio.to_thread(saga.send, *mails_of(batch)),
            asyncio.to_thread(another.send, *repeats),
        )
    await saga.states_of(ids_of(batch))
    await saga.rest()

    of_one = await everything_known_of(saga, alone.term)
    of_both = await everything_known_of(saga, together.term)
    confirmed = [row["enrollment_id"] for row in of_both["enrollment"] if row["stage"] is None]
    reference = serve_one_by_one(together.sections, together.students, together.requests)
    assert len(confirmed) == sum(reference)
    assert without_names_and_times(of_both) == without_names_and_times(of_one)
    stories = stories_of(saga)
    assert [stories[str(one)] for one in confirmed] == [CONFIRMED_STORY] * len(confirmed)
    await saga.assert_sound()


def stories_of(saga: Saga) -> dict[str, list[str]]:
    """Give what was said of each enrollment, topic by topic."""
    stories = defaultdict(list)
    for event in sorted(saga.all_events(), key=lambda event: event.topic):
        stories[event.body["enrollment_id"]].append(event.type)
    return stories


async def test_what_contradicts_a_known_enrollment_is_recorded_and_changes_nothing(
    saga: Saga,
) -> None:
    term, (student, stranger) = await saga.set_up({"A": 5, "B": 5}, students=2)
    enrollment = saga.request(student, term, "A")
    await saga.enrollment_in(["confirmed"], enrollment)
    await saga.rest()
    before = await everything_known_of(saga, term)

    for body in (
        request_body(enrollment, student, term, ["A"]),
        request_body(enrollment, student, term, ["B"]),
        request_body(enrollment, student, term, []),
        request_body(enrollment, stranger, term, ["A"]),
    ):
        saga.send(message(body))
    saga.cancel(enrollment, stranger)
    await eventually("foreign cancel", lambda: conflicts_of(saga, enrollment, "foreign_cancel"))
    await saga.rest()

    conflicts = await saga.rows("enrollment", CONFLICTS, [enrollment])
    assert [(row["kind"], row["student_id"]) for row in conflicts] == [
        ("conflicting_duplicate", student),
        ("conflicting_duplicate", student),
        ("foreign_cancel", stranger),
        ("foreign_request", stranger),
    ]
    assert await everything_known_of(saga, term) == before
    assert await saga.said_of(enrollment) == CONFIRMED_STORY


async def conflicts_of(saga: Saga, enrollment: UUID, kind: str) -> list[Row]:
    found = await saga.rows("enrollment", CONFLICTS, [enrollment])
    return [row for row in found if row["kind"] == kind]
