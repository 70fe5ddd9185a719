"""Every service has its process watch over partitions without an owner while it relays."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from services.capacity.settings import CapacitySettings
from services.capacity.wiring import build as build_capacity
from services.enrollment.settings import EnrollmentSettings
from services.enrollment.wiring import build as build_enrollment
from services.student.settings import StudentSettings
from services.student.wiring import build as build_student
from shared.choreography import Service, subscriptions
from shared.streams import TaskService

URLS: dict[str, Any] = {
    "database_url": "postgresql://nobody@127.0.0.1:1/nothing",
    "kafka_bootstrap_servers": "127.0.0.1:1",
}
BUILDS: dict[Service, Callable[[], Any]] = {
    Service.ENROLLMENT: lambda: build_enrollment(EnrollmentSettings(**URLS)),
    Service.STUDENT: lambda: build_student(StudentSettings(**URLS)),
    Service.CAPACITY: lambda: build_capacity(CapacitySettings(**URLS)),
}


class Noted:
    """Takes the place of the watch, and notes what it is to look after."""

    def __init__(
        self, servers: str, group: str, topics: Sequence[str], is_wanted: Callable[[], bool]
    ) -> None:
        self.what = (servers, group, set(topics))
        self.is_wanted = is_wanted

    async def watch(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("service", Service)
async def test_a_process_that_relays_watches_over_the_partitions_of_its_topics(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.process.OwnerWatch", Noted)

    process = BUILDS[service]()

    watch = process._owners
    assert watch.watch in [
        one._run for one in process.app._supervised if isinstance(one, TaskService)
    ]
    topics = {topic.name for topic in subscriptions(service)}
    assert watch.what == ("127.0.0.1:1", service, topics)
    assert not watch.is_wanted()
    process._relay.holds_lease = True
    assert watch.is_wanted()
    await process.database.close()
