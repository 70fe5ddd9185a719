"""Tells a collector of an operator's replay, in a trace of its own that is linked to the saga's."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.trace import SpanKind

from shared import trace_context
from shared.dead_letter import DeadLetter
from shared.tracing import Span, Tracing, exporter_of, now_ns

NAME: Final = "replay dead letter"


def tell_of_replay(
    service: str, queue: Sequence[DeadLetter], says: Sequence[str], began_ns: int
) -> None:
    """Record a span where a collector is named; waits for it two seconds at most."""
    tracing = Tracing("enroll", "1", sample_ratio=0.0, exporter=exporter_of())
    contexts = (dict(letter.message.headers).get("traceparent", b"") for letter in queue)
    tracing.record(
        Span(
            name=NAME,
            kind=SpanKind.INTERNAL,
            context=trace_context.of_its_own(),
            parent=None,
            began_ns=began_ns,
            ended_ns=now_ns(),
            attributes={
                "dead_letter.service": service,
                "dead_letter.ids": [letter.id for letter in queue],
                "dead_letter.emitted": list(says),
            },
            links=[context.decode(errors="replace") for context in contexts],
        )
    )
    tracing.close()
