"""CloudEvents out and in: what is read, what is refused, and that nothing gets through by crash."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import confluent_kafka
import pytest

from shared.choreography import (
    CAPACITY_EVENTS,
    ENROLLMENT_EVENTS,
    REQUESTS,
    SECTION_CATALOG,
    STUDENT_CATALOG,
    TOPIC_OF,
    TOPICS,
)
from shared.codec import (
    BODY_BYTES_MAX,
    PROBLEMS_MAX,
    TIMESTAMP_LOG_APPEND_TIME,
    decode,
    encode_body,
    encode_headers,
    headers_of,
    interest_in,
    raw_headers,
    uses_inbox,
)
from shared.events import (
    CANCEL_REASON_LENGTH_MAX,
    EnrollmentCancellationRequested,
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    Reason,
    ReasonCode,
    SeatReserved,
    SectionPublished,
    SectionWithdrawn,
    Stage,
    StudentPublished,
    StudentWithdrawn,
)
from shared.identifiers import EnrollmentId, EventId, SectionId, SectionKey, StudentId, Term
from shared.message import Arrival, Interest, Message, Unreadability, Unreadable

NOW = datetime(2026, 1, 12, 8, 0, tzinfo=UTC)
ENROLLMENT = "2f1c9b7e-6d1f-4c51-8d0e-0a1b2c3d4e5f"
EVENT = "01890a5d-ac96-774b-bcce-b302099a8057"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ALL = set(TOPIC_OF)
NOT_AN_IDENTIFIER = "String should match pattern '^[A-Za-z0-9._:-]{1,64}$'"
REQUEST = {"enrollment_id": ENROLLMENT, "student_id": "S1", "term": "T1", "sections": ["A", "B"]}
CANCEL = {"enrollment_id": ENROLLMENT, "student_id": "S1"}
STUDENT = {"version": 1, "student_id": "S1", "max_credits": 20}

Headers = tuple[tuple[str, bytes], ...]


def binary(event_type: str, **others: str) -> Headers:
    """The headers of binary mode; others replace them, underscores for dashes."""
    names = {"ce_specversion": "1.0", "ce_id": EVENT, "ce_type": event_type, **others}
    return tuple((name, value.encode()) for name, value in names.items())


def message(
    body: Any, headers: Headers = (), *, topic: str = REQUESTS.name, key: bytes | None = b"S1"
) -> Message:
    value = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return Message(topic, 3, 7, key, value, headers)


def read(body: Any, event_type: str, *, topic: str = REQUESTS.name, **others: str) -> Any:
    """Decode a body in binary mode; give the event or what was unreadable."""
    read_as = decode(message(body, binary(event_type, **others), topic=topic), ALL)
    return read_as.event if isinstance(read_as, Arrival) else read_as


def enveloped(data: Any, event_type: str, **others: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": EVENT,
        "type": event_type,
        "source": "test",
        "data": data,
        **others,
    }


def refused(read_as: object) -> tuple[Unreadability, str]:
    assert isinstance(read_as, Unreadable)
    return read_as.reason, read_as.detail


# Out, and in again.

EVENTS: list[Event] = [
    EnrollmentRequested.model_validate(REQUEST),
    EnrollmentRequested.model_validate({**REQUEST, "deadline_seconds": 2.5}),
    EnrollmentCancellationRequested.model_validate({**CANCEL, "reason": "¿Por qué no? 🎓"}),
    EnrollmentRejected(
        enrollment_id=EnrollmentId(UUID(ENROLLMENT)),
        student_id=StudentId("S1"),
        stage=Stage.REQUEST,
        reasons=(Reason(code=ReasonCode.BAD_REQUEST, detail="term: Field required"),),
    ),
    SeatReserved.model_validate(
        {
            **REQUEST,
            "seats": [
                {
                    "section_id": "A",
                    "seat_sequence": 4,
                    "reserved": 2,
                    "capacity": 3,
                    "version": 2**62,
                }
            ],
        }
    ),
    SectionPublished.model_validate(
        {
            "version": 7,
            "term": "T1",
            "section_id": "A",
            "course_id": "C",
            "capacity": 30,
            "credits": 3,
            "meetings": [
                {"days": "1010000", "weeks": "11", "start_minute": 480, "end_minute": 540}
            ],
            "prerequisites": [["C1", "C2"], ["C3"]],
        }
    ),
    StudentPublished.model_validate(
        {
            **STUDENT,
            "windows": [
                {
                    "term": "T1",
                    "opens_at": "2026-01-10T08:00:00-06:00",
                    "closes_at": "2026-01-11T08:00:00Z",
                }
            ],
        }
    ),
]


@pytest.mark.parametrize("event", EVENTS)
def test_what_is_written_in_binary_mode_is_read_as_it_was(event: Event) -> None:
    headers = encode_headers(
        event_id=EventId(UUID(EVENT)),
        event_type=type(event).__name__,
        source="enrollment",
        subject=ENROLLMENT,
        occurred_at=NOW,
        traceparent=TRACE,
    )
    sent = message(encode_body(event), raw_headers(headers), topic=TOPIC_OF[type(event)].name)

    arrived = decode(sent, ALL)

    assert arrived == Arrival(sent, EventId(UUID(EVENT)), event, TRACE)


@pytest.mark.parametrize("event", EVENTS)
def test_structured_mode_reads_alike_without_any_header(event: Event) -> None:
    envelope = enveloped(
        json.loads(encode_body(event)), type(event).__name__, subject=ENROLLMENT, traceparent=TRACE
    )
    sent = message(envelope, topic=TOPIC_OF[type(event)].name)

    arrived = decode(sent, ALL)

    assert arrived == Arrival(sent, EventId(UUID(EVENT)), event, TRACE)


def test_the_headers_are_those_of_cloudevents() -> None:
    headers = encode_headers(
        event_id=EventId(UUID(EVENT)),
        event_type="EnrollmentOpened",
        source="enrollment",
        subject=ENROLLMENT,
        occurred_at=NOW,
        traceparent=None,
    )

    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_id": EVENT.encode(),
        "ce_type": b"EnrollmentOpened",
        "ce_source": b"enrollment",
        "ce_subject": ENROLLMENT.encode(),
        "ce_time": b"2026-01-12T08:00:00+00:00",
        "content-type": b"application/json",
    }


def test_absent_values_are_left_out_of_the_body() -> None:
    body = encode_body(EVENTS[3])

    assert {"term", "sections"}.isdisjoint(json.loads(body))


def test_structured_mode_takes_the_trace_from_a_header_where_its_body_has_none() -> None:
    headers = (("traceparent", TRACE.encode()),)

    arrived = decode(message(enveloped(REQUEST, "EnrollmentRequested"), headers), ALL)

    assert isinstance(arrived, Arrival)
    assert arrived.traceparent == TRACE


def test_fields_that_are_not_known_are_ignored() -> None:
    event = read({**REQUEST, "colour": {"of": ["the", "walls"]}}, "EnrollmentRequested")

    assert event == EnrollmentRequested.model_validate(REQUEST)


def test_an_event_that_nobody_wants_is_passed_over_whatever_its_content() -> None:
    unwanted = decode(message(b"not JSON", binary("EnrollmentRequested")), {SeatReserved})
    enveloped_one = message(enveloped("no content", "EnrollmentRequested"))

    assert unwanted is None
    assert decode(enveloped_one, {SeatReserved}) is None


@pytest.mark.parametrize(
    "schema", ["EnrollmentRequested.v1.json", "https://x/EnrollmentRequested.v1.json"]
)
def test_a_schema_of_the_first_version_is_accepted(schema: str) -> None:
    event = read(REQUEST, "EnrollmentRequested", ce_dataschema=schema)
    sent = message(enveloped(REQUEST, "EnrollmentRequested", dataschema=schema))

    assert isinstance(event, EnrollmentRequested)
    assert isinstance(decode(sent, ALL), Arrival)


def test_headers_without_a_value_read_as_empty() -> None:
    assert raw_headers([("a", None), ("b", b"1")]) == (("a", b""), ("b", b"1"))
    assert raw_headers(None) == ()


class RecordWithABadName:
    """A client's record that has a header whose name is no UTF-8, as the client behaves then."""

    def __init__(self) -> None:
        self.replaced: list[Any] | None = None

    def headers(self) -> list[Any]:
        if self.replaced is None:
            raise SystemError("returned a result with an exception set")
        return self.replaced

    def set_headers(self, headers: list[Any]) -> None:
        self.replaced = headers


