"""Tells a collector of an operator's replay, in a trace of its own that is linked to the saga's."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.trace import SpanKind

from services.cli.output import CliError
from shared import trace_context
from shared.dead_letter import DeadLetter
from shared.tracing import Span, Tracing, exporter_of, now_ns

NAME: Final = "replay dead letter"


def open_tracing() -> Tracing:
    """Give what tells the collector, if one is named; a bad variable ends the command."""
    try:
        return Tracing("enroll", "1", sample_ratio=0.0, exporter=exporter_of())
    except ValueError as error:
        raise CliError(str(error)) from None


def tell_of_replay(
    tracing: Tracing,
    service: str,
    queue: Sequence[DeadLetter],
    says: Sequence[str],
    began_ns: int,
) -> None:
    """Record a span, and send it; waits for the collector two seconds at most."""
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
