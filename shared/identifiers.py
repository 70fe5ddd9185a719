"""The names by which things are known, each a type of its own so that they cannot be mixed up."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import NamedTuple, NewType, TypeVar
from uuid import UUID

import uuid_utils.compat

EnrollmentId = NewType("EnrollmentId", UUID)
EventId = NewType("EventId", UUID)
StudentId = NewType("StudentId", str)
SectionId = NewType("SectionId", str)
CourseId = NewType("CourseId", str)
Term = NewType("Term", str)

AnyId = TypeVar("AnyId", bound=UUID)
NewEventId = Callable[[], EventId]


class SectionKey(NamedTuple):
    """A section is known by its term and its id: ids may repeat from term to term."""

    term: Term
    section_id: SectionId


class PartitionKey(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


def new_event_id() -> EventId:
    """Make a UUIDv7: the inbox is partitioned by its time, and its index grows at one end."""
    return EventId(uuid_utils.compat.uuid7())


def in_lock_order(ids: Iterable[AnyId]) -> list[AnyId]:
    """Sort ids as PostgreSQL sorts a uuid: whoever locks many rows must use one order."""
    return sorted(ids, key=attrgetter("int"))
