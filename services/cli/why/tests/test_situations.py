"""Situations of a night, each planted in a real stack, and what `enroll why` makes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from deploy.local import state
from loadtests.chaos.proxy import Trouble
from services.cli.why.causes import CauseKind, Diagnosis, Verdict
from services.cli.why.tests.night import Night
from services.tests.http.client import Answer, http_client
from services.tests.saga.client import Mail, message, request_body
from services.tests.saga.waiting import eventually
from shared.relay import LEASE_LOCK

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]

LETTERS = "SELECT * FROM dead_letter WHERE event_type = $1 ORDER BY id DESC LIMIT 1"
CLAIMS = "SELECT * FROM claim WHERE enrollment_id = $1"
TOKEN = 1


def cause(found: Diagnosis) -> tuple[str, CauseKind]:
    return found.finding.cause.service, found.finding.cause.kind


def command(found: Diagnosis) -> str | None:
    return found.finding.next.command


async def claimed(night: Night, enrollment_id: UUID) -> None:
    """Wait until student has claimed."""
    await eventually("a claim", lambda: night.saga.rows("student", CLAIMS, enrollment_id))


@asynccontextmanager
async def poison(night: Night, service: str, table: str, refused: str) -> AsyncIterator[None]:
    """Have a service's table refuse some rows, so that the message that brings them is parked."""
    async with night.saga.connection(service) as connection:
        await connection.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT poison CHECK (NOT ({refused})) NOT VALID"
        )
        try:
            yield
        finally:
            await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT poison")


@asynccontextmanager
async def capacity_waits(night: Night, term: str, section: str) -> AsyncIterator[None]:
    """Hold a section's row, so that capacity waits for it with all that it reads behind that."""
    async with night.saga.connection("capacity") as connection, connection.transaction():
        await connection.execute(
            "SELECT FROM section WHERE term = $1 AND section_id = $2 FOR UPDATE", term, section
        )
        yield


async def parked(night: Night, service: str, event_type: str) -> int:
    """Wait for a dead letter, and give its id."""
    rows = await eventually(
        f"{event_type} parked", lambda: night.saga.rows(service, LETTERS, event_type)
    )
    found: int = rows[0]["id"]
    return found


@pytest.fixture(autouse=True)
async def _well_again(night: Night) -> AsyncIterator[None]:
    """Whatever a test has planted is over when the next begins, also where it has failed."""
    yield
    night.set_clock(0)
    state.release_all(night.ground.state_dir)
    await night.saga.ready_again()


