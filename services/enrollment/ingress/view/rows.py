"""How the view's rows are written and read: happenings as short text, for they are many."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
)

from services.enrollment.ingress.view.model import (
    Happening,
    Status,
    ViewedEnrollment,
    ViewedSection,
)
from shared.database import AnyRow
from shared.events import Reason, SectionState, Stage

METADATA: Final = MetaData()

VIEWED_ENROLLMENT: Final = Table(
    "viewed_enrollment",
    METADATA,
    Column("enrollment_id", Uuid, primary_key=True),
    Column("student_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("term", Text),
    Column("sections", ARRAY(Text), nullable=False),
    Column("opened_at", DateTime(timezone=True)),
    Column("deadline_at", DateTime(timezone=True)),
    Column("decided_at", DateTime(timezone=True)),
    Column("stage", Text),
    Column("reasons", Text),
    Column("was", Text),
    Column("happenings", Text),
    Column("refusals", Text),
    Column("settled_at", DateTime(timezone=True)),
    Column("is_pruned", Boolean, nullable=False),
)
VIEWED_SECTION: Final = Table(
    "viewed_section",
    METADATA,
    Column("term", Text, primary_key=True),
    Column("section_id", Text, primary_key=True),
    Column("course_id", Text),
    Column("state", Text, nullable=False),
    Column("credits", Integer, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("version", BigInteger),
    Column("reserved", Integer, nullable=False),
    Column("seat_sequence", BigInteger, nullable=False),
)
VIEWED_TOTAL: Final = Table(
    "viewed_total",
    METADATA,
    Column("is_the_one", Boolean, primary_key=True),
    *(Column(status.value, BigInteger, nullable=False) for status in Status),
)

# Each happening is a letter and the microseconds of its time; a letter never gets another meaning.
LETTERS: Final[Mapping[str, str]] = {
    "EnrollmentRequested": "q",
    "EnrollmentOpened": "o",
    "EnrollmentConfirmed": "c",
    "EnrollmentRejected": "r",
    "EnrollmentCancelled": "x",
    "StudentValidated": "v",
    "StudentRejected": "i",
    "StudentClaimReleased": "g",
    "SeatReserved": "s",
    "SeatUnavailable": "u",
    "SeatReleased": "f",
}
_EVENTS: Final = {letter: event for event, letter in LETTERS.items()}
_REFUSING: Final = frozenset({"r", "i", "u"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_REASONS: Final = TypeAdapter(tuple[Reason, ...])
_REFUSALS: Final = TypeAdapter(dict[str, tuple[Reason, ...]])


def enrollment_of(row: AnyRow) -> ViewedEnrollment:
    """Read a row of viewed_enrollment."""
    reasons = _REASONS.validate_json(row["reasons"]) if row["reasons"] else ()
    return ViewedEnrollment(
        enrollment_id=row["enrollment_id"],
        student_id=row["student_id"],
        status=Status(row["status"]),
        requested_at=row["requested_at"],
        term=row["term"],
        sections=tuple(row["sections"]),
        opened_at=row["opened_at"],
        deadline_at=row["deadline_at"],
        decided_at=row["decided_at"],
        stage=Stage(row["stage"]) if row["stage"] else None,
        reasons=reasons,
        was=row["was"],
        happenings=_happenings(row["happenings"], row["refusals"], reasons),
        settled_at=row["settled_at"],
    )


def section_of(row: AnyRow) -> ViewedSection:
    """Read a row of viewed_section."""
    return ViewedSection(**{**row, "state": SectionState(row["state"])})


def reasons_text(reasons: tuple[Reason, ...]) -> str | None:
    """Write reasons; None where there are none."""
    return _REASONS.dump_json(reasons, exclude_none=True).decode() if reasons else None


def happenings_text(enrollment: ViewedEnrollment) -> str | None:
    """Write the happenings, without their reasons."""
    if enrollment.happenings is None:
        return None
    return " ".join(
        f"{LETTERS[one.event]}{(one.at - _EPOCH) // _MICROSECOND}" for one in enrollment.happenings
    )


def refusals_text(enrollment: ViewedEnrollment) -> str | None:
    """Write the reasons of happenings, but for those that are the enrollment's own."""
    others = {
        LETTERS[one.event]: one.reasons
        for one in enrollment.happenings or ()
        if LETTERS[one.event] in _REFUSING and one.reasons != enrollment.reasons
    }
    return _REFUSALS.dump_json(others, exclude_none=True).decode() if others else None


def _happenings(
    text: str | None, refusals_text: str | None, reasons: tuple[Reason, ...]
) -> tuple[Happening, ...] | None:
    if text is None:
        return None
    refusals = _REFUSALS.validate_json(refusals_text) if refusals_text else {}
    return tuple(
        Happening(
            _EVENTS[one[0]],
            _EPOCH + int(one[1:]) * _MICROSECOND,
            refusals.get(one[0], reasons) if one[0] in _REFUSING else (),
        )
        for one in text.split(" ")
        if one
    )
