"""What is wrong with a request is said in a problem, and nothing else comes of it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.enrollment.ingress.tests.serving import Answer, connected, exchange, get, request
from services.tests.http.client import HttpClient, http_client
from services.tests.http.scenario import Scenario
from services.tests.saga.client import Saga

TYPE = "Content-Type: application/json"
UUID_OF_NOBODY = "/enrollments/6c1e0cf4-3c0b-5a0e-9a57-0d7c2f0f1a11"


@dataclass(frozen=True)
class Gate:
    """The ingress's port, and a student who has never had anything."""

    port: int
    http: HttpClient
    student: str
    term: str

    @property
    def token(self) -> str:
        return f"Authorization: Bearer {self.http.student(self.student)}"

    async def enroll(self, body: bytes, *headers: str) -> Answer:
        raw = request("POST", "/enrollments", self.token, *headers, body=body)
        return await exchange(self.port, raw)

    async def get(self, path: str, *headers: str) -> Answer:
        return await exchange(self.port, get(path, self.token, *headers))

    def good(self, **changed: Any) -> bytes:
        """Write a body that would be accepted, but for what was changed."""
        return json.dumps({"term": self.term, "sections": ["A"], **changed}).encode()


@pytest.fixture(scope="module")
async def gate(saga: Saga) -> AsyncIterator[Gate]:
    async with http_client(saga.state_dir) as http:
        story = Scenario(saga, http)
        await story.set_up({"A": 5})
        port = urlsplit(http.url).port
        assert port is not None
        yield Gate(port, http, story.student, story.term)


# Bodies

NESTED = b"[" * 7000 + b"]" * 7000
NO_JSON = {
    "nothing": b" ",
    "nested deeply": NESTED,
    "nested deeply in a field": b'{"term": "t", "sections": ' + NESTED + b"}",
    "nested deeply and cut": b'{"a":' * 3000,
    "a name twice": b'{"term": "t", "sections": ["A"], "sections": ["B"]}',
    "a student twice": b'{"student_id": "S1", "term": "t", "sections": ["A"], "student_id": "S2"}',
    "a number of 5000 digits": b'{"term": "t", "sections": ["A"], "deadline_seconds": 1'
    + b"0" * 5000
    + b"}",
    "NUL": b'{"term": "t\x00", "sections": ["A"]}',
    "a lone surrogate": b'{"term": "\\ud800", "sections": ["A"]}',
    "a lone surrogate in a name": b'{"\\udfff": 1, "term": "t", "sections": ["A"]}',
    "not UTF-8": b'{"term": "\xff", "sections": ["A"]}',
    "UTF-16": '{"term": "t", "sections": ["A"]}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"term": "t", "sections": ["A"]}',
    "a comment": b'/* */ {"term": "t", "sections": ["A"]}',
    "two documents": b'{"term": "t", "sections": ["A"]} {}',
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
async def test_a_body_that_is_no_json_is_refused(gate: Gate, body: bytes) -> None:
    answer = await gate.enroll(body, TYPE)

    assert answer.status == 400
    assert answer.problem == "malformed-body"


NOT_WANTED: dict[str, Any] = {
    "null": None,
    "a list": [],
    "a text": "enroll me",
    "no section": {"term": "t", "sections": []},
    "51 sections": {"term": "t", "sections": [str(number) for number in range(51)]},
    "a section twice": {"term": "t", "sections": ["A", "A"]},
    "an unknown field": {"term": "t", "sections": ["A"], "price": 1},
    "a known field in other letters": {"Term": "t", "sections": ["A"]},
    "NUL in a section": {"term": "t", "sections": ["A\0"]},
    "the end of a line in a section": {"term": "t", "sections": ["A\r\nX-Evil: 1"]},
    "a name of 65 letters": {"term": "t" * 65, "sections": ["A"]},
    "an object for a name": {"term": {"$ne": ""}, "sections": ["A"]},
    "not a number": {"term": "t", "sections": ["A"], "deadline_seconds": float("nan")},
    "no end": {"term": "t", "sections": ["A"], "deadline_seconds": float("inf")},
    "a huge number": {"term": "t", "sections": ["A"], "deadline_seconds": 10**300},
    "time that has passed": {"term": "t", "sections": ["A"], "deadline_seconds": -1},
    "a truth for a number": {"term": "t", "sections": ["A"], "deadline_seconds": True},
    "a text for a number": {"term": "t", "sections": ["A"], "deadline_seconds": "20"},
}


@pytest.mark.parametrize("body", NOT_WANTED.values(), ids=NOT_WANTED.keys())
async def test_json_that_is_no_request_is_refused_by_field_and_its_values_are_not_repeated(
    gate: Gate, body: Any
) -> None:
    answer = await gate.enroll(json.dumps(body).encode(), TYPE)

    assert answer.status == 422
    assert answer.problem == "validation-failed"
    assert json.loads(answer.body)["errors"]
    assert b"Evil" not in answer.body


async def test_a_body_may_have_just_so_many_bytes(gate: Gate) -> None:
    body = b'{"no": "request"}'

    fits = await gate.enroll(body.ljust(16 * 1024), TYPE)
    over = await gate.enroll(body.ljust(16 * 1024 + 1), TYPE)

    assert (fits.status, fits.problem) == (422, "validation-failed")
    assert (over.status, over.problem) == (413, "body-too-large")


async def test_a_large_body_is_refused_also_where_its_length_is_not_told(gate: Gate) -> None:
    head = request("POST", "/enrollments", gate.token, TYPE, "Transfer-Encoding: chunked")

    answer = await exchange(gate.port, head, *[b"1000\r\n" + b" " * 0x1000 + b"\r\n"] * 5)

    assert (answer.status, answer.problem) == (413, "body-too-large")


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Content-Type: text/plain",),
        ("Content-Type: application/x-www-form-urlencoded",),
        ("Content-Type: application/jsonp",),
        ("Content-Type:",),
        (TYPE, "Content-Encoding: gzip"),
        (TYPE, "Content-Encoding: identity"),
    ],
    ids=str,
)
async def test_a_body_that_is_not_declared_as_plain_json_is_refused(
    gate: Gate, headers: tuple[str, ...]
) -> None:
    answer = await gate.enroll(gate.good(), *headers)

    assert (answer.status, answer.problem) == (415, "unsupported-media-type")


