import pytest

from services.cli.dead_letter_work import (
    discard,
    find_letters,
    one_of_each_queue,
    outcome_named,
    replay,
    try_out,
)
from services.cli.output import CliError
from services.cli.target import INGRESS, Target, transaction
from services.cli.tests.saga import TRACE, a_request, outbox, park, play, publish_catalogs
from services.enrollment.ingress.view import queries
from services.enrollment.ingress.view.model import Status
from services.enrollment.store import find_conflicts, find_enrollment
from services.tests.http.collector import running_collector
from shared.dead_letter import Outcome
from shared.errors import DeadLetterError
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentCancelled,
    EnrollmentRequested,
    StudentValidated,
)
from shared.letter_rows import ALL

OPERATOR = "amalia"


def validated(request: EnrollmentRequested) -> StudentValidated:
    return StudentValidated(**request.model_dump(exclude={"deadline_seconds"}), credits=3)


def cancelled(request: EnrollmentRequested) -> EnrollmentCancelled:
    return EnrollmentCancelled(**request.model_dump(exclude={"deadline_seconds"}), was="confirmed")


async def test_capacity_decides_a_replayed_queue_by_its_own_rules(target: Target) -> None:
    await publish_catalogs(target)
    request = a_request()
    [first] = await park(target, "capacity", validated(request))

    done = await replay(target, "capacity", first, OPERATOR)

    assert done.letter_ids == [first]
    assert done.says == ["SeatReserved"]
    assert await outbox(target, "capacity") == ["SeatReserved"]


async def test_a_replay_has_a_trace_of_its_own_that_is_linked_to_the_sagas(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish_catalogs(target)
    [letter_id] = await park(target, "capacity", validated(a_request()))

    with running_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        await replay(target, "capacity", letter_id, OPERATOR)
        (told,) = collector.all()

    saga_trace = TRACE.split("-")[1]
    assert (told.name, told.links) == ("replay dead letter", (saga_trace,))
    assert told.trace_id != saga_trace
    assert told.attributes["dead_letter.emitted"] == ["SeatReserved"]
    assert "enrollment.id" not in told.attributes


async def test_a_replay_that_is_only_tried_tells_the_same_and_changes_nothing(
    target: Target,
) -> None:
    await publish_catalogs(target)
    [first] = await park(target, "capacity", validated(a_request()))

    tried = await try_out(target, "capacity", first, OPERATOR)
    left = await find_letters(target, "capacity", ALL)
    said = await outbox(target, "capacity")
    replayed = await replay(target, "capacity", first, OPERATOR)

    assert tried == replayed
    assert ([letter.id for _, letter in left], said) == ([first], [])


async def test_of_a_queue_one_is_replayed_with_all_others(target: Target) -> None:
    request, other = a_request(), a_request()
    await park(target, "capacity", validated(request), cancelled(request), validated(other))
    await park(target, "student", cancelled(request))

    found = await find_letters(target, None, ALL)

    assert [
        (service, letter.event_type, letter.enrollment_id)
        for service, letter in one_of_each_queue(found)
    ] == [
        ("student", "EnrollmentCancelled", request.enrollment_id),
        ("capacity", "StudentValidated", request.enrollment_id),
        ("capacity", "EnrollmentCancelled", request.enrollment_id),
        ("capacity", "StudentValidated", other.enrollment_id),
    ]


async def test_a_compensation_is_replayed_and_gives_the_seat_back(target: Target) -> None:
    await publish_catalogs(target)
    request = a_request()
    await play(target, request)
    [letter_id] = await park(target, "capacity", cancelled(request))

    done = await replay(target, "capacity", letter_id, OPERATOR)

    assert done.says == ["SeatReleased"]


async def test_a_compensation_cannot_be_discarded(target: Target) -> None:
    [letter_id] = await park(target, "student", cancelled(a_request()))

    with pytest.raises(DeadLetterError, match="must not be discarded"):
        await discard(target, "student", letter_id, None, OPERATOR)


async def test_a_discarded_request_is_rejected_and_said_so_at_once(target: Target) -> None:
    request = a_request()
    [letter_id] = await park(target, "enrollment", request)

    done = await discard(target, "enrollment", letter_id, Outcome.REJECTED, OPERATOR)

    assert done.says == ["EnrollmentRejected"]
    assert await outbox(target, "enrollment") == ["EnrollmentRejected"]
    async with transaction(target, "enrollment") as begun:
        found = await find_enrollment(begun, request.enrollment_id)
    assert found is not None
    assert (found.state, found.stage) == ("rejected", "request")
    assert found.sections == request.sections


async def test_a_repeat_of_a_discarded_request_is_a_plain_duplicate(target: Target) -> None:
    request = a_request()
    [letter_id] = await park(target, "enrollment", request)
    await discard(target, "enrollment", letter_id, Outcome.REJECTED, OPERATOR)

    said = await play(target, request)

    assert said == []
    async with transaction(target, "enrollment") as begun:
        assert await find_conflicts(begun, request.enrollment_id) == []


async def test_a_discarded_cancel_lets_the_enrollment_stand(target: Target) -> None:
    await publish_catalogs(target)
    request = a_request()
    await play(target, request)
    cancel = EnrollmentCancellationRequested(
        enrollment_id=request.enrollment_id, student_id=request.student_id
    )
    [letter_id] = await park(target, "enrollment", cancel)

    done = await discard(target, "enrollment", letter_id, Outcome.STANDS, OPERATOR)

    assert done.says == []
    async with transaction(target, "enrollment") as begun:
        found = await find_enrollment(begun, request.enrollment_id)
    assert found is not None
    assert found.state == "confirmed"


async def test_who_did_what_is_recorded(target: Target) -> None:
    [letter_id] = await park(target, "capacity", validated(a_request()))

    await discard(target, "capacity", letter_id, None, OPERATOR)

    async with transaction(target, "capacity") as begun:
        rows = await begun.fetch("SELECT operator, action, subject FROM audit_trail")
    assert [tuple(row.values()) for row in rows] == [
        (OPERATOR, "dead_letter.discard", "student.events/0/0")
    ]


def test_an_outcome_that_is_none_is_named() -> None:
    with pytest.raises(CliError, match="it can be one of rejected, stands"):
        outcome_named("confirmed")


async def test_what_the_view_could_not_keep_is_replayed_into_it_and_nothing_is_said(
    target: Target,
) -> None:
    request = a_request()
    [letter_id] = await park(target, INGRESS, cancelled(request))

    done = await replay(target, INGRESS, letter_id, OPERATOR)

    assert (done.letter_ids, done.says) == ([letter_id], [])
    async with transaction(target, INGRESS) as begun:
        found = await queries.find(begun, [request.enrollment_id])
    assert found[request.enrollment_id].status is Status.CANCELLED
