"""Judge the ledger: the seats of each section by counting in capacity.events alone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from loadtests.auditor.catalogs import Catalogs, SectionKey
from loadtests.auditor.contract import SEAT_RELEASED, SEAT_RESERVED, SEAT_UNAVAILABLE
from loadtests.auditor.events import Event, Seat
from loadtests.auditor.report import Awaited, Invariant, Violation
from loadtests.auditor.tables import ReservationRow, SectionRow, Tables


class Entry(NamedTuple):
    """What an event says of one section."""

    seat: Seat
    event: Event

    def __str__(self) -> str:
        return f"{self.event.type} of enrollment {self.event.enrollment_id}"


Ledger = Mapping[SectionKey, Sequence[Entry]]


def read_ledger(events: Sequence[Event]) -> Ledger:
    """Gather the entries of each section, by their sequence and in the order of their topic."""
    ledger: dict[SectionKey, list[Entry]] = defaultdict(list)
    for event in events:
        for seat in event.seats:
            ledger[event.term or "", seat.section_id].append(Entry(seat, event))
    for entries in ledger.values():
        entries.sort(key=_rank)
    return ledger


def _rank(entry: Entry) -> tuple[int, bool]:
    """A refusal repeats the sequence of the change before it."""
    return entry.seat.seat_sequence, entry.event.type == SEAT_UNAVAILABLE


def violation(key: SectionKey, text: str, *, is_absence: bool = False) -> Violation:
    """Say what is wrong with a section; of an absence, another partition may have the entry."""
    awaited = Awaited.LEDGER_ENTRY if is_absence else None
    return Violation(Invariant.SEATS, f"section {key[0]}/{key[1]}", text, awaited)


def judge_ledger(ledger: Ledger, catalogs: Catalogs) -> Iterator[Violation]:
    """Judge every section."""
    for key, entries in ledger.items():
        moves = [entry for entry in entries if entry.event.type != SEAT_UNAVAILABLE]
        refusals = [entry for entry in entries if entry.event.type == SEAT_UNAVAILABLE]
        yield from _judge_moves(key, moves)
        yield from _judge_refusals(key, refusals, moves)
        yield from _judge_capacity(key, entries, catalogs)


def _judge_moves(key: SectionKey, moves: Sequence[Entry]) -> Iterator[Violation]:
    reserved = 0
    for expected, entry in enumerate(moves, start=1):
        seat = entry.seat
        if seat.seat_sequence != expected:
            text = f"seat_sequence {seat.seat_sequence} at its change {expected}, by {entry}"
            yield violation(key, text, is_absence=seat.seat_sequence > expected)
            return  # what follows would only repeat this
        reserved += 1 if entry.event.type == SEAT_RESERVED else -1
        if seat.reserved != reserved:
            text = f"{seat.reserved} reserved at seat_sequence {expected}, {reserved} by counting"
            yield violation(key, f"{text}, by {entry}")
            return
        if entry.event.type == SEAT_RESERVED and reserved > seat.capacity:
            text = f"oversold: {reserved} reserved of {seat.capacity}, by {entry}"
            yield violation(key, text)
        if reserved < 0:
            yield violation(key, f"{reserved} reserved, by {entry}")


def _judge_refusals(
    key: SectionKey, refusals: Sequence[Entry], moves: Sequence[Entry]
) -> Iterator[Violation]:
    reserved_at = {0: 0} | {entry.seat.seat_sequence: entry.seat.reserved for entry in moves}
    for entry in refusals:
        seat = entry.seat
        counted = reserved_at.get(seat.seat_sequence)
        if counted != seat.reserved:
            text = f"{seat.reserved} reserved at seat_sequence {seat.seat_sequence} by {entry}"
            yield violation(key, f"{text}, {counted} by counting", is_absence=counted is None)
        if _is_full(entry) and seat.reserved < seat.capacity:
            text = f"refused as full with {seat.reserved} reserved of {seat.capacity}, by {entry}"
            yield violation(key, text)


def _is_full(entry: Entry) -> bool:
    return ("section_full", entry.seat.section_id) in entry.event.reasons


def _judge_capacity(
    key: SectionKey, entries: Sequence[Entry], catalogs: Catalogs
) -> Iterator[Violation]:
    """A version has one capacity, the catalog's, and no older version comes back."""
    known: dict[int, set[int]] = defaultdict(set)
    for published in catalogs.sections.get(key, ()):
        known[published.version].add(published.capacity)
    newest = 0
    for entry in entries:
        seat = entry.seat
        if catalogs.sections.get(key) and seat.version not in known:
            text = f"version {seat.version} by {entry}, {max(known)} is the newest published"
            yield violation(key, text)
        capacities = known[seat.version]
        if capacities and seat.capacity not in capacities:
            text = f"capacity {seat.capacity} under version {seat.version} by {entry}"
            yield violation(key, f"{text}, {min(capacities)} as published or said before")
        capacities.add(seat.capacity)
        if entry.event.type != SEAT_UNAVAILABLE and seat.version < newest:
            text = f"version {seat.version} after version {newest}, by {entry}"
            yield violation(key, text)
        newest = max(newest, seat.version)


def refused_for_a_reason(event: Event) -> Iterator[Violation]:
    """A refusal names a reason; one of a full section has its entry in the ledger."""
    if event.type != SEAT_UNAVAILABLE:
        return
    subject = f"enrollment {event.enrollment_id}"
    if not event.reasons:
        yield Violation(Invariant.SEATS, subject, "seats refused with 0 reasons, 1 is due")
    counted = {seat.section_id for seat in event.seats}
    for code, section_id in event.reasons:
        if code == "section_full" and section_id not in counted:
            text = f"refused since section {section_id} is full, without its ledger entry"
            yield Violation(Invariant.SEATS, subject, text)


def judge_sections(tables: Tables, ledger: Ledger | None) -> Iterator[Violation]:
    """Compare each section's row with its reservations and, where it is whole, the ledger."""
    counted = _count_reservations(tables.reservations)
    last = {} if ledger is None else last_entries(ledger)
    for key in sorted(tables.sections.keys() | counted.keys() | last.keys()):
        row = tables.sections.get(key)
        if row is None:
            yield violation(key, f"no row; {counted.get(key, 0)} by counting reservations")
            continue
        reservations = counted.get(key, 0)
        if row.reserved != reservations or row.reserved < 0:
            text = f"{row.reserved} reserved in the database, {reservations} by counting"
            yield violation(key, f"{text} reservations")
        entry = last.get(key, SectionRow(0, 0))
        if ledger is not None and row != entry:
            yield violation(
                key,
                f"{row.reserved} reserved at seat_sequence {row.seat_sequence} in the database, "
                f"{entry.reserved} at {entry.seat_sequence} by the last event",
            )


def _count_reservations(rows: Mapping[str, ReservationRow]) -> dict[SectionKey, int]:
    counts: dict[SectionKey, int] = defaultdict(int)
    for row in rows.values():
        if row.state == "reserved":
            for section_id in row.sections:
                counts[row.term or "", section_id] += 1
    return counts


def last_entries(ledger: Ledger) -> dict[SectionKey, SectionRow]:
    """Give the seats of every section after its last change."""
    moves = {
        key: [e.seat for e in entries if e.event.type in (SEAT_RESERVED, SEAT_RELEASED)]
        for key, entries in ledger.items()
    }
    return {
        key: SectionRow(seats[-1].reserved, seats[-1].seat_sequence)
        for key, seats in moves.items()
        if seats
    }
