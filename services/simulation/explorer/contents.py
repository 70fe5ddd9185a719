"""What a service's database holds, in one form whatever way led there."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.simulation.oracle import Changes
from services.simulation.runtime import EPOCH
from services.simulation.wiring import INDEXES
from shared.choreography import TOPIC_OF, Service
from shared.identifiers import EnrollmentId, EventId
from shared.outbox import OutboxRow

NOW: Final = EPOCH  # time stands still: all that ever passes is a deadline
LATER: Final = EPOCH + timedelta(seconds=20)  # a deadline that has not passed

# Records for people, and offsets, which are counted anew from each state.
FORGOTTEN: Final = frozenset({"audit_trail", "audit_lock", "consumer_offset"})
EVENT_NUMBERS: Final = {event.__name__: n for n, event in enumerate(TOPIC_OF)}

Rows = Mapping[Any, Any]
Tables = Mapping[str, Rows]
What = tuple[str, EnrollmentId | None]
Said = Mapping[What, int]


@dataclass(frozen=True, slots=True)
class Contents:
    """A database's rows. `said` counts what was ever put into the outbox, and what was given up."""

    tables: Tables
    said: Said

    def rows(self, table: str) -> Rows:
        """Give the rows of a table."""
        return self.tables.get(table, {})

    def with_changes(self, changes: Changes) -> "Contents":
        """Give what a commit makes of it."""
        tables = {name: dict(rows) for name, rows in self.tables.items()}
        for table, rows in changes.items():
            tables.setdefault(table, {}).update({key: row for key, _, row in rows})
        kept = {
            t: {k: row for k, row in rows.items() if row is not None} for t, rows in tables.items()
        }
        return Contents(kept, self.said)

    def key(self) -> Hashable:
        """Give what equal contents have in common."""
        tables = ((name, frozenset(rows.items())) for name, rows in self.tables.items() if rows)
        return frozenset(tables), frozenset(self.said.items())


EMPTY: Final = Contents({}, {})


def canonical(
    before: Contents,
    tables: Tables,
    given_up: Iterable[What] = (),
    *,
    keeps_numbers: bool = False,
) -> Contents:
    """Bring rows into the one form: numbers and ids of events tell nothing of the way there.

    An event's id becomes a function of its type, its enrollment, and how often that was said;
    its number in the outbox is its place. With `keeps_numbers` both tell how many events of any
    enrollment the service has said before.
    """
    said = dict(before.said)
    for one in given_up:
        said[one] = said.get(one, 0) + 1
    kept = {name: rows for name, rows in tables.items() if rows and name not in FORGOTTEN}
    if "outbox" in kept:
        was = before.rows("outbox")
        kept["outbox"] = _outbox(kept["outbox"], was, said, keeps_numbers=keeps_numbers)
    if "dead_letter" in kept:
        letters = kept["dead_letter"]
        ordered = [letters[number] for number in sorted(letters)]
        kept["dead_letter"] = {n: replace(one, id=n) for n, one in enumerate(ordered, 1)}
    if "enrollment" in kept:
        kept["enrollment"] = {
            key: row if row.deadline_at is None else replace(row, deadline_at=LATER)
            for key, row in kept["enrollment"].items()
        }
    return Contents(kept, said)


def _outbox(rows: Rows, before: Rows, said: dict[What, int], *, keeps_numbers: bool) -> Rows:
    found = {}
    for place, number in enumerate(sorted(rows), 1):
        row: OutboxRow = rows[number]
        if number not in before:
            count = _count(row, said)
            row = row._replace(event_id=_event_id(row, number if keeps_numbers else count))
        found[number if keeps_numbers else place] = row
    return found if keeps_numbers else {n: row._replace(id=n) for n, row in found.items()}


def _count(row: OutboxRow, said: dict[What, int]) -> int:
    what = (row.event_type, EnrollmentId(UUID(row.subject)))
    said[what] = said.get(what, 0) + 1
    return said[what]


def _event_id(row: OutboxRow, count: int) -> EventId:
    number = EVENT_NUMBERS[row.event_type] << 120 | count << 112 | UUID(row.subject).int
    return EventId(UUID(int=number))


def snapshot_of(service: Service, contents: Contents, extra: Tables) -> tuple[Any, ...]:
    """Give what MemoryDatabase.restore takes."""
    tables = {**contents.tables, **extra}
    indexes: dict[str, dict[Any, dict[Any, Any]]] = {}
    for table, where_of in INDEXES[service].items():
        index = indexes.setdefault(table, {})
        for key, row in tables.get(table, {}).items():
            if (where := where_of(row)) is not None:
                index.setdefault(where, {})[key] = row
    events = (n for (what, _), n in contents.said.items() if what in EVENT_NUMBERS)
    numbers = {"outbox": sum(events), "dead_letter": len(tables.get("dead_letter", ()))}
    return tables, indexes, numbers


def overdue(contents: Contents, ids: Iterable[EnrollmentId]) -> Tables:
    """Give the enrollments with the deadlines of some of them passed."""
    rows = dict(contents.rows("enrollment"))
    for enrollment_id in ids:
        rows[enrollment_id] = replace(rows[enrollment_id], deadline_at=NOW)
    return {"enrollment": rows}


def clock() -> datetime:
    """Tell the one time that there is."""
    return NOW
