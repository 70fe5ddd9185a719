"""The sampler in a whole JMeter: against the running saga, and where there is no Kafka."""

import csv
import json
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from deploy.local import ports
from loadtests.day.kafka import consumer_settings, partitions_of, producer_settings
from loadtests.jmeter.home import BUILD_SECONDS_MAX, home
from services.tests.saga.client import Saga, message, request_body, running
from shared.choreography import REQUESTS
from shared.codec import decode, headers_of
from shared.events import EnrollmentRequested
from shared.message import Arrival
from shared.records import key_of, message_of

pytestmark = [pytest.mark.timeout(BUILD_SECONDS_MAX + 300), pytest.mark.long]

PLAN = Path(__file__).with_name("modes.jmx")
RUN_SECONDS_MAX = 240.0
QUICK_JAVA = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
SAGAS, PUBLISHED, SENT = 20, 10, 40  # half of each ask for the section that is full
GAP_MS = 50  # of the plan's schedule, 20 a second


@dataclass(frozen=True)
class Played:
    """What a run of JMeter left."""

    samples: Sequence[Mapping[str, str]]
    ledger: dict[str, Any]
    log: str

    def of(self, label: str) -> list[Mapping[str, str]]:
        return [sample for sample in self.samples if sample["label"] == label]

    def codes(self, label: str) -> Counter[str]:
        return Counter(sample["responseCode"] for sample in self.of(label))


