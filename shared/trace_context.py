"""The W3C trace context of a saga: read, written, continued, and begun where nobody has."""

import re
from hashlib import blake2b
from typing import Final

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, TraceFlags

from shared.identifiers import EnrollmentId

TRACEPARENT: Final = re.compile(
    r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)  # ids of zeros alone are not valid
SAMPLED_DIGITS: Final = frozenset("13579bdf")
NOT_SAMPLED: Final = "00"
SAMPLED: Final = "01"
DIGEST_BYTES: Final = 4
_IDS: Final = RandomIdGenerator()
_NEW_SPAN_ID: Final = _IDS.generate_span_id


def parse_traceparent(text: str | None) -> SpanContext | None:
    """Read a W3C traceparent; None where there is none or it is not valid."""
    match = TRACEPARENT.fullmatch(text) if text is not None else None
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


def is_sampled(traceparent: str) -> bool:
    """Tell whether a valid traceparent is of a trace that is recorded."""
    return traceparent[-1] in SAMPLED_DIGITS


def begin(enrollment_id: EnrollmentId, ratio: float) -> str:
    """Begin the trace of an enrollment, which has the enrollment's own id.

    So its repeats, its cancel, and whoever lost the context come to the same trace, and whoever
    knows the id has found it. Whether it is sampled follows from the id, everywhere alike; from its
    hash, since not every version of UUID has random bits at the same place.
    """
    digest = blake2b(enrollment_id.bytes, digest_size=DIGEST_BYTES).digest()
    share = int.from_bytes(digest) / 256**DIGEST_BYTES
    flags = SAMPLED if share < ratio else NOT_SAMPLED
    trace_id = enrollment_id.int or 1  # 0 is no id of a trace
    return f"00-{trace_id:032x}-{_NEW_SPAN_ID():016x}-{flags}"


def continue_or_begin(traceparent: str | None, enrollment_id: EnrollmentId, ratio: float) -> str:
    """Keep a valid context as it is, or begin the enrollment's trace."""
    if traceparent is not None and TRACEPARENT.fullmatch(traceparent) is not None:
        return traceparent
    return begin(enrollment_id, ratio)


def child_of(traceparent: str) -> str:
    """Give the context of a new span in the same trace."""
    return f"{traceparent[:36]}{_NEW_SPAN_ID():016x}{traceparent[52:]}"


def as_sampled(traceparent: str) -> str:
    """Give the same context, recorded whatever was decided."""
    return f"{traceparent[:-2]}{SAMPLED}"


def of_its_own() -> str:
    """Begin a sampled trace that belongs to no enrollment: of a batch, or of an operator's work."""
    return f"00-{_IDS.generate_trace_id():032x}-{_NEW_SPAN_ID():016x}-{SAMPLED}"
