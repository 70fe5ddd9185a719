"""Starts one server process of a pair, sends it the requests, and reads what that took."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Final

import psutil
import redis
import uvloop

from deploy.local import keys, ports
from deploy.local.errors import with_log
from deploy.local.processes import Child, ProcessSpec, stop, wait_until
from deploy.local.servers import LocalServers
from loadtests.day.cpu import usage_of
from loadtests.frameworks import serving, told
from loadtests.frameworks.load import LoadError, send_all
from loadtests.frameworks.pairs import Pair

START_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = "30"  # on a busy machine too, nothing is done without Redis
SCANNED_AT_ONCE: Final = 1000


@dataclass(frozen=True)
class Round:
    """What one round of a pair came to, and how busy others kept the machine."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    load_average: float
    others_percent: float  # of the machine, taken meanwhile by who has nothing to do with it


@dataclass(frozen=True)
class Bench:
    """Where servers and keys are, and what is sent."""

    servers: LocalServers
    directory: Path
    requests: Sequence[bytes]
    warm_up: int
    connections: int

    def measure(self, pair: Pair, name: str) -> Round:
        """Do one round, with keys and quotas that no other round of another name has touched."""
        load_average = os.getloadavg()[0]
        with _running(self._spec(pair, name)) as (pid, port):
            uvloop.run(send_all(port, self.requests[: self.warm_up], self.connections))
            counted = self.requests[self.warm_up :]
            before = _used(pid)
            sent = uvloop.run(send_all(port, counted, self.connections))
            used = _used(pid).since(before)
        self._require_all_in_redis(name)
        percentiles = quantiles(sent.milliseconds, n=100)
        return Round(
            per_second=len(counted) / sent.seconds,
            p50_ms=percentiles[49],
            p99_ms=percentiles[98],
            cpu_us=used.server / len(counted) * 1e6,
            load_average=load_average,
            others_percent=used.others_percent(sent.seconds),
        )

    def _require_all_in_redis(self, name: str) -> None:
        """Raise unless every answer is remembered: without Redis there is less to do."""
        with redis.Redis.from_url(self.servers.redis_url) as client:
            pattern = f"{_prefix(name)}*"
            found = sum(1 for _ in client.scan_iter(pattern, count=SCANNED_AT_ONCE))
        if found != len(self.requests):
            raise LoadError(f"Redis remembers {found} of {len(self.requests)} answers")

    def _spec(self, pair: Pair, name: str) -> ProcessSpec:
        port = ports.keep_or_choose([name], {})[name]
        return ProcessSpec(
            name=pair.label,
            command=(sys.executable, "-m", serving.__name__),
            log=self.directory / "server.log",
            url=f"http://{ports.LOOPBACK}:{port}",
            is_ready=lambda: ports.accepts(port),
            environment=self._environment(pair, name, port),
        )

    def _environment(self, pair: Pair, name: str, port: int) -> Mapping[str, str]:
        return {
            told.FRAMEWORK: pair.framework,
            told.SERVER: pair.server,
            told.PORT: str(port),
            "DATABASE_URL": self.servers.postgres_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.servers.kafka_url,
            "REDIS_URL": self.servers.redis_url,
            "JWT_PUBLIC_KEY_FILE": str(keys.public_key_file(self.directory)),
            "IDEMPOTENCY_KEY_PREFIX": _prefix(name),
            "REDIS_TIMEOUT_SECONDS": PATIENCE_SECONDS,
            "KAFKA_TIMEOUT_SECONDS": PATIENCE_SECONDS,
            "PYTHONUNBUFFERED": "1",
        }


def _prefix(name: str) -> str:
    return f"frameworks-{name}:"


@dataclass(frozen=True)
class _Used:
    """Seconds of processors: of the server, of all that is ours, and of the whole machine."""

    server: float
    ours: float
    machine: float

    def since(self, before: "_Used") -> "_Used":
        return _Used(
            self.server - before.server, self.ours - before.ours, self.machine - before.machine
        )

    def others_percent(self, seconds: float) -> float:
        cores = os.cpu_count() or 1
        return max(0.0, 100 * (self.machine - self.ours) / (seconds * cores))


def _used(server: int) -> _Used:
    times = psutil.cpu_times()
    of = usage_of({"server": server, "ours": os.getpid()})
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    return _Used(of["server"].seconds, of["ours"].seconds, busy)


@contextmanager
def _running(spec: ProcessSpec) -> Iterator[tuple[int, int]]:
    child = Child(spec)
    try:
        if not wait_until(lambda: spec.is_ready() or child.has_exited(), START_SECONDS):
            raise with_log(f"{spec.name} did not get ready.", spec.log)
        if child.has_exited():
            raise with_log(f"{spec.name} has ended.", spec.log)
        yield child.identity.pid, int(spec.url.rpartition(":")[2])
    finally:
        stop([child])
