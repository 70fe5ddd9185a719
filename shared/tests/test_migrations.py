"""Migrations run once, whoever runs them and however often."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from alembic.util.exc import CommandError

from shared.database import is_later, migrate
from shared.tests.machinery import Servers, unique

ROOT = Path(__file__).parents[2]
SERVICES = ("enrollment", "student", "capacity")
MACHINERY = {"consumer_offset", "inbox", "inbox_default", "outbox", "dead_letter", "audit_trail"}
MIGRATE = """
import asyncio, pathlib, sys
from shared.database import migrate
asyncio.run(migrate(sys.argv[1], pathlib.Path(sys.argv[2])))
"""


def versions(service: str) -> Path:
    return ROOT / "services" / service / "migrations"


@pytest.fixture
async def empty_url(servers: Servers) -> AsyncIterator[str]:
    """An empty database."""
    name = unique("empty").replace("-", "_")
    admin = await asyncpg.connect(servers.postgres_url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield servers.postgres_url.rpartition("/")[0] + "/" + name
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


async def tables(url: str) -> dict[str, list[str]]:
    """Read every table with its columns."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            """
            SELECT table_name, array_agg(column_name || ' ' || data_type || ' ' || is_nullable
                                         ORDER BY ordinal_position) AS columns
            FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1
            """
        )
    finally:
        await connection.close()
    return {row["table_name"]: row["columns"] for row in rows}


@pytest.mark.parametrize("service", SERVICES)
async def test_migrating_makes_the_tables_and_migrating_again_changes_nothing(
    empty_url: str, service: str
) -> None:
    await migrate(empty_url, versions(service))
    made = await tables(empty_url)

    await migrate(empty_url, versions(service))

    assert made.keys() > MACHINERY
    assert await tables(empty_url) == made


async def test_several_that_migrate_at_once_do_not_meet(empty_url: str) -> None:
    folder = versions("enrollment")

    async def in_a_process() -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, empty_url, str(folder), cwd=ROOT
        )
        return await asyncio.wait_for(process.wait(), 40)

    codes = await asyncio.gather(in_a_process(), in_a_process())

    assert set(codes) == {0}
    assert "enrollment" in await tables(empty_url)


async def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str, tmp_path: Path) -> None:
    (tmp_path / "0001_first.py").write_text(
        "from alembic import op\n"
        "revision = 'a'\n"
        "down_revision = None\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE half (done text)')\n"
        "    op.execute('SELECT no_such_function()')\n"
    )

    with pytest.raises(Exception, match="no_such_function"):
        await migrate(empty_url, tmp_path)

    assert await tables(empty_url) == {}


async def test_the_version_before_starts_on_a_schema_of_a_later_one_and_leaves_it(
    empty_url: str, tmp_path: Path
) -> None:
    await migrate(empty_url, versions("enrollment"))
    made = await tables(empty_url)
    shutil.copy(versions("enrollment") / "0001_enrollments.py", tmp_path)

    await migrate(empty_url, tmp_path)

    assert await tables(empty_url) == made


async def test_a_database_of_another_service_is_refused(empty_url: str) -> None:
    await migrate(empty_url, versions("enrollment"))

    with pytest.raises(CommandError, match="enrollment_0002"):
        await migrate(empty_url, versions("student"))


@pytest.mark.parametrize(
    ("found", "known", "wanted"),
    [
        ("enrollment_0002", "enrollment_0001", True),
        ("enrollment_0001", "enrollment_0002", False),
        ("enrollment_0001", "enrollment_0001", False),
        ("student_0002", "enrollment_0001", False),
        ("enrollment_next", "enrollment_0001", False),
        (None, "enrollment_0001", False),
    ],
)
def test_a_revision_is_later_only_within_its_service(
    found: str | None, known: str, wanted: bool
) -> None:
    assert is_later(found, known) is wanted
