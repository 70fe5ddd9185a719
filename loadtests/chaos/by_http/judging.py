"""Judge the log of the ingress's clients against the topics: what was promised has happened."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from loadtests.auditor.contract import CANCELLED, CONFIRMED, REJECTED
from loadtests.auditor.events import Event
from loadtests.auditor.history import History
from loadtests.auditor.requests import Kind
from loadtests.chaos.by_http.asks import Act, Ask
from loadtests.chaos.by_http.log import ASKS_FOR_PATIENCE, HttpLog
from loadtests.chaos.judging import ONE_OUTCOME, OUTCOMES
from loadtests.chaos.workload import TERM

RIGHT: Final = {Act.ENROLL: 202, Act.CANCEL: 202, Act.LOOK: 200}
KEY_REUSED: Final = 422
NOTHING: Final = frozenset({REJECTED, CANCELLED})  # ends after which the same may be asked anew

Outcomes = Mapping[str, Sequence[Event]]


def apart(history: History, students: Collection[str]) -> tuple[History, History]:
    """Divide a history into that of these students and that of all others."""
    return _of(history, students, wanted=True), _of(history, students, wanted=False)


def _of(history: History, students: Collection[str], *, wanted: bool) -> History:
    return replace(
        history,
        requests=tuple(r for r in history.requests if (r.student_id in students) is wanted),
        events=tuple(e for e in history.events if (e.student_id in students) is wanted),
    )


def judge_http_log(log: HttpLog, history: History) -> list[str]:
    """Find every promise to these clients that was broken, at rest.

    `history` must be of topics where nobody else has asked for anything.
    """
    outcomes: dict[str, list[Event]] = defaultdict(list)
    for event in history.events:
        if event.type in OUTCOMES:
            outcomes[event.enrollment_id].append(event)
    return [
        *_never_answered(log),
        *_answered_badly(log),
        *_answered_differently(log),
        *_accepted_and_lost(log, history),
        *_without_one_outcome(log, outcomes),
        *_confirmed_after_a_cancel(log, outcomes),
        *_more_than_one_enrollment(log, outcomes),
    ]


def outcome_of(events: Sequence[Event]) -> str | None:
    """Give the last outcome of an enrollment, if it has one."""
    return events[-1].type if events else None


def _never_answered(log: HttpLog) -> Iterator[str]:
    """Whoever repeats is answered in the end."""
    for number in log.unanswered():
        yield f"ask {number} was never answered"


def _answered_badly(log: HttpLog) -> Iterator[str]:
    """No answer is one that the contract does not know here; those who may repeat hear when."""
    bodies: dict[Hashable, set[object]] = defaultdict(set)
    for one in log.tries:
        bodies[_same(one.ask)].add(one.ask.content)
    for one in log.tries:
        status = one.answer.status
        is_reused = status == KEY_REUSED and len(bodies[_same(one.ask)]) > 1
        if status in ASKS_FOR_PATIENCE and not (one.answer.retry_after or "").isdecimal():
            yield f"ask {one.number} ({one.ask.act}): {status} without Retry-After"
        elif status not in {None, RIGHT[one.ask.act], *ASKS_FOR_PATIENCE} and not is_reused:
            yield f"ask {one.number} ({one.ask.act}): answered {one.answer.said}"


def _same(ask: Ask) -> Hashable:
    """Name what makes asks the same request to the ingress: the key, or else the content."""
    named: Hashable = ask.content if ask.key is None else ask.key
    return ask.act, ask.student_id, named


def _answered_differently(log: HttpLog) -> Iterator[str]:
    """All that is accepted under one key is answered alike, in status, body and Location."""
    answers: dict[Hashable, set[tuple[object, ...]]] = defaultdict(set)
    for one in log.tries:
        if one.is_accepted and one.ask.key is not None:
            answer = one.answer
            answers[_same(one.ask)].add((answer.status, answer.body, answer.location))
    for same, found in answers.items():
        if len(found) > 1:
            ways = "; ".join(sorted(map(str, found)))
            yield f"{same} was answered in {len(found)} ways: {ways}"


def _accepted_and_lost(log: HttpLog, history: History) -> Iterator[str]:
    """Every 202 is about a message that is in Kafka."""
    asked = {(one.kind is Kind.CANCEL, one.enrollment_id) for one in history.requests}
    for act in (Act.ENROLL, Act.CANCEL):
        for name in sorted({str(one.answer.enrollment_id) for one in log.accepted(act)}):
            if (act is Act.CANCEL, name) not in asked:
                yield f"enrollment {name}: {act} was answered 202, and Kafka never got it"


def _without_one_outcome(log: HttpLog, outcomes: Outcomes) -> Iterator[str]:
    """What was accepted is decided, and nothing is decided twice."""
    accepted = {str(one.answer.enrollment_id) for one in log.accepted(Act.ENROLL)}
    for name in sorted(accepted | outcomes.keys()):
        found = [event.type for event in outcomes.get(name, ())]
        if found not in ONE_OUTCOME:
            yield f"enrollment {name}: {', '.join(found) or 'no outcome'}, and one outcome is due"


def _confirmed_after_a_cancel(log: HttpLog, outcomes: Outcomes) -> Iterator[str]:
    """An accepted cancel leaves nothing confirmed."""
    for name in sorted({str(one.answer.enrollment_id) for one in log.accepted(Act.CANCEL)}):
        if outcome_of(outcomes.get(name, ())) == CONFIRMED:
            yield f"enrollment {name}: its cancel was accepted, and it ends confirmed"


def _more_than_one_enrollment(log: HttpLog, outcomes: Outcomes) -> Iterator[str]:
    """A request has one enrollment; without a key, one that has not come to nothing."""
    asks_of = {one.ask.content: one.ask for one in log.tries if one.ask.act is Act.ENROLL}
    enrollments: dict[int, list[Event]] = defaultdict(list)
    for name, events in outcomes.items():
        ask = asks_of.get((events[0].student_id, frozenset(events[0].sections)))  # type: ignore[arg-type]
        if ask is None or events[0].term != TERM:
            yield f"enrollment {name}: {events[0].type}, and nobody asked for it"
            continue
        enrollments[ask.request].append(events[-1])
    keyless = {one.ask.request for one in log.tries if _is_keyless(one.ask)}
    for request, last in enrollments.items():
        lasting = [event for event in last if request not in keyless or event.type not in NOTHING]
        if len(lasting) > 1:
            names = ", ".join(sorted(event.enrollment_id for event in lasting))
            yield f"request {request} has {len(lasting)} enrollments: {names}"


def _is_keyless(ask: Ask) -> bool:
    return ask.act is Act.ENROLL and ask.key is None
