"""Runs one server process of a pair, sends it requests, and reads what that took."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final
from uuid import uuid4

import psutil
import redis
import uvloop

from deploy.local import keys, ports
from deploy.local.errors import with_log
from deploy.local.processes import Child, ProcessSpec, stop, wait_until
from deploy.local.servers import LocalServers
from loadtests.day.cpu import usage_of
from loadtests.frameworks import serving, told
from loadtests.frameworks.load import LoadError, Sent, connected
from loadtests.frameworks.pairs import Pair

START_SECONDS: Final = 60.0
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
class Used:
    """Seconds of processors: of the server, of all that is ours, and of the whole machine."""

    server: float
    ours: float
    machine: float

    def since(self, before: "Used") -> "Used":
        """Give the difference."""
        return Used(
            self.server - before.server, self.ours - before.ours, self.machine - before.machine
        )

    def others_percent(self, seconds: float) -> float:
        """Tell how much of the machine was neither ours nor idle."""
        cores = os.cpu_count() or 1
        return max(0.0, 100 * (self.machine - self.ours) / (seconds * cores))


def used_with(server: int) -> Used:
    """Read what has been used so far."""
    times = psutil.cpu_times()
    of = usage_of({"server": server, "ours": os.getpid()})
    own = times.user + times.nice + times.system + times.irq + times.softirq
    busy = own + times.steal  # of other machines on the same host: they too are others
    return Used(of["server"].seconds, of["ours"].seconds, busy)


@dataclass(frozen=True)
class Server:
    """A server process of a pair."""

    pair: Pair
    pid: int
    port: int
    connections: int

    def measure(self, warm_up: Sequence[bytes], counted: Sequence[bytes]) -> Round:
        """Do one round with requests that this server has not seen."""
        load_average = os.getloadavg()[0]
        sent, used = uvloop.run(self._send(warm_up, counted))
        percentiles = quantiles(sent.milliseconds, n=100)
        return Round(
            per_second=len(counted) / sent.seconds,
            p50_ms=percentiles[49],
            p99_ms=percentiles[98],
            cpu_us=used.server / len(counted) * 1e6,
            load_average=load_average,
            others_percent=used.others_percent(sent.seconds),
        )

    async def _send(self, warm_up: Sequence[bytes], counted: Sequence[bytes]) -> tuple[Sent, Used]:
        async with connected(self.port, self.connections) as client:
            await client.send(warm_up)
            before = used_with(self.pid)
            sent = await client.send(counted)
            return sent, used_with(self.pid).since(before)


@dataclass(frozen=True)
class Bench:
    """Where servers and keys are."""

    servers: LocalServers
    directory: Path
    connections: int
    run: str = field(default_factory=lambda: str(uuid4()))

    @contextmanager
    def running(self, pair: Pair) -> Iterator[Server]:
        """Run the server process of a pair."""
        port = ports.keep_or_choose([pair.name], {})[pair.name]
        spec = ProcessSpec(
            name=pair.label,
            command=(sys.executable, "-m", serving.__name__),
            log=self.directory / f"{pair.name}.log",
            url=f"http://{ports.LOOPBACK}:{port}",
            is_ready=lambda: ports.accepts(port),
            environment=self._environment(pair, port),
        )
        child = Child(spec)
        try:
            _await_ready(child)
            yield Server(pair, child.identity.pid, port, self.connections)
        finally:
            stop([child])

    def _environment(self, pair: Pair, port: int) -> Mapping[str, str]:
        return {
            told.FRAMEWORK: pair.framework,
            told.SERVER: pair.server,
            told.PORT: str(port),
            "DATABASE_URL": self.servers.postgres_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.servers.kafka_url,
            "REDIS_URL": self.servers.redis_url,
            "JWT_PUBLIC_KEY_FILE": str(keys.public_key_file(self.directory)),
            "IDEMPOTENCY_KEY_PREFIX": self._prefix(pair),
            "REDIS_TIMEOUT_SECONDS": PATIENCE_SECONDS,
            "KAFKA_TIMEOUT_SECONDS": PATIENCE_SECONDS,
        }

    def _prefix(self, pair: Pair) -> str:
        return f"{self.run}-{pair.name}:"

    def forget(self, pair: Pair, sent: int) -> None:
        """Delete the answers of a round; raise unless all are there: else there was less to do."""
        with redis.Redis.from_url(self.servers.redis_url) as client:
            found = list(client.scan_iter(f"{self._prefix(pair)}*", count=SCANNED_AT_ONCE))
            if len(found) != sent:
                raise LoadError(f"{pair.label}: Redis remembers {len(found)} of {sent} answers")
            client.unlink(*found)


def _await_ready(child: Child) -> None:
    spec = child.spec
    if not wait_until(lambda: spec.is_ready() or child.has_exited(), START_SECONDS):
        raise with_log(f"{spec.name} did not get ready.", spec.log)
    if child.has_exited():
        raise with_log(f"{spec.name} has ended.", spec.log)
