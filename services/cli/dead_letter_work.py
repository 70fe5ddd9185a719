"""Replays and discards dead letters in the transaction and by the reactions of their service."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.capacity import handlers as capacity_handlers
from services.capacity import store as capacity_store
from services.cli.output import CliError
from services.cli.replay_spans import open_tracing, tell_of_replay
from services.cli.target import Target, transaction
from services.enrollment import handlers as enrollment_handlers
from services.enrollment import store as enrollment_store
from services.enrollment.ingress.view import store as view_store
from services.enrollment.ingress.view.handlers import REACTIONS as VIEW_REACTIONS
from services.enrollment.settings import EnrollmentSettings
from services.student import handlers as student_handlers
from services.student import store as student_store
from shared import dead_letter
from shared.clock import system_clock
from shared.database import Transaction
from shared.dead_letter import Outcome
from shared.identifiers import new_event_id
from shared.letter_rows import PostgresLetters
from shared.reaction import Folded, Reactions
from shared.tracing import now_ns
from shared.unit import PostgresUnit


@dataclass(frozen=True)
class Done:
    """Which dead letters are gone, and the types of the events that came of them."""

    letter_ids: Sequence[int]
    says: Sequence[str]


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
        unit, reactions = parts_of(target, service, begun)
        letters = PostgresLetters(begun)
        queue = await letters.queue_of(letter_id)
        folded = await dead_letter.replay(
            letters, unit, letter_id, reactions, operator=operator, now=system_clock()
        )
    says = _types(folded)
    await asyncio.to_thread(tell_of_replay, tracing, service, queue, says, began_ns)
    return Done([letter.id for letter in queue], says)


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
    match service:
        case "enrollment":
            settings = EnrollmentSettings(
                database_url=target.database_url(service),
                kafka_bootstrap_servers=target.kafka_url,
            )
            return PostgresUnit(
                begun,
                partial(enrollment_store.load, policy=settings.policy),
                enrollment_store.save,
                new_event_id,
            ), enrollment_handlers.REACTIONS
        case "student":
            return PostgresUnit(
                begun, student_store.load, student_store.save, new_event_id
            ), student_handlers.REACTIONS
        case "ingress":
            return PostgresUnit(
                begun, view_store.load, view_store.save, new_event_id
            ), VIEW_REACTIONS
        case _:
            return PostgresUnit(
                begun, capacity_store.load, capacity_store.save, new_event_id
            ), capacity_handlers.REACTIONS
