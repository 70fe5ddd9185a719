"""Judge the dead letters: whatever cannot be read is parked, whatever can be is not."""

from collections.abc import Iterator

from loadtests.auditor.contract import ENROLLMENT, REQUESTS, SAGA_TOPICS
from loadtests.auditor.history import History
from loadtests.auditor.report import Invariant, Violation
from loadtests.auditor.tables import Tables


def judge_letters(history: History, tables: Tables) -> Iterator[Violation]:
    """Compare the messages of the topics with what was parked and what operators did."""
    parked = {letter.place for letter in tables.dead_letters if letter.service == ENROLLMENT}
    ended = {record.subject for record in tables.trails.get(ENROLLMENT, ())}
    for message in history.unreadable:
        if message.place not in parked and message.place not in ended:
            text = f"unreadable ({message.reason}), and neither parked nor ended by an operator"
            yield Violation(Invariant.ONE_OUTCOME, f"message {message.place}", text)
    readable = {request.place for request in history.requests}
    for letter in tables.dead_letters:
        if letter.holds:
            continue
        if letter.place in readable or letter.topic in SAGA_TOPICS:
            text = f"parked by {letter.service} as {letter.reason}, and readable"
            yield Violation(Invariant.ONE_OUTCOME, f"message {letter.place}", text)
        elif letter.topic == REQUESTS and letter.place not in {m.place for m in history.unreadable}:
            text = f"parked by {letter.service} as {letter.reason}, and not in the topic"
            yield Violation(Invariant.ONE_OUTCOME, f"message {letter.place}", text)
