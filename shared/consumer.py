"""Reads the topics on a thread of its own, in batches, from the offsets that the database has."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from typing import Any, Final, assert_never

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as ClientMessage

from shared.codec import headers_of
from shared.desk import Desk, InterestIn, ReadBatch, Run
from shared.errors import MemberFencedError, StaleBatchError
from shared.identifiers import PartitionKey
from shared.message import Interest, Message, Move
from shared.pace import Pace
from shared.records import key_of, message_of

LOGGER: Final = logging.getLogger(__name__)
POLL_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 0.2  # then the partitions are paused, and membership kept by polling
REVOKE_SECONDS: Final = 5.0
PROBE_SECONDS: Final = 1.0
REJOIN_SECONDS: Final = 60.0
CARRY_SECONDS: Final = 1.0
ENDS_SECONDS: Final = 1.0
COMPANY_SECONDS: Final = 0.03  # what can wait does so for the next that cannot, no longer


class BatchConsumer(threading.Thread):
    """One member of the group; hands over one batch at a time and waits for its commit.

    A partition that is revoked takes its running batch, and all that was read ahead, with it.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        topics: Sequence[str],
        desk: Desk,
        *,
        interest_in: InterestIn,
        batch_size_max: int,
        interval_seconds_max: float,
        poll_seconds: float = POLL_SECONDS,
        new_client: Callable[[dict[str, Any]], Any] = lambda s: Consumer(s, logger=LOGGER),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="consumer", daemon=True)
        self._settings = settings
        self._topics = list(topics)
        self._desk = desk
        self._interest_in = interest_in
        self._batch_size_max = batch_size_max
        self._pace = Pace(interval_seconds_max, monotonic)
        self._poll_seconds = poll_seconds
        self._new_client = new_client
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._positions: dict[PartitionKey, int | None] = {}  # None: not placed yet
        self._ends: dict[PartitionKey, int] = {}
        self._paused: frozenset[PartitionKey] = frozenset()
        self._out_of_range: set[PartitionKey] = set()
        self._ahead: list[ClientMessage] = []
        self._run: Run | None = None
        self._run_since_seconds: float | None = None
        self._moves: dict[PartitionKey, Move] = {}  # of the running batch
        self._carried: dict[PartitionKey, Move] = {}  # over what asks for no batch
        self._carried_since_seconds = 0.0
        self._probe_at_seconds = 0.0
        self._ends_at_seconds = 0.0
        self._was_fenced_soon = False
        self.has_joined = False
        self.failure: BaseException | None = None

    def stop(self) -> None:
        """Ask the thread to end after the running batch; then `join` it."""
        self._stopping.set()

    def out_of_range(self) -> list[PartitionKey]:
        """Name the partitions that wait for an operator, their next offset not being in the log."""
        return sorted(self._out_of_range)

    def lag(self) -> dict[PartitionKey, int]:
        """Count, for each partition of this member, what is in the log and not yet committed."""
        return {
            key: max(0, self._ends.get(key, position) - position)
            for key, position in list(self._positions.items())
            if position is not None
        }

    def owned_count(self) -> int:
        """Count the partitions of this member, also those that wait for the database."""
        return len(self._positions)

    def batch_seconds(self) -> float:
        """Tell for how long the batch that is at work has been; 0 while there is none."""
        since_seconds = self._run_since_seconds
        return 0.0 if since_seconds is None else self._monotonic() - since_seconds

    def run(self) -> None:
        """Read until stopped; an error here ends the thread and is kept in `failure`."""
        try:
            while not self._stopping.is_set():
                self._read_as_a_member()
        except Exception as error:
            LOGGER.exception("the consumer has failed")
            self.failure = error

    def _read_as_a_member(self) -> None:
        """Read until stopped, or until this member has lost its place.

        A broker that stood still or was away may fence off whoever comes back; then it is enough to
        join anew. So may a second process of the same name, again and again: one must fail visibly.
        """
        since_seconds = self._monotonic()
        try:
            self._read_until_stopped()
        except MemberFencedError as error:
            is_soon = self._monotonic() - since_seconds < REJOIN_SECONDS
            if is_soon and self._was_fenced_soon:
                raise
            self._was_fenced_soon = is_soon
            LOGGER.warning("joins the group anew: %s", error)
            self._positions.clear()
            self._ends.clear()
            self._ahead, self._carried = [], {}
            self._paused, self._out_of_range, self.has_joined = frozenset(), set(), False

    def _read_until_stopped(self) -> None:
        self._consumer = self._new_client(self._settings)
        try:
            self._consumer.subscribe(
                self._topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
            while not self._stopping.is_set():
                self._step()
        finally:
            self._consumer.close()

    def _step(self) -> None:
        if not self.has_joined:  # a member that gets no partition has joined all the same
            self.has_joined = bool(self._consumer.memberid())
        self._place()
        self._apply_pauses()
        self._look_at_ends()
        batch = self._read()
        if self._is_due(batch) and self._handle(batch):
            self._committed(batch.moves)

    def _is_due(self, batch: ReadBatch) -> bool:
        """Have moves without a message wait for a batch that has some: a transaction is dear."""
        if batch.messages or not batch.moves:
            return bool(batch.messages)
        now_seconds = self._monotonic()
        if not self._carried:
            self._carried_since_seconds = now_seconds
        self._carried = batch.moves
        return now_seconds >= self._carried_since_seconds + CARRY_SECONDS

    def _read(self) -> ReadBatch:
        """Wait for a first message, then gather more for as long as the load makes it worth it.

        What nobody here reacts to is no reason to wait: it may come just before a burst.
        """
        first = None if self._ahead else self._consumer.poll(self._poll_seconds)
        if first is not None:
            self._ahead.append(first)
            self._read_ahead(0.0)
            interest = self._highest_interest()
            if interest is Interest.NOW or (interest is Interest.LATER and self._is_joined()):
                self._read_ahead(self._pace.wait_seconds())
        taken, self._ahead = self._ahead, []
        batch = self._batch(taken)
        if batch.messages:
            self._pace.begin(len(batch.messages))
        return batch

    def _read_ahead(self, wait_seconds: float) -> None:
        """Fill the batch up, waiting no longer than this for what is missing."""
        room = self._batch_size_max - len(self._ahead)
        more = self._consumer.consume(room, wait_seconds) if room > 0 else []
        self._ahead += more  # only now: a revocation meanwhile has put another list there

    def _is_joined(self) -> bool:
        """Let what can wait do so; tell whether something that cannot has come meanwhile."""
        until_seconds = self._monotonic() + COMPANY_SECONDS
        while len(self._ahead) < self._batch_size_max:
            one = self._consumer.poll(max(0.0, until_seconds - self._monotonic()))
            if one is None:
                return False
            self._ahead.append(one)
            if self._interest(one) is Interest.NOW:
                return True
        return False

    def _highest_interest(self) -> Interest:
        """Look no further than the first that cannot wait: it costs to read headers."""
        highest = Interest.NONE
        for one in self._ahead:
            match self._interest(one):
                case Interest.NOW:
                    return Interest.NOW
                case Interest.LATER:
                    highest = Interest.LATER
                case Interest.NONE:
                    continue
                case unreachable:
                    assert_never(unreachable)
        return highest

    def _interest(self, one: ClientMessage) -> Interest:
        if one.error() is not None:
            return Interest.NONE
        return self._interest_in(one.topic() or "", dict(headers_of(one)))

    def _batch(self, taken: Iterable[ClientMessage]) -> ReadBatch:
        messages: list[Message] = []
        moves = dict(self._carried)
        for one in taken:
            key = PartitionKey(one.topic() or "", one.partition() or 0)
            position = moves[key].next if key in moves else self._positions.get(key)
            error = one.error()
            if error is not None:
                self._on_error(key, error, one.offset(), position, moves)
                continue
            offset = one.offset()
            assert offset is not None
            if position is None or offset < position:
                continue  # of a partition that was revoked or placed anew meanwhile
            headers = headers_of(one)
            if self._interest_in(key.topic, dict(headers)) is not Interest.NONE:
                messages.append(message_of(one, key, offset, headers))
            expected = moves[key].expected if key in moves else position
            moves[key] = Move(expected, offset + 1)
        return ReadBatch(messages, moves)

    def _on_error(
        self,
        key: PartitionKey,
        error: KafkaError,
        offset: int | None,
        position: int | None,
        moves: dict[PartitionKey, Move],
    ) -> None:
        """A partition's end may lie behind offsets that hold no message: move over them."""
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the library's own name
            if offset is not None and position is not None and offset > position:
                expected = moves[key].expected if key in moves else position
                moves[key] = Move(expected, offset)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            LOGGER.error("%s/%s: next offset %s is not in the log", *key, position)
            self._out_of_range.add(key)
        elif error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001  such as: fenced
            raise MemberFencedError(error.str())
        else:
            LOGGER.warning("consumer: %s", error)

    def _handle(self, batch: ReadBatch) -> bool:
        """Have a batch committed; False where it was dropped and must be read again."""
        self._moves, self._carried = batch.moves, {}
        self._run = run = self._desk.start(batch)
        self._run_since_seconds = self._monotonic()
        try:
            while not run.wait(PATIENCE_SECONDS):
                self._keep_membership(run)
            run.result()
        except (StaleBatchError, futures.CancelledError) as error:
            LOGGER.warning("batch dropped, to be read again: %r", error)
            self._displace(batch.moves)
            return False
        else:
            return True
        finally:
            self._run = self._run_since_seconds = None
            self._pace.end()

    def _keep_membership(self, run: Run) -> None:
        """Poll while a batch takes long, without reading further."""
        if self._stopping.is_set():
            run.cancel()
        self._apply_pauses()
        self._look_at_ends()
        message = self._consumer.poll(0)
        if message is not None:
            self._ahead.append(message)

    def _committed(self, moves: dict[PartitionKey, Move]) -> None:
        """Note how far the database is; the group's own offsets follow, for lag and for tools."""
        kept = {key: move for key, move in moves.items() if key in self._positions}
        self._positions |= {key: move.next for key, move in kept.items()}
        self._store({key: move.next for key, move in kept.items()})

    def _store(self, positions: Mapping[PartitionKey, int]) -> None:
        """Let the group know; also at the start, for what it knew may have been lost."""
        offsets = [TopicPartition(*key, position) for key, position in positions.items()]
        try:
            self._consumer.store_offsets(offsets=offsets)
        except KafkaException as error:
            LOGGER.info("offsets not stored, the partition has gone: %s", error)

    def _look_at_ends(self) -> None:
        """Note every so often where the logs end, as far as what was fetched tells."""
        if self._monotonic() < self._ends_at_seconds:
            return
        self._ends_at_seconds = self._monotonic() + ENDS_SECONDS
        for key in self._positions:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
            self._ends[key] = end  # negative where it is not known

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        keys = [PartitionKey(p.topic, p.partition) for p in partitions]
        self._positions |= dict.fromkeys(keys)
        # Not OFFSET_BEGINNING: the client asks where that is, maybe again half a second later, and
        # that answer then moves a partition which has its place by now.
        self._consumer.incremental_assign([TopicPartition(*key, 0) for key in keys])
        self._apply_pauses()
        self._probe_at_seconds = 0.0
        self._place()

    def _displace(self, keys: Iterable[PartitionKey]) -> None:
        """Forget where these partitions are read: the database will say."""
        gone = set(keys) & self._positions.keys()
        self._positions |= dict.fromkeys(gone)
        self._forget(gone)
        self._probe_at_seconds = 0.0

    def _forget(self, gone: set[PartitionKey]) -> None:
        """Drop what was read of these partitions and not yet handed over."""
        self._ahead = [m for m in self._ahead if key_of(m) not in gone]
        self._carried = {key: move for key, move in self._carried.items() if key not in gone}

    def _place(self) -> None:
        """Start reading, where the database says, the partitions that have no place yet.

        Until then they are paused, and whatever they bring is dropped.
        """
        keys = [key for key, position in self._positions.items() if position is None]
        if not keys or self._monotonic() < self._probe_at_seconds:
            return
        try:
            offsets = self._desk.read_offsets()
        except Exception as error:  # noqa: BLE001  whatever it is, there is no place without it
            LOGGER.warning("partitions wait for the database: %r", error)
            self._probe_at_seconds = self._monotonic() + PROBE_SECONDS
            return
        self._unassign(keys)
        self._consumer.incremental_assign(
            [TopicPartition(*key, offsets.get(key, OFFSET_BEGINNING)) for key in keys]
        )
        for key in keys:
            self._positions[key] = offsets.get(key, 0)
        self._store({key: offsets[key] for key in keys if key in offsets})
        self._apply_pauses()  # at once: the poll that brought the assignment goes on to read

    def _unassign(self, keys: Iterable[PartitionKey]) -> None:
        """Give partitions up, resumed: the client would keep them paused when they come again."""
        partitions = [TopicPartition(*key) for key in keys]
        self._consumer.resume(partitions)
        self._consumer.incremental_unassign(partitions)
        self._paused -= frozenset(keys)
        self._out_of_range.difference_update(keys)

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Roll back, and forget all that was read, before anybody reads these again."""
        gone = {PartitionKey(p.topic, p.partition) for p in partitions}
        if self._run is not None and gone & self._moves.keys():
            self._run.cancel()
            if not self._run.wait(REVOKE_SECONDS):
                LOGGER.warning("rollback takes long; the database's offsets fence the batch off")
        for key in gone:
            self._positions.pop(key, None)
            self._ends.pop(key, None)
        self._forget(gone)
        self._unassign(gone)

    def _apply_pauses(self) -> None:
        """Pause what is not to be read now: closed topics, and everything while a batch runs."""
        closed = self._desk.closed_topics() if self._run is None else frozenset(self._topics)
        wanted = frozenset(
            key
            for key, position in self._positions.items()
            if position is None or key.topic in closed
        )
        stop, go = wanted - self._paused, self._paused - wanted
        if stop:
            self._consumer.pause([TopicPartition(*key) for key in stop])
        if go:
            self._consumer.resume([TopicPartition(*key) for key in go])
        self._paused = (self._paused | stop) - go
