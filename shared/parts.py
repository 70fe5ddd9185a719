"""What makes a service that service, and what its own timers may use."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

from shared import codec
from shared.choreography import Topic
from shared.clock import Clock
from shared.database import Database
from shared.events import Event
from shared.gates import Gates
from shared.identifiers import NewEventId
from shared.instruments import Instruments
from shared.looks import Look, Looking
from shared.reaction import Reactions, State
from shared.relay import Relay
from shared.tracing import Tracing
from shared.unit import Load, Save


@dataclass(frozen=True)
class Resources:
    """What a service's own timers may use."""

    database: Database
    gates: Gates
    relay: Relay
    clock: Clock
    new_event_id: NewEventId
    instruments: Instruments
    tracing: Tracing


Tick = Callable[[Resources], Awaitable[None]]


@dataclass(frozen=True)
class Timer:
    """Something that a service does every so often; an outage of the database only delays it."""

    name: str
    interval_seconds: float
    tick: Tick


@dataclass(frozen=True)
class Parts(Generic[State]):
    """What makes a service that service; its consumer group has its name.

    A repeated event changes nothing where `uses_inbox` says of its topic that ids are kept, or
    where the reactions themselves see to it. What cannot be read is parked by those whose business
    it is, and passed over by who only looks on.
    """

    name: str
    topics: Sequence[Topic]
    versions: Path
    reactions: Reactions[State]
    load: Load[State]
    save: Save[State]
    patient: frozenset[type[Event]] = frozenset()  # their reactions can wait for the next event
    uses_inbox: Callable[[str], bool] = codec.uses_inbox
    parks_unreadable: bool = True
    is_traced: bool = True  # its reactions are steps of the saga
    timers: Sequence[Timer] = field(default=())
    looks: Sequence[Look] = field(default=())  # at its database, for metrics
    after_batch: Tick | None = None  # runs before the next batch is read


def looking_timer(looking: Looking) -> Timer:
    """Have something looked at every so often."""

    async def tick(resources: Resources) -> None:
        await looking.look(resources.database, resources.clock())

    return Timer(f"look-at-{looking.name}", looking.interval_seconds, tick)
