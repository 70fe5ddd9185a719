"""Judges states at rest: every request has its one outcome, and holds what that says."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.capacity.model import ReservationState
from services.enrollment.model import EnrollmentState
from services.simulation.explorer.contents import Contents
from services.simulation.oracle import short
from services.student.model import ClaimState
from shared.choreography import Service
from shared.identifiers import EnrollmentId, SectionKey, StudentId

ENDED: Final = frozenset(
    {EnrollmentState.CONFIRMED, EnrollmentState.REJECTED, EnrollmentState.CANCELLED}
)
SECTION_GIVEN_UP: Final = ("SectionPublished given up", None)
CANCEL_GIVEN_UP: Final = "EnrollmentCancellationRequested given up"

Held = Mapping[EnrollmentId, tuple[object, ...]]  # student, term and sections of what is held


def confirmed(contents: Contents) -> Held:
    """Give what enrollment says to be held."""
    rows = contents.rows("enrollment").values()
    return _held(row for row in rows if row.state is EnrollmentState.CONFIRMED)


def claimed(contents: Contents) -> Held:
    """Give what is claimed."""
    rows = contents.rows("claim").values()
    return _held(row for row in rows if row.state is ClaimState.CLAIMED)


def reserved(contents: Contents) -> Held:
    """Give who has seats, and where."""
    rows = contents.rows("reservation").values()
    return _held(row for row in rows if row.state is ReservationState.RESERVED)


def _held(rows: Iterator[Any]) -> Held:
    return {row.enrollment_id: (row.student_id, row.term, row.sections) for row in rows}


class Expectation:
    """What a configuration asks for, and so what must be true at rest."""

    def __init__(
        self,
        requested: Sequence[EnrollmentId],
        cancelled: Sequence[tuple[EnrollmentId, StudentId]],
        versions: Mapping[SectionKey, int],
    ) -> None:
        self._requested = requested
        self._cancelled = cancelled
        self._versions = versions

    def judge(self, contents: Mapping[Service, Contents]) -> Iterator[str]:
        """Say what is wrong with a state at rest."""
        enrollment = contents[Service.ENROLLMENT]
        for service, one in contents.items():
            for table in ("outbox", "dead_letter"):
                if one.rows(table):
                    yield f"7: rows stay in the {table} of {service}"
        yield from self._judge_outcomes(enrollment)
        yield from _judge_holdings(
            confirmed(enrollment),
            claimed(contents[Service.STUDENT]),
            reserved(contents[Service.CAPACITY]),
        )
        yield from self._judge_catalogs(contents)

    def _judge_outcomes(self, enrollment: Contents) -> Iterator[str]:
        rows = enrollment.rows("enrollment")
        for enrollment_id in self._requested:
            row = rows.get(enrollment_id)
            if row is None or row.state not in ENDED:
                state = "unknown" if row is None else row.state
                yield f"3: {short(enrollment_id)} has no outcome: it is {state}"
        for enrollment_id, student_id in self._cancelled:
            row = rows.get(enrollment_id)
            is_given_up = (CANCEL_GIVEN_UP, enrollment_id) in enrollment.said
            if row is None:
                if not is_given_up:
                    yield f"3: the cancel of {short(enrollment_id)} is lost"
            elif (
                row.state is EnrollmentState.CONFIRMED
                and row.student_id == student_id
                and not is_given_up
            ):
                yield f"3: {short(enrollment_id)} was cancelled, and is confirmed"

    def _judge_catalogs(self, contents: Mapping[Service, Contents]) -> Iterator[str]:
        known = {
            key: row.version for key, row in contents[Service.CAPACITY].rows("section").items()
        }
        seen = {
            key: row.published.version
            for key, row in contents[Service.STUDENT].rows("section").items()
        }
        for service, versions in ((Service.CAPACITY, known), (Service.STUDENT, seen)):
            if SECTION_GIVEN_UP in contents[service].said:
                continue
            for key, version in self._versions.items():
                if versions.get(key) != version:
                    yield (
                        f"catalog: {service} has version {versions.get(key)} of section "
                        f"{key.section_id}, the newest is {version}"
                    )


def _judge_holdings(confirmed: Held, claimed: Held, reserved: Held) -> Iterator[str]:
    for enrollment_id in sorted(confirmed.keys() | claimed.keys() | reserved.keys()):
        wanted = confirmed.get(enrollment_id)
        for number, what, held in ((2, "seats", reserved), (4, "claim", claimed)):
            found = held.get(enrollment_id)
            if found == wanted:
                continue
            name = short(enrollment_id)
            if wanted is None:
                yield f"{number}: {name} is not confirmed, and has {what} for ever"
            else:
                yield f"{number}: {name} is confirmed, and its {what} are {found}"
