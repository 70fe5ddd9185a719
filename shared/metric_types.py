"""What is declared of a metric: its name, its unit, its labels and what bounds their values."""

from dataclasses import dataclass
from typing import Final

OTHER: Final = "other"  # stands for each value that is not known
_UNIT_IN_NAME: Final = {"s": "_seconds"}


@dataclass(frozen=True, slots=True)
class Label:
    """A label, and what bounds its values: those that are known, or where none is named, code."""

    name: str
    bound: str
    known: tuple[str, ...] = ()

    def bounded(self, value: str) -> str:
        """Give a value that may be shown."""
        return value if not self.known or value in self.known else OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric as OpenTelemetry names it; `exposed` is how Prometheus reads the name."""

    name: str
    unit: str  # as UCUM has it: "s", or in braces what is counted
    description: str
    processes: tuple[str, ...]
    labels: tuple[Label, ...] = ()

    def __post_init__(self) -> None:
        assert self.unit in _UNIT_IN_NAME or self.unit.startswith("{"), self.unit
        assert self.description.endswith("."), self.name

    @property
    def exposed(self) -> str:
        """Give the name in Prometheus."""
        return self.name + _UNIT_IN_NAME.get(self.unit, "") + self._suffix()

    def _suffix(self) -> str:
        return ""

    def bounded(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Give the values of its labels, in their order, as they may be shown."""
        assert len(values) == len(self.labels), f"{self.name}: a value for each label"
        return tuple(label.bounded(value) for label, value in zip(self.labels, values, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter(Metric):
    """It only grows while its process lives, and is 0 at its start where its series are known."""

    def series_at_start(self) -> list[tuple[str, ...]]:
        """Name the series that there are before anything has happened, where that is plain."""
        if not self.labels:
            return [()]
        return [(value,) for value in self.labels[0].known] if len(self.labels) == 1 else []

    def _suffix(self) -> str:
        return "_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge(Metric):
    """It is as it was when it was looked at last; not shown while that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram(Metric):
    """How often it was at most so much, for each of its boundaries."""

    boundaries: tuple[float, ...]

    def __post_init__(self) -> None:
        Metric.__post_init__(self)
        assert list(self.boundaries) == sorted(set(self.boundaries)), self.name
