"""What the registrar and the student system published, for judging what a claim should hold."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from loadtests.auditor.contract import SECTION_CATALOG, STUDENT_CATALOG
from loadtests.auditor.envelopes import UnreadableError, open_envelope
from loadtests.auditor.records import Record

SectionKey = tuple[str, str]  # term, section_id


class Slot(NamedTuple):
    """A time that a section takes; bits of `days` and `weeks` count from the first."""

    section_id: str
    days: int
    weeks: int
    start_minute: int
    end_minute: int

    def clashes_with(self, other: "Slot") -> bool:
        """Tell whether both need the student at one moment."""
        return (
            bool(self.days & other.days)
            and bool(self.weeks & other.weeks)
            and self.start_minute < other.end_minute
            and other.start_minute < self.end_minute
        )


class PublishedSection(NamedTuple):
    """One version of a section."""

    version: int
    capacity: int
    credits: int
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Catalogs:
    """Everything that was published, by key."""

    sections: dict[SectionKey, list[PublishedSection]] = field(
        default_factory=lambda: defaultdict(list)
    )
    credit_limits: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, record: Record) -> None:
        """Read what can be read; whether the services parked the rest is not judged."""
        try:
            data = open_envelope(record).data
            if record.topic == SECTION_CATALOG:
                self.sections[data["term"], data["section_id"]].append(_section(data))
            else:
                self.credit_limits[data["student_id"]].add(_count(data["max_credits"]))
        except (UnreadableError, KeyError, TypeError, ValueError, AttributeError):
            return  # a tombstone or a dead letter: no version of anything

    def without(self, topics: Collection[str]) -> "Catalogs":
        """Leave out a topic that was compacted: what is gone might have been in force."""
        return Catalogs(
            {} if SECTION_CATALOG in topics else self.sections,
            {} if STUDENT_CATALOG in topics else self.credit_limits,
        )


def _section(data: dict[str, Any]) -> PublishedSection:
    meetings = data.get("meetings", ())
    slots = tuple(
        Slot(
            data["section_id"],
            _bits(meeting["days"]),
            _bits(meeting["weeks"]),
            _count(meeting["start_minute"]),
            _count(meeting["end_minute"]),
        )
        for meeting in meetings
    )
    return PublishedSection(
        _count(data["version"]), _count(data["capacity"]), _count(data["credits"]), slots
    )


def _count(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _bits(text: str) -> int:
    return int(text[::-1], 2)
