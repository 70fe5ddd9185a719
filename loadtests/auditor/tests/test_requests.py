import json
from typing import Any

import pytest

from loadtests.auditor.contract import REQUESTS
from loadtests.auditor.records import Record
from loadtests.auditor.requests import Kind, Request, Unreadable, read_request

ID = "0002af37-bc00-0000-0000-00000000004d"
BODY: dict[str, Any] = {"enrollment_id": ID, "student_id": "ann", "term": "T", "sections": ["1"]}
CE_ID = ("ce_id", ID.encode())
BINARY = (("ce_specversion", b"1.0"), ("ce_type", b"EnrollmentRequested"), CE_ID)
CANCEL = (("ce_specversion", b"1.0"), ("ce_type", b"EnrollmentCancellationRequested"), CE_ID)


def read(
    value: bytes | None, headers: tuple[tuple[str, bytes], ...] = BINARY
) -> Request | Unreadable:
    return read_request(Record(REQUESTS, 2, 7, b"key", value, headers))


def body(**changes: Any) -> bytes:
    return json.dumps({**BODY, **changes}).encode()


def structured(**changes: Any) -> bytes:
    envelope = {"specversion": "1.0", "type": "EnrollmentRequested", "id": ID, "data": BODY}
    return json.dumps({**envelope, **changes}).encode()


def test_a_request_is_read_in_both_modes_alike() -> None:
    binary, enveloped = read(body()), read(structured(), ())
    assert binary == enveloped
    assert isinstance(binary, Request)
    assert binary.kind is Kind.VALID
    assert (binary.term, binary.sections, binary.place) == ("T", ("1",), f"{REQUESTS}/2/7")


@pytest.mark.parametrize(
    "text", [ID, ID.upper(), ID.replace("-", ""), f"urn:uuid:{ID}", f"{{{ID}}}"]
)
def test_an_enrollment_id_is_one_in_every_form(text: str) -> None:
    request = read(body(enrollment_id=text))
    assert isinstance(request, Request)
    assert request.enrollment_id == ID


@pytest.mark.parametrize(
    "changes",
    [
        {"term": None},
        {"term": "a b"},
        {"term": "x" * 65},
        {"term": "T\n"},
        {"sections": []},
        {"sections": ["1", "1"]},
        {"sections": ["é"]},
        {"sections": "1"},
        {"sections": [str(number) for number in range(51)]},
        {"deadline_seconds": 0},
        {"deadline_seconds": "5"},
        {"deadline_seconds": True},
        {"deadline_seconds": 2**31},
        {"deadline_seconds": float("inf")},
        {"remark": "\ud800"},
    ],
)
def test_bad_content_with_readable_ids_is_malformed(changes: dict[str, Any]) -> None:
    request = read(body(**changes))
    assert isinstance(request, Request)
    assert request.kind is Kind.MALFORMED


@pytest.mark.parametrize(
    "changes",
    [
        {"deadline_seconds": None},
        {"deadline_seconds": 0.5},
        {"deadline_seconds": 2**31 - 1},
        {"sections": [str(number) for number in range(50)]},
        {"unknown": {"of": ["the contract"]}},
    ],
)
def test_good_content_is_valid(changes: dict[str, Any]) -> None:
    request = read(body(**changes))
    assert isinstance(request, Request)
    assert request.kind is Kind.VALID


@pytest.mark.parametrize(("depth", "kind"), [(200, Kind.VALID), (201, Kind.MALFORMED)])
def test_endless_nesting_is_malformed(depth: int, kind: Kind) -> None:
    nested = b'"x": ' + b"[" * depth + b"]" * depth
    request = read(body()[:-1] + b", " + nested + b"}")
    assert isinstance(request, Request)
    assert request.kind is kind


def test_what_only_a_lenient_reader_takes_for_json_is_malformed() -> None:
    for value in (json.dumps(BODY).encode("utf-16"), b"\xef\xbb\xbf" + body()):
        request = read(value)
        assert isinstance(request, Request)
        assert request.kind is Kind.MALFORMED


def test_equal_bodies_are_equal_however_they_are_written() -> None:
    one, other = read(body(deadline_seconds=5)), read(body(deadline_seconds=5.0, remark="x"))
    assert isinstance(one, Request)
    assert isinstance(other, Request)
    assert one.body == other.body


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (None, BINARY),
        (b"", BINARY),
        (b"{", BINARY),
        (b"[1]", BINARY),
        (b"\xff", BINARY),
        (body(), ()),
        (body(), BINARY[:2]),
        (body(), BINARY[1:]),
        (body(), (*BINARY, ("ce_id", b"7"))),
        (body(), (*BINARY, ("ce_type", b"EnrollmentOpened"))),
        (body(), (*BINARY, ("ce_dataschema", b"EnrollmentRequested.v2.json"))),
        (body(enrollment_id=7), BINARY),
        (body(enrollment_id=f" {ID}"), BINARY),
        (body(enrollment_id=f"urn:UUID:{ID}"), BINARY),
        (body(student_id=""), BINARY),
        (body(remark="x" * 70_000), BINARY),
        (structured(specversion="0.3"), ()),
        (structured(type="Nonsense"), ()),
        (structured(data=None), ()),
    ],
)
def test_what_names_no_enrollment_and_student_is_unreadable(
    value: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> None:
    unreadable = read(value, headers)
    assert isinstance(unreadable, Unreadable)
    assert unreadable.place == f"{REQUESTS}/2/7"
    assert unreadable.reason


def test_a_cancel_is_never_lost_for_its_form() -> None:
    for value in (body(reason=[1]), body(reason="\ud800"), json.dumps(BODY).encode("utf-16")):
        cancel = read(value, CANCEL)
        assert isinstance(cancel, Request)
        assert cancel.kind is Kind.CANCEL