def test_of_headers_one_of_which_has_a_name_that_is_no_text_none_is_read() -> None:
    record = RecordWithABadName()

    first, second = headers_of(record), headers_of(record)

    assert (first, second) == ((), ())


def test_only_the_sagas_own_topics_use_the_inbox() -> None:
    assert {topic.name for topic in TOPICS if uses_inbox(topic.name)} == {
        "enrollment.events",
        "student.events",
        "capacity.events",
    }


# What cannot be read.


@pytest.mark.parametrize("headers", [(), binary("EnrollmentRequested")])
def test_a_body_above_the_limit_is_too_large(headers: Headers) -> None:
    body = json.dumps(enveloped({**REQUEST, "x": ""}, "EnrollmentRequested")).encode()
    fits, spills = (body + b" " * (size - len(body)) for size in (65536, 65537))

    assert BODY_BYTES_MAX == 65536
    read_as = decode(message(fits, headers), ALL)
    assert not isinstance(read_as, Unreadable) or read_as.reason is not Unreadability.TOO_LARGE
    assert refused(decode(message(spills, headers), ALL))[0] is Unreadability.TOO_LARGE


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"'x'", b"[" * 60000, b"1" * 5000])
def test_what_is_not_json_is_said_to_be(body: bytes) -> None:
    in_binary_mode = read(body, "EnrollmentCancellationRequested")
    in_structured_mode = decode(message(body), ALL)

    assert refused(in_binary_mode)[0] is Unreadability.NOT_JSON
    assert refused(in_structured_mode)[0] is Unreadability.NOT_JSON


