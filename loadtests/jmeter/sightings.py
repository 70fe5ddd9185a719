"""What an observer has seen of a run: when each request was sent, and when it had its outcome."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from loadtests.day.collector import OUTCOMES
from shared.events import EnrollmentRequested

REQUESTED: Final = EnrollmentRequested.__name__.encode()
SOURCE: Final = b"/loadtests/jmeter"
KEPT_MAX: Final = 2_000_000  # enrollments; each takes some hundred bytes


class Asked(NamedTuple):
    """Two words on the same request: its sender's (`ce_time`), and Kafka's, which comes later.

    Kafka gives each record the time at which it was there: producers' times are of no account in
    these topics.
    """

    sent_ms: float
    logged_ms: float


class Sightings:
    """Requests of JMeter, and the first outcome of each enrollment; times are since 1970.

    An outcome may be read before its request: they come from two topics.
    """

    def __init__(self) -> None:
        self.asked: dict[bytes, Asked] = {}
        self.decided_ms: dict[bytes, float] = {}

    def take(self, headers: Mapping[str, bytes], logged_ms: float, now_ms: float) -> None:
        """Note a record that was read now, if it is one of both."""
        kind, name = headers.get("ce_type", b""), headers.get("ce_subject", b"")
        if kind in OUTCOMES and len(self.decided_ms) < KEPT_MAX:
            self.decided_ms.setdefault(name, now_ms)
        elif kind == REQUESTED and headers.get("ce_source") == SOURCE and self._has_room:
            self.asked.setdefault(name, Asked(_since_1970_ms(headers), logged_ms))

    @property
    def _has_room(self) -> bool:
        return len(self.asked) < KEPT_MAX


def _since_1970_ms(headers: Mapping[str, bytes]) -> float:
    return datetime.fromisoformat(headers["ce_time"].decode()).timestamp() * 1000
