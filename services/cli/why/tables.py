"""Reads what the services' databases say of one enrollment: own SQL, read-only, each bounded."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from services.cli.target import Target, reading
from services.cli.why.facts import (
    Conflict,
    DatabaseFacts,
    EnrollmentRow,
    Known,
    Lease,
    Letter,
    StepRow,
    Waiting,
)
from services.enrollment.model import EnrollmentState
from shared.choreography import SECTION_CATALOG
from shared.identifiers import PartitionKey
from shared.relay import LEASE_LOCK

if TYPE_CHECKING:
    from asyncpg import Connection

# One moment for all that is read of a database: a row and the offsets tell of each other.
LIMITS: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = '3s'"
)
CONFLICTS_MAX: Final = 10
OUTBOX_MAX: Final = 100_000  # counted and searched no further
LETTERS_MAX: Final = 100
LETTERS_SEARCHED_MAX: Final = 1_000  # of those that name no enrollment, the latest

STEP_TABLES: Final = {"student": ("claim", "true"), "capacity": ("reservation", "is_answered")}
# Who may not see others' sessions sees their role at least, which is named after the service.
SESSIONS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database()
        AND coalesce(application_name, usename || '-') LIKE $1 || '-%'
"""
LEASE: Final = """
    SELECT pid, coalesce(application_name, usename || '-', '') AS application, backend_start
    FROM pg_locks JOIN pg_stat_activity AS a USING (pid)
    WHERE locktype = 'advisory' AND granted AND a.datname = current_database()
        AND (classid::bigint << 32 | objid::bigint) = $1
"""
OUTBOX: Final = """
    WITH waiting AS (SELECT event_type, subject, occurred_at FROM outbox ORDER BY id LIMIT $2)
    SELECT (SELECT count(*) FROM waiting) AS depth,
           (SELECT min(occurred_at) FROM waiting) AS oldest_at,
           (SELECT json_agg(json_build_array(event_type, occurred_at))::text
            FROM waiting WHERE subject = $1) AS own
"""
# What could not be read names its enrollment in its headers, which are kept as hex, or its body.
LETTERS: Final = """
    SELECT id, topic, partition, "offset", key, event_type, reason, detail, holds, parked_at
    FROM dead_letter WHERE enrollment_id = $1
    UNION ALL
    SELECT id, topic, partition, "offset", key, event_type, reason, detail, holds, parked_at
    FROM (SELECT * FROM dead_letter ORDER BY id DESC LIMIT $4) AS late
    WHERE enrollment_id IS NULL AND (
        (topic = $5 AND key = ANY($6::bytea[]))
        OR strpos(headers, encode($3::bytea, 'hex')) > 0 OR position($3::bytea IN value) > 0)
    ORDER BY id LIMIT $2
"""
UNREADABLE: Final = """
    SELECT count(*) FROM (
        SELECT FROM dead_letter WHERE NOT holds AND topic <> $1 LIMIT $2) AS found
"""


async def read_database(
    target: Target, service: str, enrollment_id: UUID, row: EnrollmentRow | None
) -> DatabaseFacts:
    """Read one database in one read-only transaction; `row` says which sections matter."""
    async with reading(target, service) as reader:
        await reader.execute(LIMITS)
        if service == "enrollment":
            row = await _enrollment(reader, enrollment_id)
        (outbox,) = await reader.fetch(OUTBOX, str(enrollment_id), OUTBOX_MAX)
        own = json.loads(outbox["own"] or "[]")
        return DatabaseFacts(
            now=await reader.fetchval("SELECT clock_timestamp()"),
            enrollment=row if service == "enrollment" else None,
            conflicts=await _conflicts(reader, service, enrollment_id),
            step=await _step(reader, service, enrollment_id),
            letters=await _letters(reader, service, enrollment_id, row),
            unreadable=await reader.fetchval(UNREADABLE, SECTION_CATALOG.name, OUTBOX_MAX),
            outbox_depth=outbox["depth"],
            outbox_oldest_at=outbox["oldest_at"],
            outbox_own=[Waiting(name, datetime.fromisoformat(at)) for name, at in own],
            lease=await _lease(reader),
            sessions=await reader.fetchval(SESSIONS, service),
            offsets=await _offsets(reader),
            sections=await _sections(reader, service, row),
        )


async def _enrollment(reader: "Connection", enrollment_id: UUID) -> EnrollmentRow | None:
    row = await reader.fetchrow(
        """
        SELECT state, student_id, term, sections, opened_at, deadline_at, decided_at, stage,
               reasons, cancelled_by
        FROM enrollment WHERE enrollment_id = $1
        """,
        enrollment_id,
    )
    return row_of(dict(row)) if row is not None else None


def row_of(row: Mapping[str, Any]) -> EnrollmentRow:
    """Read a row of enrollment's table."""
    reasons = json.loads(row["reasons"] or "[]")
    return EnrollmentRow(**{**row, "state": EnrollmentState(row["state"]), "reasons": reasons})