@pytest.mark.parametrize(
    "sent",
    [
        message(REQUEST),
        message([REQUEST]),
        message("1.0"),
        message({**enveloped(REQUEST, "EnrollmentRequested"), "specversion": "0.3"}),
        message({**enveloped(REQUEST, "EnrollmentRequested"), "specversion": 1.0}),
        message({**enveloped(REQUEST, "EnrollmentRequested"), "id": "7"}),
        message({**enveloped(REQUEST, "EnrollmentRequested"), "id": None}),
        message(REQUEST, binary("EnrollmentRequested", ce_specversion="0.3")),
        message(REQUEST, binary("EnrollmentRequested", ce_id="seven")),
        message(REQUEST, binary("EnrollmentRequested")[2:]),
        message(REQUEST, (("ce_type", b"\xff"),)),
    ],
)
def test_what_is_no_cloudevent_is_said_to_be(sent: Message) -> None:
    assert refused(decode(sent, ALL))[0] is Unreadability.NO_CLOUD_EVENT


@pytest.mark.parametrize("name", ["SeatReserved", "MalformedRequest", "enrollmentrequested", ""])
def test_a_topic_carries_its_own_events_only(name: str) -> None:
    in_binary_mode = read(REQUEST, name)
    in_structured_mode = decode(message(enveloped(REQUEST, name)), ALL)

    expected = "this topic carries EnrollmentRequested, EnrollmentCancellationRequested"
    assert refused(in_binary_mode) == (Unreadability.UNKNOWN_TYPE, expected)
    assert refused(in_structured_mode) == (Unreadability.UNKNOWN_TYPE, expected)


def test_a_type_that_is_no_text_is_unknown() -> None:
    read_as = decode(message({**enveloped(REQUEST, ""), "type": ["EnrollmentRequested"]}), ALL)

    assert refused(read_as)[0] is Unreadability.UNKNOWN_TYPE


@pytest.mark.parametrize("schema", ["EnrollmentRequested.v2.json", "", "other.v1.json"])
def test_another_version_of_the_schema_is_refused(schema: str) -> None:
    in_binary_mode = read(REQUEST, "EnrollmentRequested", ce_dataschema=schema)
    sent = message(enveloped(REQUEST, "EnrollmentRequested", dataschema=schema))

    assert refused(in_binary_mode)[0] is Unreadability.UNKNOWN_VERSION
    assert refused(decode(sent, ALL))[0] is Unreadability.UNKNOWN_VERSION


def test_bad_content_names_every_field_and_what_is_wrong() -> None:
    read_as = read({"student_id": "S 1"}, "EnrollmentCancellationRequested")

    assert refused(read_as) == (
        Unreadability.BAD_CONTENT,
        f"enrollment_id: Field required; student_id: {NOT_AN_IDENTIFIER}",
    )


def test_content_that_is_no_object_is_bad() -> None:
    read_as = read(["S1"], "EnrollmentCancellationRequested")

    assert refused(read_as) == (Unreadability.BAD_CONTENT, "body: Input should be an object")


