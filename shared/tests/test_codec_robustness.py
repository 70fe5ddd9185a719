"""No content crashes the reading, and nothing that is said of it quotes it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.choreography import REQUESTS, SECTION_CATALOG, STUDENT_CATALOG, TOPIC_OF, TOPICS
from shared.codec import decode, encode_body
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    SectionPublished,
    StudentPublished,
)
from shared.message import Arrival, Message, Unreadable
from shared.tests.test_codec import (
    ALL,
    CANCEL,
    ENROLLMENT,
    EVENT,
    EVENTS,
    REQUEST,
    STUDENT,
    binary,
    enveloped,
    message,
    read,
    refused,
)

DETERMINISTIC = settings(max_examples=200, derandomize=True, deadline=None)
# About the limits of pydantic's parser (200) and of Python's (1000, less what is in use).
DEPTHS = (10, 199, 200, 201, *range(850, 1000, 3), 9000)
SECRET = "ÜïëЖ"


def mistakes() -> list[tuple[str, str, dict[str, Any]]]:
    """A personal value in every field of what comes from outside: topic, type, body."""
    bodies: list[tuple[str, type[Event], dict[str, Any]]] = [
        (REQUESTS.name, EnrollmentRequested, {**REQUEST, "deadline_seconds": 1}),
        (REQUESTS.name, EnrollmentCancellationRequested, CANCEL),
        (SECTION_CATALOG.name, SectionPublished, json.loads(encode_body(EVENTS[5]))),
        (STUDENT_CATALOG.name, StudentPublished, json.loads(encode_body(EVENTS[6]))),
    ]
    return [
        (topic, event.__name__, {**body, field: value})
        for topic, event, body in bodies
        for field in body
        for value in (SECRET, [SECRET], {SECRET: SECRET}, [{SECRET: SECRET}], [{"days": SECRET}])
    ]


@pytest.mark.parametrize(("topic", "event_type", "body"), mistakes())
def test_what_is_said_of_bad_content_quotes_no_value(
    topic: str, event_type: str, body: dict[str, Any]
) -> None:
    read_as = read(body, event_type, topic=topic)

    if isinstance(read_as, MalformedRequest):
        said = "; ".join(read_as.problems)
    else:
        _, said = refused(read_as)
    assert said
    assert said.isascii()


def test_a_bad_uuid_is_not_quoted_for_postgresql_stores_no_nul() -> None:
    read_as = read({**CANCEL, "enrollment_id": "\x00"}, "EnrollmentCancellationRequested")

    assert refused(read_as)[1] == "enrollment_id: Input should be a valid UUID"


@pytest.mark.parametrize("field", ["sections", "enrollment_id", "term", "other"])
@pytest.mark.parametrize("brackets", ["[]", ('{"a":', "}")])
def test_deeply_nested_content_crashes_nothing(field: str, brackets: Sequence[str]) -> None:
    opening, closing = brackets
    for depth in DEPTHS:
        nested = f"{opening * depth}1{closing * depth}"
        body = json.dumps(REQUEST)[:-1] + f', "{field}": {nested}}}'
        envelope = json.dumps(enveloped(0, "EnrollmentRequested")).replace("0}", f"{body}}}")

        for sent in (
            message(body.encode(), binary("EnrollmentRequested")),
            message(envelope.encode()),
        ):
            assert decode(sent, ALL) is not None


@pytest.mark.parametrize("field", ["id", "type", "dataschema", "traceparent", "specversion"])
def test_a_deeply_nested_envelope_crashes_nothing(field: str) -> None:
    for depth in DEPTHS:
        envelope = json.dumps(enveloped(REQUEST, "EnrollmentRequested"))[:-1]
        nested = f'{envelope}, "{field}": {"[" * depth}{"]" * depth}}}'

        assert decode(message(nested.encode()), ALL) is not None


names = st.sampled_from(
    ["ce_type", "ce_id", "ce_specversion", "ce_dataschema", "traceparent", "content-type", "x"]
)
contents = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"1.0", EVENT.encode(), *(event.__name__.encode() for event in ALL)]),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([ENROLLMENT, "S1", "T1", "1.0", "\ud83c", "\x00"]),
)
fields = st.sampled_from(
    [*REQUEST, *STUDENT, "reason", "deadline_seconds", "meetings", "holds", "windows", "capacity"]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
data = st.dictionaries(fields, values) | st.dictionaries(fields, values).map(
    lambda some: {**REQUEST, **STUDENT, **some}
)
envelopes = st.builds(
    lambda event, body, others: {**enveloped(body, event.__name__), **others},
    st.sampled_from(sorted(ALL, key=lambda event: event.__name__)),
    data | values,
    st.dictionaries(st.sampled_from(["id", "type", "specversion", "traceparent"]), values),
)
messages = st.builds(
    Message,
    topic=st.sampled_from([topic.name for topic in TOPICS]),
    partition=st.just(0),
    offset=st.just(0),
    key=st.none() | st.binary(max_size=20),
    value=st.one_of(
        st.none(),
        st.binary(max_size=200),
        (values | data | envelopes).map(lambda value: json.dumps(value).encode()),
    ),
    headers=st.lists(st.tuples(names, contents), max_size=6).map(tuple)
    | st.sampled_from(sorted(event.__name__ for event in ALL)).map(binary),
)


@given(messages)
@settings(DETERMINISTIC, max_examples=300)
def test_reading_never_raises_and_says_what_postgresql_can_store(sent: Message) -> None:
    read_as = decode(sent, ALL)

    match read_as:
        case Arrival(event=MalformedRequest(problems=problems)):
            said = "; ".join(problems)
        case Arrival(event=EnrollmentCancellationRequested(reason=reason)):
            said = reason or ""
        case Unreadable(detail=detail):
            said = detail
        case _:
            said = ""
    assert "\x00" not in said
    assert said.encode(errors="strict").decode() == said


@given(messages)
@DETERMINISTIC
def test_what_was_read_can_be_written_and_read_again(sent: Message) -> None:
    read_as = decode(sent, ALL)

    if isinstance(read_as, Arrival) and type(read_as.event) in ALL:
        event_type, body = type(read_as.event), encode_body(read_as.event)
        again = read(body, event_type.__name__, topic=TOPIC_OF[event_type].name)
        assert again == read_as.event
