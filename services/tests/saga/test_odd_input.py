"""What the guide says of anything that may be sent, and that nothing stops a partition."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import Producer

from loadtests.day.kafka import producer_settings
from schemas.tests.guide import odd_input
from services.tests.saga.client import Mail, Saga
from services.tests.saga.odd_messages import CASES, Sender, mails_of
from services.tests.saga.outcomes import LETTERS, dead_letter, outcome
from services.tests.saga.raw_headers import is_raw, send_raw
from shared.choreography import REQUESTS
from shared.topics import PARTITIONS

GUIDE = odd_input()  # what comes of each case, as the guide has it
ENROLLMENTS = "SELECT * FROM enrollment WHERE enrollment_id = ANY($1)"
CONFLICTS = "SELECT * FROM conflict WHERE enrollment_id = ANY($1) ORDER BY received_at, kind"

Place = tuple[int, int]  # a partition of the topic of requests, and an offset in it


@dataclass
class Sent:
    """What was sent in one case, where it came to lie, and the good request right behind it."""

    sender: Sender
    behind: UUID
    places: list[Place]


async def send_all(saga: Saga, term: str, people: Sequence[str]) -> dict[str, Sent]:
    """Send every case, each with a good request of the same student behind it."""
    producer = Producer(producer_settings(saga.kafka_url))
    sent = {}
    for number, (name, case) in enumerate(CASES.items()):
        sender = Sender(term, student=people[2 * number], stranger=people[2 * number + 1])
        good = Sender(term, sender.student, sender.stranger)
        sent[name] = Sent(sender, good.id, [])
        for mail in mails_of(case, sender):
            if is_raw(mail):
                place = await send_raw(saga.kafka_url, mail, number % PARTITIONS)
                sent[name].places.append(place)
            else:
                send(producer, mail, number % PARTITIONS, sent[name].places)
        send(producer, good.request("behind"), number % PARTITIONS, [])
    assert producer.flush(30) == 0
    return sent


def send(producer: Any, mail: Mail, partition: int, places: list[Place]) -> None:
    """Send to the topic of requests; `places` gets where the message lies."""

    def delivered(error: Any, record: Any) -> None:
        assert error is None, error
        places.append((record.partition(), record.offset()))

    producer.produce(
        REQUESTS.name,
        mail.body,
        mail.key,
        partition,
        headers=mail.headers,
        on_delivery=delivered,
    )


async def results_of(saga: Saga, sent: Mapping[str, Sent]) -> dict[str, str]:
    """Say what came of each case, as the guide says it."""
    ids = [one for case in sent.values() for one in (case.sender.id, case.sender.other_id)]
    enrollments = {r["enrollment_id"]: r for r in await saga.rows("enrollment", ENROLLMENTS, ids)}
    letters = {
        (row["partition"], row["offset"]): row
        for row in await saga.rows("enrollment", LETTERS, REQUESTS.name)
    }
    conflicts = defaultdict(list)
    for row in await saga.rows("enrollment", CONFLICTS, ids):
        conflicts[row["enrollment_id"]].append(row)
    return {
        name: "; ".join(
            [
                *(dead_letter(letters[place]) for place in case.places if place in letters),
                *(outcome(enrollments[one]) for one in case_ids(case) if one in enrollments),
                *(f"recorded as `{c['kind']}`" for one in case_ids(case) for c in conflicts[one]),
            ]
        )
        or "nothing"
        for name, case in sent.items()
    }


def case_ids(case: Sent) -> tuple[UUID, UUID]:
    return case.sender.id, case.sender.other_id


@pytest.fixture(scope="module")
async def results(saga: Saga) -> dict[str, tuple[str, str]]:
    """What came of each case, and of the good request behind it."""
    term, people = await saga.set_up(dict.fromkeys(("A", "B", "behind"), 1000), 2 * len(CASES))
    sent = await send_all(saga, term, people)
    behind = await saga.states_of([case.behind for case in sent.values()])
    await saga.rest()
    came = await results_of(saga, sent)
    return {name: (came[name], state) for name, state in zip(sent, behind, strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_what_comes_of_it_is_what_the_guide_says_and_the_partition_goes_on(
    results: Mapping[str, tuple[str, str]], name: str
) -> None:
    came, behind = results[name]

    assert (came, behind) == (GUIDE.get(name), "confirmed")


def test_the_guide_has_a_row_for_each_case_and_no_other() -> None:
    assert set(GUIDE) == set(CASES)
