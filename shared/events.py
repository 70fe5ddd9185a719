"""The contract: every event that crosses a topic, as a pydantic model."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from shared.identifiers import CourseId, EnrollmentId, SectionId, SectionKey, StudentId, Term

SECTIONS_MAX = 50
COMPLETED_COURSES_MAX = 1000
CANCEL_REASON_LENGTH_MAX = 500
INTEGER_MAX = 2**31 - 1
VERSION_MAX = 2**63 - 1

IDENTIFIER_PATTERN = r"^[A-Za-z0-9._:-]{1,64}$"
_Identifier = StringConstraints(pattern=IDENTIFIER_PATTERN)
StudentIdField = Annotated[StudentId, _Identifier]
SectionIdField = Annotated[SectionId, _Identifier]
CourseIdField = Annotated[CourseId, _Identifier]
TermField = Annotated[Term, _Identifier]
_WRITTEN_AS_INTEGER = "written without a decimal point"  # JSON Schema calls 3.0 an integer, too
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX, strict=True, description=_WRITTEN_AS_INTEGER)]
Version = Annotated[int, Field(ge=0, le=VERSION_MAX, strict=True, description=_WRITTEN_AS_INTEGER)]
Minute = Annotated[int, Field(ge=0, le=1440, strict=True, description=_WRITTEN_AS_INTEGER)]


def _distinct(sections: tuple[SectionId, ...]) -> tuple[SectionId, ...]:
    if len(set(sections)) != len(sections):
        raise ValueError("sections must be distinct: name each section once")
    return sections


Sections = Annotated[
    tuple[SectionIdField, ...],
    Field(min_length=1, max_length=SECTIONS_MAX, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]


def _text_or_nothing(value: Any) -> str | None:
    """A cancel is never lost for its remark; PostgreSQL stores no NUL and no half surrogate."""
    if not isinstance(value, str):
        return None
    storable = value.replace("\x00", "").encode(errors="replace").decode()
    return storable[:CANCEL_REASON_LENGTH_MAX]


class ReasonCode(StrEnum):
    """Why something was refused."""

    SECTION_FULL = "section_full"
    SECTION_CLOSED = "section_closed"
    SECTION_CANCELLED = "section_cancelled"
    UNKNOWN_SECTION = "unknown_section"
    UNKNOWN_STUDENT = "unknown_student"
    STUDENT_HOLD = "student_hold"
    OUTSIDE_WINDOW = "outside_window"
    PREREQUISITE = "prerequisite"
    COREQUISITE = "corequisite"
    ALREADY_ENROLLED = "already_enrolled"
    SAME_COURSE_PART = "same_course_part"
    TIME_CONFLICT = "time_conflict"
    CREDIT_LIMIT = "credit_limit"
    DEADLINE = "deadline"
    BAD_REQUEST = "bad_request"
    ALREADY_RELEASED = "already_released"


class SectionState(StrEnum):
    """Whether a section takes enrollments."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Stage(StrEnum):
    """Where on its way an enrollment was rejected."""

    REQUEST = "request"
    ELIGIBILITY = "eligibility"
    CAPACITY = "capacity"
    DEADLINE = "deadline"


REASON_CODE_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
# A reader bears with a code that it does not know: a rule may be added at any time.
ReasonCodeField = Annotated[
    ReasonCode | Annotated[str, StringConstraints(pattern=REASON_CODE_PATTERN)],
    Field(union_mode="left_to_right"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": REASON_CODE_PATTERN,
            "description": "More codes may come: show the sentence of one that you do not know.",
            "examples": [code.value for code in ReasonCode],
        }
    ),
]


class Contract(BaseModel):
    """A value of the contract: frozen; fields that it does not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Contract):
    """Something that happened; its class name is its CloudEvents type."""


class Reason(Contract):
    """One reason of a refusal: a code for programs, a sentence for people, also in Spanish."""

    code: ReasonCodeField
    section_id: SectionIdField | None = None
    detail: str
    detail_es: str | None = None


class SeatCount(Contract):
    """The ledger's entry for one section: `reserved` as of `seat_sequence`, both per section."""

    section_id: SectionIdField
    seat_sequence: int
    reserved: int
    capacity: int
    version: int


class Meeting(Contract):
    """When a section meets; bit strings read from Monday and from the term's first week."""

    days: Annotated[str, StringConstraints(pattern=r"^[01]{7}$")]
    weeks: Annotated[str, StringConstraints(pattern=r"^[01]{1,60}$")]
    start_minute: Minute
    end_minute: Annotated[Minute, Field(description="greater than start_minute")]

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end_minute <= self.start_minute:
            raise ValueError("end_minute must be greater than start_minute")
        return self


