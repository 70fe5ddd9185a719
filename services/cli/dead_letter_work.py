"""Finds, replays and discards dead letters: in the transactions and by the reactions of services.

A replay that is only tried does all that it would do, and is then rolled back.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import asyncpg

from services.capacity import handlers as capacity_handlers
from services.capacity import store as capacity_store
from services.cli.output import CliError
from services.cli.replay_spans import open_tracing, tell_of_replay
from services.cli.target import INGRESS, WITH_DEAD_LETTERS, NoDataError, Target, transaction
from services.enrollment import handlers as enrollment_handlers
from services.enrollment import store as enrollment_store
from services.enrollment.ingress.view import store as view_store
from services.enrollment.ingress.view.handlers import REACTIONS as VIEW_REACTIONS
from services.enrollment.model import Enrollment
from services.enrollment.settings import EnrollmentSettings
from services.student import handlers as student_handlers
from services.student import store as student_store
from shared import dead_letter, letter_rows
from shared.clock import system_clock
from shared.database import Transaction
from shared.dead_letter import DeadLetter, Outcome
from shared.errors import DeadLetterError
from shared.identifiers import new_event_id
from shared.letter_rows import PostgresLetters, Wanted
from shared.reaction import Folded, Reactions, describe_error
from shared.retry import is_database_outage
from shared.tracing import now_ns
from shared.unit import PostgresUnit

REACTIONS_OF: Final[Mapping[str, Reactions[Any]]] = {
    "enrollment": enrollment_handlers.REACTIONS,
    "student": student_handlers.REACTIONS,
    "capacity": capacity_handlers.REACTIONS,
    INGRESS: VIEW_REACTIONS,
}

Found = tuple[str, DeadLetter]  # with the service that parked it


@dataclass(frozen=True)
class Done:
    """Which dead letters are gone, and the types of the events that came of them."""

    letter_ids: Sequence[int]
    says: Sequence[str]


@dataclass(frozen=True)
class Attempt:
    """What came of the replay of one queue of dead letters: `done`, or why it failed."""

    service: str
    letter: DeadLetter
    enrollment: Enrollment | None  # as it was before
    done: Done | None = None
    failure: str | None = None


class _OnlyTriedError(Exception):
    """Rolls a replay back."""


def one_of_each_queue(found: Sequence[Found]) -> list[Found]:
    """Leave out what goes with another: those of one enrollment in one topic are one queue."""
    queues: dict[tuple[object, ...], Found] = {}
    for service, letter in found:
        key = (letter.message.topic, letter.enrollment_id) if letter.holds else (letter.id,)
        queues.setdefault((service, *key), (service, letter))
    return list(queues.values())


async def find_letters(target: Target, service: str | None, wanted: Wanted) -> list[Found]:
    """List dead letters of one service, or of all: those first that come first in a saga.

    At most 1000 of each service. There may be no ingress.
    """
    found = []
    for name in [service] if service else WITH_DEAD_LETTERS:
        try:
            async with transaction(target, name) as begun:
                found += [(name, letter) for letter in await letter_rows.read(begun, wanted)]
        except NoDataError:
            if service or name != INGRESS:
                raise
    return found


async def find_letter(target: Target, service: str, letter_id: int) -> DeadLetter:
    """Find one dead letter."""
    async with transaction(target, service) as begun:
        return await letter_rows.find(begun, letter_id)


async def enrollment_of(target: Target, letter: DeadLetter) -> Enrollment | None:
    """Find how the enrollment stands that a dead letter is about."""
    if letter.enrollment_id is None:
        return None
    async with transaction(target, "enrollment") as begun:
        return await enrollment_store.find_enrollment(begun, letter.enrollment_id)


async def attempt(target: Target, found: Found, operator: str, *, is_only_tried: bool) -> Attempt:
    """Replay a dead letter with its queue, and tell how its enrollment stood before."""
    service, letter = found
    enrollment = await enrollment_of(target, letter)
    try:
        if is_only_tried:
            done = await try_out(target, service, letter.id, operator)
        else:
            done = await replay(target, service, letter.id, operator)
    except DeadLetterError as error:
        return Attempt(service, letter, enrollment, failure=str(error))
    except asyncpg.PostgresError as error:
        if is_database_outage(error):
            raise
        failure = f"dead letter {letter.id}: the database refuses it: {describe_error(error)}"
        return Attempt(service, letter, enrollment, failure=failure)
    return Attempt(service, letter, enrollment, done)


def outcome_named(name: str | None) -> Outcome | None:
    """Read an outcome, or say which there are."""
    try:
        return None if name is None else Outcome(name)
    except ValueError:
        known = ", ".join(Outcome)
        raise CliError(f"there is no outcome {name}: it can be one of {known}") from None


async def replay(target: Target, service: str, letter_id: int, operator: str) -> Done:
    """Replay a dead letter and its queue."""
    tracing, began_ns = open_tracing(), now_ns()  # before anything is done
    async with transaction(target, service) as begun:
        queue, done = await _replay(begun, target, service, letter_id, operator)
    await asyncio.to_thread(tell_of_replay, tracing, service, queue, done.says, began_ns)
    return done


async def try_out(target: Target, service: str, letter_id: int, operator: str) -> Done:
    """Tell what a replay would come to; for that moment the rows that it touches are locked."""
    done = Done((), ())
    try:
        async with transaction(target, service) as begun:
            _, done = await _replay(begun, target, service, letter_id, operator)
            raise _OnlyTriedError  # noqa: TRY301  (what rolls it back)
    except _OnlyTriedError:
        return done


async def _replay(
    begun: Transaction, target: Target, service: str, letter_id: int, operator: str
) -> tuple[Sequence[DeadLetter], Done]:
    unit, reactions = parts_of(target, service, begun)
    letters = PostgresLetters(begun)
    queue = await letters.queue_of(letter_id)
    folded = await dead_letter.replay(
        letters, unit, letter_id, reactions, operator=operator, now=system_clock()
    )
    return queue, Done([letter.id for letter in queue], _types(folded))


async def discard(
    target: Target, service: str, letter_id: int, outcome: Outcome | None, operator: str
) -> Done:
    """Discard a dead letter."""
    async with transaction(target, service) as begun:
        unit, reactions = parts_of(target, service, begun)
        folded = await dead_letter.discard(
            PostgresLetters(begun),
            unit,
            letter_id,
            reactions,
            outcome=outcome,
            operator=operator,
            now=system_clock(),
        )
    return Done([letter_id], _types(folded))


def _types(folded: Folded) -> list[str]:
    return [type(emitted.event).__name__ for emitted in folded.emitted]


def parts_of(
    target: Target, service: str, begun: Transaction
) -> tuple[PostgresUnit[Any], Reactions[Any]]:
    """Give what decides in a service, exactly as its process has it."""
    return _unit_of(target, service, begun), REACTIONS_OF[service]


def _unit_of(target: Target, service: str, begun: Transaction) -> PostgresUnit[Any]:
    match service:
        case "enrollment":
            settings = EnrollmentSettings(
                database_url=target.database_url(service),
                kafka_bootstrap_servers=target.kafka_url,
            )
            load = partial(enrollment_store.load, policy=settings.policy)
            return PostgresUnit(begun, load, enrollment_store.save, new_event_id)
        case "student":
            return PostgresUnit(begun, student_store.load, student_store.save, new_event_id)
        case "ingress":
            return PostgresUnit(begun, view_store.load, view_store.save, new_event_id)
        case _:
            return PostgresUnit(begun, capacity_store.load, capacity_store.save, new_event_id)
