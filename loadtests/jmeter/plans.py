"""The plans by name, and what of each is judged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "plans"


@dataclass(frozen=True)
class Plan:
    """A plan, and which of the targets it has to reach; its promises and the audit always count.

    Where `rate_label` is given, the rate is that of these samples; else that of all while nine
    tenths of the threads run. Where `calm_group` is given, times and availability are judged in
    that thread group only, for the others are to break it.
    """

    name: str
    file: str
    has_rate: bool = False
    rate_label: str | None = None
    calm_group: str | None = None
    by_kafka: bool = False
    seconds_max: float = 600.0

    @property
    def path(self) -> Path:
        """Tell where the file is."""
        return FOLDER / self.file


PLANS: Final = {
    plan.name: plan
    for plan in (
        Plan("inscription", "inscription_load_test.jmx", has_rate=True),
        Plan("concurrency", "concurrency.jmx"),
        Plan("idempotency", "idempotency.jmx"),
        Plan("health", "health.jmx"),
        Plan("stress", "stress.jmx", calm_group="Recovery"),
        Plan(
            "kafka",
            "kafka_saga.jmx",
            has_rate=True,
            rate_label="request to outcome, open model",
            by_kafka=True,
        ),
        Plan("soak", "soak.jmx", seconds_max=7 * 86_400.0),
    )
}
ALL: Final = "all"
NOT_IN_ALL: Final = "soak"


def chosen(names: list[str]) -> list[Plan]:
    """Give the plans that are named, each once, in the order in which they are played."""
    wanted = {name for name in names if name != ALL}
    if ALL in names:
        wanted |= PLANS.keys() - {NOT_IN_ALL}
    return [plan for name, plan in PLANS.items() if name in wanted]
