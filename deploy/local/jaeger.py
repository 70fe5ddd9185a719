"""One Jaeger, built from its own source with Go, that keeps traces in memory: how it is started."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from deploy.local import ports, state
from deploy.local.errors import StackError
from deploy.local.kafka import cache_directory
from deploy.local.processes import ProcessSpec, run_to_end

NAME = "jaeger"
# The name by which Go's proxy has version 2.13.0, whose module path is still that of version 1.
MODULE = "github.com/jaegertracing/jaeger"
VERSION = "v1.76.0"
PORT_NAMES = ("jaeger-otlp", "jaeger-query", "jaeger-grpc")
TRACES_MAX = 200_000
BUILD_SECONDS = 1800.0

CONFIGURATION = """\
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics:
      level: none
extensions:
  jaeger_query:
    storage:
      traces: memory
    http:
      endpoint: {host}:{query}
    grpc:
      endpoint: {host}:{grpc}
  jaeger_storage:
    backends:
      memory:
        memory:
          max_traces: {traces_max}
receivers:
  otlp:
    protocols:
      http:
        endpoint: {host}:{otlp}
processors:
  batch:
exporters:
  jaeger_storage_exporter:
    trace_storage: memory
"""


def prepare(state_dir: Path, port_of: Mapping[str, int]) -> ProcessSpec:
    """Writes the configuration, and says how to run it."""
    home = state_dir / NAME
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "jaeger.yaml"
    configuration.write_text(
        CONFIGURATION.format(
            host=ports.LOOPBACK,
            otlp=port_of["jaeger-otlp"],
            query=port_of["jaeger-query"],
            grpc=port_of["jaeger-grpc"],
            traces_max=TRACES_MAX,
        )
    )
    return ProcessSpec(
        name=NAME,
        command=[str(_binary()), "--config", str(configuration)],
        log=state.log_file(state_dir, NAME),
        url=f"http://{ports.LOOPBACK}:{port_of['jaeger-query']}",
        is_ready=partial(ports.serves, port_of["jaeger-query"], "/api/services"),
        directory=home,
        stop_seconds=5.0,
    )


def environment(port_of: Mapping[str, int]) -> dict[str, str]:
    """Has processes send their spans there, whatever else the environment says."""
    return {
        "OTEL_SDK_DISABLED": "false",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": (
            f"http://{ports.LOOPBACK}:{port_of['jaeger-otlp']}/v1/traces"
        ),
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    }


def wipe(state_dir: Path) -> None:
    shutil.rmtree(state_dir / NAME, ignore_errors=True)


def _binary() -> Path:
    return cache_directory() / f"jaeger-{VERSION}"


def fetch(on_progress: Callable[[str], None]) -> None:
    """Builds it once, in its own module, whose go.sum vouches for all that goes into it.

    `go install` refuses it: its go.mod replaces a module.
    """
    if _binary().exists():
        return
    if shutil.which("go") is None:
        raise StackError("Jaeger is built with Go: install Go 1.25 or newer (https://go.dev/dl).")
    on_progress(f"building Jaeger {VERSION} with Go (4 to 10 minutes, 3 GB, only this once)")
    cache_directory().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_directory(), prefix="building-") as temporary:
        built = _build(Path(temporary))
        built.replace(_binary())


def _build(directory: Path) -> Path:
    """Everything that Go keeps goes into this directory, and is gone with it."""
    environment = {
        "GOMODCACHE": str(directory / "modules"),
        "GOCACHE": str(directory / "cache"),
        "GOFLAGS": "-modcacherw -buildvcs=false",
        "GOTOOLCHAIN": "local",
    }
    source, built = directory / "source", directory / NAME
    shutil.copytree(_download(environment), source)
    build = ["go", "build", "-C", str(source), "-o", str(built), "./cmd/jaeger"]
    log = cache_directory() / "jaeger-build.log"
    spec = ProcessSpec(
        name="Building Jaeger with Go",
        command=build,
        log=log,
        url="",
        is_ready=lambda: True,
        environment=environment,
    )
    run_to_end(spec, BUILD_SECONDS)
    return built


def _download(environment: Mapping[str, str]) -> Path:
    command = ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise StackError(f"Go could not fetch Jaeger's source: {done.stdout} {done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])
