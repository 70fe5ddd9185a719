"""The services' processes: which ones there are, what each is given, when it is ready."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from deploy.local import ports, postgres, state
from deploy.local.processes import ProcessSpec
from deploy.local.state import ServicePlan

SERVICES = ("enrollment", "student", "capacity")
HEALTH_SECONDS = 1.0


def plan_services(instances: int) -> list[ServicePlan]:
    """The first process of a service has the service's name, the others a number behind it."""
    return [
        ServicePlan(
            name=service if number == 1 else f"{service}-{number}",
            service=service,
            instance=f"{service}-{number}",
            command=[sys.executable, "-m", f"services.{service}"],
        )
        for service in SERVICES
        for number in range(1, instances + 1)
    ]


def count_instances(plans: Sequence[ServicePlan]) -> int:
    return max((sum(p.service == plan.service for p in plans) for plan in plans), default=0)


def working_directories(state_dir: Path) -> Path:
    return state_dir / "services"


def specify(
    plan: ServicePlan, state_dir: Path, port_of: Mapping[str, int], kafka_url: str, admin_url: str
) -> ProcessSpec:
    port = port_of[plan.name]
    if plan.detour is not None:
        kafka_url = f"{ports.LOOPBACK}:{plan.detour.kafka}"
        admin_url = postgres.url_at(plan.detour.postgres)
    # What a service's libraries leave behind in their working directory is wiped with the rest.
    directory = working_directories(state_dir) / plan.name
    directory.mkdir(parents=True, exist_ok=True)
    return ProcessSpec(
        name=plan.name,
        command=plan.command,
        log=state.log_file(state_dir, plan.name),
        url=f"http://{ports.LOOPBACK}:{port}",
        is_ready=partial(is_healthy, port),
        directory=directory,
        environment={
            "DATABASE_URL": postgres.role_url(admin_url, plan.service),
            "KAFKA_BOOTSTRAP_SERVERS": kafka_url,
            "ADMIN_PORT": str(port),
            "INSTANCE": plan.instance,
        },
    )


def is_healthy(port: int) -> bool:
    connection = HTTPConnection(ports.LOOPBACK, port, timeout=HEALTH_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
