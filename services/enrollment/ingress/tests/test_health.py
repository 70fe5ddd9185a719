"""The paths of health, asked as a load balancer asks."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.enrollment.ingress.app import new_app
from services.enrollment.ingress.routes.health import HealthPaths, Life, Phase, health_router
from shared.breaker import Breaker, BreakerPolicy
from shared.metric_types import Gauge
from shared.metrics import Metrics, one_value

POLICY = BreakerPolicy(failure_threshold=1, recovery_seconds=60, success_threshold=1)
ANSWER = Gauge(name="answer", unit="{number}", description="A number.", processes=("ingress",))
NAMES = ("database", "kafka", "http.database", "http.redis", "http.kafka")


class Ingress:
    """The paths of health, and what they look at."""

    def __init__(self) -> None:
        self.life = Life(Phase.SERVING)
        self.is_known = self.is_database_up = True
        self.breakers = {name: Breaker(name, POLICY, timeout_seconds=1) for name in NAMES}
        metrics = Metrics("ingress", "1")
        metrics.gauge(ANSWER, lambda: one_value(42.0))
        paths = HealthPaths(
            life=self.life,
            queue=self,
            is_database_up=lambda: self.is_database_up,
            breakers=self.breakers,
            metrics=metrics.exposition,
        )
        transport = httpx.ASGITransport(new_app([health_router(paths)]))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://ingress")

    async def ready(self) -> tuple[int, dict[str, Any]]:
        answer = await self.client.get("/health/ready")
        return answer.status_code, answer.json()


@pytest.fixture
async def ingress() -> AsyncIterator[Ingress]:
    made = Ingress()
    async with made.client:
        yield made


async def test_a_process_that_runs_is_alive_whatever_else(ingress: Ingress) -> None:
    ingress.life.phase = Phase.STOPPING
    ingress.is_database_up = False

    answer = await ingress.client.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"live": True})


async def test_a_process_that_serves_is_ready_and_shows_its_dependencies(ingress: Ingress) -> None:
    status, said = await ingress.ready()

    assert status == 200
    assert said == {
        "ready": True,
        "phase": "serving",
        "dependencies": {
            "database": {
                "is_up": True,
                "circuit_breakers": {"database": "closed", "http.database": "closed"},
            },
            "redis": {"is_up": True, "circuit_breakers": {"http.redis": "closed"}},
            "kafka": {
                "is_up": True,
                "circuit_breakers": {"kafka": "closed", "http.kafka": "closed"},
            },
        },
    }


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STOPPING])
async def test_a_process_that_starts_or_stops_is_not_ready(ingress: Ingress, phase: Phase) -> None:
    ingress.life.phase = phase

    answer = await ingress.client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert (answer.json()["ready"], answer.json()["phase"]) == (False, phase)


@pytest.mark.parametrize("name", NAMES)
async def test_an_open_breaker_is_shown_and_takes_nothing_out_of_service(
    ingress: Ingress, name: str
) -> None:
    ingress.breakers[name].open()

    status, said = await ingress.ready()

    dependency = name.rpartition(".")[2]
    up = {one: found["is_up"] for one, found in said["dependencies"].items()}
    assert (status, said["ready"]) == (200, True)
    assert up == {one: one != dependency for one in ("database", "redis", "kafka")}
    assert said["dependencies"][dependency]["circuit_breakers"][name] == "open"


async def test_a_dependency_that_does_not_answer_is_down_before_any_breaker_opens(
    ingress: Ingress,
) -> None:
    ingress.is_database_up = ingress.is_known = False

    _, said = await ingress.ready()

    up = {one: found["is_up"] for one, found in said["dependencies"].items()}
    assert up == {"database": False, "redis": True, "kafka": False}


async def test_metrics_are_shown_as_prometheus_reads_them(ingress: Ingress) -> None:
    answer = await ingress.client.get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    values = [line.rpartition(" ")[2] for line in answer.text.splitlines() if "answer" in line[:8]]
    assert values == ["42.0"]


async def test_every_answer_of_health_is_documented(ingress: Ingress) -> None:
    paths = (await ingress.client.get("/openapi.json")).json()["paths"]

    ready = paths["/health/ready"]["get"]["responses"]
    assert {"200", "503"} <= ready.keys()
    assert set(ready["503"]["content"]) == {"application/json", "application/problem+json"}
    assert "text/plain" in paths["/metrics"]["get"]["responses"]["200"]["content"]
    assert all("security" not in paths[path]["get"] for path in ("/health/live", "/metrics"))
