"""One saga is one trace, from the edge to the outcome, with whatever undoes it."""

from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

from services.tests.http.client import HttpClient
from services.tests.http.collector import Collector, Received
from services.tests.saga.client import Saga, message, request_body
from services.tests.saga.test_compensation import without
from services.tests.saga.waiting import eventually

DEBUG = {"Debug-Trace": "1"}
UPSTREAM = ("b7ad6b7169203331",)
CONFIRMED = {
    ("enrollment", "process enrollment.requests"),
    ("enrollment", "outbox enrollment.events"),
    ("enrollment", "send enrollment.events"),
    ("student", "process enrollment.events"),
    ("student", "outbox student.events"),
    ("student", "send student.events"),
    ("capacity", "process student.events"),
    ("capacity", "outbox capacity.events"),
    ("capacity", "send capacity.events"),
    ("enrollment", "process capacity.events"),
}  # nobody waits for the outcome: it is sent, and that is all

UNDONE = {"SeatUnavailable", "EnrollmentRejected", "StudentClaimReleased"}
DEADLINE = ("enrollment", "deadline passed")

Trace = list[Received]


def strangers(trace: Trace) -> list[str]:
    """Name what is continued and not in the trace: of a whole one that is what came before it."""
    known = {one.span_id for one in trace}
    return [one.parent_id for one in trace if one.parent_id not in known]


def said(trace: Sequence[Received]) -> set[tuple[str, str]]:
    return {(one.service, one.name) for one in trace}


def outcomes(trace: Sequence[Received]) -> set[str]:
    return {one.attributes["enrollment.outcome"] for one in trace if is_outcome(one)}


def reasons(trace: Sequence[Received]) -> set[str]:
    told = (one.attributes.get("enrollment.reasons", ()) for one in trace)
    return {code for codes in told for code in codes}


def is_outcome(one: Received) -> bool:
    return "enrollment.outcome" in one.attributes


def types_in(trace: Sequence[Received]) -> set[str]:
    """Name the events that were sent in a trace."""
    sent = (one for one in trace if one.name.startswith("send "))
    return {one.attributes["cloudevents.event_type"] for one in sent}


async def one_trace(
    collector: Collector,
    enrollment_id: UUID,
    is_whole: Callable[[Trace], object],
    *,
    came_from: Sequence[str] = ("",),
) -> Trace:
    """Wait until the one trace that a search by the id finds is whole, and give it.

    Each process sends its spans every second: what a span continues may come later.
    """

    async def look() -> Trace | None:
        traces = list(collector.traces_of(enrollment_id).values())
        assert len(traces) <= 1
        whole = [one for one in traces if is_whole(one) and strangers(one) == list(came_from)]
        return whole[0] if whole else None

    return await eventually(f"the trace of {enrollment_id}", look)


async def ask(http: HttpClient, student: str, term: str, *sections: str, **more: str) -> UUID:
    answer = await http.ask(
        "POST",
        "/enrollments",
        token=http.staff(),
        body={"student_id": student, "term": term, "sections": list(sections)},
        headers={"Idempotency-Key": str(uuid4()), **DEBUG, **more},
    )
    assert answer.status == 202, answer
    return UUID(answer.json["enrollment_id"])


async def test_a_saga_is_one_trace_from_the_http_request_to_its_outcome(
    saga: Saga, http: HttpClient, collector: Collector
) -> None:
    term, (student,) = await saga.set_up({"A": 1, "B": 1})

    enrollment_id = await ask(http, student, term, "A", "B")
    trace = await one_trace(collector, enrollment_id, lambda found: said(found) >= CONFIRMED)

    assert said(trace) == CONFIRMED | {("ingress", "POST /enrollments")}
    assert {one.trace_id for one in trace} == {enrollment_id.hex}
    assert outcomes(trace) == {"confirmed"}
    assert not any(one.is_error for one in trace)
    (request,) = (one for one in trace if one.service == "ingress")
    assert request.attributes["http.response.status_code"] == 202
    assert request.attributes["enrollment.student_id"] == student
    assert request.attributes["enrollment.sections"] == ["A", "B"]
    linked = [one for one in collector.all() if enrollment_id.hex in one.links]
    assert {one.name for one in linked} == {"process batch"}
    assert all("enrollment.id" not in one.attributes for one in linked)