async def test_capacity_is_down(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    night.stop("capacity")
    one = night.saga.request(student, term, "A")
    await claimed(night, one)

    found = await night.why(one)
    told = await night.saga.command("why", str(one))
    listed = await night.command("stuck", "--threshold-seconds", "0.1")

    assert cause(found) == ("capacity", CauseKind.PROCESS_DOWN)
    assert command(found) == "enroll restart capacity"
    assert (found.state, found.waits_for, found.verdict) == ("pending", "capacity", Verdict.STUCK)
    assert told.code == 1
    assert told.data["cause"]["service"] == "capacity"
    assert told.data["cause"]["kind"] == "process_down"
    assert told.data["next"]["command"] == "enroll restart capacity"
    assert (listed.code, [item["enrollment_id"] for item in listed.data["items"]]) == (
        1,
        [str(one)],
    )
    assert [(c["service"], c["kind"], c["count"]) for c in listed.data["causes"]] == [
        ("capacity", "process_down", 1)
    ]
    assert (await night.follow(found)).code == 0
    assert (await night.saga.outcome(one))["state"] == "confirmed"


@pytest.mark.parametrize(
    ("service", "table", "refused", "event_type"),
    [
        ("student", "claim", "student_id = '{}'", "EnrollmentOpened"),
        ("capacity", "reservation", "student_id = '{}'", "StudentValidated"),
        ("enrollment", "enrollment", "student_id = '{}' AND state = 'confirmed'", "SeatReserved"),
    ],
)
async def test_a_message_is_poison(
    night: Night, service: str, table: str, refused: str, event_type: str
) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    async with poison(night, service, table, refused.format(student)):
        one = night.saga.request(student, term, "A")
        letter_id = await parked(night, service, event_type)

        found = await night.why(one)

    assert cause(found) == (service, CauseKind.DEAD_LETTER)
    assert command(found) == f"enroll dead-letters replay {letter_id} --service {service}"
    assert (await night.follow(found)).code == 0
    assert (await night.saga.outcome(one))["state"] == "confirmed"


async def test_capacity_is_far_behind_and_a_deadline_is_near(night: Night) -> None:
    sections = [f"S{number}" for number in range(8)]
    term, (student,) = await night.saga.set_up(dict.fromkeys(sections, 1))
    async with capacity_waits(night, term, "S0"):
        early = [night.saga.request(student, term, section) for section in sections[:-1]]
        await claimed(night, early[-1])

        lagging = await night.why_once(early[-1], CauseKind.LAG)
        late = night.saga.request(student, term, sections[-1], deadline_seconds=9)
        await claimed(night, late)
        near = await night.why_once(late, CauseKind.DEADLINE_NEAR)

    assert cause(lagging) == ("capacity", CauseKind.LAG)
    assert command(lagging) == f"enroll why {early[-1]}"
    assert "7 messages behind" in lagging.finding.cause.sentence
    assert "the first that it has not read is of" in lagging.finding.cause.sentence
    assert cause(near) == ("capacity", CauseKind.DEADLINE_NEAR)
    assert command(near) is None
    assert near.deadline_at is not None
    assert f"{near.deadline_at:%H:%M:%S}" in near.finding.next.sentence
    assert set(await night.saga.states_of(early)) == {"confirmed"}


async def test_a_services_breaker_is_open(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    night.ground.proxy.inflict("capacity>postgres", TOKEN, Trouble.CUT)
    try:
        one = night.saga.request(student, term, "A")
        await claimed(night, one)
        found = await night.why_once(one, CauseKind.BREAKER_OPEN)
    finally:
        night.ground.proxy.lift("capacity>postgres", TOKEN)

    assert cause(found) == ("capacity", CauseKind.BREAKER_OPEN)
    assert "database" in found.finding.cause.sentence
    assert command(found) == "enroll status"
    assert (await night.saga.outcome(one))["state"] == "confirmed"


async def test_the_ingress_breaker_is_open(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    one = uuid4()
    night.ground.proxy.inflict("ingress>kafka", TOKEN, Trouble.CUT)
    try:
        async with http_client(night.ground.state_dir) as http:

            async def look() -> Diagnosis | None:
                asks = [http.enroll(student, term, "A", key=str(uuid4())) for _ in range(6)]
                assert {answer.status for answer in await asyncio.gather(*asks)} <= {202, 503}
                found = await night.why(one)
                return found if found.finding.cause.kind is CauseKind.BREAKER_OPEN else None

            found = await eventually("the breaker of the ingress open", look)
    finally:
        night.ground.proxy.lift("ingress>kafka", TOKEN)

    assert cause(found) == ("ingress", CauseKind.BREAKER_OPEN)
    assert "http.kafka" in found.finding.cause.sentence
    assert command(found) == "enroll status"
    assert (found.state, found.verdict) == ("unknown", Verdict.STUCK)


async def test_an_outbox_is_blocked(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    async with night.saga.connection("student") as thief:
        waiting = asyncio.ensure_future(thief.execute("SELECT pg_advisory_lock($1)", LEASE_LOCK))
        async with night.saga.connection("student") as other:
            while not waiting.done():
                await other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks"
                    " WHERE locktype = 'advisory' AND granted AND pid <> $1"
                    " AND database = (SELECT oid FROM pg_database WHERE datname = 'student')",
                    thief.get_server_pid(),
                )
                await asyncio.sleep(0.05)
        one = night.saga.request(student, term, "A")
        await claimed(night, one)

        found = await night.why_once(one, CauseKind.OUTBOX_BLOCKED)
        pid = thief.get_server_pid()

    assert cause(found) == ("student", CauseKind.OUTBOX_BLOCKED)
    assert command(found) == f'psql -d student -c "SELECT pg_terminate_backend({pid})"'
    assert "1 events wait" in found.finding.cause.sentence
    assert (await night.saga.outcome(one))["state"] == "confirmed"


async def test_a_cancel_waits_for_its_request(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    one = uuid4()
    night.saga.cancel(one, student)
    await night.saga.enrollment_in(["unopened"], one)

    found = await night.why(one)

    assert cause(found) == ("enrollment", CauseKind.CANCEL_WAITING)
    assert command(found) == f"enroll why {one}"
    night.saga.request(student, term, "A", enrollment_id=one)
    assert (await night.saga.outcome(one))["state"] == "cancelled"


async def test_a_cancel_is_not_read_yet(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    one = night.saga.request(student, term, "A")
    await night.saga.outcome(one)
    async with night.saga.connection("enrollment") as connection, connection.transaction():
        await connection.execute("SELECT FROM enrollment WHERE enrollment_id = $1 FOR UPDATE", one)
        night.saga.cancel(one, student)

        found = await night.why_once(one, CauseKind.CANCEL_WAITING)

    assert cause(found) == ("enrollment", CauseKind.CANCEL_WAITING)
    assert command(found) == f"enroll why {one}"
    assert (found.state, found.verdict) == ("confirmed", Verdict.STUCK)
    await night.saga.enrollment_in(["cancelled"], one)


async def test_an_end_is_held_behind_a_dead_letter(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    async with poison(night, "student", "claim", f"student_id = '{student}'"):
        one = night.saga.request(student, term, "A")
        letter_id = await parked(night, "student", "EnrollmentOpened")
        night.saga.cancel(one, student)
        await parked(night, "student", "EnrollmentCancelled")

        found = await night.why(one)

    assert cause(found) == ("student", CauseKind.HELD)
    assert command(found) == f"enroll dead-letters replay {letter_id} --service student"
    assert (await night.follow(found)).code == 0
    settled = await night.why_once(one, CauseKind.DECIDED)
    assert (settled.state, settled.verdict) == ("cancelled", Verdict.FINE)


async def test_redis_is_gone(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    night.stop("redis")
    async with http_client(night.ground.state_dir) as http:

        async def look() -> Answer | None:  # the breaker of another test may be open still
            answer = await http.enroll(student, term, "A", key="one")
            return answer if answer.status == 202 else None

        answer = await eventually("taken in", look)
    one = UUID(answer.headers["Location"].rpartition("/")[2])
    await night.saga.outcome(one)

    found = await night.why(one)

    assert cause(found) == ("redis", CauseKind.SERVER_DOWN)
    assert command(found) == "enroll restart redis"
    assert (found.state, found.verdict) == ("confirmed", Verdict.FINE)
    assert "nothing is lost" in found.finding.cause.sentence
    await night.follow(found)
    await night.why_once(one, CauseKind.DECIDED)


async def test_a_clock_is_off(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    async with capacity_waits(night, term, "A"):
        one = night.saga.request(student, term, "A")
        await claimed(night, one)
        night.set_clock(3600)
        await night.saga.outcome(one)
        night.set_clock(0)

    found = await night.why_once(one, CauseKind.CLOCK_OFF)

    assert cause(found) == ("enrollment", CauseKind.CLOCK_OFF)
    assert command(found) == "timedatectl status"
    assert "ahead of the others" in found.finding.cause.sentence
    assert "60 min" in found.finding.cause.sentence
    assert (found.state, found.verdict) == ("rejected", Verdict.FINE)


async def test_a_request_has_an_unknown_version(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    one = uuid4()
    mail = message(request_body(one, student, term, ["A"]))
    version: tuple[str, str | bytes | None] = ("ce_dataschema", b"EnrollmentRequested.v2.json")
    night.saga.send(Mail(mail.key, mail.body, [*mail.headers, version]))

    found = await night.why_once(one, CauseKind.UNKNOWN_VERSION)

    assert cause(found) == ("enrollment", CauseKind.UNKNOWN_VERSION)
    assert command(found) is not None
    assert (found.state, found.verdict) == ("unknown", Verdict.STUCK)
    shown = await night.follow(found)
    assert (shown.code, shown.data["reason"]) == (0, "unknown_version")
    night.saga.request(student, term, "A", enrollment_id=one)
    assert (await night.saga.outcome(one))["state"] == "confirmed"


async def test_nobody_knows_a_section(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    one = night.saga.request(student, term, "none")
    await night.saga.outcome(one)

    found = await night.why_once(one, CauseKind.UNKNOWN_SECTION)

    assert cause(found) == ("student", CauseKind.UNKNOWN_SECTION)
    assert command(found) == "enroll import DIR"
    assert (found.state, found.verdict) == ("rejected", Verdict.FINE)


async def test_the_catalogs_disagree(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    async with poison(night, "capacity", "section", "section_id = 'odd'"):
        publishing = asyncio.ensure_future(night.saga.publish_catalogs(term, {"odd": 1}, []))
        letter_id = await parked(night, "capacity", "SectionPublished")
        publishing.cancel()
        one = night.saga.request(student, term, "odd")
        await night.saga.outcome(one)

        found = await night.why_once(one, CauseKind.CATALOGS_DISAGREE)

    assert cause(found) == ("capacity", CauseKind.CATALOGS_DISAGREE)
    assert command(found) == f"enroll dead-letters replay {letter_id} --service capacity"
    assert "student knows version 1; capacity does not know it" in found.finding.cause.sentence
    assert (await night.follow(found)).code == 0


async def test_an_id_that_nobody_knows(night: Night) -> None:
    night.saga.send(Mail(b"S1", b"garbage", []))
    garbage = "SELECT * FROM dead_letter WHERE reason = 'not_json'"
    await eventually("garbage parked", lambda: night.saga.rows("enrollment", garbage))

    found = await night.why(uuid4())

    assert cause(found) == ("outside", CauseKind.NEVER_ARRIVED)
    assert command(found) == "enroll dead-letters list --service enrollment"
    assert (found.state, found.verdict) == ("unknown", Verdict.STUCK)


async def test_one_that_is_rejected_tells_its_reason_and_what_was_given_back(night: Night) -> None:
    term, (first, second) = await night.saga.set_up({"A": 1}, students=2)
    await night.saga.outcome(night.saga.request(first, term, "A"))
    one = night.saga.request(second, term, "A")
    await night.saga.said_of(one, "EnrollmentRejected", "StudentClaimReleased")

    found = await night.why_once(one, CauseKind.REFUSED)

    assert cause(found) == ("capacity", CauseKind.REFUSED)
    assert command(found) is None
    assert (found.state, found.verdict) == ("rejected", Verdict.FINE)
    assert "stage capacity: section_full A" in found.where
    assert found.where.endswith("student gave its credits and time slots back")
    happened = [(fact.service, fact.what.partition(" in ")[0]) for fact in found.happened]
    assert ("student", "StudentClaimReleased") in happened
    assert ("capacity", "SeatUnavailable") in happened


async def test_a_partition_waits_for_an_operator(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    move = "UPDATE consumer_offset SET next_offset = next_offset + $1 WHERE topic = $2"
    await night.saga.rows("student", move, 1_000_000, "enrollment.events")
    try:
        one = night.saga.request(student, term, "A")
        await night.saga.enrollment_in(["pending"], one)

        found = await night.why_once(one, CauseKind.PARTITION_WAITS)
    finally:
        await night.saga.rows("student", move, -1_000_000, "enrollment.events")

    assert cause(found) == ("student", CauseKind.PARTITION_WAITS)
    assert command(found) == "enroll restart student"
    await night.follow(found)
    assert (await night.saga.outcome(one))["state"] == "confirmed"


async def test_postgresql_is_down(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    one = night.saga.request(student, term, "A")
    await night.saga.outcome(one)
    await night.saga.said_of(one, "EnrollmentConfirmed")
    night.stop("postgres")

    found = await night.why(one)

    assert cause(found) == ("postgres", CauseKind.SERVER_DOWN)
    assert command(found) == "enroll restart postgres"
    assert (found.state, found.verdict) == ("unseen", Verdict.UNSEEN)
    assert "EnrollmentConfirmed" in found.where
    await night.follow(found)
    await night.saga.ready_again()
    confirmed = await night.why(one)
    assert (cause(confirmed), confirmed.verdict) == (
        ("enrollment", CauseKind.DECIDED),
        Verdict.FINE,
    )


async def test_kafka_is_down(night: Night) -> None:
    term, (student,) = await night.saga.set_up({"A": 1})
    async with capacity_waits(night, term, "A"):
        one = night.saga.request(student, term, "A")
        await claimed(night, one)
        night.stop("kafka")

        found = await night.why(one)

    assert cause(found) == ("kafka", CauseKind.SERVER_DOWN)
    assert command(found) == "enroll restart kafka"
    assert (found.state, found.verdict) == ("pending", Verdict.STUCK)
    await night.follow(found)
    assert (await night.saga.outcome(one))["state"] == "confirmed"


async def test_after_all_of_this_every_promise_is_kept(night: Night) -> None:
    await night.saga.assert_sound()
