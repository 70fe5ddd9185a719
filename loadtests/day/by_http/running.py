"""Plays a whole day through the ingress: import, sign, ask, collect, audit, compare, report."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from loadtests.day.by_http.asks import Sign, prepare_asks
from loadtests.day.by_http.playing import PlayedByHttp, play_by_http
from loadtests.day.by_http.reporting import accepted_in_vain, broken_by_answers, http_report_of
from loadtests.day.cpu import usage_of, used_between
from loadtests.day.dataset import Dataset
from loadtests.day.importing import Say
from loadtests.day.playing import OnProgress
from loadtests.day.report import DayReport, report_of
from loadtests.day.running import CLIENT, Wishes, audited, imported_copies
from loadtests.plain_http.client import address_of

OWNER: Final = "enrollment"  # the service that says what became of an enrollment


@dataclass(frozen=True)
class Edge:
    """The ingresses that share the requests, and how tokens for them are made."""

    urls: Sequence[str]
    sign: Sign
    connections: int


def run_day_by_http(
    dataset: Dataset,
    kafka_url: str,
    database_urls: Mapping[str, str],
    wishes: Wishes,
    *,
    edge: Edge,
    pids: Mapping[str, int],
    say: Say,
    on_progress: OnProgress,
) -> DayReport:
    """Play the day as run_day does, but through the ingress."""
    asks = _asks(imported_copies(dataset, kafka_url, wishes, say), wishes, edge, say)
    say(f"asking for {len(asks):,} enrollments as run {wishes.run}")
    measured = {CLIENT: os.getpid(), **pids}
    before = usage_of(measured)
    played = _played(kafka_url, asks, wishes, edge, on_progress)
    cpu_seconds = used_between(before, usage_of(measured))
    violations = [*broken_by_answers(played), *audited(kafka_url, database_urls, say)]
    violations += asyncio.run(accepted_in_vain(database_urls[OWNER], played.log.accepted.values()))
    report = report_of(wishes.run, len(asks), played, cpu_seconds, violations)
    return replace(report, http=http_report_of(played.log, cpu_seconds))


def _asks(copies: Sequence[Dataset], wishes: Wishes, edge: Edge, say: Say) -> list[bytes]:
    say("signing the students' tokens")
    return prepare_asks(copies, wishes.run, edge.sign)


def _played(
    kafka_url: str, asks: Sequence[bytes], wishes: Wishes, edge: Edge, on_progress: OnProgress
) -> PlayedByHttp:
    return play_by_http(
        kafka_url,
        [address_of(url) for url in edge.urls],
        asks,
        rate=wishes.rate,
        connections=edge.connections,
        patience_seconds=wishes.patience_seconds,
        on_progress=on_progress,
    )
