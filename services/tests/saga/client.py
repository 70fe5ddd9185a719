"""A client of a running saga: publishes, asks, cancels, waits, and looks into tables and topics."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import UUID, uuid4

import asyncpg
import psutil
import pytest
from confluent_kafka import Producer

from deploy.local import stack, state
from deploy.local.servers import VARIABLES
from loadtests.auditor import audit
from loadtests.auditor.databases import connect
from loadtests.auditor.report import Report
from loadtests.auditor.rest import wait_for_rest
from loadtests.auditor.topics import open_topics
from loadtests.day.importing import publish
from loadtests.day.kafka import producer_settings
from services.cli.target import SERVICES, with_database
from services.tests.saga.story import Listener, Said
from services.tests.saga.waiting import eventually
from shared.choreography import REQUESTS
from shared.codec import encode_headers
from shared.events import SectionPublished, StudentPublished
from shared.identifiers import EventId

ROOT = Path(__file__).parents[3]
DECIDED = ("confirmed", "rejected", "cancelled")
REST_SECONDS = 60.0
COMMAND_SECONDS = 60.0

Row = dict[str, Any]
Headers = list[tuple[str, str | bytes | None]]


@dataclass(frozen=True)
class Mail:
    """A message for the topic of requests."""

    key: bytes | None
    body: bytes | None
    headers: Headers


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    data: dict[str, Any]
    errors: str


def _say_nothing(_: str) -> None:
    """For those who report to nobody."""


def new_name(what: str) -> str:
    """Name something so that no other test's is called the same."""
    return f"{what}-{uuid4().hex[:8]}"


def request_body(
    enrollment_id: UUID, student: str, term: str, sections: Sequence[str], **more: Any
) -> Row:
    """Write the body of a request."""
    ids = {"enrollment_id": str(enrollment_id), "student_id": student}
    return {**ids, "term": term, "sections": list(sections), **more}


def message(body: Row, event_type: str = "EnrollmentRequested") -> Mail:
    """Make a message for the topic of requests, as an outside system would."""
    headers = encode_headers(
        event_id=EventId(uuid4()),
        event_type=event_type,
        source="/tests/saga",
        subject=body["enrollment_id"],
        occurred_at=datetime.now(UTC),
        traceparent=None,
    )
    return Mail(body["student_id"].encode(), json.dumps(body).encode(), headers)


