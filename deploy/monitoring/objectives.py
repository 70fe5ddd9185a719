"""What is promised to students, and how quickly the errors that it allows are used up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deploy.monitoring.scale import Scale
from shared.metric_table import ENROLLMENT_DURATION, HTTP_REQUEST_DURATION, OBJECTIVE_SECONDS

EVENTS_MIN: Final = 20  # of fewer, one that is late says little


@dataclass(frozen=True)
class Objective:
    """A share of events that must be good, in 30 days."""

    name: str
    says: str
    share: float
    bad: Callable[[str], str]  # their rate over a range
    all: Callable[[str], str]


def _in_time(span: str) -> str:
    return (
        f"(sum(rate({ENROLLMENT_DURATION.exposed}_count[{span}])) - sum(rate("
        f'{ENROLLMENT_DURATION.exposed}_bucket{{le="{OBJECTIVE_SECONDS}"}}[{span}])))'
    )


IN_TIME: Final = Objective(
    name="Outcomes",
    says=f"99 of 100 enrollments are decided within {OBJECTIVE_SECONDS:g} s",
    share=0.99,
    bad=_in_time,
    all=lambda span: f"sum(rate({ENROLLMENT_DURATION.exposed}_count[{span}]))",
)
AVAILABILITY: Final = Objective(
    name="Availability",
    says="999 of 1,000 requests by HTTP are answered without an error of ours",
    share=0.999,
    bad=lambda span: (
        f'(sum(rate({HTTP_REQUEST_DURATION.exposed}_count{{status="5xx"}}[{span}])) or vector(0))'
    ),
    all=lambda span: f"sum(rate({HTTP_REQUEST_DURATION.exposed}_count[{span}]))",
)


def burn(
    objective: Objective, scale: Scale, windows_seconds: tuple[float, float], rate: float
) -> str:
    """Write that in both windows more errors came than `rate` times those allowed."""
    allowed = round(rate * (1 - objective.share), 6)
    spans = [scale.span(seconds) for seconds in windows_seconds]
    parts = [f"{objective.bad(span)} / {objective.all(span)} > {allowed}" for span in spans]
    short_seconds = windows_seconds[-1] / scale.factor
    enough = f"{objective.all(spans[-1])} * {short_seconds:g} >= {EVENTS_MIN}"
    return " and ".join([*parts, enough])
