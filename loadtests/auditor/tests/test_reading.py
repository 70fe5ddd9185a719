from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from confluent_kafka import Producer

from deploy.local.servers import LocalServers
from loadtests.auditor import audit
from loadtests.auditor.catalogs import Slot
from loadtests.auditor.databases import (
    Connections,
    connect,
    read_tables,
    read_trail_of_ingress,
)
from loadtests.auditor.tables import (
    AuditRecord,
    ClaimRow,
    Conflict,
    DeadLetter,
    EnrollmentRow,
    ReservationRow,
    SectionRow,
)
from loadtests.auditor.tests.day import DEADLINE, NOON
from loadtests.auditor.topics import open_topics
from shared.choreography import Service
from shared.tests.lending import Lender

ID = str(UUID(int=1))
PARKED = str(UUID(int=2))

ROWS = {
    "enrollment": (
        f"""INSERT INTO enrollment (enrollment_id, state, student_id, term, sections, deadline_at,
                                    decided_at, stage, cancelled_by)
            VALUES ('{ID}', 'rejected', 'ann', 'T', '{{1,2}}', '{DEADLINE}', '{NOON}', 'deadline',
                    '{{bob}}')""",
        f"INSERT INTO conflict VALUES ('{ID}', 'eve', 'foreign_request', '', '{NOON}')",
        f"INSERT INTO audit_trail VALUES (1, '{NOON}', 'me', 'a', 's', 'd', '\\x00', '\\x01')",
    ),
    "student": (
        f"""INSERT INTO claim (enrollment_id, state, student_id, term, sections, credits,
                               credit_limit, slots, decided_at)
            VALUES ('{ID}', 'claimed', 'ann', 'T', '{{1}}', 3, 6, '[["1", 1, 1, 480, 540]]',
                    '{NOON}')""",
        f"""INSERT INTO dead_letter (topic, partition, "offset", headers, enrollment_id, reason,
                                     detail, holds, parked_at)
            VALUES ('student.events', 2, 7, '[]', '{PARKED}', 'raised', '', true, '{NOON}')""",
    ),
    "capacity": (
        f"""INSERT INTO reservation (enrollment_id, state, student_id, term, sections, is_answered)
            VALUES ('{ID}', 'reserved', 'ann', 'T', '{{1}}', true)""",
        """INSERT INTO section (term, section_id, version, capacity, state, reserved, seat_sequence)
           VALUES ('T', '1', 1, 30, 'open', 4, 9)""",
    ),
}


@pytest.fixture
async def urls(databases: Lender) -> dict[str, str]:
    return {service.value: await databases.make(service) for service in Service}


@pytest.fixture
async def connections(urls: dict[str, str]) -> AsyncIterator[Connections]:
    async with connect(urls) as made:
        yield made


async def insert(connections: Connections, service: str, *statements: str) -> None:
    """Write, where the auditor's own connections may not."""
    connection = connections[service]
    await connection.execute("SET default_transaction_read_only = off")
    for statement in statements:
        await connection.execute(statement)


async def test_the_tables_are_read_as_they_are(connections: Connections) -> None:
    for service, statements in ROWS.items():
        await insert(connections, service, *statements)
    tables = await read_tables(connections)
    assert tables.enrollments == {
        ID: EnrollmentRow(
            ID, "rejected", "ann", "T", ("1", "2"), DEADLINE, NOON, "deadline", ("bob",)
        )
    }
    slots = (Slot("1", 1, 1, 480, 540),)
    assert tables.claims == {ID: ClaimRow(ID, "claimed", "ann", "T", ("1",), 3, 6, slots, NOON)}
    assert tables.reservations == {ID: ReservationRow(ID, "reserved", "ann", "T", ("1",), True)}
    assert tables.sections == {("T", "1"): SectionRow(4, 9)}
    assert tables.conflicts == (Conflict(ID, "eve", "foreign_request"),)
    assert tables.dead_letters == (
        DeadLetter("student", "student.events", "student.events/2/7", PARKED, "raised", True),
    )
    record = AuditRecord(1, NOON, "me", "a", "s", "d", b"\x00", b"\x01")
    assert tables.trails == {"enrollment": (record,), "student": (), "capacity": ()}