class Saga:
    """One running stack, seen from outside."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        servers = stack.status(state_dir).servers
        assert servers.kafka.url
        assert servers.postgres.url
        self.kafka_url = servers.kafka.url
        self.database_urls = {name: with_database(servers.postgres.url, name) for name in SERVICES}
        self._producer = Producer(producer_settings(self.kafka_url) | {"linger.ms": 0})
        self._listener = Listener(self.kafka_url)

    def close(self) -> None:
        """Leave Kafka."""
        self._producer.flush(5)
        self._listener.close()

    # Catalogs and requests.

    async def publish_catalogs(
        self, term: str, seats: Mapping[str, int], students: Iterable[str]
    ) -> None:
        """Publish sections of one credit that clash with nothing, and wait until all know them."""
        sections = [
            SectionPublished.model_validate(
                {
                    "version": 1,
                    "term": term,
                    "section_id": section,
                    "course_id": section,
                    "capacity": capacity,
                    "credits": 1,
                }
            )
            for section, capacity in seats.items()
        ]
        people = [
            StudentPublished.model_validate({"version": 1, "student_id": one, "max_credits": 18})
            for one in students
        ]
        publish(self.kafka_url, [*sections, *people])
        await eventually("catalogs known", lambda: self._know(term, len(sections), people))

    async def _know(self, term: str, sections: int, people: list[StudentPublished]) -> bool:
        ids = [student.student_id for student in people]
        of_term = "SELECT count(*) AS n FROM section WHERE term = $1"
        of_ids = "SELECT count(*) AS n FROM student WHERE student_id = ANY($1)"
        found = [
            await self.rows("capacity", of_term, term),
            await self.rows("student", of_term, term),
            await self.rows("student", of_ids, ids),
        ]
        return [rows[0]["n"] for rows in found] == [sections, sections, len(people)]

    async def set_up(self, seats: Mapping[str, int], students: int = 1) -> tuple[str, list[str]]:
        """Publish a term of its own with these seats, and students of its own; name both."""
        term = new_name("term")
        people = [f"{term}-student-{number}" for number in range(students)]
        await self.publish_catalogs(term, seats, people)
        return term, people

    def send(self, *mails: Mail) -> None:
        """Publish messages to the topic of requests; returns when Kafka has them."""
        for mail in mails:
            self._producer.produce(REQUESTS.name, mail.body, mail.key, headers=mail.headers)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def request(self, student: str, term: str, *sections: str, **more: Any) -> UUID:
        """Ask for seats under a new id, and give the id."""
        enrollment_id: UUID = more.pop("enrollment_id", None) or uuid4()
        self.send(message(request_body(enrollment_id, student, term, sections, **more)))
        return enrollment_id

    def cancel(self, enrollment_id: UUID, student: str) -> None:
        """Ask for the end of an enrollment."""
        body = {"enrollment_id": str(enrollment_id), "student_id": student}
        self.send(message(body, "EnrollmentCancellationRequested"))

    # What became of it.

    async def outcome(self, enrollment_id: UUID) -> Row:
        """Wait until an enrollment is decided, and give its row."""
        return await self.enrollment_in(DECIDED, enrollment_id)

    async def enrollment_in(self, states: Sequence[str], enrollment_id: UUID) -> Row:
        """Wait until an enrollment is in one of these states, and give its row."""
        sql = "SELECT * FROM enrollment WHERE enrollment_id = $1 AND state = ANY($2)"
        what = f"{enrollment_id} {' or '.join(states)}"
        rows = await eventually(what, lambda: self.rows("enrollment", sql, enrollment_id, states))
        return rows[0]

    async def states_of(self, enrollment_ids: Sequence[UUID]) -> list[str]:
        """Wait until all of these are decided, and give their states in the same order."""
        sql = "SELECT enrollment_id, state FROM enrollment WHERE enrollment_id = ANY($1)"

        async def look() -> list[str] | None:
            rows = await self.rows("enrollment", sql, list(enrollment_ids))
            states = {row["enrollment_id"]: row["state"] for row in rows}
            found = [states.get(one, "unknown") for one in enrollment_ids]
            return found if set(found) <= set(DECIDED) else None

        return await eventually(f"{len(enrollment_ids)} outcomes", look)

    async def said_of(self, enrollment_id: UUID, *awaited: str) -> list[str]:
        """Wait until these types of events were said of an enrollment; give all, topic by topic."""

        async def look() -> Sequence[Said] | None:
            events = self.events_of(enrollment_id)
            return events if set(awaited) <= {event.type for event in events} else None

        events = await eventually(f"{' and '.join(awaited)} of {enrollment_id}", look)
        return [event.type for event in sorted(events, key=lambda event: event.topic)]

    def events_of(self, enrollment_id: UUID) -> Sequence[Said]:
        """Give what has been said of an enrollment so far, each event once."""
        return self._listener.events_of(enrollment_id)

    def event(self, enrollment_id: UUID, event_type: str) -> Row:
        """Give the body of the one event of this type."""
        (found,) = (one for one in self.events_of(enrollment_id) if one.type == event_type)
        return found.body

    def all_events(self) -> Sequence[Said]:
        """Give everything that was said so far, each event once."""
        return self._listener.all_events()

    async def rows(self, service: str, sql: str, *arguments: object) -> list[Row]:
        """Read rows of a service's database."""
        connection = await asyncpg.connect(self.database_urls[service], timeout=5)
        try:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close(timeout=5)

    async def reserved(self, term: str) -> dict[str, int]:
        """Count the seats that are taken in each section of a term."""
        rows = await self.rows("capacity", "SELECT * FROM section WHERE term = $1", term)
        return {row["section_id"]: row["reserved"] for row in rows}

    @asynccontextmanager
    async def connection(self, service: str) -> AsyncIterator[Any]:
        """Lend a connection to a service's database."""
        connection = await asyncpg.connect(self.database_urls[service], timeout=5)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    async def rest(self) -> None:
        """Wait until nothing moves any more."""
        with open_topics(self.kafka_url) as topics:
            async with connect(self.database_urls) as connections:
                _, moving = await wait_for_rest(
                    topics, connections, rest_seconds=REST_SECONDS, on_progress=_say_nothing
                )
        assert not moving

    async def audit(self) -> Report:
        """Audit everything that ever happened in this stack."""
        return await audit(
            self.kafka_url, self.database_urls, rest_seconds=REST_SECONDS, on_progress=_say_nothing
        )

    async def assert_sound(self) -> Report:
        """Audit everything, and have it all in order."""
        report = await self.audit()
        assert not report.still_moving
        assert [str(violation) for violation in report.violations] == []
        assert not report.unchecked
        return report

    # Processes.

    def pid(self, name: str) -> int | None:
        """Give the process of a service or server; None while there is none."""
        status = stack.status(self.state_dir)
        if name in status.services:
            return status.services[name].pid
        server: int | None = getattr(status.servers, name).pid
        return server

    def kill(self, name: str) -> int:
        """End a process without a word, and give its pid."""
        pid = self.pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid

    async def started_again(self, name: str, killed: int) -> psutil.Process:
        """Wait for the successor of a killed process."""

        async def look() -> int | None:
            pid = self.pid(name)
            return pid if pid != killed else None

        return psutil.Process(await eventually(f"{name} started again", look))

    async def ready_again(self) -> None:
        """Wait until everything is ready."""

        async def look() -> bool:
            return stack.status(self.state_dir).is_up

        await eventually("everything ready", look, 60)

    def health(self, name: str) -> Row:
        """Ask a service how it is."""
        url = stack.status(self.state_dir).services[name].admin_url
        with urlopen(f"{url}/health/ready", timeout=5) as answer:
            found: Row = json.load(answer)
        return found

    async def command(self, *arguments: str) -> Finished:
        """Run `enroll` as an operator does, and read its JSON."""
        return await asyncio.to_thread(self._command, [*arguments, "--json"])

    def _command(self, arguments: list[str]) -> Finished:
        ours = {k: v for k, v in os.environ.items() if k not in VARIABLES.values()}
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *arguments],
            env=ours | {"ENROLL_STATE_DIR": str(self.state_dir)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Finished(done.returncode, json.loads(done.stdout), done.stderr)


@asynccontextmanager
async def running(
    state_dir: Path, *, environment: Mapping[str, str], plan: state.Plan | None = None
) -> AsyncIterator[Saga]:
    """Run a stack of our own; at its end everything is audited, and no process is left."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in VARIABLES.values():
            patch.delenv(variable, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        stack.up(state_dir, plan=plan)
    try:
        saga = Saga(state_dir)
        try:
            yield saga
            await saga.assert_sound()
        finally:
            saga.close()
    finally:
        known = state.load(state_dir)
        stack.down(state_dir, wipe=True)
    records = [*known.servers.values(), *known.services.values()]
    pids = [record.identity.pid for record in records if record.identity is not None]
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
