"""Writes a diagnosis: in sentences for whoever is woken by it, and as data for programs."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.cli.output import Table, show_time
from services.cli.why.causes import Diagnosis, clock, seconds

HAPPENED_MAX = 40


def data_of(found: Diagnosis) -> dict[str, Any]:
    """Give the whole for programs."""
    return {
        "enrollment_id": found.enrollment_id,
        "student_id": found.student_id,
        "state": found.state,
        "verdict": found.verdict,
        "where": found.where,
        "since": found.since,
        "waits_for": found.waits_for,
        "deadline_at": found.deadline_at,
        "cause": found.finding.cause,
        "next": found.finding.next,
        "notes": found.notes,
        "facts": found.happened,
        "unseen": found.unseen,
    }


def parts_of(found: Diagnosis, now: datetime) -> list[str | Table]:
    """Give the whole for people: first what matters at night, then what it rests on."""
    student = f" of student {found.student_id}" if found.student_id else ""
    parts: list[str | Table] = [f"{found.enrollment_id}{student}: {found.where}."]
    if found.since is not None and found.waits_for is not None:
        waited = seconds(now - found.since)
        parts.append(f"It waits for {found.waits_for} since {clock(found.since)} ({waited}).")
    cause = found.finding.cause
    parts.append(f"Cause: {cause.sentence} [{cause.service}, {cause.kind}].")
    parts += [f"Also: {note}." for note in found.notes]
    parts += [f"Unseen: {one}." for one in found.unseen]
    parts.append(f"Next: {found.finding.next.sentence}")
    if found.finding.next.command is not None:
        parts.append(f"  {found.finding.next.command}")
    shown = found.happened[-HAPPENED_MAX:]
    rows = [
        (show_time(one.at)[:-6], one.service, one.what, _step(shown, n))
        for n, one in enumerate(shown)
    ]
    parts += [Table(("at (UTC)", "service", "what", "after"), rows)] if rows else []
    return parts


def _step(happened: Sequence[Any], number: int) -> str:
    if number == 0:
        return ""
    return seconds(happened[number].at - happened[number - 1].at)


def stuck_data(found: Sequence[Diagnosis], older_than_seconds: float) -> dict[str, Any]:
    """Give all that are stuck for programs, and how many have which cause."""
    groups = defaultdict(list)
    for one in found:
        groups[one.finding.cause.service, one.finding.cause.kind].append(one)
    return {
        "older_than_seconds": older_than_seconds,
        "items": [_item(one) for one in found],
        "causes": [
            {
                "service": service,
                "kind": kind,
                "count": len(ones),
                "sentence": ones[0].finding.cause.sentence,
                "next": ones[0].finding.next,
            }
            for (service, kind), ones in groups.items()
        ],
        "unseen": found[0].unseen if found else [],
    }


def _item(one: Diagnosis) -> dict[str, Any]:
    return {
        "enrollment_id": one.enrollment_id,
        "student_id": one.student_id,
        "waits_for": one.waits_for,
        "since": one.since,
        "deadline_at": one.deadline_at,
        "cause": {"service": one.finding.cause.service, "kind": one.finding.cause.kind},
    }


def stuck_parts(found: Sequence[Diagnosis], older_than_seconds: float) -> list[str | Table]:
    """Give all that are stuck for people, by cause, oldest first within each."""
    if not found:
        return [f"No enrollment is pending for more than {older_than_seconds:g} s."]
    data = stuck_data(found, older_than_seconds)
    parts: list[str | Table] = []
    for cause in data["causes"]:
        parts.append(
            f"{cause['count']} of {cause['service']}, {cause['kind']}: {cause['sentence']}."
        )
        parts.append(f"  Next: {cause['next'].sentence} {cause['next'].command or ''}".rstrip())
    rows = [
        (one.enrollment_id, one.student_id, one.waits_for, one.since, one.finding.cause.kind)
        for one in found
    ]
    columns = ("enrollment_id", "student_id", "waits for", "since", "cause")
    return [*parts, Table(columns, rows), *(f"Unseen: {one}." for one in found[0].unseen)]
