"""How long what a reader has not read has been in its topics: a pure function of what was seen."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from shared.identifiers import PartitionKey

NOTES_MAX: Final = 1000


class _Note(NamedTuple):
    seconds: float
    ends: Mapping[PartitionKey, int]


class LogClock:
    """Remembers when the ends of partitions were where, as far back as somebody is behind.

    It takes what it is told for the time: any clock that does not go back. A message counts from
    the first look that sees it, so ages are too small by the time between two looks; what was
    there before the first look counts from that one.
    """

    def __init__(self, notes_max: int = NOTES_MAX) -> None:
        assert notes_max >= 2  # the oldest and the newest
        self._notes_max = notes_max
        self._notes: list[_Note] = []  # oldest first

    def note(self, now_seconds: float, ends: Mapping[PartitionKey, int]) -> None:
        """Remember where the logs end now."""
        if self._notes and self._notes[-1].ends == ends:
            return
        self._notes.append(_Note(now_seconds, dict(ends)))
        if len(self._notes) > self._notes_max:
            del self._notes[1:-1:2]  # the age of who is far behind needs to be less exact

    def age(self, now_seconds: float, positions: Mapping[PartitionKey, int]) -> float:
        """Tell how long the oldest unread message has been there: 0 where all is read.

        A position is the next offset to read; a partition without one is read from 0.
        """
        read = 0
        while read < len(self._notes) and _are_read(self._notes[read].ends, positions):
            read += 1
        del self._notes[:read]
        return max(0.0, now_seconds - self._notes[0].seconds) if self._notes else 0.0


def _are_read(ends: Mapping[PartitionKey, int], positions: Mapping[PartitionKey, int]) -> bool:
    return all(positions.get(key, 0) >= end for key, end in ends.items())
