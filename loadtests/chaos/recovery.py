"""After the last fault: waits until all is as if nothing had happened, then judges everything."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import sleep, time
from typing import Final

from deploy.local import stack
from loadtests.auditor import audit
from loadtests.auditor.databases import connect
from loadtests.auditor.history import History, read_history
from loadtests.auditor.rest import wait_for_rest
from loadtests.auditor.topics import open_topics
from loadtests.chaos.client import Client
from loadtests.chaos.client_log import Log
from loadtests.chaos.judging import judge_log
from loadtests.chaos.playground import Playground, Say

READY_SECONDS_MAX: Final = 60.0
ACKNOWLEDGED_SECONDS_MAX: Final = 60.0
REST_SECONDS_MAX: Final = 120.0
POLL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Recovery:
    """How long after the last fault all was ready and at rest; None: not within its time."""

    ready_seconds: float | None
    rest_seconds: float | None
    problems: tuple[str, ...] = ()


def recover(ground: Playground, client: Client, say: Say) -> Recovery:
    """Wait until all processes are ready, Kafka has all that was sent, and nothing moves."""
    healed_at = time()
    say("all is healed: waiting until everything is ready")
    if not wait_for(lambda: stack.status(ground.state_dir).is_up, READY_SECONDS_MAX):
        states = stack.status(ground.state_dir).states()
        return Recovery(None, None, (f"not ready {READY_SECONDS_MAX:.0f} s after: {states}",))
    ready_seconds = time() - healed_at
    is_done = wait_for(
        lambda: client.has_sent_all and client.unacknowledged == 0, ACKNOWLEDGED_SECONDS_MAX
    )
    if not is_done:
        return Recovery(ready_seconds, None, (f"{client.unacknowledged} never acknowledged",))
    say("waiting for rest")
    moving = asyncio.run(_wait_for_rest(ground, say))
    if moving:
        return Recovery(ready_seconds, None, tuple(f"no rest: {what}" for what in moving))
    ground.journal.note("rest")
    return Recovery(ready_seconds, time() - healed_at)


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


def judge_all(ground: Playground, log: Log, recovery: Recovery, say: Say) -> list[str]:
    """Give every violation: by the auditor, by the client's log, and that no rest came."""
    violations = _judge(ground, log, recovery, say)
    ground.journal.note("judged", violations=violations)
    return violations


def _judge(ground: Playground, log: Log, recovery: Recovery, say: Say) -> list[str]:
    if recovery.problems:
        return list(recovery.problems)
    report = asyncio.run(audit(ground.kafka_url, ground.database_urls, on_progress=say))
    return [
        *(f"the audit judged nothing, for this moves: {what}" for what in report.still_moving),
        *(f"not checked: {gap}" for gap in report.unchecked),
        *(str(violation) for violation in report.violations),
        *(f"client's log: {text}" for text in judge_log(log.sent, _read_topics(ground))),
    ]


def _read_topics(ground: Playground) -> History:
    with open_topics(ground.kafka_url) as topics:
        return read_history(topics.read())