# Headers


@pytest.mark.parametrize(
    "headers",
    [
        ("Idempotency-Key:",),
        ('Idempotency-Key: ""',),
        ("Idempotency-Key: " + "k" * 256,),
        ("Idempotency-Key: a b",),
        ("Idempotency-Key: a\tb",),
        ("Idempotency-Key: schl\u00fcssel",),
        ("Idempotency-Key: a", "Idempotency-Key: a"),
        ("Idempotency-Key: a", "idempotency-key: b"),
    ],
    ids=["empty", "empty in quotes", "too long", "space", "tab", "not ASCII", "twice", "two"],
)
async def test_a_key_that_is_none_is_refused(gate: Gate, headers: tuple[str, ...]) -> None:
    answer = await gate.enroll(gate.good(), TYPE, *headers)

    assert (answer.status, answer.problem) == (400, "key-invalid")


@pytest.mark.parametrize(
    "line",
    [
        "X: a\r\n X-Evil: b",
        "X: a\nX-Evil: b",
        "X: a\rX-Evil: b",
        "X: a\x00b",
        "X\x00: a",
        "X : a",
        ": a",
        "X",
        "Host: b",
        "Content-Length: +5",
        "Content-Length: 5, 5",
        "Content-Length: 0x5",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ],
    ids=ascii,
)
async def test_a_head_that_others_could_read_otherwise_is_refused_and_the_connection_closed(
    gate: Gate, line: str
) -> None:
    async with connected(gate.port) as client:
        await client.send(get("/health/live", line))
        answer = await client.answer()
        assert await client.rest() == b""

    assert (answer.status, answer.problem) == (400, "malformed-request")


@pytest.mark.parametrize(
    "given", ["a b", "a\u00e9", "x" * 129, "a;b", "<script>", "%0d%0aX-Evil:1"]
)
async def test_a_correlation_id_that_could_be_anything_is_replaced(gate: Gate, given: str) -> None:
    answer = await gate.get("/health/live", f"X-Correlation-ID: {given}")

    assert answer.status == 200
    assert len(answer.headers["x-correlation-id"]) == 36


INJECTED = "%0d%0aX-Evil:1"