async def test_the_trace_of_an_upstream_system_is_continued(
    saga: Saga, collector: Collector
) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    enrollment_id, trace_id = uuid4(), uuid4().hex
    mail = message(request_body(enrollment_id, student, term, ["A"]))
    mail.headers.append(("traceparent", f"00-{trace_id}-{UPSTREAM[0]}-01".encode()))

    saga.send(mail)
    trace = await one_trace(
        collector, enrollment_id, lambda found: said(found) >= CONFIRMED, came_from=UPSTREAM
    )

    assert {one.trace_id for one in trace} == {trace_id}
    assert said(trace) == CONFIRMED


async def test_a_refusal_and_what_it_undoes_are_in_the_trace_and_no_error(
    saga: Saga, http: HttpClient, collector: Collector
) -> None:
    term, (other, student) = await saga.set_up({"A": 1, "B": 1}, students=2)
    taken = await ask(http, other, term, "B")
    await saga.outcome(taken)

    enrollment_id = await ask(http, student, term, "A", "B")
    trace = await one_trace(
        collector, enrollment_id, lambda found: types_in(found) >= UNDONE and reasons(found)
    )

    assert outcomes(trace) == {"rejected"}
    assert reasons(trace) == {"section_full"}
    assert not any(one.is_error for one in trace)


async def test_a_cancel_is_in_the_trace_of_its_enrollment(
    saga: Saga, http: HttpClient, collector: Collector
) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    enrollment_id = await ask(http, student, term, "A")
    await http.outcome(student, f"/enrollments/{enrollment_id}")

    answer = await http.ask(
        "DELETE", f"/enrollments/{enrollment_id}", token=http.staff(), headers=DEBUG
    )
    assert answer.status == 202, answer
    trace = await one_trace(
        collector,
        enrollment_id,
        lambda found: (
            "SeatReleased" in types_in(found) and outcomes(found) == {"confirmed", "cancelled"}
        ),
        came_from=("", ""),  # both requests are edges
    )

    assert ("ingress", "DELETE /enrollments/{enrollment_id}") in said(trace)
    assert {one.trace_id for one in trace} == {enrollment_id.hex}


async def test_a_deadline_that_passes_is_a_step_of_the_trace(
    saga: Saga, collector: Collector
) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    enrollment_id = uuid4()
    body = request_body(enrollment_id, student, term, ["A"], deadline_seconds=1.0)
    mail = message(body)
    mail.headers.append(("traceparent", f"00-{enrollment_id.hex}-{UPSTREAM[0]}-01".encode()))

    with without(saga, "capacity"):
        saga.send(mail)
        trace = await one_trace(
            collector,
            enrollment_id,
            lambda found: DEADLINE in said(found) and "StudentClaimReleased" in types_in(found),
            came_from=UPSTREAM,
        )
    await saga.ready_again()

    assert outcomes(trace) == {"rejected"}  # of which that step tells


async def test_only_staff_can_ask_for_a_trace(
    saga: Saga, http: HttpClient, collector: Collector
) -> None:
    term, (student, other) = await saga.set_up({"A": 2}, students=2)

    wanted = {**DEBUG, "traceparent": f"00-{uuid4().hex}-{UPSTREAM[0]}-01"}
    answer = await http.enroll(student, term, "A", **wanted)
    enrollment_id = UUID(answer.json["enrollment_id"])
    await http.outcome(student, f"/enrollments/{enrollment_id}")
    later = await ask(http, other, term, "A")
    await one_trace(collector, later, lambda found: said(found) >= CONFIRMED)

    assert not collector.traces_of(enrollment_id)
