"""A light steady load, by Kafka and by HTTP, all of which must be answered at the end."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from loadtests.auditor.history import History
from loadtests.chaos.by_http.asks import Ask, Habits, plan_asks
from loadtests.chaos.by_http.client import HttpClient
from loadtests.chaos.by_http.judging import apart, judge_http_log
from loadtests.chaos.client import Client, ClientError
from loadtests.chaos.journal import write_client_log
from loadtests.chaos.judging import judge_log
from loadtests.chaos.playground import Playground, Say
from loadtests.chaos.recovery import judge_all, recover
from loadtests.chaos.workload import Campus, ample_campus, steady_load
from shared.identifiers import StudentId

SECTIONS: Final = 50
BY_KAFKA, BY_HTTP, HASTY = 1000, 400, 600  # students
KAFKA_PER_SECOND: Final = 12.0
HTTP_PER_SECOND: Final = 8.0
SEED: Final = 1


@dataclass(frozen=True)
class Load:
    """Who asks for what: some by Kafka, some by HTTP; `hasty` are those whom drills ask for."""

    campus: Campus
    by_kafka: Sequence[StudentId]
    by_http: Sequence[StudentId]
    hasty: Sequence[StudentId]
    asks: Sequence[Ask]


def plan_load(seconds_max: float) -> Load:
    """Make up a load that lasts so long."""
    campus = ample_campus(BY_KAFKA + BY_HTTP + HASTY, SECTIONS)
    by_http = campus.students[BY_KAFKA:-HASTY]
    habits = Habits(
        requests=round(seconds_max * HTTP_PER_SECOND),
        requests_per_second=HTTP_PER_SECOND,
        keyless=0.0,
        together=0.0,
        hang_up=0.0,
        later=0.0,
        other_body=0.0,
        cancel=0.0,
    )
    return Load(
        campus,
        by_kafka=campus.students[:BY_KAFKA],
        by_http=by_http,
        hasty=campus.students[-HASTY:],
        asks=plan_asks(Random(SEED), by_http, list(campus.seats), habits),
    )


class Clients:
    """Those who ask; at the end all of them must have been answered, and nobody been deceived."""

    def __init__(self, ground: Playground, load: Load) -> None:
        self._ground = ground
        self._load = load
        by_kafka = replace(load.campus, students=load.by_kafka)
        messages = steady_load(Random(SEED), by_kafka, KAFKA_PER_SECOND)
        self._kafka = Client(ground.kafka_url, messages)
        self._http = HttpClient(ground.http_urls, load.asks, ground.sign)

    def start(self) -> None:
        """Begin to ask."""
        self._kafka.start()
        self._http.start()

    def raise_if_failed(self) -> None:
        """Tell what ended one of them early, or that there is nothing left to ask."""
        for one in (self._kafka, self._http):
            one.raise_if_failed()
        if self._kafka.has_sent_all or self._http.is_done:
            raise ClientError("the load came to its end before the drills")

    def finish(self, say: Say) -> list[str]:
        """Wait until all is answered and at rest, and give every violation."""
        try:
            self._kafka.send_no_more()
            self._http.send_no_more()
            recovery = recover(self._ground, [self._kafka, self._http], say)
        finally:
            log, http_log = self._kafka.stop(), self._http.stop()
            write_client_log(self._ground.state_dir, log)

        def judge(history: History) -> list[str]:
            of_kafka = judge_log(log.sent, _of(self._load.by_kafka, history))
            return [*of_kafka, *judge_http_log(http_log, _of(self._load.by_http, history))]

        return judge_all(self._ground, [judge], recovery, say)

    def stop(self) -> None:
        """End at once."""
        self._kafka.stop()
        self._http.stop()


def _of(students: Collection[StudentId], history: History) -> History:
    theirs, _ = apart(history, set(students))
    return theirs
