"""What operators do leaves a record in the ingress's database, or is not done."""

import asyncio
import os
import signal
import time

import pytest

from deploy.local.servers import external_urls
from services.enrollment.ingress.access import Caller
from services.enrollment.ingress.operators_trail import OperatorsTrail
from services.enrollment.ingress.problems import Problem, ProblemType
from shared import audit_trail
from shared.database import Database
from shared.tests.machinery import NOW, proxied, rows_of, url_of, value_of

ANN = Caller("ann@uni", None, is_staff=True, client="console")


def trail_of(database: Database, timeout_seconds: float = 1) -> OperatorsTrail:
    return OperatorsTrail(database, lambda: NOW, timeout_seconds)


async def records_of(database: Database) -> list[audit_trail.AuditRecord]:
    async with database.transaction() as transaction:
        return await audit_trail.read(transaction)


async def test_an_action_is_recorded_with_who_asked_for_it(ingress_database: Database) -> None:
    await trail_of(ingress_database).record(ANN, "idempotency.delete", "all", "of everybody")

    [record] = await records_of(ingress_database)
    assert (record.operator, record.action, record.subject, record.detail, record.recorded_at) == (
        "ann@uni",
        "idempotency.delete",
        "all",
        "of everybody",
        NOW,
    )


async def test_records_of_many_at_the_same_time_make_one_chain(ingress_database: Database) -> None:
    trail = trail_of(ingress_database, 10)

    await asyncio.gather(*(trail.record(ANN, "a", str(number)) for number in range(20)))

    records = await records_of(ingress_database)
    assert sorted(one.subject for one in records) == sorted(map(str, range(20)))
    assert audit_trail.first_break(records) is None


async def test_what_cannot_be_recorded_is_refused_and_soon(ingress_database: Database) -> None:
    async with proxied(ingress_database) as (proxy, url):
        database = Database(url, application_name="test")
        await proxy.cut()
        began = time.monotonic()
        with pytest.raises(Problem) as raised:
            await trail_of(database).record(ANN, "a", "s")
        seconds = time.monotonic() - began
        await database.close()

    assert raised.value.kind is ProblemType.DATABASE_UNAVAILABLE
    assert "nothing was done" in raised.value.detail
    assert raised.value.retry_after_seconds is not None
    assert seconds < 0.5
    assert await records_of(ingress_database) == []


async def test_a_database_that_stands_still_is_given_up_after_the_time_out(
    ingress_database: Database,
) -> None:
    if external_urls():
        pytest.skip("the server is not ours to stop")
    lonely = Database(url_of(ingress_database), application_name="test", pool_size=1)
    await trail_of(lonely).record(ANN, "before", "s")
    backend = int(str(await value_of(lonely, "SELECT pg_backend_pid()")))
    os.kill(backend, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Problem) as raised:
            await trail_of(lonely, 0.3).record(ANN, "meanwhile", "s")
        seconds = time.monotonic() - began
    finally:
        os.kill(backend, signal.SIGCONT)
    await trail_of(lonely).record(ANN, "after", "s")
    await lonely.close()

    assert raised.value.kind is ProblemType.DATABASE_UNAVAILABLE
    assert 0.25 < seconds < 1
    assert {"before", "after"} <= {one.action for one in await records_of(ingress_database)}


async def test_a_database_that_lets_wait_is_given_up_after_the_time_out(
    ingress_database: Database,
) -> None:
    async with ingress_database.transaction() as holder:
        await holder.execute("SELECT pg_advisory_xact_lock($1)", audit_trail.AUDIT_LOCK)
        began = time.monotonic()
        with pytest.raises(Problem) as raised:
            await trail_of(ingress_database, 0.3).record(ANN, "a", "s")
        seconds = time.monotonic() - began

    assert raised.value.kind is ProblemType.DATABASE_UNAVAILABLE
    assert 0.25 < seconds < 1
    assert await records_of(ingress_database) == []


async def test_a_defect_is_no_outage(ingress_database: Database) -> None:
    await rows_of(ingress_database, "DROP TABLE audit_trail")

    with pytest.raises(Exception, match="audit_trail"):
        await trail_of(ingress_database).record(ANN, "a", "s")
