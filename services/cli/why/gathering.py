"""Gathers the facts about one enrollment; each source may fail, and that is a fact, too."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

import asyncpg
from confluent_kafka import KafkaException

from deploy.local.errors import StackError
from services.cli.output import CliError
from services.cli.target import INGRESS, SERVICES, NoDataError, Target
from services.cli.why.facts import (
    DatabaseFacts,
    EnrollmentRow,
    Facts,
    Letter,
    StepRow,
    TopicFacts,
    Unseen,
)
from services.cli.why.processes import read_processes
from services.cli.why.tables import (
    STEP_TABLES,
    read_database,
    read_letters,
    read_pending,
    read_steps,
)
from services.cli.why.topics import read_extents, read_topics

ALL_DATABASES: Final = (*SERVICES, INGRESS)
DATABASE_SECONDS: Final = 6.0  # its connection, and a dozen statements that find rows by keys
KAFKA_SECONDS: Final = 20.0
PROCESSES_SECONDS: Final = 8.0
OUTAGES: Final = (CliError, asyncpg.PostgresError, KafkaException, StackError, OSError)
NOBODY: Final = UUID(int=0)  # where no enrollment is meant

T = TypeVar("T")


async def gather(target: Target, enrollment_id: UUID) -> Facts:
    """Look everywhere: first at enrollment, which knows what to look for."""
    asked = asyncio.ensure_future(_see_processes())
    first = await _see_database(target, "enrollment", enrollment_id, None)
    row = first.enrollment if isinstance(first, DatabaseFacts) else None
    others = [name for name in ALL_DATABASES if name != "enrollment"]
    found = await asyncio.gather(
        *(_see_database(target, name, enrollment_id, row) for name in others)
    )
    seen = dict(zip(("enrollment", *others), (first, *found), strict=True))
    facts = with_databases(Facts(enrollment_id), seen)
    facts = with_topics(facts, await _see_topics(target, facts))
    return with_processes(facts, await asked)


def with_databases(facts: Facts, seen: Mapping[str, DatabaseFacts | Unseen | None]) -> Facts:
    """Add the databases, those that there are."""
    good = {name: one for name, one in seen.items() if isinstance(one, DatabaseFacts)}
    bad = [one for one in seen.values() if isinstance(one, Unseen)]
    is_up = {"postgres": bool(good) or not any(one.is_outage for one in bad)}
    return replace(
        facts, databases=good, unseen=[*facts.unseen, *bad], servers={**facts.servers, **is_up}
    )


def with_topics(facts: Facts, seen: TopicFacts | Unseen) -> Facts:
    """Add what the topics say."""
    if isinstance(seen, Unseen):
        return replace(
            facts, unseen=[*facts.unseen, seen], servers={**facts.servers, "kafka": False}
        )
    return replace(facts, topics=seen, servers={**facts.servers, "kafka": True})


def with_processes(facts: Facts, seen: Facts | Unseen) -> Facts:
    """Add what the processes say; `seen` has nothing else."""
    if isinstance(seen, Unseen):
        return replace(facts, unseen=[*facts.unseen, seen])
    return replace(facts, processes=seen.processes, servers={**seen.servers, **facts.servers})


async def _see(what: str, look: Awaitable[T], seconds: float) -> T | Unseen:
    """Look, but no longer than this; whatever goes wrong with a server is what was seen."""
    try:
        async with asyncio.timeout(seconds):
            return await look
    except TimeoutError:
        return Unseen(what, f"no answer within {seconds:.0f} s")
    except NoDataError as error:
        return Unseen(what, _sentence(error), is_outage=False)
    except OUTAGES as error:
        return Unseen(what, _sentence(error))


def _sentence(error: Exception) -> str:
    if isinstance(error, KafkaException):
        return f"Kafka does not answer ({error.args[0].str()})"
    return str(error).partition("\n")[0] or type(error).__name__


async def _see_database(
    target: Target, service: str, enrollment_id: UUID, row: EnrollmentRow | None
) -> DatabaseFacts | Unseen | None:
    """None: there is no ingress here."""

    async def look() -> DatabaseFacts | None:
        try:
            return await read_database(target, service, enrollment_id, row)
        except NoDataError:
            if service == INGRESS:
                return None
            raise

    return await _see(f"postgres/{service}", look(), DATABASE_SECONDS)


async def _see_topics(target: Target, facts: Facts) -> TopicFacts | Unseen:
    row = facts.enrollment
    student_id = row.student_id if row is not None else None
    offsets = {name: one.offsets for name, one in facts.databases.items()}
    look = asyncio.to_thread(
        read_topics, target.kafka_url, facts.enrollment_id, student_id, _since(row), offsets
    )
    return await _see("kafka", look, KAFKA_SECONDS)


def _since(row: EnrollmentRow | None) -> datetime | None:
    return None if row is None else row.opened_at or row.decided_at


async def _see_processes() -> Facts | Unseen:
    """Give what the processes say as facts that have nothing else."""
    found = await _see("processes", asyncio.to_thread(read_processes), PROCESSES_SECONDS)
    if isinstance(found, Unseen):
        return found
    if found is None:
        return Unseen("processes", "they were not started here: ask their supervisor")
    processes, servers = found
    return Facts(NOBODY, processes=processes, servers=servers)


async def gather_stuck(target: Target, older_than_seconds: float, limit: int) -> list[Facts]:
    """Give the facts of all that are pending for longer: those of the system only once."""
    asked = asyncio.ensure_future(_see_processes())
    rows = await read_pending(target, older_than_seconds, limit)
    looks = (_see_database(target, name, NOBODY, None) for name in ALL_DATABASES)
    seen = dict(zip(ALL_DATABASES, await asyncio.gather(*looks), strict=True))
    common = with_databases(Facts(NOBODY), seen)
    look = asyncio.to_thread(read_extents, target.kafka_url)
    common = with_topics(common, await _see("kafka", look, KAFKA_SECONDS))
    common = with_processes(common, await asked)
    ids = list(rows)
    steps = {name: await read_steps(target, name, ids) for name in STEP_TABLES if ids}
    letters = {name: await read_letters(target, name, ids) for name in SERVICES if ids}
    return [_of_one(common, one, row, steps, letters) for one, row in rows.items()]


def _of_one(
    common: Facts,
    enrollment_id: UUID,
    row: EnrollmentRow,
    steps: Mapping[str, Mapping[UUID, StepRow]],
    letters: Mapping[str, Mapping[UUID, Sequence[Letter]]],
) -> Facts:
    databases = {
        name: replace(
            one,
            enrollment=row if name == "enrollment" else None,
            step=steps.get(name, {}).get(enrollment_id),
            letters=letters.get(name, {}).get(enrollment_id, ()),
        )
        for name, one in common.databases.items()
    }
    return replace(common, enrollment_id=enrollment_id, databases=databases)
