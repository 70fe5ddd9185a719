"""Wires the student service: the only place where its parts meet."""

from pathlib import Path

from services.student import store
from services.student.handlers import REACTIONS
from services.student.model import State
from services.student.settings import StudentSettings
from shared.choreography import Service, patient_events, subscriptions
from shared.parts import Parts
from shared.process import Process


def parts(_settings: StudentSettings) -> Parts[State]:
    """Name what makes this service itself."""
    return Parts(
        name=Service.STUDENT,
        topics=subscriptions(Service.STUDENT),
        patient=patient_events(Service.STUDENT),
        versions=Path(__file__).parent / "migrations",
        reactions=REACTIONS,
        load=store.load,
        save=store.save,
    )


def build(settings: StudentSettings) -> Process[State]:
    """Build the process; nothing connects before it runs."""
    return Process(parts(settings), settings)