def play(folder: Path, **properties: str) -> Played:
    """Run the plan without a window, until its end."""
    results, ledger, log = folder / "results.jtl", folder / "ledger.json", folder / "jmeter.log"
    given = {"data": str(folder), "ledger.file": str(ledger)} | properties
    ended = subprocess.run(
        [
            *("java", *QUICK_JAVA, "-jar", str(home() / "bin" / "ApacheJMeter.jar")),
            *("-n", "-t", str(PLAN), "-l", str(results), "-j", str(log)),
            *(f"-J{name}={value}" for name, value in given.items()),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    with results.open(newline="") as lines:
        samples = list(csv.DictReader(lines))
    told = json.loads(ledger.read_text()) if ledger.exists() else {}
    return Played(samples, told, log.read_text())


def write_requests(folder: Path, term: str, students: Sequence[str]) -> None:
    """Write a file for each mode, in which each student asks once."""
    rows = [f"{term},{one},{('open', 'full')[n % 2]}" for n, one in enumerate(students)]
    begins = 0
    for name, count in (("saga", SAGAS), ("produce", PUBLISHED), ("send", SENT + 1)):
        lines = ["term,student,sections", *rows[begins : begins + count]]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
        begins += count


@pytest.fixture(scope="module")
async def saga(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Saga]:
    async with running(tmp_path_factory.mktemp("stack"), environment={}) as started:
        yield started


@pytest.fixture(scope="module")
async def played(saga: Saga, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Every mode at once, each request of another student."""
    folder = tmp_path_factory.mktemp("played")
    term, students = await saga.set_up(
        {"open": 1000, "full": 0}, students=SAGAS + PUBLISHED + SENT + 1
    )
    write_requests(folder, term, students)
    return play(folder, **{"kafka.bootstrap.servers": saga.kafka_url})


def halves(count: int) -> Counter[str]:
    return Counter({"confirmed": count // 2, "rejected:section_full": count // 2})


def test_each_saga_is_a_sample_named_after_its_outcome(played: Played) -> None:
    assert played.codes("saga") == halves(SAGAS), played.log


def test_a_refusal_is_a_success_with_the_systems_own_sentence(played: Played) -> None:
    assert {sample["success"] for sample in played.samples} == {"true"}, played.log
    refused = [one for one in played.of("saga") if one["responseCode"] != "confirmed"]
    assert {one["responseMessage"] for one in refused} == {"Section full has no free seat."}


def test_an_acknowledgement_comes_before_the_outcome(played: Played) -> None:
    for sample in played.of("saga"):
        assert 0 < int(sample["Latency"]) <= int(sample["elapsed"])
    for sample in played.of("produce"):
        assert sample["Latency"] == sample["elapsed"]


def test_publishing_is_a_sample_of_its_own(played: Played) -> None:
    assert played.codes("produce") == Counter({"published": PUBLISHED}), played.log


def test_in_the_open_model_samples_begin_when_the_schedule_says(played: Played) -> None:
    assert played.codes("open") == halves(SENT), played.log
    assert not played.of("send")

    begins = sorted(int(sample["timeStamp"]) for sample in played.of("open"))

    assert [at - begins[0] for at in begins] == [number * GAP_MS for number in range(SENT)]


def test_the_ledger_has_every_request_and_adds_up(played: Played) -> None:
    everything = SAGAS + PUBLISHED + SENT
    told = {name: value for name, value in played.ledger.items() if name != "send_delay_ms_max"}

    assert played.codes("ledger") == Counter({"adds_up": 1})
    assert told.pop("repeated") >= 0  # Kafka delivers at least once
    assert told == {
        "sent": everything,
        "acknowledged": everything,
        "confirmed": everything // 2,
        "rejected": everything // 2,
        "rejected_by_reason": {"section_full": everything // 2},
        "cancelled": 0,
        "timed_out": 0,
        "unacknowledged": 0,
        "open": 0,
        "unreported": 0,
        "duplicates": 0,
        "late": 0,
        "unacknowledged_decided": 0,
        "foreign": 0,
        "not_sent": 0,
        "adds_up": True,
        "problems": [],
    }


async def test_what_has_no_outcome_in_time_fails_and_is_in_the_ledger(
    saga: Saga, tmp_path: Path
) -> None:
    students = SAGAS + PUBLISHED + SENT + 1
    term, people = await saga.set_up({"open": 1000, "full": 0}, students)
    write_requests(tmp_path, term, people)
    in_no_time = {"kafka.bootstrap.servers": saga.kafka_url, "timeout": "0.001"}

    played = play(tmp_path, **in_no_time)

    codes = played.codes("saga") + played.codes("open")
    failed = [one["responseCode"] for one in played.samples if one["success"] == "false"]
    ledger = played.ledger
    assert Counter(failed) == Counter(timed_out=codes["timed_out"]), played.log
    assert codes.total() == SAGAS + SENT
    assert codes["timed_out"] > 0
    assert codes["timed_out"] <= ledger["timed_out"] <= codes["timed_out"] + PUBLISHED
    assert ledger["late"] <= ledger["timed_out"]
    assert ledger["adds_up"], ledger


@pytest.fixture
def requests(saga: Saga, played: Played) -> Iterator[list[Any]]:
    """What lies in the topic of requests after the run."""
    consumer: Any = Consumer(consumer_settings(saga.kafka_url))
    consumer.assign(
        [
            TopicPartition(REQUESTS.name, number, OFFSET_BEGINNING)
            for number in partitions_of(consumer, REQUESTS.name)
        ]
    )
    found: list[Any] = []
    while len(found) < played.ledger["sent"]:
        found.extend(one for one in consumer.consume(1000, 1.0) if one.error() is None)
    yield found
    consumer.close()


def test_the_services_read_its_messages_as_the_contract_says(requests: list[Any]) -> None:
    pattern = message(request_body(uuid4(), "S1", "term", ["1"]))
    names = [name for name, _ in pattern.headers]

    for record in requests:
        read = message_of(record, key_of(record), record.offset(), headers_of(record))
        arrival = decode(read, {EnrollmentRequested})
        headers = {name: value.decode() for name, value in record.headers()}
        assert isinstance(arrival, Arrival)
        assert isinstance(arrival.event, EnrollmentRequested)
        assert list(headers) == [*names, "traceparent"]
        assert headers["ce_subject"] == str(arrival.event.enrollment_id)
        assert headers["ce_id"] == str(arrival.event_id)
        assert headers["traceparent"].endswith("-00")  # the plan has trace_ratio 0
        assert record.key().decode() == arrival.event.student_id


def test_a_students_requests_lie_in_the_partition_that_other_clients_choose(
    saga: Saga, requests: list[Any]
) -> None:
    chosen: dict[bytes, int] = {}
    producer: Any = Producer(producer_settings(saga.kafka_url))
    for record in requests:  # a repeat of the same request changes nothing
        producer.produce(
            REQUESTS.name,
            record.value(),
            record.key(),
            headers=record.headers(),
            on_delivery=lambda _, sent: chosen.update({sent.key(): sent.partition()}),
        )
    assert producer.flush(60) == 0

    assert {record.key(): record.partition() for record in requests} == chosen
    assert len(set(chosen.values())) > 1


def test_where_no_kafka_is_the_test_ends_and_says_what_to_do(tmp_path: Path) -> None:
    write_requests(tmp_path, "term", ["S1"] * (SAGAS + PUBLISHED + SENT + 1))
    port = ports.keep_or_choose(("nobody",), {})["nobody"]

    hasty = {"kafka.consumer.default.api.timeout.ms": "2000"}

    played = play(tmp_path, **hasty, **{"kafka.bootstrap.servers": f"127.0.0.1:{port}"})

    assert {one["success"] for one in played.samples} == {"false"}
    failed = [one for one in played.samples if one["responseCode"] == "no_kafka"]
    assert len(failed) == len(played.samples) - 1  # each thread ends with its first
    assert f"Kafka does not answer at 127.0.0.1:{port}" in failed[0]["responseMessage"]
    assert "-Jkafka.bootstrap.servers=HOST:PORT" in failed[0]["responseMessage"]
    assert played.codes("ledger") == Counter({"does_not_add_up": 1})
