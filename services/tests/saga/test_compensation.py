import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID, uuid4

from deploy.local import stack, state
from services.tests.saga.client import Row, Saga
from services.tests.saga.waiting import eventually
from shared.relay import LEASE_LOCK

ROW = "SELECT * FROM enrollment WHERE enrollment_id = $1"
BACKENDS_WAITING = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted
"""


@contextmanager
def without(saga: Saga, name: str) -> Iterator[None]:
    """Keep a service down for as long as the block runs."""
    stack.stop_one(saga.state_dir, name)
    try:
        yield
    finally:
        stack.start_one(saga.state_dir, name)


@asynccontextmanager
async def unpublished(saga: Saga, service: str) -> AsyncIterator[None]:
    """Let a service decide, and keep what it says in its outbox: we hold its relay's lease."""
    async with saga.connection(service) as connection:
        waiting = asyncio.ensure_future(
            connection.execute("SELECT pg_advisory_lock($1)", LEASE_LOCK)
        )
        await eventually("lease wanted", lambda: saga.rows(service, BACKENDS_WAITING, LEASE_LOCK))
        stack.restart(saga.state_dir, service)
        await waiting
        yield


@asynccontextmanager
async def dead(saga: Saga, name: str) -> AsyncIterator[None]:
    """Kill a service, and keep it down for as long as the block runs."""
    hold = state.hold_file(saga.state_dir, name)
    hold.parent.mkdir(exist_ok=True)
    hold.touch()
    saga.kill(name)
    try:
        await eventually(f"{name} dead", lambda: is_gone(saga, name))
        yield
    finally:
        stack.start_one(saga.state_dir, name)


async def is_gone(saga: Saga, name: str) -> bool:
    return saga.pid(name) is None


async def reservation_of(saga: Saga, enrollment_id: UUID) -> list[Row]:
    """Give what capacity knows of an enrollment, once it knows anything."""
    sql = "SELECT * FROM reservation WHERE enrollment_id = $1"
    return await saga.rows("capacity", sql, enrollment_id)


async def seats_and_claim(saga: Saga, term: str) -> tuple[dict[str, int], list[str]]:
    """Give the seats taken in a term, and the states of its claims."""
    claims = await saga.rows("student", "SELECT state FROM claim WHERE term = $1", term)
    return await saga.reserved(term), [row["state"] for row in claims]


async def test_refused_seats_give_the_claim_back(saga: Saga) -> None:
    term, (student,) = await saga.set_up({"full": 0})

    enrollment = saga.request(student, term, "full")
    said = await saga.said_of(enrollment, "StudentClaimReleased")

    assert said == [
        *("SeatUnavailable",),
        *("EnrollmentOpened", "EnrollmentRejected"),
        *("StudentValidated", "StudentClaimReleased"),
    ]
    validated = saga.event(enrollment, "StudentValidated")
    assert saga.event(enrollment, "StudentClaimReleased") == validated
    assert await seats_and_claim(saga, term) == ({"full": 0}, ["released"])
    again = saga.request(student, term, "full")
    await saga.said_of(again, "SeatUnavailable")


async def test_a_cancel_before_its_request_ends_it_before_anybody_is_asked(saga: Saga) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    enrollment = uuid4()

    saga.cancel(enrollment, student)
    await saga.enrollment_in(["unopened"], enrollment)
    saga.request(student, term, "A", enrollment_id=enrollment)
    await saga.outcome(enrollment)
    said = await saga.said_of(enrollment, "EnrollmentCancelled")

    assert said == ["EnrollmentCancelled"]
    assert saga.event(enrollment, "EnrollmentCancelled")["was"] == "pending"
    await saga.rest()
    assert await seats_and_claim(saga, term) == ({"A": 0}, ["released"])


async def test_a_cancel_while_pending_leaves_neither_claim_nor_seat(saga: Saga) -> None:
    term, (student,) = await saga.set_up({"A": 1})

    with without(saga, "capacity"):
        enrollment = saga.request(student, term, "A")
        await saga.said_of(enrollment, "StudentValidated")
        saga.cancel(enrollment, student)
        said = await saga.said_of(enrollment, "EnrollmentCancelled", "StudentClaimReleased")

    assert said == [
        *("EnrollmentOpened", "EnrollmentCancelled"),
        *("StudentValidated", "StudentClaimReleased"),
    ]
    assert saga.event(enrollment, "EnrollmentCancelled")["was"] == "pending"
    await saga.rest()
    assert_capacity_gave_all_back(await saga.said_of(enrollment))
    assert await seats_and_claim(saga, term) == ({"A": 0}, ["released"])


