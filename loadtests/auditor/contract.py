"""What the auditor holds the services to; written down apart from their code, which it audits."""

from typing import Final

REQUESTS: Final = "enrollment.requests"
ENROLLMENT_EVENTS: Final = "enrollment.events"
STUDENT_EVENTS: Final = "student.events"
CAPACITY_EVENTS: Final = "capacity.events"
SECTION_CATALOG: Final = "section.catalog"
STUDENT_CATALOG: Final = "student.catalog"

REQUEST: Final = "EnrollmentRequested"
CANCEL: Final = "EnrollmentCancellationRequested"
OPENED: Final = "EnrollmentOpened"
CONFIRMED: Final = "EnrollmentConfirmed"
REJECTED: Final = "EnrollmentRejected"
CANCELLED: Final = "EnrollmentCancelled"
VALIDATED: Final = "StudentValidated"
INELIGIBLE: Final = "StudentRejected"
CLAIM_RELEASED: Final = "StudentClaimReleased"
SEAT_RESERVED: Final = "SeatReserved"
SEAT_UNAVAILABLE: Final = "SeatUnavailable"
SEAT_RELEASED: Final = "SeatReleased"

TYPES: Final[dict[str, tuple[str, ...]]] = {
    REQUESTS: (REQUEST, CANCEL),
    ENROLLMENT_EVENTS: (OPENED, CONFIRMED, REJECTED, CANCELLED),
    STUDENT_EVENTS: (VALIDATED, INELIGIBLE, CLAIM_RELEASED),
    CAPACITY_EVENTS: (SEAT_RESERVED, SEAT_UNAVAILABLE, SEAT_RELEASED),
    SECTION_CATALOG: ("SectionPublished",),
    STUDENT_CATALOG: ("StudentPublished",),
}
TOPICS: Final = tuple(TYPES)
SAGA_TOPICS: Final = (ENROLLMENT_EVENTS, STUDENT_EVENTS, CAPACITY_EVENTS)
CATALOGS: Final = (SECTION_CATALOG, STUDENT_CATALOG)

ENROLLMENT: Final = "enrollment"
STUDENT: Final = "student"
CAPACITY: Final = "capacity"

READERS: Final[dict[str, tuple[str, ...]]] = {
    ENROLLMENT: (REQUESTS, STUDENT_EVENTS, CAPACITY_EVENTS),
    STUDENT: (ENROLLMENT_EVENTS, SECTION_CATALOG, STUDENT_CATALOG),
    CAPACITY: (ENROLLMENT_EVENTS, STUDENT_EVENTS, SECTION_CATALOG),
}
SERVICES: Final = tuple(READERS)
INGRESS: Final = "ingress"  # decides nothing; only what operators did there is judged
