"""Plays a whole day against running services: import, publish, collect, audit, report."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loadtests.auditor import audit
from loadtests.day.copies import copy_of
from loadtests.day.cpu import usage_of, used_between
from loadtests.day.dataset import Dataset
from loadtests.day.importing import Say, import_datasets
from loadtests.day.playing import OnProgress, play
from loadtests.day.report import DayReport, report_of, undelivered
from loadtests.day.requests import prepare
from shared.clock import system_clock

CLIENT: Final = "client"
REST_SECONDS_MAX: Final = 60.0


@dataclass(frozen=True)
class Wishes:
    """How a day is to be played: as fast as Kafka takes it where there is no `rate`."""

    run: str
    rate: float | None = None
    copies: int = 1
    patience_seconds: float = 60.0


def run_day(
    dataset: Dataset,
    kafka_url: str,
    database_urls: Mapping[str, str],
    wishes: Wishes,
    *,
    pids: Mapping[str, int],
    say: Say,
    on_progress: OnProgress,
) -> DayReport:
    """Play the day; `pids` names the processes whose processor time is to be reported too."""
    batch = prepare(imported_copies(dataset, kafka_url, wishes, say), wishes.run, system_clock())
    say(f"publishing {len(batch.messages):,} requests as run {wishes.run}")
    measured = {CLIENT: os.getpid(), **pids}
    before = usage_of(measured)
    played = play(
        kafka_url,
        batch,
        rate=wishes.rate,
        patience_seconds=wishes.patience_seconds,
        on_progress=on_progress,
    )
    cpu_seconds = used_between(before, usage_of(measured))
    violations = [*undelivered(played), *audited(kafka_url, database_urls, say)]
    return report_of(wishes.run, len(batch.messages), played, cpu_seconds, violations)


def imported_copies(dataset: Dataset, kafka_url: str, wishes: Wishes, say: Say) -> list[Dataset]:
    """Import every copy; what they are made into may outlive them."""
    copies = [copy_of(dataset, number) for number in range(1, wishes.copies + 1)]
    import_datasets(kafka_url, copies, say)
    return copies


def audited(kafka_url: str, database_urls: Mapping[str, str], say: Say) -> list[str]:
    """Audit everything, once it is at rest; that it does not come to rest is a violation too."""
    say("auditing")
    report = asyncio.run(
        audit(kafka_url, dict(database_urls), rest_seconds=REST_SECONDS_MAX, on_progress=say)
    )
    restless = [f"the audit judged nothing, for this moves: {what}" for what in report.still_moving]
    return [*restless, *(str(violation) for violation in report.violations)]