async def test_a_cancel_after_confirmation_gives_seat_and_claim_back(saga: Saga) -> None:
    term, (student,) = await saga.set_up({"A": 1, "B": 1})
    enrollment = saga.request(student, term, "A", "B")
    await saga.enrollment_in(["confirmed"], enrollment)

    saga.cancel(enrollment, student)
    said = await saga.said_of(
        enrollment, "SeatReleased", "StudentClaimReleased", "EnrollmentCancelled"
    )

    assert said == [
        *("SeatReserved", "SeatReleased"),
        *("EnrollmentOpened", "EnrollmentConfirmed", "EnrollmentCancelled"),
        *("StudentValidated", "StudentClaimReleased"),
    ]
    assert saga.event(enrollment, "EnrollmentCancelled")["was"] == "confirmed"
    assert [seat["reserved"] for seat in saga.event(enrollment, "SeatReleased")["seats"]] == [0, 0]
    assert await seats_and_claim(saga, term) == ({"A": 0, "B": 0}, ["released"])
    again = saga.request(student, term, "A", "B")
    assert (await saga.outcome(again))["state"] == "confirmed"


async def test_a_deadline_while_capacity_is_stopped_names_the_seats_and_leaves_none_taken(
    saga: Saga,
) -> None:
    term, (student,) = await saga.set_up({"A": 1})

    with without(saga, "capacity"):
        enrollment = saga.request(student, term, "A", deadline_seconds=2.0)
        await saga.said_of(enrollment, "StudentValidated", "EnrollmentRejected")
        await saga.said_of(enrollment, "StudentClaimReleased")

    rejected = saga.event(enrollment, "EnrollmentRejected")
    assert (rejected["stage"], rejected["reasons"][0]["code"]) == ("deadline", "deadline")
    assert "seats" in rejected["reasons"][0]["detail"]
    await saga.rest()
    assert_capacity_gave_all_back(await saga.said_of(enrollment))
    assert await seats_and_claim(saga, term) == ({"A": 0}, ["released"])


def assert_capacity_gave_all_back(said: list[str]) -> None:
    """Two topics have no order: it took the seat and gave it back, or never took it."""
    by_capacity = [event for event in said if event.startswith("Seat")]
    assert by_capacity in (["SeatReserved", "SeatReleased"], ["SeatUnavailable"])


async def test_a_release_that_overtakes_its_reservation_leaves_no_seat_taken(saga: Saga) -> None:
    term, (student,) = await saga.set_up({"A": 1})

    async with unpublished(saga, "student"):
        enrollment = saga.request(student, term, "A", deadline_seconds=2.0)
        await saga.said_of(enrollment, "EnrollmentRejected")
        mark = await eventually("capacity's mark", lambda: reservation_of(saga, enrollment))
        said_before = await saga.said_of(enrollment)
    said = await saga.said_of(enrollment, "SeatUnavailable", "StudentClaimReleased")

    assert said_before == ["EnrollmentOpened", "EnrollmentRejected"]
    assert (mark[0]["state"], mark[0]["is_answered"]) == ("released", False)
    assert "SeatReserved" not in said
    reasons = saga.event(enrollment, "SeatUnavailable")["reasons"]
    assert [reason["code"] for reason in reasons] == ["already_released"]
    await saga.rest()
    assert await seats_and_claim(saga, term) == ({"A": 0}, ["released"])


async def test_a_deadline_that_passes_while_enrollment_is_dead_counts_when_it_is_back(
    saga: Saga,
) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    passed = "SELECT 1 WHERE $1 < now()"

    with without(saga, "capacity"):
        enrollment = saga.request(student, term, "A", deadline_seconds=4.0)
        await saga.said_of(enrollment, "StudentValidated")
        (pending,) = await saga.rows("enrollment", ROW, enrollment)
        async with dead(saga, "enrollment"):
            deadline = pending["deadline_at"]
            await eventually("deadline passed", lambda: saga.rows("enrollment", passed, deadline))
            (unchanged,) = await saga.rows("enrollment", ROW, enrollment)
        rejected = await saga.outcome(enrollment)

    assert (pending["state"], unchanged["state"]) == ("pending", "pending")
    assert (rejected["state"], rejected["stage"]) == ("rejected", "deadline")
    assert rejected["deadline_at"] == deadline
    await saga.rest()
    assert_capacity_gave_all_back(await saga.said_of(enrollment, "EnrollmentRejected"))
    assert await seats_and_claim(saga, term) == ({"A": 0}, ["released"])
