"""The relay's publisher, on the simulated cluster."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from services.simulation.cluster import Cluster
from services.simulation.ports import Process
from services.simulation.scheduler import SECOND_US, pause
from shared.codec import raw_headers
from shared.errors import DeliveryFailedError, NotDeliveredError
from shared.outbox import OutboxRow
from shared.producer import FLUSH_SECONDS, headers_of_row

FLUSH_US: Final = int(FLUSH_SECONDS * SECOND_US)


class SimulatedPublisher:
    """As BatchProducer: appends in order, one by one, so that a fault may strike between any two.

    Where the process loses its connection, what was appended last was perhaps not acknowledged.
    """

    def __init__(self, cluster: Cluster, process: Process, source: str) -> None:
        self._cluster = cluster
        self._process = process
        self._source = source
        self._waiting: deque[OutboxRow] = deque()

    def send(self, rows: Sequence[OutboxRow]) -> None:
        """Hand rows over, in order; nothing is appended yet."""
        self._waiting.extend(rows)

    async def flush(self) -> None:
        """Append all that was sent, and wait for the acknowledgement."""
        try:
            while self._waiting:
                await self._process.reach("kafka.append")
                await self._append_next()
            await self._process.reach("kafka.acknowledge")
        except OSError as error:
            raise DeliveryFailedError(f"no answer: {error!r}") from error

    async def _append_next(self) -> None:
        if self._cluster.is_down:
            await pause(FLUSH_US)
            raise NotDeliveredError(f"{len(self._waiting)} events await the broker")
        if self._process.is_dead or not self._waiting:
            return
        row = self._waiting.popleft()
        headers = raw_headers(headers_of_row(row, self._source))
        self._cluster.append(row.topic, row.key.encode(), row.body, headers)

    def abandon(self) -> None:
        """Forget what is not appended: its rows are still in the outbox."""
        self._waiting.clear()
