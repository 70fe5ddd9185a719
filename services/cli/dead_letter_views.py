"""How dead letters are shown: as programs and as people read them."""

import json
from collections.abc import Sequence
from typing import Any, Final

from services.cli.dead_letter_work import REACTIONS_OF, Attempt
from services.cli.enrollment_story import ENDED, letter_data
from services.cli.output import Table, show_time
from services.enrollment.model import Enrollment
from shared.codec import decode, occurred_at
from shared.dead_letter import DeadLetter
from shared.message import Arrival, Unreadable
from shared.trace_context import parse_traceparent

NOTHING: Final = "nothing"


def whole_letter_data(
    service: str, letter: DeadLetter, enrollment: Enrollment | None
) -> dict[str, Any]:
    """Give a dead letter with its message, decoded as far as it can be, for programs."""
    message = letter.message
    headers = {name: _text(value) for name, value in message.headers}
    event, unreadable = _decoded(service, letter)
    return letter_data(service, letter) | {
        "occurred_at": occurred_at(message),
        "trace_id": _trace_id(headers.get("traceparent")),
        "state": enrollment.state.value if enrollment else None,
        "key": _text(message.key),
        "headers": headers,
        "event": event,
        "unreadable": unreadable,
        "body": _text(message.value),
    }


def whole_letter_parts(data: dict[str, Any]) -> list[str | Table]:
    """Give the same for people: the body as it was read, or else as it came."""
    nested = {"headers", "event", "body"}
    rows = [(name, value) for name, value in data.items() if name not in nested]
    rows += [(f"header {name}", value) for name, value in data["headers"].items()]
    if data["event"] is None:
        return [Table(("what", "value"), [*rows, ("body", data["body"])])]
    event = json.dumps(data["event"], indent=2, ensure_ascii=False)
    return [Table(("what", "value"), rows), f"{data['event_type']}, as it was read:", event]


def _decoded(service: str, letter: DeadLetter) -> tuple[dict[str, Any] | None, str | None]:
    """Give the event, or what keeps it from being read."""
    match decode(letter.message, REACTIONS_OF[service].keys()):
        case Arrival(event=event):
            return event.model_dump(mode="json", exclude_none=True), None
        case Unreadable(reason=reason, detail=detail):
            return None, f"{reason.value}: {detail}"
        case None:
            return None, "this service has no reaction to it"


def _trace_id(traceparent: str | None) -> str | None:
    context = parse_traceparent(traceparent)
    return None if context is None else f"{context.trace_id:032x}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def attempts_data(attempts: Sequence[Attempt], *, is_only_tried: bool) -> dict[str, Any]:
    """Give what came of replays for programs."""
    return {"dry_run": is_only_tried, "items": [_attempt_data(one) for one in attempts]}


def _attempt_data(one: Attempt) -> dict[str, Any]:
    return {
        "service": one.service,
        "id": one.letter.id,
        "replayed": list(one.done.letter_ids) if one.done else [],
        "says": list(one.done.says) if one.done else [],
        "error": one.failure,
        "enrollment_id": one.letter.enrollment_id,
        "state": one.enrollment.state.value if one.enrollment else None,
        "has_ended": _has_ended(one.enrollment),
    }


def attempt_line(one: Attempt, *, is_only_tried: bool) -> str:
    """Give what came of one replay for people."""
    if one.done is None:
        return f"{one.service}: {one.failure}"
    ids = ", ".join(str(letter_id) for letter_id in one.done.letter_ids)
    says = ", ".join(one.done.says) or NOTHING
    did, tells = ("would replay", "would say") if is_only_tried else ("replayed", "now says")
    return f"{did} {ids} of {one.service}, which {tells} {says}{_standing(one.enrollment)}"


def _standing(enrollment: Enrollment | None) -> str:
    """Say how the enrollment stood; one that has ended is what a replay can no longer help."""
    if enrollment is None:
        return ""
    if _has_ended(enrollment) and enrollment.decided_at is not None:
        when = show_time(enrollment.decided_at)
        return f"; its saga had ended before: {enrollment.state} since {when}"
    return f"; its enrollment was {enrollment.state}"


def _has_ended(enrollment: Enrollment | None) -> bool:
    return enrollment is not None and enrollment.state in ENDED
