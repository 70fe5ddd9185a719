"""A system that is slow, or loses an outcome, on purpose: does the run fail, and say the right?"""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import asyncpg
import pytest

from deploy.local import postgres, processes, stack, state
from deploy.local.processes import Identity
from loadtests.jmeter.tests.playing import COMMAND_SECONDS, RUN_TESTS, results_of, stack_in
from services.tests.saga.waiting import eventually
from shared.relay import LEASE_LOCK

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

STOPPED_SECONDS, RUNNING_SECONDS = 2.0, 0.5
IN_FLIGHT = 5
# All targets but the one that is to be missed are easy to meet: the machine may be busy.
PLAYED = (
    *("kafka", "--threads", "4", "--rampup", "1", "--loops", "3", "--warm-up", "0"),
    *("--schedule", "20 for 20", "--per-second", "1", "--p99-seconds", "100"),
    *("--available-percent", "90"),
)
CONFIRMED = "SELECT 1 FROM enrollment WHERE state = 'confirmed' LIMIT 1"
RELAYED = """
SELECT count(*) FROM enrollment WHERE state = 'pending'
AND NOT EXISTS (SELECT FROM outbox WHERE subject = enrollment_id::text)
"""
END_LEASES = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND objid = $1 AND granted AND pid <> pg_backend_pid()
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
WITHHOLD = """
DELETE FROM outbox WHERE id = (
    SELECT min(id) FROM outbox WHERE event_type = 'EnrollmentConfirmed'
) RETURNING subject
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A stack for one test: what it breaks would be found in the audit of the next."""
    with stack_in(tmp_path) as found:
        yield found


@contextmanager
def playing(environment: Mapping[str, str], *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Start the command; the block begins when JMeter does."""
    with subprocess.Popen(
        [RUN_TESTS, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            said_until(process, "playing kafka")
            yield process
        finally:
            process.send_signal(signal.SIGINT)  # nothing, where it has ended


def said_until(process: "subprocess.Popen[str]", beginning: str) -> None:
    """Wait until the command has said this."""
    assert process.stderr is not None
    assert any(line.startswith(beginning) for line in process.stderr), beginning


def capacity_of(environment: Mapping[str, str]) -> Identity:
    found = state.load(Path(environment["ENROLL_STATE_DIR"])).services["capacity"].identity
    assert found is not None
    return found


@contextmanager
def stopped(process: Identity) -> Iterator[None]:
    processes.send(process, signal.SIGSTOP)
    try:
        yield
    finally:
        processes.send(process, signal.SIGCONT)


@contextmanager
def slowed(process: Identity) -> Iterator[None]:
    """Stop it again and again, for so long that most of what it gets waits for it."""
    is_over = Event()

    def stop_again_and_again() -> None:
        while not is_over.is_set():
            with stopped(process):
                is_over.wait(STOPPED_SECONDS)
            is_over.wait(RUNNING_SECONDS)

    thread = Thread(target=stop_again_and_again)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def verdicts_in(environment: Mapping[str, str]) -> dict[str, Any]:
    """Give what was found, by the target."""
    [report] = results_of(environment, "run-*/result.json")
    [plan] = json.loads(report.read_text())["plans"]
    return {verdict["target"]: verdict["found"] for verdict in plan["verdicts"]}


def test_a_slow_capacity_misses_p95_and_breaks_no_promise(environment: dict[str, str]) -> None:
    with playing(environment, *PLAYED) as process:
        with slowed(capacity_of(environment)):
            said_until(process, "auditing")
        said, errors = process.communicate(timeout=COMMAND_SECONDS)

    assert process.returncode == 1, said + errors
    [sentence] = said.splitlines()
    assert sentence.startswith("kafka missed its target: p95 < 1 s; found: ")
    assert f"See {results_of(environment, 'kafka-*')[0]}." in sentence
    found = verdicts_in(environment)
    assert found["the audit finds no broken promise"] == "0 violations"
    assert found["no outcome is lost"] == "0 never came, 0 came late"


async def withhold_an_outcome(url: str, capacity: Identity) -> str:
    """Delete an outcome that waits for the relay, and name its enrollment.

    Capacity stands still until the relay is held, so that outcomes come only then.
    """
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await eventually("a first outcome", lambda: connection.fetchval(CONFIRMED), 60)
        with stopped(capacity):
            await eventually(
                "requests on their way",
                lambda: fetched_at_least(connection, RELAYED, IN_FLIGHT),
                60,
            )
            await eventually("the relay's lease", lambda: taken(connection), 60)
        found = await eventually("an outcome", lambda: connection.fetchval(WITHHOLD), 60)
        return str(found)
    finally:
        await connection.close()  # and the lease goes with it


async def fetched_at_least(connection: Any, sql: str, least: int) -> bool:
    return bool(await connection.fetchval(sql) >= least)


async def taken(connection: Any) -> bool:
    """Take the lease from the service: it asks for it again after a second."""
    await connection.execute(END_LEASES, LEASE_LOCK)
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEASE_LOCK))


def test_a_single_outcome_that_is_withheld_fails_the_run_and_is_named(
    environment: dict[str, str],
) -> None:
    state_dir = Path(environment["ENROLL_STATE_DIR"])
    admin_url = stack.status(state_dir).servers.postgres.url
    assert admin_url is not None
    url = postgres.role_url(admin_url, "enrollment")

    patience = ("-J", "timeout_seconds=45", "--p95-seconds", "100")
    with playing(environment, *PLAYED, *patience) as process:
        lost = asyncio.run(withhold_an_outcome(url, capacity_of(environment)))
        said, errors = process.communicate(timeout=COMMAND_SECONDS)

    assert process.returncode == 1, said + errors
    [ledger] = results_of(environment, "kafka-*/ledger.json")
    told = json.loads(ledger.read_text())
    assert (told["timed_out"], told["late"], told["adds_up"]) == (1, 0, True)
    in_jmeter, in_the_audit = said.splitlines()
    assert in_jmeter.startswith(
        "kafka missed its target: no outcome is lost; found: 1 never came, 0 came late: "
        f"No outcome came in time: see `enroll why {lost}`"
    )
    assert "the audit finds no broken promise" in in_the_audit
    assert lost in in_the_audit
