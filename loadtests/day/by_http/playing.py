"""One loop that asks for everything, reads the outcomes, and says how far it is."""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import uvloop

from loadtests.day.by_http.answers import AnswerLog
from loadtests.day.by_http.client import Client
from loadtests.day.collector import AwaitedOutcomes, Collector
from loadtests.day.lag import Lag
from loadtests.day.playing import News, OnProgress, Played
from loadtests.plain_http.client import Address, PlainClient

READ_SECONDS: Final = 0.004  # how often outcomes are read, and so how much later each may look


@dataclass(frozen=True)
class PlayedByHttp(Played):
    """What came of a run, and what the ingress answered."""

    log: AnswerLog


def play_by_http(
    kafka_url: str,
    addresses: Sequence[Address],
    asks: Sequence[bytes],
    *,
    rate: float | None,
    connections: int,
    patience_seconds: float,
    on_progress: OnProgress,
) -> PlayedByHttp:
    """Ask for everything and wait for the outcomes, until nothing has come for so long."""
    outcomes = AwaitedOutcomes(len(asks))
    collector = Collector(kafka_url, outcomes)
    lag = Lag(kafka_url)
    run = _Run(collector, outcomes, News(lag, on_progress), patience_seconds)
    gc.freeze()  # what was prepared stays to the end: there is nothing in it to collect
    try:
        return uvloop.run(run.play(addresses, asks, rate=rate, connections=connections))
    finally:
        gc.unfreeze()
        collector.close()
        lag.close()


class _Run:
    def __init__(
        self,
        collector: Collector,
        outcomes: AwaitedOutcomes,
        news: News,
        patience_seconds: float,
    ) -> None:
        self._collector = collector
        self._outcomes = outcomes
        self._news = news
        self._patience_seconds = patience_seconds

    async def play(
        self,
        addresses: Sequence[Address],
        asks: Sequence[bytes],
        *,
        rate: float | None,
        connections: int,
    ) -> PlayedByHttp:
        log = AnswerLog(len(asks))
        http = PlainClient(connections)
        client = Client(http, addresses, asks, log, self._outcomes.expect)
        first_at = perf_counter()
        log.last_at = first_at
        sending = asyncio.create_task(client.send_all(rate=rate, connections=connections))
        try:
            await self._watch(client, sending, log)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            await http.close()
        return PlayedByHttp(
            started_at=client.started_at.tolist(),
            outcomes=self._outcomes,
            first_at=first_at,
            ended_at=perf_counter(),
            not_delivered=log.not_accepted,
            delivery_error=", ".join(sorted(set(log.refused.values()))) or "never answered",
            log=log,
        )

    async def _watch(self, client: Client, sending: "asyncio.Task[None]", log: AnswerLog) -> None:
        while not self._is_over(sending, log):
            if sending.done():
                sending.result()  # a defect of this client's is no answer of the ingress's
            self._collector.read(0.0)
            self._news.tell_if_due(client.sent, self._outcomes)
            await asyncio.sleep(READ_SECONDS)

    def _is_over(self, sending: "asyncio.Task[None]", log: AnswerLog) -> bool:
        if sending.done() and self._outcomes.decided == len(log.accepted):
            return True
        quiet_since = max(self._outcomes.last_at, log.last_at)
        return perf_counter() - quiet_since > self._patience_seconds
