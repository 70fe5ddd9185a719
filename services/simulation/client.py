"""Kafka's client as the consumer uses it, on the simulated cluster."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, assert_never

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from services.simulation.cluster import Cluster
from services.simulation.group import Member, Standing
from services.simulation.log import Log, Record
from services.simulation.ports import Process
from services.simulation.scheduler import SECOND_US, Thread
from shared.identifiers import PartitionKey

END_US: Final = 100_000  # the broker waits so long for more before it says that there is no more
NO_END: Final = -1
AT_THE_END: Final = KafkaError(KafkaError._PARTITION_EOF)  # noqa: SLF001  the library's own name
OUT_OF_RANGE: Final = KafkaError(KafkaError._AUTO_OFFSET_RESET)  # noqa: SLF001
FENCED: Final = KafkaError(KafkaError._FATAL, "another has this group.instance.id")  # noqa: SLF001

OnPartitions = Callable[[Any, list[TopicPartition]], None]


class Notice:
    """A message that is none: an end, or an error."""

    __slots__ = ("_error", "_offset", "_partition_key")

    def __init__(
        self, error: KafkaError, partition_key: PartitionKey | None, offset: int | None
    ) -> None:
        self._error = error
        self._partition_key = partition_key
        self._offset = offset

    def error(self) -> KafkaError:
        """Tell what it is."""
        return self._error

    def topic(self) -> str | None:
        """Name the topic it is about."""
        return self._partition_key.topic if self._partition_key else None

    def partition(self) -> int:
        """Name the partition it is about."""
        return self._partition_key.partition if self._partition_key else 0

    def offset(self) -> int | None:
        """Give the end, or the offset that is not there."""
        return self._offset


class Fetch:
    """How far a client has read a partition that it is assigned."""

    __slots__ = (
        "_client",
        "end_is_due",
        "has_failed",
        "is_open",
        "is_queued",
        "is_watched",
        "log",
        "position",
        "told_end",
    )

    def __init__(
        self, client: "SimulatedClient", log: Log, position: int, *, is_open: bool
    ) -> None:
        self._client = client
        self.log = log
        self.position = position
        self.is_open = is_open  # assigned and not paused
        self.is_queued = False
        self.is_watched = False
        self.end_is_due = False
        self.has_failed = False
        self.told_end = NO_END

    def arrive(self) -> None:
        """Learn that one more record can be read."""
        if self.is_open and not self.has_failed:
            self._client.offer(self)


class SimulatedClient:
    """As confluent_kafka.Consumer, for a static member; reads nothing ahead.

    `thread_of` gives the thread that calls it, and that a call blocks; callbacks run inside of
    poll and consume. Once the process is dead, no call has an effect.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        cluster: Cluster,
        process: Process,
        thread_of: Callable[[], Thread],
    ) -> None:
        self._instance: str = settings["group.instance.id"]
        self._session_us = int(settings["session.timeout.ms"]) * 1000
        self._group = cluster.group(settings["group.id"])
        self._cluster = cluster
        self._scheduler = cluster.scheduler
        self._process = process
        self._thread_of = thread_of
        self._member: Member | None = None
        self._memberid: str | None = None
        self._has_news = False
        self._fetches: dict[PartitionKey, Fetch] = {}
        self._paused: set[PartitionKey] = set()  # of those that are not assigned, too
        self._ready: deque[Fetch] = deque()
        self._watched: deque[tuple[int, Fetch, int]] = deque()  # until when, and at which end
        self._notices: list[Notice] = []
        self._taken: list[Record | Notice] = []
        self._missing = 0  # messages that a blocked call still waits for

    def subscribe(
        self,
        topics: Sequence[str],
        *,
        on_assign: OnPartitions,
        on_revoke: OnPartitions,
        on_lost: OnPartitions,
    ) -> None:
        """Join the group: the first partitions come with a later poll."""
        self._topics = list(topics)
        self._on_assign, self._on_revoke, self._on_lost = on_assign, on_revoke, on_lost
        if not self._process.is_dead:
            self._join()

    def _join(self) -> None:
        self._member = Member(
            self._process, self._instance, self._topics, self._session_us, self._hear_later
        )
        self._group.join(self._member)

    def memberid(self) -> str | None:
        """Name the member; None until it has joined."""
        return self._memberid

    # Reading

    def poll(self, seconds: float) -> Record | Notice | None:
        """Give one message, waiting for it no longer than this."""
        found = self.consume(1, seconds)
        return found[0] if found else None

    def consume(self, count: int, seconds: float) -> list[Record | Notice]:
        """Give so many messages, or as many as there are when the time is over."""
        scheduler = self._scheduler
        until_us = scheduler.now_us + int(seconds * SECOND_US)
        while True:
            while self._has_news and not self._cluster.is_down:
                self._hear()
            if self._watched:
                self._look_at_ends()
            if self._ready or self._notices:
                self._take(count)
            left_us = until_us - scheduler.now_us
            missing = count - len(self._taken)
            if missing <= 0 or left_us <= 0:
                break
            self._missing = missing
            self._thread_of().wait(left_us)
            self._missing = 0
        taken, self._taken = self._taken, []
        return taken

    def _take(self, count: int) -> None:
        """Take what is there, mostly one partition after the other, as batches of them come."""
        if self._process.is_dead:
            return
        taken, ready = self._taken, self._ready
        if self._notices:
            taken += self._notices
            self._notices = []
        if self._cluster.is_down:
            return
        if len(ready) > 1 and self._cluster.random.random() < 0.25:
            ready.rotate(-1)
        while ready and len(taken) < count:
            fetch = ready[0]
            if fetch.is_open:
                self._take_of(fetch, count)
            if not (fetch.is_open and self._has_more(fetch)):
                ready.popleft()
                fetch.is_queued = False
                self._watch_end(fetch)

    def _take_of(self, fetch: Fetch, count: int) -> None:
        log, position, taken = fetch.log, fetch.position, self._taken
        if not log.begin <= position <= log.readable:
            fetch.has_failed = True
            taken.append(Notice(OUT_OF_RANGE, log.key, position))
        elif position < log.readable:
            fetch.position = min(log.readable, position + count - len(taken))
            taken += log.records[position : fetch.position]
        elif fetch.end_is_due:
            fetch.end_is_due = False
            fetch.told_end = position
            taken.append(Notice(AT_THE_END, log.key, position))

    def _has_more(self, fetch: Fetch) -> bool:
        return not fetch.has_failed and (fetch.position < fetch.log.readable or fetch.end_is_due)

    def _watch_end(self, fetch: Fetch) -> None:
        """Tell of an end once, in a call that comes when nothing has followed for a while."""
        if not fetch.is_open or fetch.has_failed or fetch.is_watched:
            return
        if fetch.told_end != fetch.position:
            fetch.is_watched = True
            self._watched.append((self._scheduler.now_us + END_US, fetch, fetch.position))

    def _look_at_ends(self) -> None:
        watched, now_us = self._watched, self._scheduler.now_us
        while watched and watched[0][0] <= now_us:
            _, fetch, position = watched.popleft()
            fetch.is_watched = False
            if fetch.position != position:
                self._watch_end(fetch)
            elif fetch.is_open and not fetch.has_failed and position == fetch.log.readable:
                fetch.end_is_due = True
                self.offer(fetch)

    def offer(self, fetch: Fetch) -> None:
        """Have a partition read that has something to give; wake who waits for it."""
        if not fetch.is_queued:
            fetch.is_queued = True
            self._ready.append(fetch)
        if self._missing:
            self._missing -= 1
            if not self._missing:
                self._thread_of().wake()

    # Membership

    def _hear_later(self) -> None:
        self._has_news = True
        if self._missing:
            self._missing = 0
            self._thread_of().wake()

    def _hear(self) -> None:
        self._has_news = False
        if self._process.is_dead or self._member is None:
            return
        match self._group.standing(self._member):
            case Standing.FENCED:
                self._member = None
                self._notices.append(Notice(FENCED, None, None))
            case Standing.LOST:
                self._memberid = None
                self._on_lost(self, _partitions(self._fetches))
                self._join()
            case Standing.MEMBER:
                self._settle(self._member)
            case unreachable:
                assert_never(unreachable)

    def _settle(self, member: Member) -> None:
        """Give up first; what is to come may have to wait until others have done so."""
        gone = self._group.to_revoke(member)
        if gone:
            self._on_revoke(self, _partitions(gone))
            self._group.release(member, gone)
        came = self._group.claim(member)
        if came or gone or not self._memberid:
            self._memberid = f"{self._instance}-{self._scheduler.now_us}"
            self._on_assign(self, _partitions(came))

    def incremental_assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin to read partitions, each at its offset."""
        wanted = _offsets(partitions)
        if any(key in self._fetches for key, _ in wanted):
            raise KafkaException(KafkaError(KafkaError._CONFLICT))  # noqa: SLF001
        for key, offset in wanted:
            log = self._cluster.log(key)
            assert offset >= 0 or offset == OFFSET_BEGINNING, "say where to read"
            position = log.begin if offset == OFFSET_BEGINNING else offset
            fetch = Fetch(self, log, position, is_open=key not in self._paused)
            self._fetches[key] = fetch
            log.readers.append(fetch)
            self._open(fetch)

    def incremental_unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read them no more."""
        keys = [PartitionKey(p.topic, p.partition) for p in partitions]
        if any(key not in self._fetches for key in keys):
            raise KafkaException(KafkaError(KafkaError._INVALID_ARG))  # noqa: SLF001
        for key in keys:
            fetch = self._fetches.pop(key)
            fetch.is_open = False
            fetch.log.readers.remove(fetch)
        self._drop_taken(keys)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Give nothing of these until `resume`, even if they are assigned anew meanwhile."""
        keys = [PartitionKey(p.topic, p.partition) for p in partitions]
        self._paused.update(keys)
        self._drop_taken(keys)
        for key in keys:
            if key in self._fetches:
                self._fetches[key].is_open = False

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Go on where the last message was given."""
        for key, _ in _offsets(partitions):
            self._paused.discard(key)
            fetch = self._fetches.get(key)
            if fetch is not None and not fetch.is_open:
                fetch.is_open = True
                fetch.told_end = NO_END
                self._open(fetch)

    def _open(self, fetch: Fetch) -> None:
        if not fetch.is_open or fetch.has_failed:
            return
        if fetch.position == fetch.log.readable:
            self._watch_end(fetch)
        else:
            self.offer(fetch)

    def _drop_taken(self, keys: Iterable[PartitionKey]) -> None:
        """Have a running call not give what it has of these: it will be read again."""
        kept: list[Record | Notice] = []
        for one in reversed(self._taken):
            key = PartitionKey(one.topic() or "", one.partition())
            if key not in keys:
                kept.append(one)
            elif key in self._fetches and one.error() is None:
                self._fetches[key].position = one.offset() or 0
        self._taken = kept[::-1]

    # Offsets

    def get_watermark_offsets(self, partition: TopicPartition, *, cached: bool) -> tuple[int, int]:
        """Give where a partition begins and ends, as far as readers see it."""
        assert cached
        log = self._cluster.log(PartitionKey(partition.topic, partition.partition))
        return log.begin, log.readable

    def store_offsets(self, *, offsets: Iterable[TopicPartition]) -> None:
        """Let the group know; raises KafkaException where none of these is assigned."""
        wanted = _offsets(offsets)
        stored = {key: offset for key, offset in wanted if key in self._fetches}
        if wanted and not stored:
            raise KafkaException(KafkaError(KafkaError._STATE))  # noqa: SLF001
        if not self._process.is_dead:
            self._group.committed.update(stored)

    def close(self) -> None:
        """Give all up, without telling the group: the place of a static member waits for it."""
        member, self._member = self._member, None
        if self._fetches and not self._process.is_dead:
            self._on_revoke(self, _partitions(self._fetches))
        self._missing = 0
        for fetch in self._fetches.values():
            fetch.is_open = False
            fetch.log.readers.remove(fetch)
        self._fetches.clear()
        if member is not None:
            self._group.leave_silently(member)


def _partitions(keys: Iterable[PartitionKey]) -> list[TopicPartition]:
    return [TopicPartition(*key) for key in keys]


def _offsets(partitions: Iterable[TopicPartition]) -> list[tuple[PartitionKey, int]]:
    """Sort them: they come from sets, and the order in which they are read must be one."""
    return sorted((PartitionKey(p.topic, p.partition), p.offset) for p in partitions)
