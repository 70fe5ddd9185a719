import asyncio
import json
from typing import Any

from typer.testing import CliRunner, Result

from services.capacity.store import list_seats_in_cancelled_sections
from services.cli.main import app
from services.cli.target import Target
from services.cli.tests.saga import TERM, a_request, play, publish_catalogs
from shared.database import Database
from shared.events import EnrollmentCancellationRequested, EnrollmentRequested, SectionPublished
from shared.tests.machinery import rows_of, sequential_reads

RESERVATIONS = 5000


def run(*options: str) -> Result:
    return CliRunner().invoke(app, ["sections", "--cancelled", *options], prog_name="enroll")


def cancelled(section_id: str, **changes: Any) -> SectionPublished:
    fields = {"version": 2, "term": TERM, "section_id": section_id, "course_id": section_id}
    state = {"capacity": 1, "credits": 3, "state": "cancelled"}
    return SectionPublished.model_validate(fields | state | changes)


def enrolled(target: Target, *sections: str) -> EnrollmentRequested:
    async def bring() -> EnrollmentRequested:
        await publish_catalogs(target)
        request = a_request(sections=list(sections))
        await play(target, request)
        return request

    return asyncio.run(bring())


def test_who_holds_seats_in_a_cancelled_section_is_named(target: Target) -> None:
    enrollment = enrolled(target, "a", "b")
    asyncio.run(play(target, cancelled("a")))

    result = run("--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["items"] == [
        {
            "term": TERM,
            "section_id": "a",
            "enrollment_id": str(enrollment.enrollment_id),
            "student_id": "s-1",
        }
    ]
    assert str(enrollment.enrollment_id) in run("--term", TERM).stdout
    assert json.loads(run("--term", "1999", "--json").stdout) == {"items": []}


def test_a_seat_that_was_given_back_is_not_named(target: Target) -> None:
    enrollment = enrolled(target, "a")
    cancel = EnrollmentCancellationRequested(
        enrollment_id=enrollment.enrollment_id, student_id=enrollment.student_id
    )
    asyncio.run(play(target, cancelled("a"), cancel))

    assert "No seat is held in a cancelled section" in run().stdout


def test_a_cancelled_section_of_the_same_name_in_another_term_says_nothing(
    target: Target,
) -> None:
    enrolled(target, "a")
    asyncio.run(play(target, cancelled("a", term="1999")))

    assert json.loads(run("--json").stdout) == {"items": []}


async def test_reservations_are_read_once_and_only_where_a_seat_is_in_a_cancelled_section(
    capacity_database: Database,
) -> None:
    await rows_of(
        capacity_database,
        """
        INSERT INTO section (term, section_id, version, capacity, state, reserved)
        SELECT 'T', 'A' || n, 1, 9, 'open', 9 FROM generate_series(0, 99) AS n
        """,
    )
    await rows_of(
        capacity_database,
        """
        INSERT INTO reservation (enrollment_id, student_id, state, term, sections)
        SELECT gen_random_uuid(), 'S', 'reserved', 'T', ARRAY['A' || n % 100, 'A' || (n + 1) % 100]
        FROM generate_series(1, $1) AS n
        """,
        RESERVATIONS,
    )

    async def listed() -> tuple[int, int]:
        before = await read_whole(capacity_database)
        async with capacity_database.session() as (_, driver), driver.transaction():
            found = len(await list_seats_in_cancelled_sections(driver))
        return found, await read_whole(capacity_database) - before

    without_cancelled = await listed()
    half = "UPDATE section SET state = 'cancelled' WHERE section_id LIKE '%5'"
    await rows_of(capacity_database, half)

    assert without_cancelled == (0, 0)
    assert await listed() == (RESERVATIONS * 2 // 10, RESERVATIONS)


async def read_whole(database: Database) -> int:
    await rows_of(database, "SELECT pg_stat_force_next_flush()")
    await rows_of(database, "SELECT 1")
    return (await sequential_reads(database, ["reservation"]))["reservation"]