class Hold(Contract):
    """A block on a student, such as a debt."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Window(Contract):
    """When a student may register for a term."""

    term: TermField
    opens_at: AwareDatetime
    closes_at: AwareDatetime


class EnrollmentEvent(Event):
    """An event of one enrollment of one student."""

    enrollment_id: EnrollmentId
    student_id: StudentIdField


class EnrollmentRequested(EnrollmentEvent):
    """A student asks for sections of one term, all or nothing; whoever asks chooses the id."""

    term: TermField
    sections: Sections
    deadline_seconds: (
        Annotated[float, Field(gt=0, le=INTEGER_MAX, allow_inf_nan=False, strict=True)] | None
    ) = None


class EnrollmentCancellationRequested(EnrollmentEvent):
    """A student gives an enrollment up, pending or confirmed."""

    reason: Annotated[
        str | None,
        BeforeValidator(_text_or_nothing),
        Field(description=f"of it {CANCEL_REASON_LENGTH_MAX} characters are kept"),
    ] = None


class SectionsEvent(EnrollmentEvent):
    """An event about the sections of one enrollment."""

    term: TermField
    sections: tuple[SectionIdField, ...]


class EnrollmentOpened(SectionsEvent):
    """The request is accepted for decision, until `deadline_at` by enrollment's clock."""

    deadline_at: datetime


class EnrollmentConfirmed(SectionsEvent):
    """The student has a seat in each section."""


class EnrollmentRejected(EnrollmentEvent):
    """The student has none of the seats; term and sections are absent where they were invalid."""

    term: TermField | None = None
    sections: tuple[SectionIdField, ...] | None = None
    stage: Stage
    reasons: tuple[Reason, ...]


class EnrollmentCancelled(SectionsEvent):
    """The enrollment was given up."""

    was: Literal["pending", "confirmed"]


class StudentValidated(SectionsEvent):
    """The student is eligible, and these credits and time slots are claimed."""

    credits: int


class StudentRejected(SectionsEvent):
    """The student is not eligible; every reason is listed."""

    reasons: tuple[Reason, ...]


class StudentClaimReleased(SectionsEvent):
    """Exactly what the enrollment claimed is given back."""

    credits: int


class SeatReserved(SectionsEvent):
    """A seat is taken in every section."""

    seats: tuple[SeatCount, ...]


class SeatUnavailable(SectionsEvent):
    """No seat is taken; `seats` has the sections that are known."""

    seats: tuple[SeatCount, ...]
    reasons: tuple[Reason, ...]


class SeatReleased(SectionsEvent):
    """Every seat that the enrollment held is given back."""

    seats: tuple[SeatCount, ...]


class SectionPublished(Event):
    """What the registrar says of a section from now on; the highest `version` counts."""

    version: Version
    term: TermField
    section_id: SectionIdField
    course_id: CourseIdField
    part: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    capacity: Count
    credits: Count
    meetings: Annotated[tuple[Meeting, ...], Field(max_length=SECTIONS_MAX)] = ()
    state: SectionState = SectionState.OPEN
    prerequisites: Annotated[
        tuple[
            Annotated[tuple[CourseIdField, ...], Field(min_length=1, max_length=SECTIONS_MAX)], ...
        ],
        Field(max_length=SECTIONS_MAX),
    ] = ()
    corequisites: Annotated[tuple[CourseIdField, ...], Field(max_length=SECTIONS_MAX)] = ()

    @property
    def key(self) -> SectionKey:
        """Name the section."""
        return SectionKey(self.term, self.section_id)


class StudentPublished(Event):
    """What the student information system says of a student from now on."""

    version: Version
    student_id: StudentIdField
    max_credits: Count
    holds: Annotated[tuple[Hold, ...], Field(max_length=SECTIONS_MAX)] = ()
    completed_courses: Annotated[
        tuple[CourseIdField, ...], Field(max_length=COMPLETED_COURSES_MAX)
    ] = ()
    windows: Annotated[tuple[Window, ...], Field(max_length=SECTIONS_MAX)] = ()


class SectionWithdrawn(Event):
    """How a tombstone of the section catalog reads: the section is cancelled."""

    key: SectionKey


class StudentWithdrawn(Event):
    """How a tombstone of the student catalog reads: the student is no longer known."""

    student_id: StudentIdField


class MalformedRequest(EnrollmentEvent):
    """How an EnrollmentRequested reads whose content is bad and whose ids are readable."""

    term: TermField | None = None
    sections: tuple[SectionIdField, ...] | None = None
    problems: tuple[str, ...]
    body_sha256: bytes
