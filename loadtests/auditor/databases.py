"""Read the three databases, each in one read-only snapshot, and the ingress's audit trail."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from loadtests.auditor.catalogs import Slot
from loadtests.auditor.contract import CAPACITY, ENROLLMENT, SERVICES, STUDENT
from loadtests.auditor.tables import (
    AuditRecord,
    ClaimRow,
    Conflict,
    DeadLetter,
    EnrollmentRow,
    Excuses,
    ReservationRow,
    SectionRow,
    Tables,
)

Connection: TypeAlias = "asyncpg.Connection[Any]"
Connections: TypeAlias = Mapping[str, Connection]


@asynccontextmanager
async def connect(database_urls: Mapping[str, str]) -> AsyncIterator[Connections]:
    """Connect to every database; nothing is ever written."""
    async with AsyncExitStack() as stack:
        connections = {}
        for service in SERVICES:
            connection = await asyncpg.connect(
                database_urls[service], server_settings={"default_transaction_read_only": "on"}
            )
            stack.push_async_callback(connection.close)
            connections[service] = connection
        yield connections


async def read_tables(connections: Connections) -> Tables:
    """Read everything that is judged."""
    async with AsyncExitStack() as stack:
        for connection in connections.values():
            snapshot = connection.transaction(isolation="repeatable_read", readonly=True)
            await stack.enter_async_context(snapshot)
        enrollment, student = connections[ENROLLMENT], connections[STUDENT]
        capacity = connections[CAPACITY]
        return Tables(
            enrollments=await _enrollments(enrollment),
            claims=await _claims(student),
            reservations=await _reservations(capacity),
            sections={
                (row["term"], row["section_id"]): SectionRow(row["reserved"], row["seat_sequence"])
                for row in await capacity.fetch("SELECT * FROM section")
            },
            conflicts=tuple(
                Conflict(row["id"], row["student_id"], row["kind"])
                for row in await enrollment.fetch(
                    "SELECT enrollment_id::text AS id, student_id, kind FROM conflict"
                )
            ),
            dead_letters=await _all_dead_letters(connections),
            trails={service: await _trail(one) for service, one in connections.items()},
        )


async def read_excuses(connections: Connections) -> Excuses:
    """Read only what dead letters keep from its end."""
    return Tables(
        dead_letters=await _all_dead_letters(connections),
        trails={service: await _trail(one) for service, one in connections.items()},
    ).excuses


async def read_trail_of_ingress(database_url: str | None) -> tuple[AuditRecord, ...] | None:
    """Read what operators did at the ingress; None where there is none, or none has run yet."""
    if database_url is None:
        return None
    try:
        connection = await asyncpg.connect(
            database_url, server_settings={"default_transaction_read_only": "on"}
        )
    except asyncpg.InvalidCatalogNameError:
        return None
    try:
        return await _trail(connection)
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()


async def _enrollments(connection: Connection) -> dict[str, EnrollmentRow]:
    rows = await connection.fetch(
        """
        SELECT enrollment_id::text, state, student_id, term, sections, deadline_at, decided_at,
               stage, cancelled_by
        FROM enrollment
        """
    )
    return {
        row["enrollment_id"]: EnrollmentRow(
            row["enrollment_id"],
            row["state"],
            row["student_id"],
            row["term"],
            tuple(row["sections"]),
            row["deadline_at"],
            row["decided_at"],
            row["stage"],
            tuple(row["cancelled_by"]),
        )
        for row in rows
    }


async def _claims(connection: Connection) -> dict[str, ClaimRow]:
    rows = await connection.fetch(
        """
        SELECT enrollment_id::text, state, student_id, term, sections, credits, credit_limit,
               slots, decided_at
        FROM claim
        """
    )
    return {
        row["enrollment_id"]: ClaimRow(
            row["enrollment_id"],
            row["state"],
            row["student_id"],
            row["term"],
            tuple(row["sections"]),
            row["credits"],
            row["credit_limit"],
            tuple(Slot(*slot) for slot in json.loads(row["slots"])),
            row["decided_at"],
        )
        for row in rows
    }


async def _reservations(connection: Connection) -> dict[str, ReservationRow]:
    rows = await connection.fetch(
        """
        SELECT enrollment_id::text, state, student_id, term, sections, is_answered
        FROM reservation
        """
    )
    return {
        row["enrollment_id"]: ReservationRow(
            row["enrollment_id"],
            row["state"],
            row["student_id"],
            row["term"],
            tuple(row["sections"]),
            row["is_answered"],
        )
        for row in rows
    }


async def _all_dead_letters(connections: Connections) -> tuple[DeadLetter, ...]:
    letters: list[DeadLetter] = []
    for service, connection in connections.items():
        letters += await _dead_letters(service, connection)
    return tuple(letters)


async def _dead_letters(service: str, connection: Connection) -> list[DeadLetter]:
    rows = await connection.fetch(
        """
        SELECT topic, partition, "offset", enrollment_id::text, reason, holds FROM dead_letter
        """
    )
    return [
        DeadLetter(
            service,
            row["topic"],
            f"{row['topic']}/{row['partition']}/{row['offset']}",
            row["enrollment_id"],
            row["reason"],
            row["holds"],
        )
        for row in rows
    ]


async def _trail(connection: Connection) -> tuple[AuditRecord, ...]:
    rows = await connection.fetch(
        """
        SELECT id, recorded_at, operator, action, subject, detail, previous_hash, hash
        FROM audit_trail ORDER BY id
        """
    )
    return tuple(AuditRecord(*row) for row in rows)