def test_the_list_of_problems_has_an_end() -> None:
    holds = [{"code": ""}] * 50

    read_as = read({**STUDENT, "holds": holds}, "StudentPublished", topic=STUDENT_CATALOG.name)

    assert refused(read_as)[1].count("; ") == PROBLEMS_MAX - 1


# A malformed request whose ids are readable gets an outcome.

BAD_REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"term": "T 1"}, {"sections": ("A", "B")}),
    ({"term": None}, {"sections": ("A", "B")}),
    ({"sections": []}, {"term": "T1"}),
    ({"sections": ["A", "A"]}, {"term": "T1"}),
    ({"sections": ["A", "B\n"]}, {"term": "T1"}),
    ({"sections": "AB"}, {"term": "T1"}),
    ({"sections": [f"S{n}" for n in range(51)]}, {"term": "T1"}),
    ({"deadline_seconds": 0}, {"term": "T1", "sections": ("A", "B")}),
    ({"deadline_seconds": "5"}, {"term": "T1", "sections": ("A", "B")}),
    ({"deadline_seconds": True}, {"term": "T1", "sections": ("A", "B")}),
    ({"deadline_seconds": float("nan")}, {"term": "T1", "sections": ("A", "B")}),
    ({"deadline_seconds": 1e300}, {"term": "T1", "sections": ("A", "B")}),
    ({"term": 1, "sections": {}, "deadline_seconds": -1}, {}),
]


@pytest.mark.parametrize(("bad", "valid"), BAD_REQUESTS)
def test_a_bad_request_reads_as_malformed_with_what_is_valid(
    bad: dict[str, Any], valid: dict[str, Any]
) -> None:
    event = read({**REQUEST, **bad}, "EnrollmentRequested")

    assert isinstance(event, MalformedRequest)
    assert event.enrollment_id == UUID(ENROLLMENT)
    assert event.student_id == "S1"
    assert (event.term, event.sections) == (valid.get("term"), valid.get("sections"))
    assert all(problem.split(":")[0].split(".")[0] in bad for problem in event.problems)
    assert {problem.split(":")[0].split(".")[0] for problem in event.problems} == set(bad)


def test_a_malformed_request_is_told_apart_by_its_body() -> None:
    bodies = [{**REQUEST, "term": term} for term in (1, 1, 2)]

    first, same, other = (read(body, "EnrollmentRequested").body_sha256 for body in bodies)

    assert first == same
    assert first != other


def test_a_malformed_request_in_structured_mode_is_the_same_however_it_is_laid_out() -> None:
    data = {**REQUEST, "term": 1}
    turned = dict(reversed(data.items()))

    one, other = (
        decode(message(enveloped(body, "EnrollmentRequested")), ALL) for body in (data, turned)
    )

    assert isinstance(one, Arrival)
    assert isinstance(other, Arrival)
    assert one.event == other.event


@pytest.mark.parametrize("key", [b"S2", b"", None])
@pytest.mark.parametrize(
    ("event_type", "body"),
    [
        ("EnrollmentRequested", REQUEST),
        ("EnrollmentRequested", {**REQUEST, "term": 1}),
        ("EnrollmentCancellationRequested", CANCEL),
    ],
)
def test_the_student_is_whom_the_body_names_whatever_the_key(
    event_type: str, body: dict[str, Any], key: bytes | None
) -> None:
    arrived = decode(message(body, binary(event_type), key=key), ALL)

    assert isinstance(arrived, Arrival)
    assert isinstance(arrived.event, EnrollmentEvent)
    assert arrived.event.student_id == "S1"


@pytest.mark.parametrize("bad", [{"enrollment_id": "7"}, {"student_id": ""}, {"student_id": 1}])
def test_a_request_whose_ids_cannot_be_read_is_unreadable(bad: dict[str, Any]) -> None:
    read_as = read({**REQUEST, **bad}, "EnrollmentRequested")

    assert refused(read_as)[0] is Unreadability.BAD_CONTENT


@pytest.mark.parametrize("body", [None, b"", b"[]", b"null"])
def test_a_request_without_an_object_is_unreadable(body: bytes | None) -> None:
    assert isinstance(read(body, "EnrollmentRequested"), Unreadable)


# A cancel is never lost for its remark.


