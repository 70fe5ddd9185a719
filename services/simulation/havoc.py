"""What goes wrong with the servers: the databases and Kafka."""

from collections.abc import Mapping
from functools import partial
from typing import assert_never

from services.simulation.cluster import Cluster
from services.simulation.database import MemoryDatabase
from services.simulation.narrative import Tell
from services.simulation.plan import Fault, Strike
from services.simulation.scheduler import Scheduler
from shared.choreography import TOPICS, Service, subscriptions


class Havoc:
    """Strikes servers, each for its time."""

    def __init__(
        self,
        scheduler: Scheduler,
        cluster: Cluster,
        databases: Mapping[Service, MemoryDatabase],
        tell: Tell,
    ) -> None:
        self._scheduler = scheduler
        self._cluster = cluster
        self._databases = databases
        self._tell = tell

    def heal(self) -> None:
        """End what lasts."""
        self._cluster.is_down = False
        for database in self._databases.values():
            database.is_down = False

    def strike(self, step: Strike) -> None:
        """Bring about one fault."""
        match step.fault:
            case Fault.DATABASE_DOWN:
                self._take_down(self._databases[Service(step.target)], step)
            case Fault.KAFKA_DOWN:
                self._take_down(self._cluster, step)
            case Fault.DATABASE_CRASH:
                self._say(f"the database of {step.target} crashes")
                self._databases[Service(step.target)].crash()
            case Fault.REBALANCE:
                self._say(f"the partitions of {step.target} are dealt anew")
                self._cluster.rebalance(step.target)
            case Fault.RETENTION:
                self._forget()
            case Fault.REPUBLISH:
                self._republish(Service(step.target))
            case Fault.INBOX_LOSS:
                self._say(f"the inbox of {step.target} is lost")
                self._databases[Service(step.target)].rows("inbox").clear()
            case Fault.KILL | Fault.STOP | Fault.FREEZE | Fault.CLOCK_JUMP | Fault.DISCONNECT:
                raise AssertionError(f"{step.fault} is of a process")
            case unreachable:
                assert_never(unreachable)

    def _say(self, text: str) -> None:
        self._tell(self._scheduler.now_us, text)

    def _take_down(self, server: MemoryDatabase | Cluster, step: Strike) -> None:
        what = f"the database of {step.target}" if step.target else "Kafka"
        self._say(f"{what} does not answer for {step.lasts_us / 1e6:.1f} s")
        server.is_down = True
        self._scheduler.after(step.lasts_us, partial(setattr, server, "is_down", False))

    def _forget(self) -> None:
        """Let Kafka forget what every service that reads it has read."""
        self._say("the topics forget what has been read by all")
        for topic in TOPICS:
            readers = [s for s in Service if topic in subscriptions(s)]
            for key in self._cluster.ends([topic.name]):
                read = [self._databases[s].next_offsets().get(key, 0) for s in readers]
                self._cluster.forget(key, min(read, default=0))

    def _republish(self, service: Service) -> None:
        """Append what a service has published once more, in its order, with the ids it had."""
        if self._cluster.is_down:
            return
        self._say(f"all events of {service} are published once more")
        for topic in (topic for topic in TOPICS if topic.writer is service):
            for record in self._cluster.records(topic.name):
                headers = record.headers() or ()
                self._cluster.append(topic.name, record.key(), record.value(), headers)