@pytest.mark.parametrize(
    "path", [f"/enrollments?cursor={INJECTED}", f"/problems/{INJECTED}", f"/{INJECTED}"]
)
async def test_nothing_of_a_path_becomes_a_header(gate: Gate, path: str) -> None:
    answer = await gate.get(path)

    assert answer.status in {404, 422}
    assert "x-evil" not in answer.headers


async def test_nothing_of_a_query_becomes_more_of_a_link_than_it_was(gate: Gate) -> None:
    injected = f'{INJECTED}%3E;rel="evil",<a'
    answer = await gate.get(f"/sections?term={gate.term}&limit=1&x={injected}")

    assert "x-evil" not in answer.headers
    link = answer.headers["link"]
    assert (link.count("<"), link.count('"'), link.count(";"), link.count(",")) == (1, 2, 1, 0)
    assert link.endswith('>; rel="next"')


# Targets and methods

NOWHERE = [
    "//health/live",
    "/queue/../health/live",
    "/%2e%2e/health/live",
    "/health/live/",
    "/HEALTH/live",
    "/health/%zz",
    "/health\\live",
    "/static-offline-docs/..%2f..%2fcore.py",
    "/static-offline-docs/%00",
    "http://127.0.0.1/nowhere",
]


@pytest.mark.parametrize("target", NOWHERE)
async def test_a_target_that_leads_nowhere_is_not_found(gate: Gate, target: str) -> None:
    answer = await gate.get(target)

    assert (answer.status, answer.problem) == (404, "not-found")


@pytest.mark.parametrize("target", ["health/live", "?a", "a:80", "http://a", "file:///etc/passwd"])
async def test_a_target_that_is_none_is_refused(gate: Gate, target: str) -> None:
    answer = await gate.get(target)

    assert (answer.status, answer.problem) == (400, "malformed-request")


async def test_a_target_with_another_host_is_taken_for_its_path(gate: Gate) -> None:
    answer = await gate.get("http://user:password@evil.example/enrollments?limit=1")

    assert answer.status == 200
    assert "evil" not in str(answer)


NO_IDS = [
    "1",
    "-1",
    "%00",
    "%ff",
    "%",
    "null",
    "'%20OR%201=1--",
    "6c1e0cf4-3c0b-5a0e-9a57-0d7c2f0f1a1",
    "6c1e0cf4-3c0b-5a0e-9a57-0d7c2f0f1a11%0a",
    "g" * 36,
    "9" * 4000,
]


@pytest.mark.parametrize("name", NO_IDS)
@pytest.mark.parametrize("path", ["/enrollments/{}", "/enrollments/{}/events"])
async def test_an_id_that_is_no_uuid_is_refused(gate: Gate, path: str, name: str) -> None:
    answer = await gate.get(path.format(name))

    assert (answer.status, answer.problem) == (422, "validation-failed")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "PROPFIND"])
async def test_a_method_that_is_not_known_is_refused_and_nothing_is_sent_back(
    gate: Gate, method: str
) -> None:
    async with connected(gate.port) as client:
        await client.send(
            request(method, UUID_OF_NOBODY, gate.token, "X-Evil: 1", "Connection: close")
        )
        said = (await client.rest()).decode()

    head, _, body = said.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 405 ")
    assert "\r\nallow: DELETE, GET\r\n" in head
    assert gate.token not in said
    assert "Evil" not in said
    assert bool(body) is (method != "HEAD")


@pytest.mark.parametrize("accept", ["application/json", "text/html, image/*", "text/event-streams"])
async def test_who_does_not_take_events_gets_none(gate: Gate, accept: str) -> None:
    answer = await gate.get(f"{UUID_OF_NOBODY}/events", f"Accept: {accept}")

    assert (answer.status, answer.problem) == (406, "not-acceptable")


@pytest.mark.parametrize("accept", ["", "*/*", "text/*", "application/json, text/event-stream;q=1"])
async def test_who_takes_events_or_anything_is_told(gate: Gate, accept: str) -> None:
    answer = await gate.get(f"{UUID_OF_NOBODY}/events", f"Accept: {accept}")

    assert (answer.status, answer.problem) == (404, "not-found")


async def test_nothing_has_come_of_any_of_it(gate: Gate, saga: Saga) -> None:
    listed = await gate.get("/enrollments")
    rows = "SELECT * FROM enrollment WHERE student_id = $1"

    assert json.loads(listed.body)["enrollments"] == []
    assert await saga.rows("enrollment", rows, gate.student) == []
