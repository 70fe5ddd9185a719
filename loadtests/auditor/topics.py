"""Read every topic from its beginning, as nobody's consumer group."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from operator import methodcaller
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from loadtests.auditor.contract import TOPICS
from loadtests.auditor.records import Record

Place = tuple[str, int]  # a topic and a partition

BATCH_SIZE: Final = 10_000
POLL_SECONDS: Final = 0.1  # consume() waits so long for a full batch
REQUEST_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 30.0
NO_END: Final = 2**63

READ_HEADERS: Final = methodcaller("headers")


class TopicsUnreadableError(Exception):
    """Kafka did not give what it was asked for; the text says what to look at."""


class Extent(NamedTuple):
    """The first offset of a log that is still kept, and its end."""

    begin: int
    end: int


class Topics:
    """The topics of the saga on one cluster. Every method blocks: call it in a thread."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._places: list[Place] = []

    def extents(self) -> dict[Place, Extent]:
        """Give the extent of every partition of every topic."""
        return {place: self._extent(place) for place in self._find_places()}

    def _extent(self, place: Place) -> Extent:
        found = self._consumer.get_watermark_offsets(
            TopicPartition(*place), timeout=REQUEST_SECONDS
        )
        if found is None:
            raise TopicsUnreadableError(f"Kafka does not tell the end of {place}: is it up?")
        return Extent(*found)

    def _find_places(self) -> list[Place]:
        if not self._places:
            found = self._consumer.list_topics(timeout=REQUEST_SECONDS).topics
            missing = [topic for topic in TOPICS if topic not in found]
            if missing:
                raise TopicsUnreadableError(f"no such topics: {', '.join(missing)}; create them")
            self._places = [(name, number) for name in TOPICS for number in found[name].partitions]
        return self._places

    def read(self) -> Iterator[Record]:
        """Read all of every topic."""
        return self._read(dict.fromkeys(self._find_places(), OFFSET_BEGINNING))

    def read_until(self, ends: Mapping[Place, int]) -> Iterator[Record]:
        """Read every log as it was when it ended there, also while more is written."""
        written = {place: end for place, end in ends.items() if end > 0}
        return self._read(dict.fromkeys(written, OFFSET_BEGINNING), written)

    def has_records(self, place: Place, offset: int) -> bool:
        """Tell whether a log holds any record from an offset on: compaction may have taken them."""
        with closing(self._read({place: offset})) as records:
            return next(records, None) is not None

    def _read(
        self, positions: Mapping[Place, int], ends: Mapping[Place, int] | None = None
    ) -> Generator[Record]:
        wanted = [TopicPartition(*place, offset) for place, offset in positions.items()]
        self._consumer.assign(wanted)
        try:
            yield from _read_to_ends(self._consumer, ends or dict.fromkeys(positions, NO_END))
        finally:
            self._consumer.unassign()


@contextmanager
def open_topics(kafka_url: str) -> Iterator[Topics]:
    """Connect to Kafka; nothing is ever written, and no group is joined."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka_url.removeprefix("kafka://"),
            "group.id": "auditor",  # required, and not used
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
            "log_level": 3,
        }
    )
    try:
        yield Topics(consumer)
    finally:
        consumer.close()


def _read_to_ends(consumer: Consumer, ends: Mapping[Place, int]) -> Iterator[Record]:
    """Read each partition to its end; under load Kafka may never tell that it was reached."""
    unread = set(ends)
    silent_seconds = 0.0
    while unread:
        messages = consumer.consume(BATCH_SIZE, timeout=POLL_SECONDS)
        silent_seconds = 0.0 if messages else silent_seconds + POLL_SECONDS
        if silent_seconds >= PATIENCE_SECONDS:
            raise TopicsUnreadableError(f"Kafka was silent for {silent_seconds:.0f} s: is it up?")
        for message in messages:
            error, place = message.error(), (message.topic() or "", message.partition() or 0)
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                raise KafkaException(error)
            offset = message.offset() or 0
            if error is None and offset < ends[place]:
                yield _record(message)
            if error is not None or offset + 1 >= ends[place]:
                unread.discard(place)


def _record(message: Any) -> Record:
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        _headers(message),
    )


def _headers(message: Any) -> tuple[tuple[str, bytes], ...]:
    """Read the headers; where the name of one is no UTF-8, none can be read.

    The client returns such a name and has an error set; only a call from C surely raises it.
    """
    try:
        return tuple((name, value or b"") for name, value in READ_HEADERS(message) or ())
    except SystemError:
        return ()
