"""The commands that run the system on this machine: up, down, status, restart."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from http.client import HTTPException
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.error import HTTPError
from urllib.request import urlopen

import typer

from services.cli.output import EXIT_CODES, ExitCode, JsonFlag, Output, Table

if TYPE_CHECKING:
    from deploy.local.status import Status

ANSWER_SECONDS: Final = 1.0
ANSWER_BYTES_MAX: Final = 1_000_000
SELF_REPORT: Final = ("ready", "checks", "relays", "closed_topics", "out_of_range", "lag")

EXAMPLE_SET: Final = "loadtests/data/pu-cs-fal07"
EXAMPLE_STUDENT: Final = "S000001"
EXAMPLE_REQUEST: Final = {"term": "pu-cs-fal07", "sections": ["1.26"]}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (up, down, status, restart):
        app.command(epilog=EXIT_CODES)(command)


def up(
    *,
    instances: Annotated[
        int | None, typer.Option(min=1, max=16, help="Processes of each service; default: as last.")
    ] = None,
    ingresses: Annotated[
        int | None,
        typer.Option(min=0, max=16, help="Processes of the HTTP ingress; default: as last, or 1."),
    ] = None,
    jaeger: Annotated[
        bool, typer.Option("--jaeger", help="Run a Jaeger beside, which gets all spans.")
    ] = False,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Start Kafka, PostgreSQL, Redis, the services and the HTTP ingress here.

    Done when all are ready. What runs already stays as it is; Ctrl-C stops what was started.
    """
    from deploy.local import stack, state

    output = Output(as_json)
    found = stack.up(
        state.default_directory(),
        instances=instances,
        ingresses=ingresses,
        jaeger=jaeger,
        on_progress=output.progress,
    )
    return _emit_status(found, output, *ways_in(found))


def down(
    *,
    wipe: Annotated[bool, typer.Option("--wipe", help="Forget all data, logs and ports.")] = False,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Stop the services and servers.

    Their data stays, unless you wipe it.
    """
    from deploy.local import stack, state

    output = Output(as_json)
    output.progress("stopping")
    stack.down(state.default_directory(), wipe=wipe)
    said = "stopped, and all data forgotten" if wipe else "stopped"
    output.emit({"stopped": True, "wiped": wipe}, said)
    return ExitCode.FINE


def status(*, as_json: JsonFlag = False) -> ExitCode:
    """Show what runs here and how it is.

    Exit code 1 where something is not ready.
    """
    from deploy.local import stack, state

    return _emit_status(stack.status(state.default_directory()), Output(as_json))


def restart(
    *,
    name: Annotated[str, typer.Argument(help="A service or server, as `enroll status` names it.")],
    as_json: JsonFlag = False,
) -> ExitCode:
    """Stop and start one service or server.

    Done when it is ready again.
    """
    from deploy.local import stack, state

    output = Output(as_json)
    output.progress(f"restarting {name}")
    return _emit_status(stack.restart(state.default_directory(), name), output)


def ways_in(found: "Status") -> list[str]:
    """Say where the ingress listens, with a line that can be pasted into this very shell."""
    urls = [service.url for service in found.services.values() if service.url is not None]
    if not urls:
        return []
    curl = (
        f"curl -s -X POST {urls[0]}/enrollments "
        f'-H "Authorization: Bearer $({_program()} token --student {EXAMPLE_STUDENT})" '
        f"-H 'Content-Type: application/json' -d '{json.dumps(EXAMPLE_REQUEST)}'"
    )
    return [f"HTTP at {', '.join(urls)}: after `enroll import {EXAMPLE_SET}` try", curl]


def _program() -> str:
    """Name this program so that the shell finds it, also where it is not on the PATH."""
    if shutil.which("enroll"):
        return "enroll"
    started = sys.argv[0]
    is_module = started.endswith("__main__.py")
    return f"{shlex.quote(sys.executable)} -m services.cli" if is_module else shlex.quote(started)


def _emit_status(found: "Status", output: Output, *more: str) -> ExitCode:
    data = found.model_dump(mode="json")
    for service in data["services"].values():
        if service["pid"] is not None:
            service.update(_ask(service["admin_url"]))
    faults = [fault for name, one in data["services"].items() for fault in faults_of(name, one)]
    output.emit(
        data, _server_table(data["servers"]), _service_table(data["services"]), *faults, *more
    )
    return ExitCode.FINE if found.is_up and not faults else ExitCode.NOT_FINE


def _server_table(servers: Mapping[str, Any]) -> Table:
    rows = [(name, one["state"], one["pid"], one["url"]) for name, one in servers.items()]
    return Table(("server", "state", "pid", "url"), rows)


def _service_table(services: Mapping[str, Any]) -> Table | str:
    if not services:
        return "No services run here: start them with `enroll up`."
    rows = [
        (name, one["state"], one["pid"], one["admin_url"], lag_of(one), one.get("url"))
        for name, one in services.items()
    ]
    return Table(("service", "state", "pid", "admin url", "lag", "http url"), rows)


def lag_of(service: Mapping[str, Any]) -> int | None:
    """Add up, over its partitions, how many messages a service has still to handle."""
    return sum(service["lag"].values()) if "lag" in service else None


def faults_of(name: str, service: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with a service by its own word."""
    failing = [check for check, is_fine in service.get("checks", {}).items() if not is_fine]
    faults = [f"{name} is not ready: {', '.join(failing)}"] if failing else []
    faults += [
        f"{name} has stopped reading {partition}: its next offset is not in the log; "
        "deploy/runbooks/partitions-out-of-range.md says how it may go on"
        for partition in service.get("out_of_range", [])
    ]
    return faults


def _ask(admin_url: str) -> dict[str, Any]:
    """Read what a service says of itself; nothing where it does not answer in time."""
    try:
        with urlopen(f"{admin_url}/health/ready", timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            text = answer.read(ANSWER_BYTES_MAX)
    except HTTPError as error:  # 503 says what is not ready
        text = error.read(ANSWER_BYTES_MAX)
    except (OSError, HTTPException):
        return {}
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return {key: said[key] for key in SELF_REPORT if key in said}
