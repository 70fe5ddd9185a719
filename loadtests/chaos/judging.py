"""Judge the client's log against the topics: what Kafka acknowledged has exactly one outcome."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loadtests.auditor.contract import CANCELLED, CONFIRMED, REJECTED
from loadtests.auditor.events import Event
from loadtests.auditor.history import History
from loadtests.chaos.client_log import Sent
from loadtests.chaos.workload import TERM, Asks

OUTCOMES: Final = (CONFIRMED, REJECTED, CANCELLED)
# All outcomes of one enrollment, in the order of their partition.
ONE_OUTCOME: Final = ([CONFIRMED], [REJECTED], [CANCELLED], [CONFIRMED, CANCELLED])

Lines = Mapping[str, Sequence[Sent]]  # of each enrollment
Outcomes = Mapping[str, Sequence[Event]]


def judge_log(log: Sequence[Sent], history: History) -> list[str]:
    """Find every promise to this client that was broken, at rest.

    `history` must be of topics where nobody else has asked for anything.
    """
    lines: dict[str, list[Sent]] = defaultdict(list)
    for line in log:
        lines[str(line.message.enrollment_id)].append(line)
    outcomes: dict[str, list[Event]] = defaultdict(list)
    for event in history.events:
        if event.type in OUTCOMES:
            outcomes[event.enrollment_id].append(event)
    return [
        *_lost_by_kafka(log, history),
        *_without_one_outcome(lines, outcomes),
        *_invented(lines, outcomes),
        *_confirmed_after_a_cancel(lines, outcomes),
        *_other_than_asked_for(lines, outcomes),
    ]


def _lost_by_kafka(log: Sequence[Sent], history: History) -> Iterator[str]:
    """Every acknowledged message is where Kafka said that it is."""
    there = {(one.partition, one.offset): one.enrollment_id for one in history.requests}
    for line in _acknowledged(log):
        name, asks = line.message.enrollment_id, line.message.asks
        if line.place is None or there.get(line.place) != str(name):
            yield f"enrollment {name}: {asks} was acknowledged at {line.place} and is not there"


def _without_one_outcome(lines: Lines, outcomes: Outcomes) -> Iterator[str]:
    """What was acknowledged is decided, and nothing is decided twice."""
    for name, sent in lines.items():
        found = [event.type for event in outcomes.get(name, ())]
        is_due = any(line.message.asks is Asks.SEATS for line in _acknowledged(sent))
        if (found or is_due) and found not in ONE_OUTCOME:
            yield f"enrollment {name}: {', '.join(found) or 'no outcome'}, and one outcome is due"


def _invented(lines: Lines, outcomes: Outcomes) -> Iterator[str]:
    """Nothing is decided that nobody asked for."""
    for name, events in outcomes.items():
        asked = [line for line in lines.get(name, ()) if line.message.asks is Asks.SEATS]
        if not asked:
            yield f"enrollment {name}: {events[0].type}, and the client never asked for it"


def _confirmed_after_a_cancel(lines: Lines, outcomes: Outcomes) -> Iterator[str]:
    """An acknowledged cancel leaves nothing confirmed."""
    for name, sent in lines.items():
        is_cancelled = any(line.message.asks is Asks.CANCEL for line in _acknowledged(sent))
        events = outcomes.get(name, ())
        if is_cancelled and events and events[-1].type == CONFIRMED:
            yield f"enrollment {name}: its cancel was acknowledged, and it ends confirmed"


def _other_than_asked_for(lines: Lines, outcomes: Outcomes) -> Iterator[str]:
    """An outcome is about the student and the sections of a request with its id."""
    for name, sent in lines.items():
        asked = {
            (line.message.student_id, TERM, line.message.sections)
            for line in sent
            if line.message.asks is Asks.SEATS
        }
        for event in outcomes.get(name, ()):
            if asked and (event.student_id, event.term, event.sections) not in asked:
                wanted = f"{event.student_id} {event.term}/{','.join(event.sections)}"
                yield f"enrollment {name}: {event.type} for {wanted}, which nobody asked for"


def _acknowledged(lines: Sequence[Sent]) -> Iterator[Sent]:
    return (line for line in lines if line.acknowledged_at is not None)
