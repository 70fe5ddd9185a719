"""What the registrar and the student information system publish in a history, and change in it."""

from collections.abc import Iterator
from random import Random
from typing import Final

from services.simulation.plan import Publish
from services.simulation.scheduler import SECOND_US
from shared.choreography import SECTION_CATALOG, STUDENT_CATALOG, Topic
from shared.events import Event, Hold, Meeting, SectionPublished, SectionState, StudentPublished
from shared.identifiers import CourseId, SectionId, SectionKey, StudentId, Term

TERMS: Final = (Term("2031a"), Term("2031b"))
SECTIONS: Final = tuple(SectionId(name) for name in "ABCDEFG")
UNKNOWN: Final = SectionId("Z")  # in no catalog
STUDENTS: Final = tuple(StudentId(f"S{number}") for number in range(1, 13))
TIMES: Final = ((480, 540), (520, 600), (600, 660))
TRACEPARENT: Final = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
CHANGED_SHARE: Final = 0.7
EARLY_SHARE: Final = 0.96
LATE_US: Final = 4 * SECOND_US


class Registrar:
    """Draws catalogs, small enough that students get into each other's way."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._terms = TERMS if random.random() < 0.3 else TERMS[:1]
        self.students = STUDENTS[: random.randrange(3, len(STUDENTS) + 1)]
        self._ids = SECTIONS[: random.randrange(3, len(SECTIONS) + 1)]
        self._versions: dict[str, int] = {}
        self._number = 0

    def term(self) -> Term:
        """Draw a term."""
        return self._random.choice(self._terms)

    def sections(self) -> tuple[SectionId, ...]:
        """Draw what somebody asks for."""
        wanted = min(len(self._ids), self._random.choice((1, 1, 2, 2, 3)))
        return tuple(self._random.sample(self._ids, wanted))

    def first(self) -> Iterator[Publish]:
        """Publish nearly everything before the first request, and the rest in mid-day."""
        for term in self._terms:
            for section_id in self._ids:
                yield self._section(self._first_us(), SectionKey(term, section_id))
        for student_id in self.students:
            yield self._student(self._first_us(), student_id)

    def _first_us(self) -> int:
        return 0 if self._random.random() < EARLY_SHARE else self._random.randrange(LATE_US)

    def changes(self, until_us: int) -> Iterator[Publish]:
        """Publish some changes, some stale ones and some tombstones in mid-day."""
        if self._random.random() > CHANGED_SHARE:
            return
        for _ in range(self._random.randrange(1, 7)):
            at_us = self._random.randrange(until_us)
            key = SectionKey(self.term(), self._random.choice(self._ids))
            student_id = self._random.choice(self.students)
            match self._random.randrange(10):
                case 0:
                    section_id = self._random.choice((key.section_id, key.section_id, UNKNOWN))
                    yield self._tombstone(at_us, SECTION_CATALOG, f"{key.term}/{section_id}")
                case 1:
                    yield self._tombstone(at_us, STUDENT_CATALOG, student_id)
                case 2 | 3 | 4:
                    yield self._student(at_us, student_id)
                case _:
                    yield self._section(at_us, key)

    def _section(self, at_us: int, key: SectionKey) -> Publish:
        random = self._random
        event = SectionPublished(
            version=self._version(f"{key.term}/{key.section_id}"),
            term=key.term,
            section_id=key.section_id,
            course_id=CourseId(f"C{random.randrange(3)}"),
            part=random.choice((None, None, "lecture")),
            capacity=random.choice((0, 1, 1, 2, 3, 5)),
            credits=random.randrange(5),
            meetings=self._meetings(),
            state=random.choice((SectionState.OPEN,) * 16 + tuple(SectionState)),
            prerequisites=random.choice(((),) * 12 + (((CourseId("C0"), CourseId("C1")),),)),
            corequisites=random.choice(((),) * 12 + ((CourseId("C2"),),)),
        )
        tells = (
            f"registrar: section {key.section_id} of {key.term}, version {event.version}: "
            f"{event.capacity} seats, {event.credits} credits, {event.state}"
        )
        return self._publish(at_us, SECTION_CATALOG, f"{key.term}/{key.section_id}", event, tells)

    def _meetings(self) -> tuple[Meeting, ...]:
        if self._random.random() < 0.6:
            return ()
        start_minute, end_minute = self._random.choice(TIMES)
        days = self._random.choice(("1000000", "1010000", "0100000"))
        return (Meeting(days=days, weeks="1111", start_minute=start_minute, end_minute=end_minute),)

    def _student(self, at_us: int, student_id: StudentId) -> Publish:
        random = self._random
        event = StudentPublished(
            version=self._version(student_id),
            student_id=student_id,
            max_credits=random.choice((3, 8, 15, 20, 20)),
            holds=random.choice(((),) * 25 + ((Hold(code="library"),),)),
            completed_courses=random.choice(((), (CourseId("C0"),), (CourseId("C2"),))),
        )
        tells = (
            f"student system: {student_id}, version {event.version}: at most "
            f"{event.max_credits} credits, {len(event.holds)} holds"
        )
        return self._publish(at_us, STUDENT_CATALOG, student_id, event, tells)

    def _version(self, key: str) -> int:
        """Let versions grow in the order of drawing, which is not always the order in time."""
        self._versions[key] = self._versions.get(key, 0) + 1
        return self._versions[key]

    def _tombstone(self, at_us: int, topic: Topic, key: str) -> Publish:
        return Publish(at_us, topic.name, key.encode(), None, (), f"catalog: {key} is deleted")

    def _publish(self, at_us: int, topic: Topic, key: str, event: Event, tells: str) -> Publish:
        self._number += 1
        return message(at_us, topic, key, event, tells, event_id=self._number)


def message(
    at_us: int, topic: Topic, key: str, event: Event, tells: str, *, event_id: int
) -> Publish:
    """Make the message that a system outside sends: a CloudEvent in binary mode."""
    body = event.model_dump_json(exclude_none=True).encode()
    event_type = type(event).__name__
    return raw_message(at_us, topic, key, body, tells, event_type=event_type, event_id=event_id)


def raw_message(  # in the order of Publish
    at_us: int, topic: Topic, key: str, body: bytes, tells: str, *, event_type: str, event_id: int
) -> Publish:
    """Make a message with any body."""
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_id", f"00000000-0000-0000-0000-{event_id:012x}".encode()),
        ("ce_type", event_type.encode()),
        ("ce_source", b"/simulation"),
        ("content-type", b"application/json"),
        ("traceparent", TRACEPARENT),
    )
    return Publish(at_us, topic.name, key.encode(), body, headers, tells)
