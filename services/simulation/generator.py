"""Draws a plan from a seed: many students, few seats, and whatever may go wrong."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final
from uuid import UUID

from services.simulation.plan import Ambush, Fault, Plan, Poison, Setting, Step, Strike
from services.simulation.registrar import Registrar
from services.simulation.requester import Requester
from services.simulation.scheduler import SECOND_US
from shared.choreography import REACTIONS, Service
from shared.events import EnrollmentEvent
from shared.identifiers import EnrollmentId

SAGAS: Final = 24
OPEN_US: Final = 8 * SECOND_US  # all requests come in this time
STRUCK_US: Final = 12 * SECOND_US  # and all faults begin in this
LASTING_US: Final = 6 * SECOND_US
AWAITS: Final = 400  # a process passes about so many
LATENCIES_US: Final = (300, 300, 300, 1_000, 5_000, 20_000)
STRIKES: Final = (
    Fault.KILL,
    Fault.STOP,
    Fault.FREEZE,
    Fault.DATABASE_DOWN,
    Fault.DATABASE_CRASH,
    Fault.KAFKA_DOWN,
    Fault.REBALANCE,
    Fault.CLOCK_JUMP,
    Fault.RETENTION,
    Fault.REPUBLISH,
    Fault.INBOX_LOSS,
)
OF_A_PROCESS: Final = frozenset({Fault.KILL, Fault.STOP, Fault.FREEZE, Fault.CLOCK_JUMP})
OF_A_SERVICE: Final = frozenset(
    {Fault.DATABASE_DOWN, Fault.DATABASE_CRASH, Fault.REBALANCE, Fault.REPUBLISH, Fault.INBOX_LOSS}
)
AMBUSHES: Final = (Fault.KILL, Fault.KILL, Fault.DISCONNECT, Fault.DISCONNECT, Fault.FREEZE)
POISONABLE: Final = tuple(
    (reaction.service, reaction.on.__name__)
    for reaction in REACTIONS
    if isinstance(reaction.on, type) and issubclass(reaction.on, EnrollmentEvent)
)


def new_plan(seed: int) -> Plan:
    """Draw the plan of a seed; the same seed gives the same plan."""
    random = Random(seed)
    setting = _setting(random)
    registrar = Registrar(random)
    requester = Requester(random, registrar)
    steps: list[Step] = [*registrar.first(), *requester.requests(SAGAS, OPEN_US)]
    steps += registrar.changes(OPEN_US)
    steps += _poisons(random, requester.enrollment_ids)
    steps += _faults(random, process_names(setting))
    return Plan(seed, setting, tuple(steps))


def process_names(setting: Setting) -> list[str]:
    """Name the processes of a history."""
    return [f"{service}-{n}" for service in Service for n in range(1, setting.instances + 1)]


def new_uuid(random: Random) -> UUID:
    """Draw a UUID of no version in particular, as systems outside may send."""
    return UUID(int=random.getrandbits(128))


def _setting(random: Random) -> Setting:
    instances = random.choice((1, 2, 2))
    skews = [0] * 3 * instances
    if random.random() < 0.4:
        skews = [random.randrange(-3 * SECOND_US, 3 * SECOND_US) for _ in skews]
    return Setting(
        partitions=random.choice((1, 2, 2, 3)),
        instances=instances,
        latency_us=random.choice(LATENCIES_US),
        deadline_seconds=random.choice((1.0, 5.0, 20.0, 20.0)),
        pending_max=random.choice((3, 1000)),
        skew_us=tuple(skews),
    )


def _poisons(random: Random, ids: Sequence[EnrollmentId]) -> Iterator[Poison]:
    if random.random() < 0.25:
        for _ in range(random.randrange(1, 4)):
            service, event_type = random.choice(POISONABLE)
            mended_at_us, discard = random.randrange(STRUCK_US), random.random() < 0.3
            by_database = random.random() < 0.4
            enrollment_id = random.choice(ids)
            yield Poison(service, event_type, enrollment_id, mended_at_us, discard, by_database)


def _faults(random: Random, processes: Sequence[str]) -> Iterator[Step]:
    if random.random() < 0.2:
        return  # concurrency alone is enough to go wrong
    for _ in range(random.randrange(9)):
        yield _strike(random, processes)
    for _ in range(random.randrange(9)):
        await_number = random.randrange(1, AWAITS)
        lasts_us = random.randrange(1, LASTING_US)
        fault = random.choice(AMBUSHES)
        yield Ambush(random.choice(processes), await_number, fault, lasts_us)


def _strike(random: Random, processes: Sequence[str]) -> Strike:
    fault = random.choice(STRIKES)
    target = ""
    if fault in OF_A_PROCESS:
        target = random.choice(processes)
    elif fault in OF_A_SERVICE:
        target = random.choice(list(Service)).value
    at_us, lasts_us = random.randrange(STRUCK_US), random.randrange(1, LASTING_US)
    if fault is Fault.FREEZE and random.random() < 0.3:
        lasts_us += 15 * SECOND_US  # longer than a session of the group
    return Strike(at_us, fault, target, lasts_us)
