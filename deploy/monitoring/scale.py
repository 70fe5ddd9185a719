"""Times in rules, which a drill shortens: what takes an hour is to be seen within a minute."""

from dataclasses import dataclass
from typing import Final

MILLISECONDS: Final = 1000
SHORTEST_SECONDS: Final = 2.0  # or a rate would see no two readings, and what is usual be too long


@dataclass(frozen=True)
class Scale:
    """How many times quicker than in earnest."""

    factor: float = 1.0

    def __post_init__(self) -> None:
        assert self.factor >= 1

    def span(self, seconds: float) -> str:
        """Write a range over which something is looked at."""
        return _written(max(SHORTEST_SECONDS, seconds / self.factor))

    def limit(self, seconds: float) -> str:
        """Write how old something may be."""
        return f"{max(SHORTEST_SECONDS, seconds / self.factor):g}"

    def wait(self, seconds: float) -> str:
        """Write how long something must last."""
        return _written(seconds / self.factor)


IN_EARNEST: Final = Scale()


def _written(seconds: float) -> str:
    """Write it as Prometheus does, in the largest unit that says it in whole numbers."""
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:g}{unit}"
    return f"{round(seconds * MILLISECONDS)}ms"
