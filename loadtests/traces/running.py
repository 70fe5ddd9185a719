"""Plays days with a Jaeger beside, and asks it for the traces; or for what they cost."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from deploy.local import stack
from deploy.local.status import Status
from loadtests.auditor.databases import connect, read_tables
from loadtests.chaos.journal import opened_journal
from loadtests.chaos.playground import refuse_what_is_not_ours
from loadtests.day.dataset import Dataset
from loadtests.day.importing import Say
from loadtests.day.report import DayReport
from loadtests.day.running import Wishes, run_day
from loadtests.traces.judging import missing_in, service_graph
from services.cli.target import SERVICES, with_database
from services.cli.traces import Jaeger, TracedSpan, waterfall
from shared.identifiers import EnrollmentId
from shared.trace_context import begin, is_sampled

RATIO: Final = "TRACE_SAMPLE_RATIO"
SENT_SECONDS: Final = 8.0  # spans are sent every five seconds, and Jaeger gathers them
SEARCHES: Final = 50
DEPENDENCY_MS: Final = 3_600_000


@dataclass(frozen=True)
class Load:
    """A day, how fast it is played, and in how many copies."""

    dataset: Dataset
    rate: float | None
    copies: int


@dataclass(frozen=True)
class TraceReport:
    """How many sagas were sampled, how many of their traces are whole, and what others lack."""

    enrollments: int
    sampled: int
    whole: int
    missing: Mapping[str, int]
    searched: int
    found_once: int
    graph: tuple[tuple[str, str], ...]
    graph_missing: tuple[tuple[str, str], ...]
    graph_unknown: tuple[tuple[str, str], ...]
    longest: tuple[str, ...]  # a waterfall
    violations: tuple[str, ...]

    @property
    def is_fine(self) -> bool:
        """Tell whether all is there that should be."""
        is_whole = self.whole == self.sampled > 0 and self.found_once == self.searched
        return is_whole and not (self.graph_missing or self.graph_unknown or self.violations)


@contextmanager
def traced_stack(state_dir: Path, ratio: float, say: Say) -> Iterator[Status]:
    """Run a new stack, with a Jaeger, that samples this share."""
    refuse_what_is_not_ours(state_dir)
    before = os.environ.get(RATIO)
    os.environ[RATIO] = str(ratio)
    try:
        stack.down(state_dir, wipe=True)
        with opened_journal(state_dir):  # by which the next run knows that it may wipe all this
            yield stack.up(state_dir, jaeger=True, on_progress=say)
    finally:
        stack.down(state_dir)
        os.environ.pop(RATIO)
        if before is not None:
            os.environ[RATIO] = before


def play(found: Status, load: Load, say: Say) -> DayReport:
    """Play a day on a stack."""
    kafka, postgres = found.servers.kafka.url, found.servers.postgres.url
    assert kafka is not None
    assert postgres is not None
    pids = {name: one.pid for name, one in found.services.items() if one.pid is not None}
    return run_day(
        load.dataset,
        kafka,
        {name: with_database(postgres, name) for name in SERVICES},
        Wishes(uuid4().hex[:8], load.rate, load.copies),
        pids=pids,
        say=say,
        on_progress=lambda _progress: None,
    )


def run_traces(state_dir: Path, load: Load, ratio: float, say: Say) -> TraceReport:
    """Play a day, and judge the trace of each saga that was sampled."""
    with traced_stack(state_dir, ratio, say) as found:
        report = play(found, load, say)
        time.sleep(SENT_SECONDS)
        postgres, jaeger_status = found.servers.postgres.url, found.servers.jaeger
        assert postgres is not None
        assert jaeger_status is not None
        assert jaeger_status.url is not None
        outcomes = asyncio.run(_outcomes(postgres))
        say(f"asking Jaeger for the sampled ones of {len(outcomes):,} sagas")
        return _judge(Jaeger(jaeger_status.url), outcomes, ratio, report.violations)


async def _outcomes(postgres_url: str) -> dict[EnrollmentId, str]:
    urls = {name: with_database(postgres_url, name) for name in SERVICES}
    async with connect(urls) as connections:
        rows = (await read_tables(connections)).enrollments.values()
    return {EnrollmentId(UUID(row.enrollment_id)): row.state for row in rows}


def _judge(
    jaeger: Jaeger,
    outcomes: Mapping[EnrollmentId, str],
    ratio: float,
    violations: Sequence[str],
) -> TraceReport:
    sampled = [one for one in outcomes if is_sampled(begin(one, ratio))]
    missing: Counter[str] = Counter()
    whole, longest = 0, list[TracedSpan]()
    for one in sampled:
        spans = jaeger.trace(one.hex)
        lacks = missing_in(spans, outcomes[one])
        missing.update(lacks)
        whole += not lacks
        longest = max(longest, spans, key=len)
    searches = sampled[:SEARCHES]
    by_tag = [jaeger.search("enrollment", {"enrollment.id": str(one)}) for one in searches]
    graph = between_services(jaeger.dependencies(round(time.time() * 1000), DEPENDENCY_MS))
    wanted = service_graph()
    return TraceReport(
        enrollments=len(outcomes),
        sampled=len(sampled),
        whole=whole,
        missing=dict(missing.most_common(10)),
        searched=len(searches),
        found_once=sum(len(found) == 1 for found in by_tag),
        graph=tuple(sorted(graph)),
        graph_missing=tuple(sorted(wanted - graph)),
        graph_unknown=tuple(sorted(graph - wanted)),
        longest=tuple(waterfall(longest)) if longest else (),
        violations=tuple(violations),
    )


def between_services(graph: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leave out that a service goes on where it has been itself."""
    return {(one, other) for one, other in graph if one != other}


@dataclass(frozen=True)
class Cost:
    """What the services' processor time for an enrollment is at one ratio, in microseconds."""

    ratio: float
    microseconds: float


def run_cost(
    state_dir: Path, dataset: Dataset, ratios: tuple[float, ...], rounds: int, say: Say
) -> list[list[Cost]]:
    """Play the same day at each ratio in turn, each on a new stack, several times."""
    return [[_cost(state_dir, dataset, ratio, say) for ratio in ratios] for _ in range(rounds)]


def _cost(state_dir: Path, dataset: Dataset, ratio: float, say: Say) -> Cost:
    with traced_stack(state_dir, ratio, say) as found:
        play(found, Load(dataset, None, 1), say)  # until it is warm
        report = play(found, Load(dataset, 500.0, 4), say)
    used = sum(report.cpu_seconds.get(name, 0.0) for name in found.services)
    return Cost(ratio, used / report.requested * 1_000_000)
