"""Reads an enrollment's messages from the topics: of no group, and in bounded windows."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from confluent_kafka import Consumer, TopicPartition

from loadtests.day.kafka import consumer_settings
from services.cli.why.facts import Extent, Found, TopicFacts
from shared.choreography import REQUESTS, TOPICS, Service, subscriptions
from shared.codec import headers_of
from shared.identifiers import PartitionKey

SAGA: Final = tuple(topic.name for topic in TOPICS if not topic.is_catalog)
REQUEST_BEFORE: Final = timedelta(seconds=60)
EVENT_BEFORE: Final = timedelta(seconds=10)  # clocks differ a little
MESSAGES_MIN: Final = 2_000  # of a partition, from its end, however old
MESSAGES_MAX: Final = 100_000
ANSWER_SECONDS: Final = 3.0
READ_SECONDS: Final = 5.0
UNREAD_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.1
AT_ONCE: Final = 2_000

Offsets = Mapping[str, Mapping[PartitionKey, int]]  # by service
Windows = dict[PartitionKey, Extent]


@contextmanager
def reader_of(kafka_url: str) -> Iterator[Consumer]:
    """Connect; nothing is written, and no group is joined."""
    consumer = Consumer(consumer_settings(kafka_url) | {"fetch.wait.max.ms": 20})
    try:
        yield consumer
    finally:
        consumer.close()


def read_extents(kafka_url: str) -> TopicFacts:
    """Read no more than where each log begins and ends."""
    with reader_of(kafka_url) as consumer:
        return TopicFacts(_extents(consumer))


def read_topics(
    kafka_url: str,
    enrollment_id: UUID,
    student_id: str | None,
    since: datetime | None,
    offsets: Offsets,
) -> TopicFacts:
    """Find the enrollment's messages; blocks, and raises what the client does of an outage."""
    until_seconds = time.monotonic() + READ_SECONDS
    found: list[Found] = []

    def take(record: Any) -> None:
        one = _found(record, str(enrollment_id))
        if one is not None:
            found.append(one)

    with reader_of(kafka_url) as consumer:
        extents = _extents(consumer)
        places = places_of(extents, student_id)
        begun = _offsets_at(consumer, places, since) if since is not None else {}
        windows = {place: window(extents[place], begun.get(place)) for place in places}
        unread = {
            place: unread_window(extents[place], one, _next_unread(place, offsets))
            for place, one in windows.items()
        }
        passes = [_read(consumer, one, until_seconds, take) for one in (windows, unread)]
        firsts = _first_unread(consumer, extents, offsets)
    found.sort(key=lambda one: (one.place, one.offset))
    looked_at = sum(count for count, _ in passes)
    return TopicFacts(extents, found, firsts, looked_at, all(is_whole for _, is_whole in passes))


def _extents(consumer: Consumer) -> dict[PartitionKey, Extent]:
    known = consumer.list_topics(timeout=ANSWER_SECONDS).topics
    places = [
        PartitionKey(topic.name, number)
        for topic in TOPICS
        if topic.name in known
        for number in known[topic.name].partitions
    ]
    return {place: _extent(consumer, place) for place in places}


def _extent(consumer: Consumer, place: PartitionKey) -> Extent:
    found = consumer.get_watermark_offsets(TopicPartition(*place), timeout=ANSWER_SECONDS)
    return Extent(*found) if found is not None else Extent(0, 0)


def places_of(extents: Iterable[PartitionKey], student_id: str | None) -> list[PartitionKey]:
    """Choose where to look: our own events lie where their key says, requests anywhere."""
    places = [place for place in extents if place.topic in SAGA]
    if student_id is None:
        return places
    counts = {name: sum(place.topic == name for place in places) for name in SAGA}
    return [
        place
        for place in places
        if place.topic == REQUESTS.name
        or place.partition == partition_of(student_id.encode(), counts[place.topic])
    ]


def _offsets_at(
    consumer: Consumer, places: Iterable[PartitionKey], since: datetime
) -> dict[PartitionKey, int]:
    """Ask where each log was a little before; a request may have waited longer to be read."""
    before = {True: REQUEST_BEFORE, False: EVENT_BEFORE}
    asked = [
        TopicPartition(*place, _ms(since - before[place.topic == REQUESTS.name]))
        for place in places
    ]
    found = consumer.offsets_for_times(asked, timeout=ANSWER_SECONDS)
    return {PartitionKey(one.topic, one.partition): one.offset for one in found if one.offset >= 0}


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def window(extent: Extent, begun: int | None) -> Extent:
    """From where the log was then, or from near its end; never too much."""
    latest = extent.end - MESSAGES_MIN
    start = max(extent.begin, latest if begun is None else min(begun, latest))
    return Extent(start, min(extent.end, start + MESSAGES_MAX))


