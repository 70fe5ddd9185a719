"""What one may send to the topic of requests, odd things most of all; named as in the guide."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice, product
from string import ascii_letters
from typing import Any
from uuid import UUID, uuid4

from services.tests.saga.client import Mail, Row, request_body

REQUESTED, CANCELLATION = "EnrollmentRequested", "EnrollmentCancellationRequested"
ENVELOPE_TYPE = ("content-type", b"application/cloudevents+json; charset=utf-8")


class NoText(str):
    """The name of a header whose bytes are no UTF-8."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe"


@dataclass(frozen=True)
class Sender:
    """Who sends one case: a student, a stranger to be confused with, and two enrollment ids."""

    term: str
    student: str
    stranger: str
    id: UUID = field(default_factory=uuid4)
    other_id: UUID = field(default_factory=uuid4)

    def body(self, *sections: str, **more: Any) -> Row:
        """Write a body that is in order, but for what `more` puts in place of its fields."""
        return request_body(self.id, self.student, self.term, sections or ["A"]) | more

    def mail(self, body: Row | bytes, event_type: str = REQUESTED, **headers: Any) -> Mail:
        """Put a body into binary mode; of headers, None takes one away."""
        plain = {
            "ce_specversion": b"1.0",
            "ce_id": str(uuid4()).encode(),
            "ce_type": event_type.encode(),
            "ce_source": b"/tests/odd",
            "ce_subject": str(self.id).encode(),
            "ce_time": datetime.now(UTC).isoformat().encode(),
        }
        kept = {name: value for name, value in (plain | headers).items() if value is not None}
        return Mail(self.student.encode(), as_bytes(body), list(kept.items()))

    def request(self, *sections: str, **more: Any) -> Mail:
        """Ask, with these fields in place of the right ones."""
        return self.mail(self.body(*sections, **more))

    def without(self, *names: str) -> Mail:
        """Ask, with these fields missing."""
        return self.mail({k: v for k, v in self.body().items() if k not in names})

    def with_headers(self, **headers: Any) -> Mail:
        """Ask, with these headers in place of the right ones."""
        return self.mail(self.body(), **headers)

    def in_text(self, old: str, new: str) -> Mail:
        """Ask, with a piece of the JSON replaced."""
        text = json.dumps(self.body())
        assert old in text
        return self.mail(text.replace(old, new).encode())

    def cancel(self, **more: Any) -> Mail:
        """Give the enrollment up."""
        ids = {"enrollment_id": str(self.id), "student_id": self.student}
        return self.mail(ids | more, CANCELLATION)

    def structured(self, *headers: tuple[str, bytes], **more: Any) -> Mail:
        """Ask in structured mode."""
        envelope = {
            "specversion": "1.0",
            "id": str(uuid4()),
            "type": REQUESTED,
            "source": "/tests/odd",
            "data": self.body(),
        }
        return self.bare(as_bytes(envelope | more), *headers)

    def bare(self, body: bytes, *headers: tuple[str, bytes]) -> Mail:
        """Send bytes with no header but these."""
        return Mail(self.student.encode(), body, list(headers))


def as_bytes(body: Row | bytes) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()


def padded(mail: Mail, size: int) -> Mail:
    return replace(mail, body=(mail.body or b"").ljust(size))


def nested(depth: int) -> Any:
    return [] if depth == 1 else [nested(depth - 1)]


def names(count: int) -> list[str]:
    """Many section ids, of three characters each."""
    return ["".join(one) for one in islice(product(ascii_letters, repeat=3), count)]


def both_modes(s: Sender) -> Mail:
    return replace(s.structured(), headers=[*s.request().headers, ENVELOPE_TYPE])


def one_ce_id(s: Sender) -> Sequence[Mail]:
    ce_id = str(uuid4()).encode()
    return [
        s.with_headers(ce_id=ce_id),
        s.mail(s.body("B", enrollment_id=str(s.other_id)), ce_id=ce_id),
    ]


Case = Callable[[Sender], Mail | Sequence[Mail]]

