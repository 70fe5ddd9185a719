from collections.abc import Mapping

from confluent_kafka import Consumer

from loadtests.day.kafka import consumer_settings, end_offsets
from services.tests.saga.client import Headers, Mail, Saga
from shared.choreography import REQUESTS
from shared.identifiers import PartitionKey

WITHOUT_TYPE: Headers = []
OF_AN_UNKNOWN_TYPE: Headers = [("ce_specversion", b"1.0"), ("ce_type", b"SeatsWished")]
A_REQUEST: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_type", b"EnrollmentRequested"),
    ("ce_id", b"0192d0c8-0000-4000-8000-000000000000"),
]


def ends_of_requests(saga: Saga) -> Mapping[PartitionKey, int]:
    consumer = Consumer(consumer_settings(saga.kafka_url))
    try:
        return end_offsets(consumer, REQUESTS.name)
    finally:
        consumer.close()


async def test_garbage_becomes_dead_letters_and_holds_nobody_behind_it(saga: Saga) -> None:
    term, (student,) = await saga.set_up({"A": 1})
    ends = ends_of_requests(saga)
    key = student.encode()

    saga.send(
        Mail(key, b"\x00\xff garbage", WITHOUT_TYPE),
        Mail(key, b"{}", OF_AN_UNKNOWN_TYPE),
        Mail(key, b'{"enrollment_id": "not one"}', A_REQUEST),
    )
    enrollment = saga.request(student, term, "A")
    outcome = await saga.outcome(enrollment)
    listed = await saga.command("dead-letters", "list", "--service", "enrollment")

    (place,) = [place for place, end in ends_of_requests(saga).items() if end != ends[place]]
    letters = [
        (one["topic"], one["partition"], one["offset"], one["reason"], one["holds"])
        for one in listed.data["items"]
    ]
    assert (outcome["state"], listed.code) == ("confirmed", 0)
    assert letters[-3:] == [
        (*place, ends[place], "not_json", False),
        (*place, ends[place] + 1, "unknown_type", False),
        (*place, ends[place] + 2, "bad_content", False),
    ]
