"""After the last fault: waits until all is as if nothing had happened, then judges everything."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import sleep, time
from typing import Final, Protocol

from deploy.local import stack
from loadtests.auditor import audit
from loadtests.auditor.databases import connect
from loadtests.auditor.history import History, read_history
from loadtests.auditor.rest import wait_for_rest
from loadtests.auditor.topics import open_topics
from loadtests.chaos.playground import Playground, Say

READY_SECONDS_MAX: Final = 60.0
ANSWERED_SECONDS_MAX: Final = 180.0  # breakers may stay open for 30 s, and clients wait for them
REST_SECONDS_MAX: Final = 120.0
POLL_SECONDS: Final = 0.1

Judge = Callable[[History], list[str]]  # of what the topics say, at rest


class LoadClient(Protocol):
    """Who makes the load."""

    @property
    def is_done(self) -> bool:
        """Tell whether all that was asked for is answered."""

    def news(self) -> str:
        """Say how far it is."""

    def raise_if_failed(self) -> None:
        """Tell what ended it early."""


@dataclass(frozen=True)
class Recovery:
    """How long after the last fault all was ready, answered, at rest; None: not in its time."""

    ready_seconds: float | None = None
    answered_seconds: float | None = None
    rest_seconds: float | None = None
    problems: tuple[str, ...] = ()


def recover(ground: Playground, clients: Sequence[LoadClient], say: Say) -> Recovery:
    """Wait until all processes are ready, all that was asked is answered, and nothing moves."""
    healed_at = time()
    say("all is healed: waiting until everything is ready")
    if not wait_for(lambda: stack.status(ground.state_dir).is_up, READY_SECONDS_MAX):
        states = stack.status(ground.state_dir).states()
        return Recovery(problems=(f"not ready {READY_SECONDS_MAX:.0f} s after: {states}",))
    ready_seconds = time() - healed_at
    if not wait_for(lambda: _are_done(clients), ANSWERED_SECONDS_MAX):
        left = tuple(f"not answered: {one.news()}" for one in clients if not one.is_done)
        return Recovery(ready_seconds, problems=left)
    answered_seconds = time() - healed_at
    say("waiting for rest")
    moving = asyncio.run(_wait_for_rest(ground, say))
    if moving:
        problems = tuple(f"no rest: {what}" for what in moving)
        return Recovery(ready_seconds, answered_seconds, problems=problems)
    ground.journal.note("rest")
    return Recovery(ready_seconds, answered_seconds, time() - healed_at)


def _are_done(clients: Sequence[LoadClient]) -> bool:
    for one in clients:
        one.raise_if_failed()
    return all(one.is_done for one in clients)


def wait_for(
    condition: Callable[[], bool], seconds_max: float, poll_seconds: float = POLL_SECONDS
) -> bool:
    """Tell whether a condition came true in time."""
    deadline = time() + seconds_max
    while not condition():
        if time() > deadline:
            return False
        sleep(poll_seconds)
    return True


async def _wait_for_rest(ground: Playground, say: Say) -> tuple[str, ...]:
    with open_topics(ground.kafka_url) as topics:
        async with connect(ground.database_urls) as connections:
            _, moving = await wait_for_rest(
                topics, connections, rest_seconds=REST_SECONDS_MAX, on_progress=say
            )
            return moving


def judge_all(
    ground: Playground, judges: Sequence[Judge], recovery: Recovery, say: Say
) -> list[str]:
    """Give every violation: by the auditor, by these judges, and that no rest came."""
    violations = _judge(ground, judges, recovery, say)
    ground.journal.note("judged", violations=violations)
    return violations


def _judge(ground: Playground, judges: Sequence[Judge], recovery: Recovery, say: Say) -> list[str]:
    if recovery.problems:
        return list(recovery.problems)
    report = asyncio.run(audit(ground.kafka_url, ground.database_urls, on_progress=say))
    history = _read_topics(ground)
    return [
        *(f"the audit judged nothing, for this moves: {what}" for what in report.still_moving),
        *(f"not checked: {gap}" for gap in report.unchecked),
        *(str(violation) for violation in report.violations),
        *(f"client's log: {text}" for judge in judges for text in judge(history)),
    ]


def _read_topics(ground: Playground) -> History:
    with open_topics(ground.kafka_url) as topics:
        return read_history(topics.read())
