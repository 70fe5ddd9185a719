"""What each kind of process shows at /metrics is what the table declares, and it moves."""

from collections.abc import Iterator, Mapping
from uuid import UUID, uuid4

import aiohttp
import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from deploy.local import stack
from services.tests.http.client import HttpClient
from services.tests.http.scenario import new_key
from services.tests.saga.client import Saga
from services.tests.saga.test_compensation import without
from services.tests.saga.waiting import eventually
from shared.metric_table import ALL, TABLE
from shared.metric_types import OTHER, Counter, Gauge, Histogram, Metric

BY_EXPORTER = {"target_info"}  # the SDK's own
LATER_SECONDS = 60.0

Series = tuple[str, frozenset[tuple[str, str]]]
Numbers = Mapping[Series, float]


async def exposition(saga: Saga, process: str) -> str:
    url = stack.status(saga.state_dir).services[process].admin_url
    async with aiohttp.request("GET", f"{url}/metrics") as answer:
        assert answer.status == 200
        return await answer.text()


async def families(saga: Saga, process: str) -> dict[str, Family]:
    text = await exposition(saga, process)
    found = {family.name: family for family in text_string_to_metric_families(text)}
    return {name: family for name, family in found.items() if name not in BY_EXPORTER}


async def numbers(saga: Saga, process: str) -> Numbers:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in (await families(saga, process)).values()
        for sample in family.samples
    }


