"""What spans say of messages and events: ids and codes, and no free text that people write."""

from typing import Final

from opentelemetry.util.types import AttributeValue

from shared.events import (
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentEvent,
    EnrollmentRejected,
    Event,
)

ENROLLMENT_ID: Final = "enrollment.id"
ABOUT_ID: Final = "enrollment.about_id"  # of what may have a trace of its own
OUTCOMES: Final = {
    EnrollmentConfirmed.__name__: "confirmed",
    EnrollmentRejected.__name__: "rejected",
    EnrollmentCancelled.__name__: "cancelled",
}


def of_event(event: Event, id_name: str = ENROLLMENT_ID) -> dict[str, AttributeValue]:
    """Name the enrollment and the student, what is wanted, and why it was refused."""
    found: dict[str, AttributeValue] = {"cloudevents.event_type": type(event).__name__}
    if isinstance(event, EnrollmentEvent):
        found[id_name] = str(event.enrollment_id)
        found["enrollment.student_id"] = event.student_id
    for name in ("term", "sections", "credits", "stage"):
        value = getattr(event, name, None)
        if value is not None:
            found[f"enrollment.{name}"] = value
    reasons = getattr(event, "reasons", None)
    if reasons is not None:
        found["enrollment.reasons"] = sorted({reason.code for reason in reasons})
    return found | of_outcome(type(event).__name__)


def of_outcome(*event_types: str) -> dict[str, AttributeValue]:
    """Say which outcome events of these types tell of, if one does."""
    told = [OUTCOMES[one] for one in event_types if one in OUTCOMES]
    return {"enrollment.outcome": told[-1]} if told else {}


def of_topic(topic: str, operation: str) -> dict[str, AttributeValue]:
    """Say what is done with a topic, by OpenTelemetry's conventions for messaging."""
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }
