"""Wires the capacity service: the only place where its parts meet."""

from pathlib import Path
from typing import Final

from services.capacity import store
from services.capacity.handlers import REACTIONS
from services.capacity.model import State
from services.capacity.settings import CapacitySettings
from shared.choreography import Service, patient_events, subscriptions
from shared.looks import Look
from shared.metric_table import SEATS_CAPACITY, SEATS_RESERVED, SECTIONS_FULL, SECTIONS_OPEN
from shared.parts import Parts
from shared.process import Process

SEATS_LOOK_SECONDS: Final = 5.0


def parts(_settings: CapacitySettings) -> Parts[State]:
    """Name what makes this service itself."""
    return Parts(
        name=Service.CAPACITY,
        topics=subscriptions(Service.CAPACITY),
        patient=patient_events(Service.CAPACITY),
        versions=Path(__file__).parent / "migrations",
        reactions=REACTIONS,
        load=store.load,
        save=store.save,
        looks=(
            Look(
                "seats",
                SEATS_LOOK_SECONDS,
                (SECTIONS_OPEN, SECTIONS_FULL, SEATS_CAPACITY, SEATS_RESERVED),
                store.seats_in_total,
            ),
        ),
    )


def build(settings: CapacitySettings) -> Process[State]:
    """Build the process; nothing connects before it runs."""
    return Process(parts(settings), settings)
