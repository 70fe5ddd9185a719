"""The processes of services and ingresses: which there are, what each gets, when it is ready."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local import jaeger, keys, ports, postgres, state, valkey
from deploy.local.processes import ProcessSpec
from deploy.local.state import ServicePlan

SERVICES = ("enrollment", "student", "capacity")
INGRESS = "ingress"
READY_PATH = "/health/ready"


@dataclass(frozen=True)
class Count:
    """How many processes of each service run, and how many ingresses."""

    instances: int
    ingresses: int

    def with_wishes(self, instances: int | None, ingresses: int | None) -> "Count":
        """What an operator asks for; None: as it is."""
        return Count(
            self.instances if instances is None else instances,
            self.ingresses if ingresses is None else ingresses,
        )

    def __str__(self) -> str:
        return f"{self.instances} of each service and {self.ingresses} of the ingress"


USUAL = Count(instances=1, ingresses=1)


def plan(wanted: Count) -> list[ServicePlan]:
    return [*plan_services(wanted.instances), *plan_ingresses(wanted.ingresses)]


def plan_services(instances: int) -> list[ServicePlan]:
    """The first process of a service has the service's name, the others a number behind it."""
    return [
        _plan_one(service, number, f"services.{service}")
        for service in SERVICES
        for number in range(1, instances + 1)
    ]


def plan_ingresses(ingresses: int) -> list[ServicePlan]:
    """They are named as the services are; all share one database."""
    plans = [
        _plan_one(INGRESS, number, "services.enrollment.ingress")
        for number in range(1, ingresses + 1)
    ]
    return [one.model_copy(update={"serves_http": True}) for one in plans]


def _plan_one(service: str, number: int, module: str) -> ServicePlan:
    return ServicePlan(
        name=service if number == 1 else f"{service}-{number}",
        service=service,
        instance=f"{service}-{number}",
        command=[sys.executable, "-m", module],
    )


def count(plans: Sequence[ServicePlan]) -> Count:
    """How many of each there are in a plan; of services, of the one that has most."""
    of_service = Counter(one.service for one in plans)
    ingresses = of_service.pop(INGRESS, 0)
    return Count(max(of_service.values(), default=0), ingresses)


def port_names(plans: Iterable[ServicePlan]) -> list[str]:
    """A port for each process's operators, and one for the clients of each that has any."""
    plans = list(plans)
    return [
        *(one.name for one in plans),
        *(http_port_name(one.name) for one in plans if one.serves_http),
    ]


def http_port_name(process: str) -> str:
    return f"{process}-http"


def admin_urls(plans: Iterable[ServicePlan], port_of: Mapping[str, int]) -> list[str]:
    return [_url_at(port_of[one.name]) for one in plans]


def _url_at(port: int) -> str:
    return f"http://{ports.LOOPBACK}:{port}"


def working_directories(state_dir: Path) -> Path:
    return state_dir / "services"


def specify(
    plan: ServicePlan,
    state_dir: Path,
    port_of: Mapping[str, int],
    urls: Mapping[str, str],
    peers: Sequence[str],
) -> ProcessSpec:
    """How to run it; `urls` are those of the servers, `peers` the admin addresses of all."""
    port = port_of[plan.name]
    # What a service's libraries leave behind in their working directory is wiped with the rest.
    directory = working_directories(state_dir) / plan.name
    directory.mkdir(parents=True, exist_ok=True)
    urls = _reached(plan, urls)
    environment = _environment(plan, port, urls)
    if jaeger.NAME in urls:
        environment |= jaeger.environment(port_of)
    http_port = port_of[http_port_name(plan.name)] if plan.serves_http else None
    if http_port is not None:
        environment |= _http_environment(http_port, state_dir, urls, peers)
    return ProcessSpec(
        name=plan.name,
        command=plan.command,
        log=state.log_file(state_dir, plan.name),
        url=_url_at(port),
        http_url=None if http_port is None else _url_at(http_port),
        is_ready=partial(is_healthy, port),
        directory=directory,
        environment=environment,
    )


def _reached(plan: ServicePlan, urls: Mapping[str, str]) -> dict[str, str]:
    """Where this process finds the servers."""
    detour = plan.detour
    if detour is None:
        return dict(urls)
    reached = {
        **urls,
        "kafka": f"{ports.LOOPBACK}:{detour.kafka}",
        "postgres": postgres.url_at(detour.postgres),
    }
    if detour.redis is not None:
        reached[valkey.NAME] = valkey.url_at(detour.redis)
    return reached


def _environment(plan: ServicePlan, port: int, urls: Mapping[str, str]) -> dict[str, str]:
    return {
        "DATABASE_URL": postgres.role_url(urls["postgres"], plan.service),
        "KAFKA_BOOTSTRAP_SERVERS": urls["kafka"],
        "ADMIN_PORT": str(port),
        "INSTANCE": plan.instance,
    }


def _http_environment(
    http_port: int, state_dir: Path, urls: Mapping[str, str], peers: Sequence[str]
) -> dict[str, str]:
    return {
        "HTTP_PORT": str(http_port),
        "REDIS_URL": urls[valkey.NAME],
        "JWT_PUBLIC_KEY_FILE": str(keys.public_key_file(state_dir)),
        "ADMIN_PEERS": ",".join(peers),
    }


def is_healthy(port: int) -> bool:
    return ports.serves(port, READY_PATH)


def waits_for(url: str) -> str:
    """A sentence on what the service whose admin server is there still waits for."""
    answer = ports.ask(urlsplit(url).port or 0, READY_PATH)
    if answer is None:
        return f"Nothing answers at {url}{READY_PATH}."
    try:
        checks = json.loads(answer[1])["checks"]
    except (ValueError, KeyError, TypeError):
        return f"Something else answers at {url}{READY_PATH}."
    missing = ", ".join(name for name, holds in checks.items() if not holds)
    return f"It waits for: {missing}." if missing else "It is ready now."
