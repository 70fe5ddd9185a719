"""All SQL of student: load and lock many rows, save many rows; it never commits."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

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
    select,
)

from services.student.model import Claim, ClaimState, Section, Slot, State, Student
from shared import enrollment_rows
from shared.database import AnyRow, Transaction
from shared.errors import RivalRowError
from shared.events import (
    EnrollmentOpened,
    Event,
    SectionPublished,
    SectionWithdrawn,
    StudentPublished,
    StudentWithdrawn,
)
from shared.identifiers import EnrollmentId, SectionKey, StudentId, Term
from shared.reaction import enrollments_of, only

METADATA: Final = MetaData()

CLAIM: Final = Table(
    "claim",
    METADATA,
    Column("enrollment_id", Uuid, primary_key=True),
    Column("student_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("term", Text),
    Column("sections", ARRAY(Text), nullable=False),
    Column("credits", Integer, nullable=False),
    Column("credit_limit", Integer, nullable=False),
    Column("slots", Text, nullable=False),
    Column("decided_at", DateTime(timezone=True)),
    Column("released_at", DateTime(timezone=True)),
)

STUDENT: Final = Table(
    "student",
    METADATA,
    Column("student_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("is_withdrawn", Boolean, nullable=False),
    Column("published", Text, nullable=False),
)

SECTION: Final = Table(
    "section",
    METADATA,
    Column("term", Text, primary_key=True),
    Column("section_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("is_withdrawn", Boolean, nullable=False),
    Column("published", Text, nullable=False),
)

_CHANGED: Final = """
    unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[],
           $8::text[], $9::timestamptz[], $10::timestamptz[])
        AS n (enrollment_id, student_id, state, term, sections, credits, credit_limit, slots,
              decided_at, released_at)
"""
_INSERT: Final = f"""
    INSERT INTO claim (
        enrollment_id, student_id, state, term, sections, credits, credit_limit, slots,
        decided_at, released_at)
    SELECT enrollment_id, student_id, state, term, string_to_array(sections, ' '), credits,
           credit_limit, slots, decided_at, released_at
    FROM {_CHANGED} ON CONFLICT DO NOTHING
"""  # noqa: S608  of constants
_UPDATE: Final = f"""
    UPDATE claim AS c
    SET student_id = n.student_id, state = n.state, term = n.term,
        sections = string_to_array(n.sections, ' '), credits = n.credits,
        credit_limit = n.credit_limit, slots = n.slots, decided_at = n.decided_at,
        released_at = n.released_at
    FROM {_CHANGED} WHERE c.enrollment_id = n.enrollment_id
