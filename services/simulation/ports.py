"""What the simulated servers know of the process that uses them."""

from typing import Protocol


class Process(Protocol):
    """The process that an operation of a port belongs to: it lives in virtual time, and may die."""

    @property
    def is_dead(self) -> bool:
        """Tell whether it was killed: nothing that it still does may have an effect."""

    async def reach(self, point: str) -> None:
        """Stand at every await of a port: time passes, and a fault may strike here.

        Raises OSError for a lost connection, and CancelledError where the process is killed.
        """
