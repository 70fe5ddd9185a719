"""The words of a diagnosis: every kind of cause there is, and what may be done next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

USUAL_SECONDS: Final = 5.0  # most stages take a tenth of one, a service's restart three
PROGRAM: Final = "enroll"


class CauseKind(StrEnum):
    """Why an enrollment is where it is."""

    DECIDED = "decided"
    REFUSED = "refused"
    ON_ITS_WAY = "on_its_way"
    SERVER_DOWN = "server_down"
    PROCESS_DOWN = "process_down"
    PROCESS_SILENT = "process_silent"
    BREAKER_OPEN = "breaker_open"
    OUTBOX_BLOCKED = "outbox_blocked"
    LAG = "lag"
    PARTITION_WAITS = "partition_waits"
    INTAKE_CLOSED = "intake_closed"
    DEAD_LETTER = "dead_letter"
    HELD = "held"
    UNREADABLE = "unreadable"
    UNKNOWN_VERSION = "unknown_version"
    DEADLINE_NEAR = "deadline_near"
    DEADLINE_PASSED = "deadline_passed"
    CANCEL_WAITING = "cancel_waiting"
    CLOCK_OFF = "clock_off"
    UNKNOWN_SECTION = "unknown_section"
    CATALOGS_DISAGREE = "catalogs_disagree"
    NEVER_ARRIVED = "never_arrived"
    NO_DATA = "no_data"
    UNEXPLAINED = "unexplained"


class Verdict(StrEnum):
    """What the whole comes to, which is the exit code."""

    FINE = "fine"
    STUCK = "stuck"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Cause:
    """The first thing that keeps an enrollment where it is, or brought it there."""

    service: str
    kind: CauseKind
    sentence: str


@dataclass(frozen=True, slots=True)
class Next:
    """The one thing to do, which loses and oversells nothing; `command` None: there is none."""

    sentence: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause with what to do about it."""

    cause: Cause
    next: Next


@dataclass(frozen=True, slots=True)
class Judged:
    """A state, and what was found to be its cause."""

    state: str
    where: str
    finding: Finding
    verdict: Verdict
    since: datetime | None = None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class TimedFact:
    """Something that happened."""

    at: datetime
    service: str
    what: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where an enrollment is, why, and what may be done."""

    enrollment_id: UUID
    student_id: str | None
    state: str
    where: str
    since: datetime | None
    waits_for: str | None  # the service that has still to do something
    deadline_at: datetime | None
    finding: Finding
    verdict: Verdict
    notes: Sequence[str]
    happened: Sequence[TimedFact]
    unseen: Sequence[str]


def finding(service: str, kind: CauseKind, sentence: str, to_do: Next) -> Finding:
    """Put a cause and what to do together."""
    return Finding(Cause(service, kind, sentence), to_do)


def restart(name: str, why: str) -> Next:
    """Restart a process or a server: all that it was doing is done again or was done."""
    return Next(why, f"{PROGRAM} restart {name}")


def look_again(enrollment_id: UUID, sentence: str) -> Next:
    """Wait, and ask again."""
    return Next(sentence, f"{PROGRAM} why {enrollment_id}")


def status(sentence: str) -> Next:
    """Look at all processes."""
    return Next(sentence, f"{PROGRAM} status")


def show_letter(service: str, letter_id: int, sentence: str) -> Next:
    """Look at a dead letter."""
    return Next(sentence, f"{PROGRAM} dead-letters show {letter_id} --service {service}")


def replay_letter(service: str, letter_id: int, sentence: str) -> Next:
    """Replay a dead letter, which changes nothing where it fails again."""
    return Next(sentence, f"{PROGRAM} dead-letters replay {letter_id} --service {service}")


def seconds(span: timedelta) -> str:
    """Say how long something is."""
    total = span.total_seconds()
    if abs(total) < 1:
        return f"{total * 1000:.0f} ms"
    if abs(total) < 120:
        return f"{total:.1f} s"
    return f"{total / 60:.0f} min" if abs(total) < 7200 else f"{total / 3600:.1f} h"


def clock(moment: datetime) -> str:
    """Show a moment, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