async def _conflicts(reader: "Connection", service: str, enrollment_id: UUID) -> list[Conflict]:
    if service != "enrollment":
        return []
    rows = await reader.fetch(
        """
        SELECT kind, student_id, received_at FROM conflict WHERE enrollment_id = $1
        ORDER BY received_at LIMIT $2
        """,
        enrollment_id,
        CONFLICTS_MAX,
    )
    return [Conflict(**one) for one in rows]


async def _step(reader: "Connection", service: str, enrollment_id: UUID) -> StepRow | None:
    if service not in STEP_TABLES:
        return None
    table, is_answered = STEP_TABLES[service]
    row = await reader.fetchrow(
        f"SELECT state, student_id, {is_answered} AS is_answered, decided_at, released_at"  # noqa: S608  constants
        f" FROM {table} WHERE enrollment_id = $1",
        enrollment_id,
    )
    return StepRow(**row) if row is not None else None


async def _letters(
    reader: "Connection", service: str, enrollment_id: UUID, row: EnrollmentRow | None
) -> list[Letter]:
    keys = [f"{row.term}/{one}".encode() for one in row.sections] if row is not None else []
    rows = await reader.fetch(
        LETTERS,
        enrollment_id,
        LETTERS_MAX,
        str(enrollment_id).encode(),
        LETTERS_SEARCHED_MAX,
        SECTION_CATALOG.name,
        keys,
    )
    return [_letter(service, dict(one)) for one in rows]


def _letter(service: str, row: dict[str, Any]) -> Letter:
    key = row.pop("key")
    is_catalog = row["topic"] == SECTION_CATALOG.name
    about = key.decode(errors="replace").partition("/")[2] if is_catalog and key else None
    return Letter(service=service, about=about, **row)


async def _lease(reader: "Connection") -> Lease | None:
    row = await reader.fetchrow(LEASE, LEASE_LOCK)
    return Lease(row["pid"], row["application"], row["backend_start"]) if row else None


async def _offsets(reader: "Connection") -> dict[PartitionKey, int]:
    rows = await reader.fetch("SELECT topic, partition, next_offset FROM consumer_offset")
    return {PartitionKey(one["topic"], one["partition"]): one["next_offset"] for one in rows}


async def _sections(
    reader: "Connection", service: str, row: EnrollmentRow | None
) -> dict[str, Known]:
    if row is None or row.term is None or service not in STEP_TABLES:
        return {}
    note = (
        "CASE WHEN is_withdrawn THEN 'withdrawn' ELSE '' END"
        if service == "student"
        else "state || ', ' || reserved || ' of ' || capacity || ' seats reserved'"
    )
    rows = await reader.fetch(
        f"SELECT section_id, version, {note} AS note FROM section"  # noqa: S608  constants
        " WHERE term = $1 AND section_id = ANY($2::text[]) AND version >= 0",
        row.term,
        list(row.sections),
    )
    known = {one["section_id"]: Known(one["version"], one["note"]) for one in rows}
    return {one: known.get(one, Known(None)) for one in row.sections}


PENDING: Final = """
    SELECT enrollment_id, state, student_id, term, sections, opened_at, deadline_at, decided_at,
           stage, reasons, cancelled_by
    FROM enrollment WHERE state = 'pending' AND opened_at < now() - $1 * interval '1 second'
    ORDER BY opened_at LIMIT $2
"""


async def read_pending(
    target: Target, older_than_seconds: float, limit: int
) -> dict[UUID, EnrollmentRow]:
    """Read those that have been pending for longer, oldest first, at most so many."""
    async with reading(target, "enrollment") as reader:
        await reader.execute(LIMITS)
        rows = [dict(one) for one in await reader.fetch(PENDING, older_than_seconds, limit)]
    return {one.pop("enrollment_id"): row_of(one) for one in rows}


async def read_steps(target: Target, service: str, ids: list[UUID]) -> dict[UUID, StepRow]:
    """Read what student or capacity has of several enrollments."""
    table, is_answered = STEP_TABLES[service]
    async with reading(target, service) as reader:
        await reader.execute(LIMITS)
        rows = await reader.fetch(
            "SELECT enrollment_id, state, student_id,"  # noqa: S608  constants
            f" {is_answered} AS is_answered, decided_at, released_at"
            f" FROM {table} WHERE enrollment_id = ANY($1::uuid[])",
            ids,
        )
    found = [dict(one) for one in rows]
    return {one.pop("enrollment_id"): StepRow(**one) for one in found}


async def read_letters(target: Target, service: str, ids: list[UUID]) -> dict[UUID, list[Letter]]:
    """Read the dead letters that one service has of several enrollments, oldest first."""
    async with reading(target, service) as reader:
        await reader.execute(LIMITS)
        rows = await reader.fetch(
            """
            SELECT enrollment_id, id, topic, partition, "offset", key, event_type, reason, detail,
                   holds, parked_at
            FROM dead_letter WHERE enrollment_id = ANY($1::uuid[]) ORDER BY id LIMIT $2
            """,
            ids,
            LETTERS_MAX * len(ids),
        )
    found: dict[UUID, list[Letter]] = {}
    for one in map(dict, rows):
        found.setdefault(one.pop("enrollment_id"), []).append(_letter(service, one))
    return found
