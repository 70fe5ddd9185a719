"""Asks Jaeger for traces, and draws one as a waterfall of text."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from services.cli.output import CliError

ANSWER_SECONDS: Final = 10.0
WIDTH: Final = 32
NAME_WIDTH: Final = 72
JAEGER_VARIABLE: Final = "JAEGER_URL"


@dataclass(frozen=True, slots=True)
class TracedSpan:
    """A span as Jaeger has it; times in microseconds since 1970."""

    service: str
    name: str
    span_id: str
    parent_id: str | None
    began_us: int
    took_us: int
    tags: Mapping[str, Any]

    @property
    def is_error(self) -> bool:
        """Tell whether something failed there."""
        return self.tags.get("error") is True

    @property
    def event_type(self) -> str | None:
        """Name the event that it was about."""
        return self.tags.get("cloudevents.event_type")


class Jaeger:
    """Jaeger's query interface."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise CliError(f"{JAEGER_VARIABLE} must begin with http:// or https://, and is {url}")
        self._url = url.rstrip("/")

    def trace(self, trace_id: str) -> list[TracedSpan]:
        """Give a trace's spans in the order of their beginnings; none where it is not known."""
        found = self._ask(f"/api/traces/{trace_id}")
        return _spans(found[0]) if found else []

    def search(self, service: str, tags: Mapping[str, str]) -> list[list[TracedSpan]]:
        """Find the traces that have a span of this service with these tags."""
        query = urlencode({"service": service, "tags": json.dumps(tags), "limit": 20})
        return [_spans(one) for one in self._ask(f"/api/traces?{query}")]

    def dependencies(self, end_ms: int, lookback_ms: int) -> set[tuple[str, str]]:
        """Give which service goes on where which one has been."""
        found = self._ask(f"/api/dependencies?endTs={end_ms}&lookback={lookback_ms}")
        return {(one["parent"], one["child"]) for one in found}

    def _ask(self, path: str) -> list[Any]:
        try:
            with urlopen(self._url + path, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                return json.load(answer)["data"] or []
        except HTTPError as error:
            if error.code == 404:
                return []
            raise CliError(f"Jaeger at {self._url} answers {error.code}") from None
        except (URLError, TimeoutError) as error:
            raise CliError(
                f"Jaeger at {self._url} does not answer ({error}): start one with "
                f"`enroll up --jaeger`, or name yours by {JAEGER_VARIABLE}"
            ) from None


def _spans(trace: Mapping[str, Any]) -> list[TracedSpan]:
    services = {key: one["serviceName"] for key, one in trace["processes"].items()}
    found = [
        TracedSpan(
            service=services[span["processID"]],
            name=span["operationName"],
            span_id=span["spanID"],
            parent_id=_parent_of(span),
            began_us=span["startTime"],
            took_us=span["duration"],
            tags={tag["key"]: tag["value"] for tag in span["tags"]},
        )
        for span in trace["spans"]
    ]
    return sorted(found, key=lambda span: span.began_us)


def _parent_of(span: Mapping[str, Any]) -> str | None:
    parents: list[str] = [
        one["spanID"]
        for one in span["references"]
        if one["refType"] == "CHILD_OF" and one["traceID"] == span["traceID"]
    ]
    return parents[0] if parents else None


def waterfall(spans: Sequence[TracedSpan]) -> list[str]:
    """Draw a trace: a line for each span, below the one that it continues."""
    began_us = min(span.began_us for span in spans)
    whole_us = max(1, max(span.began_us + span.took_us for span in spans) - began_us)
    return [_line(span, depth, began_us, whole_us) for depth, span in _in_order(spans)]


def _in_order(spans: Sequence[TracedSpan]) -> Iterator[tuple[int, TracedSpan]]:
    known = {span.span_id for span in spans}

    def below(parent_id: str | None, depth: int) -> Iterator[tuple[int, TracedSpan]]:
        for span in spans:
            above = span.parent_id if span.parent_id in known else None
            if above == parent_id:
                yield depth, span
                yield from below(span.span_id, depth + 1)

    return below(None, 0)


def _line(span: TracedSpan, depth: int, began_us: int, whole_us: int) -> str:
    at_us = span.began_us - began_us
    first = min(WIDTH - 1, at_us * WIDTH // whole_us)
    length = max(1, min(WIDTH - first, round(span.took_us * WIDTH / whole_us)))
    bar = " " * first + "█" * length
    what = f"{'  ' * depth}{span.service}: {span.name}"
    event = f" {span.event_type}" if span.event_type else ""
    mark = " ERROR" if span.is_error else ""
    text = f"{what}{event}{mark}"[:NAME_WIDTH]
    return f"{text:<{NAME_WIDTH}} {at_us / 1000:8.1f} {span.took_us / 1000:7.1f} |{bar}"