@pytest.mark.parametrize(
    ("remark", "kept"),
    [
        ("no\x00 reason", "no reason"),
        ("half an emoji \ud83c", "half an emoji ?"),
        ("x" * (CANCEL_REASON_LENGTH_MAX + 1), "x" * CANCEL_REASON_LENGTH_MAX),
        (17, None),
        ({"why": ["not"]}, None),
        (None, None),
    ],
)
def test_a_cancel_keeps_of_its_remark_what_can_be_stored(remark: Any, kept: str | None) -> None:
    event = read({**CANCEL, "reason": remark}, "EnrollmentCancellationRequested")

    assert isinstance(event, EnrollmentCancellationRequested)
    assert event.reason == kept


def test_a_cancel_survives_a_remark_that_is_nested_deeply() -> None:
    body = json.dumps({**CANCEL, "reason": 0}).replace("0}", "[" * 300 + "]" * 300 + "}")

    event = read(body.encode(), "EnrollmentCancellationRequested")

    assert event == EnrollmentCancellationRequested.model_validate(CANCEL)


def test_half_an_emoji_in_an_id_is_still_bad_content() -> None:
    read_as = read({**CANCEL, "student_id": "S\ud83c"}, "EnrollmentCancellationRequested")

    assert refused(read_as)[0] is Unreadability.BAD_CONTENT


# Tombstones.


def test_a_deleted_section_reads_as_withdrawn() -> None:
    arrived = decode(message(None, topic=SECTION_CATALOG.name, key=b"T1/A"), ALL)

    assert isinstance(arrived, Arrival)
    assert arrived.event == SectionWithdrawn(key=SectionKey(Term("T1"), SectionId("A")))
    assert arrived.enrollment_id is None


def test_a_deleted_student_reads_as_withdrawn() -> None:
    arrived = decode(message(None, topic=STUDENT_CATALOG.name, key=b"S1"), ALL)

    assert isinstance(arrived, Arrival)
    assert arrived.event == StudentWithdrawn(student_id=StudentId("S1"))


@pytest.mark.parametrize("key", [None, b"", b"T1", b"/A", b"T1/", b"T1/A/B", b"T 1/A", b"\xff/A"])
def test_a_tombstone_must_name_its_section(key: bytes | None) -> None:
    read_as = decode(message(None, topic=SECTION_CATALOG.name, key=key), ALL)

    assert refused(read_as)[0] is Unreadability.BAD_CONTENT


@pytest.mark.parametrize("key", [None, b"", b"S 1", b"\xff"])
def test_a_tombstone_must_name_its_student(key: bytes | None) -> None:
    read_as = decode(message(None, topic=STUDENT_CATALOG.name, key=key), ALL)

    assert refused(read_as)[0] is Unreadability.BAD_CONTENT


@pytest.mark.parametrize("topic", [REQUESTS, ENROLLMENT_EVENTS, CAPACITY_EVENTS])
def test_a_message_without_a_body_is_nothing_outside_the_catalogs(topic: Any) -> None:
    read_as = decode(message(None, binary("EnrollmentRequested"), topic=topic.name), ALL)

    assert refused(read_as) == (Unreadability.NOT_JSON, "the body is empty")


@pytest.mark.parametrize(
    ("headers", "interest"),
    [
        pytest.param({"ce_type": b"EnrollmentOpened"}, Interest.NOW, id="wanted"),
        pytest.param({"ce_type": b"EnrollmentRejected"}, Interest.LATER, id="wanted, and patient"),
        pytest.param({"ce_type": b"EnrollmentConfirmed"}, Interest.NONE, id="not wanted"),
        pytest.param({"ce_type": b"SeatReserved"}, Interest.NOW, id="of another topic"),
        pytest.param({"ce_type": b"\xff"}, Interest.NOW, id="no text"),
        pytest.param({}, Interest.NOW, id="structured, or no CloudEvent"),
    ],
)
def test_the_headers_tell_how_much_an_event_is_wanted(
    headers: dict[str, bytes], interest: Interest
) -> None:
    wanted: set[type[Event]] = {EnrollmentOpened, EnrollmentRejected}
    patient: set[type[Event]] = {EnrollmentRejected}

    found = interest_in(ENROLLMENT_EVENTS.name, headers, wanted=wanted, patient=patient)

    assert found is interest


def test_the_brokers_own_time_is_told_from_a_producers_by_the_clients_number() -> None:
    assert TIMESTAMP_LOG_APPEND_TIME == confluent_kafka.TIMESTAMP_LOG_APPEND_TIME