BODIES: dict[str, Case] = {
    "garbage": lambda s: s.bare(b"\x00\xff garbage"),
    "garbage-under-headers": lambda s: s.mail(b"\x00\xff garbage"),
    "empty-body": lambda s: s.mail(b""),
    "no-body": lambda s: replace(s.request(), body=None),
    "text": lambda s: s.mail(b"please enroll S1 in 1.26"),
    "xml": lambda s: s.mail(b"<EnrollmentRequested/>"),
    "json-list": lambda s: s.mail(b"[]"),
    "no-cloud-event": lambda s: s.bare(as_bytes(s.body())),
    "body-65-kib": lambda s: padded(s.request(), 65 * 1024),
    "body-64-kib": lambda s: padded(s.request(), 64 * 1024),
    "body-900-kib": lambda s: padded(s.request(), 900 * 1024),
    "byte-order-mark": lambda s: s.mail(b"\xef\xbb\xbf" + as_bytes(s.body())),
    "utf-16": lambda s: s.mail(json.dumps(s.body()).encode("utf-16")),
    "nan": lambda s: s.in_text("}", ', "deadline_seconds": NaN}'),
    "deep-nesting": lambda s: s.request(remark=nested(150)),
    "deeper-nesting": lambda s: s.request(remark=nested(500)),
    "deepest-nesting": lambda s: s.mail(b"[" * 30_000 + b"]" * 30_000),
    "json-key-twice": lambda s: s.in_text('"sections"', '"sections": ["none"], "sections"'),
    "json-id-twice": lambda s: s.in_text('"student_id"', '"student_id": 7, "student_id"'),
}

FIELDS: dict[str, Case] = {
    "good": lambda s: s.request(),
    "unknown-fields": lambda s: s.request(colour="red", nested={"a": [1]}),
    "student-id-number": lambda s: s.request(student_id=7),
    "student-id-nul": lambda s: s.request(student_id="S\x00"),
    "enrollment-id-text": lambda s: s.request(enrollment_id="my-request-7"),
    "enrollment-id-missing": lambda s: s.without("enrollment_id"),
    "enrollment-id-uppercase": lambda s: s.request(enrollment_id=str(s.id).upper()),
    "enrollment-id-braces": lambda s: s.request(enrollment_id=f"{{{s.id}}}"),
    "sections-text": lambda s: s.request(sections="A"),
    "sections-numbers": lambda s: s.request(sections=[1, 2]),
    "term-and-sections-missing": lambda s: s.without("term", "sections"),
    "no-sections": lambda s: s.request(sections=[]),
    "section-twice": lambda s: s.request("A", "A"),
    "sections-51": lambda s: s.request(sections=names(51)),
    "sections-10000": lambda s: s.request(sections=names(10_000)),
    "unknown-student": lambda s: s.request(student_id=f"{s.student}-nobody"),
    "unknown-section": lambda s: s.request("A", "none"),
    "unknown-term": lambda s: s.request(term=f"{s.term}-none"),
    "term-nul": lambda s: s.request(term="T\x00"),
    "section-half-character": lambda s: s.request("A", "\ud83c"),
    "half-character-elsewhere": lambda s: s.request(remark="\ud83c"),
    "nul-elsewhere": lambda s: s.request(remark="\x00"),
    "deadline-zero": lambda s: s.request(deadline_seconds=0),
    "deadline-negative": lambda s: s.request(deadline_seconds=-5),
    "deadline-text": lambda s: s.request(deadline_seconds="20"),
    "deadline-1e300": lambda s: s.request(deadline_seconds=1e300),
    "deadline-a-day": lambda s: s.request(deadline_seconds=86_400),
}