async def test_the_trail_of_an_ingress_is_read(databases: Lender) -> None:
    url = await databases.make(Service.CAPACITY)  # any service's has the table
    writer = await asyncpg.connect(url)
    await writer.execute(ROWS["enrollment"][2])
    await writer.close()
    record = AuditRecord(1, NOON, "me", "a", "s", "d", b"\x00", b"\x01")
    assert await read_trail_of_ingress(url) == (record,)


async def test_where_no_ingress_has_ever_run_there_is_no_trail(
    servers: LocalServers, databases: Lender
) -> None:
    without_table = await databases.make(Service.CAPACITY)
    writer = await asyncpg.connect(without_table)
    await writer.execute("DROP TABLE audit_trail")
    await writer.close()
    missing = urlsplit(servers.postgres_url)._replace(path="/no_such_database").geturl()
    assert await read_trail_of_ingress(without_table) is None
    assert await read_trail_of_ingress(missing) is None
    assert await read_trail_of_ingress(None) is None


async def test_a_trail_that_cannot_be_read_ends_the_audit() -> None:
    with pytest.raises(OSError, match="Connect call failed"):
        await read_trail_of_ingress("postgresql://me@127.0.0.1:1/ingress")


async def test_nothing_is_ever_written(connections: Connections) -> None:
    with pytest.raises(Exception, match="read-only transaction"):
        await connections["capacity"].execute("DELETE FROM section")


async def test_what_still_moves_is_named(
    servers: LocalServers, urls: dict[str, str], connections: Connections
) -> None:
    overdue, later = NOON, NOON + timedelta(days=36_500)
    await insert(
        connections,
        "enrollment",
        *(
            f"""INSERT INTO enrollment (enrollment_id, state, student_id, sections, cancelled_by,
                                        deadline_at)
                VALUES ('{UUID(int=number)}', 'pending', 'ann', '{{}}', '{{}}', '{deadline}')"""
            for number, deadline in ((1, overdue), (2, later), (3, later))
        ),
    )
    await insert(connections, "student", ROWS["student"][1])  # keeps the second one pending
    await insert(
        connections,
        "capacity",
        f"""INSERT INTO outbox (event_id, event_type, topic, key, subject, occurred_at, body)
            VALUES ('{ID}', 't', 't', 'k', 's', '{NOON}', '')""",
    )
    partition = publish(servers.kafka_url, "student.catalog")
    said: list[str] = []
    report = await audit(servers.kafka_url, urls, rest_seconds=0, on_progress=said.append)
    assert (report.exit_code, report.violations) == (2, ())
    assert "outbox of capacity: 1 rows" in report.still_moving
    assert "enrollments: 2 pending, 1 past their deadline" in report.still_moving
    lag = "consumer of student: "
    assert any(
        text.startswith(lag) and text.endswith(f"behind on student.catalog/{partition}")
        for text in report.still_moving
    )


def publish(kafka_url: str, topic: str) -> int:
    """Write a record that no service can read, and give its partition."""
    partitions: list[int] = []
    producer = Producer({"bootstrap.servers": kafka_url})
    producer.produce(
        topic,
        b"x",
        b"auditor",
        on_delivery=lambda _, sent: partitions.append(sent.partition() or 0),
    )
    assert producer.flush(30) == 0
    return partitions[0]


async def test_the_topics_are_read_from_beginning_to_end(servers: LocalServers) -> None:
    partition = publish(servers.kafka_url, "student.catalog")
    with open_topics(servers.kafka_url) as topics:
        extents = topics.extents()
        records = list(topics.read())
        place = ("student.catalog", partition)
        end = extents[place].end
        assert topics.has_records(place, end - 1)
        assert not topics.has_records(place, end)
    ours = [r for r in records if (r.topic, r.partition) == place]
    assert (ours[-1].offset, ours[-1].value, ours[-1].key) == (end - 1, b"x", b"auditor")
    assert len(records) >= len(ours)
