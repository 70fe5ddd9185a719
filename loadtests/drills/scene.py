"""What drills work on: a stack in haste, and a collector that takes its spans."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from deploy.local.services import Count
from loadtests.chaos.inflicting import Inflicter
from loadtests.chaos.playground import Playground, Say, playground
from loadtests.day.importing import publish_and_wait
from loadtests.drills.collector import Collector, running_collector
from loadtests.drills.load import Load
from services.cli.target import SERVICES, Target

COUNT: Final = Count(instances=1, ingresses=1)
# What waits for minutes in earnest does so for seconds here: so do breakers and spans.
HASTE: Final = {
    "DATABASE_CIRCUIT_RECOVERY_TIMEOUT": "1",
    "REDIS_CIRCUIT_RECOVERY_TIMEOUT": "1",
    "KAFKA_CIRCUIT_RECOVERY_TIMEOUT": "1",
    "DATABASE_TIMEOUT_SECONDS": "10",  # or, on a busy machine, slow reads open the breaker
    "TRACE_SAMPLE_RATIO": "1",
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
}
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True)
class Scene:
    """What faults are done to."""

    ground: Playground
    collector: Collector
    load: Load
    inflicter: Inflicter
    tokens: Iterator[int] = field(default_factory=count)

    @property
    def target(self) -> Target:
        """Where an operator's commands find the services."""
        urls = self.ground.database_urls
        return Target(self.ground.kafka_url, {name: urls[name] for name in SERVICES})


@contextmanager
def scene(state_dir: Path, load: Load, say: Say) -> Iterator[Scene]:
    """Run a stack in haste, which knows all sections and students, until the end of the block."""
    with (
        running_collector() as collector,
        _environment({**HASTE, ENDPOINT: collector.url}),
        playground(state_dir, COUNT, quick_start=True, say=say) as ground,
    ):
        publish_and_wait(ground.kafka_url, load.campus.catalog())
        yield Scene(ground, collector, load, Inflicter(ground))


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Have processes that are started in the block find these variables."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