"""  # noqa: S608  of constants
CATALOG_CACHE_SIZE: Final = 50_000


async def load(transaction: Transaction, events: Sequence[Event]) -> State:
    """Lock, in this order and each sorted, the claims and the students; then read the rest.

    Whoever claims for a student or changes her catalog entry holds her row, so the claims that
    are read here cannot grow before the commit.
    """
    enrollments = enrollments_of(events)
    rows = await enrollment_rows.lock(transaction, "claim", enrollments)
    claims = {enrollment_id: _claim(row) for enrollment_id, row in rows.items()}
    opened = only(events, EnrollmentOpened)
    asking = {event.student_id for event in opened}
    published = {event.student_id for event in only(events, StudentPublished)}
    published |= {event.student_id for event in only(events, StudentWithdrawn)}
    students = await _lock_students(transaction, asking | published)
    held = await _read_held_claims(transaction, asking, {event.term for event in opened})
    if held.keys() & (enrollments - claims.keys()):
        raise RivalRowError(enrollment_rows.MADE_MEANWHILE)
    claims |= held
    keys = {SectionKey(event.term, s) for event in opened for s in event.sections}
    keys |= {SectionKey(c.term, s) for c in held.values() if c.term for s in c.sections}
    keys |= {event.key for event in only(events, SectionPublished)}
    keys |= {event.key for event in only(events, SectionWithdrawn)}
    sections = await _read_sections(transaction, keys)
    return State(claims=claims, students=students, sections=sections)


async def _lock_students(
    transaction: Transaction, student_ids: set[StudentId]
) -> dict[StudentId, Student]:
    if not student_ids:
        return {}
    rows = await transaction.fetch(
        "SELECT * FROM student WHERE student_id = ANY($1::text[]) ORDER BY student_id FOR UPDATE",
        sorted(student_ids),
    )
    return {row["student_id"]: _student(row) for row in rows}


async def _read_held_claims(
    transaction: Transaction, student_ids: set[StudentId], terms: set[Term]
) -> dict[EnrollmentId, Claim]:
    """Read what these students hold in these terms; the terms before may be many."""
    if not student_ids:
        return {}
    rows = await transaction.fetch(
        """
        SELECT * FROM claim
        WHERE student_id = ANY($1::text[]) AND term = ANY($2::text[]) AND state = 'claimed'
        """,
        sorted(student_ids),
        sorted(terms),
    )
    return {row["enrollment_id"]: _claim(row) for row in rows}


async def _read_sections(
    transaction: Transaction, keys: set[SectionKey]
) -> dict[SectionKey, Section]:
    if not keys:
        return {}
    wanted = sorted(keys)
    rows = await transaction.fetch(
        """
        SELECT section.* FROM unnest($1::text[], $2::text[]) AS wanted (term, section_id)
        JOIN section USING (term, section_id)
        """,
        [key.term for key in wanted],
        [key.section_id for key in wanted],
    )
    return {SectionKey(row["term"], row["section_id"]): _section(row) for row in rows}


def _claim(row: AnyRow) -> Claim:
    return Claim(
        enrollment_id=row["enrollment_id"],
        student_id=row["student_id"],
        state=ClaimState(row["state"]),
        term=row["term"],
        sections=tuple(row["sections"]),
        decided_at=row["decided_at"],
        released_at=row["released_at"],
        credits=row["credits"],
        credit_limit=row["credit_limit"],
        slots=tuple(Slot(*slot) for slot in json.loads(row["slots"])),
    )


def _student(row: AnyRow) -> Student:
    return Student(StudentPublished.model_validate_json(row["published"]), row["is_withdrawn"])


def _section(row: AnyRow) -> Section:
    return Section(_parse_section(row["published"]), row["is_withdrawn"])


@lru_cache(maxsize=CATALOG_CACHE_SIZE)
def _parse_section(published: str) -> SectionPublished:
    """Parse a text once: the text is the key, so a newer version is never missed."""
    return SectionPublished.model_validate_json(published)


async def save(transaction: Transaction, state: State) -> None:
    """Write what the batch changed; RivalRowError where a missing claim was made meanwhile.

    A catalog entry that was new to this batch may be there by now: the higher version stays.
    """
    await enrollment_rows.save(transaction, state.claims, _columns, insert=_INSERT, update=_UPDATE)
    await _save_students(transaction, state.students.changed())
    await _save_sections(transaction, state.sections.changed())


def _columns(claims: Sequence[Claim]) -> Sequence[Sequence[object]]:
    return (
        [c.enrollment_id for c in claims],
        [c.student_id for c in claims],
        [c.state.value for c in claims],
        [c.term for c in claims],
        [" ".join(c.sections) for c in claims],
        [c.credits for c in claims],
        [c.credit_limit for c in claims],
        [json.dumps(c.slots) for c in claims],
        [c.decided_at for c in claims],
        [c.released_at for c in claims],
    )


async def _save_students(transaction: Transaction, changed: Sequence[Student]) -> None:
    if not changed:
        return
    ordered = sorted(changed, key=lambda student: student.published.student_id)
    await transaction.execute(
        """
        INSERT INTO student
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::text[])
        ON CONFLICT (student_id) DO UPDATE
        SET version = excluded.version, is_withdrawn = excluded.is_withdrawn,
            published = excluded.published
        WHERE student.version <= excluded.version
        """,
        [s.published.student_id for s in ordered],
        [s.published.version for s in ordered],
        [s.is_withdrawn for s in ordered],
        [s.published.model_dump_json() for s in ordered],
    )


async def _save_sections(transaction: Transaction, changed: Sequence[Section]) -> None:
    if not changed:
        return
    ordered = sorted(changed, key=lambda section: section.published.key)
    await transaction.execute(
        """
        INSERT INTO section
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[], $5::text[])
        ON CONFLICT (term, section_id) DO UPDATE
        SET version = excluded.version, is_withdrawn = excluded.is_withdrawn,
            published = excluded.published
        WHERE section.version <= excluded.version
        """,
        [s.published.term for s in ordered],
        [s.published.section_id for s in ordered],
        [s.published.version for s in ordered],
        [s.is_withdrawn for s in ordered],
        [s.published.model_dump_json() for s in ordered],
    )


async def find_claim(transaction: Transaction, enrollment_id: EnrollmentId) -> Claim | None:
    """Read one claim, without a lock."""
    query = select(CLAIM).where(CLAIM.c.enrollment_id == enrollment_id)
    row = (await transaction.connection.execute(query)).mappings().one_or_none()
    return None if row is None else _claim(row)