def unread_window(extent: Extent, seen: Extent, next_unread: int | None) -> Extent:
    """What somebody has still to read, but for what is looked at anyway; never too much."""
    if next_unread is None or next_unread >= extent.end:
        return Extent(extent.end, extent.end)
    is_before = seen.end == extent.end and next_unread < seen.begin
    start = max(extent.begin, next_unread if is_before else max(next_unread, seen.end))
    end = seen.begin if is_before else extent.end
    return Extent(start, max(start, min(end, start + MESSAGES_MAX)))


def _next_unread(place: PartitionKey, offsets: Offsets) -> int | None:
    """Give the first offset that a service which reads this topic has not read."""
    return min(
        (
            offsets[service].get(place, 0)
            for service in Service
            if service in offsets
            if place.topic in {topic.name for topic in subscriptions(service)}
        ),
        default=None,
    )


def _read(
    consumer: Consumer, windows: Windows, until_seconds: float, take: Callable[[Any], None]
) -> tuple[int, bool]:
    """Read the windows to their ends, or until the time is over; count what was read."""
    unread = {place for place, one in windows.items() if one.end > one.begin}
    assigned = [TopicPartition(*place, windows[place].begin) for place in sorted(unread)]
    count = 0
    if not assigned:
        return count, True
    consumer.assign(assigned)
    while unread and time.monotonic() < until_seconds:
        for record in consumer.consume(AT_ONCE, POLL_SECONDS):
            if record.error() is not None:
                continue
            place, offset = _place(record), record.offset() or 0
            if place in unread and offset < windows[place].end:
                count += 1
                take(record)
            if place in unread and offset + 1 >= windows[place].end:
                unread.discard(place)
                consumer.pause([TopicPartition(*place)])
    consumer.resume(assigned)  # or the client keeps them paused when they are assigned again
    consumer.unassign()
    return count, not unread


def _place(record: Any) -> PartitionKey:
    return PartitionKey(record.topic(), record.partition())


def _first_unread(
    consumer: Consumer, extents: Mapping[PartitionKey, Extent], offsets: Offsets
) -> dict[tuple[str, PartitionKey], datetime]:
    """Tell of each service and partition that is behind when the log took what comes next."""
    until_seconds = time.monotonic() + UNREAD_SECONDS
    found = {}
    for service in Service:
        wanted = {topic.name for topic in subscriptions(service)}
        behind = {
            place: Extent(next_offset, next_offset + 1)
            for place, extent in extents.items()
            if place.topic in wanted and service in offsets
            if extent.begin <= (next_offset := offsets[service].get(place, 0)) < extent.end
        }
        records: list[Any] = []
        _read(consumer, behind, until_seconds, records.append)
        for record in records:
            at = _logged_at(record)
            if at is not None:
                found[service.value, _place(record)] = at
    return found


def _logged_at(record: Any) -> datetime | None:
    _, milliseconds = record.timestamp()
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None


def _found(record: Any, enrollment_id: str) -> Found | None:
    """A request is about the enrollment that its body names, an event of ours says it twice."""
    headers = {name: value.decode(errors="replace") for name, value in headers_of(record)}
    is_named = enrollment_id.encode() in (record.value() or b"").lower()
    if not is_named and headers.get("ce_subject", "").lower() != enrollment_id:
        return None
    return Found(
        place=_place(record),
        offset=record.offset(),
        event_type=headers.get("ce_type", ""),
        source=headers.get("ce_source"),
        said_at=_time(headers.get("ce_time")),
        logged_at=_logged_at(record),
        student_id=(record.key() or b"").decode(errors="replace") or None,
    )


def _time(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def partition_of(key: bytes, count: int) -> int:
    """Say where a key lies, as Kafka's Java client and our producers choose: by its murmur2."""
    return (_murmur2(key) & 0x7FFFFFFF) % count if count else 0


def _murmur2(key: bytes) -> int:
    multiplier, mask, whole = 0x5BD1E995, 0xFFFFFFFF, len(key) // 4 * 4
    found = 0x9747B28C ^ len(key)
    for at in range(0, whole, 4):
        part = int.from_bytes(key[at : at + 4], "little") * multiplier & mask
        part = (part ^ part >> 24) * multiplier & mask
        found = (found * multiplier & mask) ^ part
    if key[whole:]:
        found = (found ^ int.from_bytes(key[whole:], "little")) * multiplier & mask
    found = (found ^ found >> 13) * multiplier & mask
    return found ^ found >> 15
