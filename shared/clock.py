"""The wall clock as a port, so that tests and the simulator can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Tell the time in UTC."""
    return datetime.now(UTC)