def value(found: Numbers, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


async def until_it_is(saga: Saga, process: str, name: str, wanted: float, **labels: str) -> None:
    """Wait until a number is at least so much."""

    async def look() -> bool:
        return value(await numbers(saga, process), name, **labels) >= wanted

    await eventually(f"{name} {labels} of {process} at least {wanted}", look, LATER_SECONDS)


def declared_for(process: str) -> dict[str, Metric]:
    """Name them as the parser does: a counter without its ending."""
    mine = [one for one in TABLE if process in one.processes]
    return {one.exposed.removesuffix("_total"): one for one in mine}


def kind_of(declared: Metric) -> str:
    kinds = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
    return kinds[type(declared)]


def strange_labels(declared: Metric, family: Family) -> Iterator[str]:
    """Name what is not as it is declared in the labels of a metric."""
    wanted = {label.name: label for label in declared.labels}
    for sample in family.samples:
        labels = {name: one for name, one in sample.labels.items() if name != "le"}
        if set(labels) != set(wanted):
            yield f"{sample.name}: {sorted(labels)}"
        for name, label in wanted.items():
            if label.known and labels.get(name) not in {*label.known, OTHER}:
                yield f"{sample.name}: {name}={labels.get(name)}"


@pytest.fixture
async def term(saga: Saga, http: HttpClient) -> tuple[str, list[str]]:
    """Students who have enrolled, been refused, cancelled, repeated, and asked for nonsense."""
    term, people = await saga.set_up({"A": 1, "B": 5}, students=3)
    winner, loser, other = people
    key = new_key()
    first = await http.enroll(winner, term, "A", key=key)
    assert (await http.outcome(winner, first.headers["Location"]))["status"] == "confirmed"
    again = await http.enroll(winner, term, "A", key=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    refused = await http.enroll(loser, term, "A")
    assert (await http.outcome(loser, refused.headers["Location"]))["status"] == "rejected"
    asked = await http.enroll(other, term, "B")
    await http.outcome(other, asked.headers["Location"])
    token = http.student(other)
    await http.ask("DELETE", asked.headers["Location"], token=token)
    await saga.enrollment_in(("cancelled",), UUID(asked.json["enrollment_id"]))
    assert (await http.ask("GET", f"/enrollments/{uuid4()}", token=token)).status == 404
    return term, people


@pytest.mark.usefixtures("term")
@pytest.mark.parametrize("process", ALL)
async def test_a_process_shows_what_is_declared_for_it_and_nothing_else(
    saga: Saga, process: str
) -> None:
    declared = declared_for(process)

    async def look() -> bool:
        return set(await families(saga, process)) >= set(declared)

    await eventually(f"all metrics of {process}", look, LATER_SECONDS)
    found = await families(saga, process)

    assert set(found) == set(declared)
    for name, one in declared.items():
        assert found[name].type == kind_of(one), name
        assert found[name].documentation == one.description
        assert not list(strange_labels(one, found[name]))


async def test_an_enrollment_moves_the_numbers_of_all_that_it_passes(
    saga: Saga, http: HttpClient
) -> None:
    before = {process: await numbers(saga, process) for process in ALL}
    term, (student,) = await saga.set_up({"A": 3})
    answer = await http.enroll(student, term, "A")
    await http.outcome(student, answer.headers["Location"])

    steps = {
        "enrollment": ("EnrollmentRequested", "SeatReserved"),
        "student": ("EnrollmentOpened",),
        "capacity": ("StudentValidated",),
    }
    for process, events in steps.items():
        for event in events:
            one = {"name": "step_duration_seconds_count", "event": event}
            was = value(before[process], **one)
            await until_it_is(saga, process, wanted=was + 1, **one)
        for name in (
            "messages_read_total",
            "events_emitted_total",
            "events_published_total",
            "outbox_wait_seconds_count",
            "batch_size_count",
            "batch_duration_seconds_count",
            "event_loop_delay_seconds_count",
        ):
            await until_it_is(saga, process, name, value(before[process], name) + 1)
    outcome = {"name": "enrollment_outcomes_total", "outcome": "confirmed", "reason": "none"}
    took = {"name": "enrollment_duration_seconds_count", "outcome": "confirmed"}
    for one in (outcome, took):
        await until_it_is(saga, "enrollment", wanted=value(before["enrollment"], **one) + 1, **one)
    posted = {"method": "POST", "route": "/enrollments", "status": "2xx"}
    asked = {"name": "http_request_duration_seconds_count", **posted}
    await until_it_is(saga, "ingress", wanted=value(before["ingress"], **asked) + 1, **asked)
    now = await numbers(saga, "enrollment")
    assert value(now, "enrollment_duration_seconds_sum", outcome="confirmed") > 0


@pytest.mark.usefixtures("term")
async def test_refusals_cancels_and_repeats_are_counted(saga: Saga) -> None:
    full = {"outcome": "rejected", "reason": "section_full"}
    undone = {"outcome": "cancelled", "reason": "while_confirmed"}
    await until_it_is(saga, "enrollment", "enrollment_outcomes_total", 1, **full)
    await until_it_is(saga, "enrollment", "enrollment_outcomes_total", 1, **undone)
    await until_it_is(saga, "ingress", "idempotency_lookups_total", 1, result="first")
    await until_it_is(saga, "ingress", "idempotency_lookups_total", 1, result="done")
    await until_it_is(saga, "ingress", "http_refusals_total", 1, problem="not-found")
    missing = {"method": "GET", "route": "/enrollments/{enrollment_id}", "status": "4xx"}
    await until_it_is(saga, "ingress", "http_request_duration_seconds_count", 1, **missing)


async def test_seats_are_counted_over_all_open_sections(saga: Saga) -> None:
    before = await numbers(saga, "capacity")
    term, (student, other) = await saga.set_up({"A": 2, "B": 1}, students=2)
    await saga.outcome(saga.request(student, term, "A", "B"))
    await saga.outcome(saga.request(other, term, "A"))

    wanted = {"sections_open": 2, "sections_full": 2, "seats_capacity": 3, "seats_reserved": 3}
    for name, more in wanted.items():
        await until_it_is(saga, "capacity", name, value(before, name) + more)


async def test_what_nobody_answers_is_pending_grows_old_and_is_rejected_by_its_deadline(
    saga: Saga,
) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    late = {"name": "enrollment_outcomes_total", "outcome": "rejected", "reason": "deadline"}
    before = value(await numbers(saga, "enrollment"), **late)

    with without(saga, "student"):
        enrollment_id = saga.request(student, term, "A", deadline_seconds=25)
        await until_it_is(saga, "enrollment", "enrollments_pending", 1)
        await until_it_is(saga, "enrollment", "enrollments_pending_oldest_seconds", 11)
        await until_it_is(saga, "enrollment", "enrollments_pending_long", 1)
        await saga.outcome(enrollment_id)
        await until_it_is(saga, "enrollment", wanted=before + 1, **late)

    took = {"outcome": "rejected", "le": "10.0"}
    slow = await numbers(saga, "enrollment")
    name = "enrollment_duration_seconds"
    assert value(slow, f"{name}_count", outcome="rejected") > value(slow, f"{name}_bucket", **took)

    async def look() -> bool:
        return value(await numbers(saga, "enrollment"), "enrollments_pending_long") == 0

    await eventually("nothing is pending any more", look, LATER_SECONDS)


async def test_what_is_not_given_back_after_an_end_is_counted_and_grows_old(saga: Saga) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    enrollment_id = saga.request(student, term, "A")
    await saga.enrollment_in(["confirmed"], enrollment_id)

    with without(saga, "capacity"):
        saga.cancel(enrollment_id, student)
        await until_it_is(saga, "ingress", "sagas_compensating", 1)
        await until_it_is(saga, "ingress", "sagas_compensating_oldest_seconds", 1)

    async def look() -> bool:
        return value(await numbers(saga, "ingress"), "sagas_compensating") == 0

    await eventually("all was given back", look, LATER_SECONDS)


async def test_a_sampled_saga_counts_its_spans(saga: Saga, http: HttpClient) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    answer = await http.ask(
        "POST",
        "/enrollments",
        token=http.staff(),
        body={"student_id": student, "term": term, "sections": ["A"]},
        headers={"Debug-Trace": "1"},
    )
    assert answer.status == 202

    for process in ALL:
        await until_it_is(saga, process, "spans_recorded_total", 1)
        await until_it_is(saga, process, "spans_sent_total", 1)


async def test_what_the_server_itself_refuses_is_counted(saga: Saga, http: HttpClient) -> None:
    name, series = "http_refusals_total", {"problem": "headers-too-large"}
    before = value(await numbers(saga, "ingress"), name, **series)

    answer = await http.ask("GET", "/sections", headers={"X-Much": "x" * 100_000})

    assert answer.problem == "headers-too-large"
    await until_it_is(saga, "ingress", name, before + 1, **series)


@pytest.mark.parametrize("process", ALL)
async def test_the_state_of_a_process_at_rest(saga: Saga, process: str) -> None:
    await saga.ready_again()
    await until_it_is(saga, process, "database_up", 1)
    await until_it_is(saga, process, "relay_lease", 1)
    await until_it_is(saga, process, "partitions_owned", 1)
    await until_it_is(saga, process, "database_pool_used", 1, pool="service")
    found = await numbers(saga, process)

    assert value(found, "database_pool_size", pool="service") == 6
    assert value(found, "process_start_time_seconds") > 1.7e9
    for name in ("partitions_out_of_range", "partitions_unowned", "topics_closed"):
        assert found[(name, frozenset())] == 0
    for breaker in ("database", "kafka"):
        assert found[("breaker_open", frozenset({("breaker", breaker)}))] == 0


async def test_the_ingress_tells_how_old_its_view_is_and_what_is_unread(saga: Saga) -> None:
    async def look() -> bool:
        found = await numbers(saga, "ingress")
        names = ("view_age_seconds", "requests_unread", "requests_unread_oldest_seconds")
        return [found.get((name, frozenset())) for name in names] == [0, 0, 0]

    await eventually("all is read", look, LATER_SECONDS)


async def test_metrics_of_the_ingress_are_the_same_on_both_of_its_ports(
    saga: Saga, http: HttpClient
) -> None:
    answer = await http.ask("GET", "/metrics")
    names = {family.name for family in text_string_to_metric_families(answer.text)}

    assert names - BY_EXPORTER == set(await families(saga, "ingress"))