ENVELOPES: dict[str, Case] = {
    "no-key": lambda s: replace(s.request(), key=None),
    "wrong-key": lambda s: replace(s.request(), key=s.stranger.encode()),
    "key-no-text": lambda s: replace(s.request(), key=b"\xff\x00"),
    "ce-time-1970": lambda s: s.with_headers(ce_time=b"1970-01-01T00:00:00Z"),
    "ce-time-2100": lambda s: s.with_headers(ce_time=b"2100-01-01T00:00:00Z"),
    "ce-time-missing": lambda s: s.with_headers(ce_time=None),
    "ce-time-no-time": lambda s: s.with_headers(ce_time=b"yesterday"),
    "ce-id-text": lambda s: s.with_headers(ce_id=b"message-7"),
    "ce-id-missing": lambda s: s.with_headers(ce_id=None),
    "ce-id-twice": one_ce_id,
    "ce-source-and-subject-missing": lambda s: s.with_headers(ce_source=None, ce_subject=None),
    "ce-subject-of-another": lambda s: s.with_headers(ce_subject=str(s.other_id).encode()),
    "ce-specversion-0.3": lambda s: s.with_headers(ce_specversion=b"0.3"),
    "ce-specversion-missing": lambda s: s.with_headers(ce_specversion=None),
    "ce-type-unknown": lambda s: s.with_headers(ce_type=b"SeatsWished"),
    "ce-type-of-the-saga": lambda s: s.with_headers(ce_type=b"EnrollmentConfirmed"),
    "ce-type-missing": lambda s: s.with_headers(ce_type=None),
    "ce-type-no-text": lambda s: s.with_headers(ce_type=b"\xff\xfe"),
    "ce-dataschema-v1": lambda s: s.with_headers(
        ce_dataschema=b"https://example.org/EnrollmentRequested.v1.json"
    ),
    "ce-dataschema-v2": lambda s: s.with_headers(ce_dataschema=b"EnrollmentRequested.v2.json"),
    "content-type-avro": lambda s: s.with_headers(**{"content-type": b"application/avro"}),
    "headers-no-text": lambda s: s.with_headers(ce_source=b"\xff", ce_subject=b"\xc3", x=b"\x80"),
    "header-name-no-text": lambda s: s.with_headers(**{NoText("x"): b"x"}),
    "huge-header": lambda s: s.with_headers(x=b"x" * 300_000),
    "traceparent-nonsense": lambda s: s.with_headers(traceparent=b"\x00\xff"),
    "structured": lambda s: s.structured(ENVELOPE_TYPE),
    "structured-without-content-type": lambda s: s.structured(),
    "structured-data-text": lambda s: s.structured(ENVELOPE_TYPE, data="A"),
    "structured-data-base64": lambda s: s.structured(data=None, data_base64="e30="),
    "structured-sections-missing": lambda s: s.structured(data=s.body(sections=None)),
    "structured-id-number": lambda s: s.structured(id=7),
    "structured-v2": lambda s: s.structured(dataschema="EnrollmentRequested.v2.json"),
    "structured-list": lambda s: s.bare(b"[" + as_bytes(s.body()) + b"]"),
    "both-modes": both_modes,
}

STORIES: dict[str, Case] = {
    "same-request-twice": lambda s: [s.request(), s.request()],
    "same-request-laid-out-anew": lambda s: [
        s.request(),
        s.mail(json.dumps(s.body(), indent=4, sort_keys=True).encode()),
    ],
    "same-id-other-sections": lambda s: [s.request("A"), s.request("B")],
    "good-then-bad-under-one-id": lambda s: [s.request(), s.request(sections=[])],
    "bad-then-good-under-one-id": lambda s: [s.request(sections=[]), s.request()],
    "id-of-another-student": lambda s: [s.request(), s.request(student_id=s.stranger)],
    "same-section-under-a-new-id": lambda s: [
        s.request(),
        s.request(enrollment_id=str(s.other_id)),
    ],
    "cancel": lambda s: [s.request(), s.cancel(reason="changed my mind")],
    "cancel-twice": lambda s: [s.request(), s.cancel(), s.cancel()],
    "cancel-of-an-unknown-id": lambda s: s.cancel(),
    "cancel-before-its-request": lambda s: [s.cancel(), s.request()],
    "cancel-before-a-bad-request": lambda s: [s.cancel(), s.request(sections=[])],
    "cancel-by-another-student": lambda s: [s.request(), s.cancel(student_id=s.stranger)],
    "cancel-by-another-before": lambda s: [s.cancel(student_id=s.stranger), s.request()],
    "cancel-of-a-rejected-one": lambda s: [s.request(sections=[]), s.cancel()],
    "cancel-reason-odd": lambda s: [s.request(), s.cancel(reason={"why": "\ud83c\x00"})],
    "cancel-without-student": lambda s: [s.request(), s.cancel(student_id=None)],
}

CASES: dict[str, Case] = BODIES | FIELDS | ENVELOPES | STORIES


def mails_of(case: Case, sender: Sender) -> Sequence[Mail]:
    """Give the messages of a case, in the order in which they go out."""
    made = case(sender)
    return [made] if isinstance(made, Mail) else made
