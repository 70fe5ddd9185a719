"""One Kafka broker without containers: its jars, its data directory, how it is started."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local import check_tools, ports, state
from deploy.local.errors import StackError
from deploy.local.processes import ProcessSpec, run_to_end

VERSION = "4.3.1"
CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"
FETCH_SECONDS = 900.0
FORMAT_SECONDS = 60.0
ANSWER_SECONDS = 2.0
PORT_NAMES = ("kafka", "kafka-controller")
DIRECT_LISTENER = "PLAINTEXT"
NO_DETOURS: Mapping[str, int] = MappingProxyType({})
POM = Path(__file__).with_name("kafka.pom.xml")

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={advertised}
listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT
log.dir={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# The default, 128 MiB, does not fit a small heap.
log.cleaner.dedupe.buffer.size=2097152
# A broker that was killed waits for the end of its last session, by default 9 s.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=2
"""

ALWAYS_JAVA = (
    # No files outside the state directory, where a killed broker would leave them for good.
    "-XX:-UsePerfData",
    # Out of memory it would neither answer nor end; once it has ended it is started again.
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)
QUICK_JAVA = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# With room for 20 s of young objects; a collection stops the broker, and every saga, for 30 ms.
LASTING_JAVA = ("-Xms1g", "-Xmx1g", "-Xmn640m", "-XX:+UseSerialGC")


def detour_port_name(process: str) -> str:
    """The port of the listener for a process that is to reach the broker by a detour."""
    return f"kafka-for-{process}"


def prepare(
    state_dir: Path,
    port_of: Mapping[str, int],
    *,
    quick_start: bool,
    detours: Mapping[str, int] = NO_DETOURS,
) -> ProcessSpec:
    """Formats the data directory the first time, and says how to run the broker.

    `detours` has the port to which each such process is sent back; its listener has its own port.
    """
    jars, log = jars_directory(), state.log_file(state_dir, "kafka")
    home = state_dir / "kafka"
    if not (home / "data").exists():
        _format(home, jars, port_of, log)
    settings = _write_settings(home, home / "data", port_of, detours)
    speed = QUICK_JAVA if quick_start else LASTING_JAVA
    options = [*ALWAYS_JAVA, *speed, _scratch(home), _class_archive(jars)]
    return ProcessSpec(
        name="kafka",
        command=["java", *options, "-cp", f"{jars}/*", "kafka.Kafka", str(settings)],
        log=log,
        url=f"{ports.LOOPBACK}:{port_of['kafka']}",
        is_ready=partial(_is_ready, port_of["kafka"]),
        # Java does not start in a directory that is gone: not in that of whoever started us.
        directory=home,
        stop_seconds=20.0,
    )


def _scratch(home: Path) -> str:
    """Java's directory for temporary files: emptied, and in the state directory like all else."""
    scratch = home / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return f"-Djava.io.tmpdir={scratch}"


def _class_archive(jars: Path) -> str:
    """Have Java map the broker's classes, ready to run: that halves the time of its start.

    The first broker on this machine that ends in peace writes the archive, for this very Java.
    """
    java = Path(shutil.which("java") or "java").resolve()
    made_at = java.stat().st_mtime_ns if java.exists() else 0
    named = hashlib.sha256(f"{java} {made_at}".encode()).hexdigest()[:8]
    archive = jars / f"classes-{named}.jsa"
    return f"-XX:{'SharedArchiveFile' if archive.exists() else 'ArchiveClassesAtExit'}={archive}"


def _format(home: Path, jars: Path, port_of: Mapping[str, int], log: Path) -> None:
    """Renames the formatted directory into place, so that one half done is never used."""
    new = home / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    settings = _write_settings(home, new, port_of)
    tool = ["kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID]
    command = ["java", *QUICK_JAVA, "-cp", f"{jars}/*", *tool, "-c", str(settings)]
    _run("Formatting Kafka's data directory", command, log, FORMAT_SECONDS)
    new.rename(home / "data")


def _write_settings(
    home: Path,
    data: Path,
    port_of: Mapping[str, int],
    detours: Mapping[str, int] = NO_DETOURS,
) -> Path:
    path = home / "server.properties"
    listening = {DIRECT_LISTENER: port_of["kafka"]}
    listening |= {_listener(one): port_of[detour_port_name(one)] for one in detours}
    advertised = {DIRECT_LISTENER: port_of["kafka"]}
    advertised |= {_listener(one): port for one, port in detours.items()}
    text = SETTINGS.format(
        listeners=_addresses(listening),
        advertised=_addresses(advertised),
        protocols=",".join(f"{name}:PLAINTEXT" for name in listening),
        controller_port=port_of["kafka-controller"],
        data=data,
    )
    path.write_text(text)
    return path


def _listener(process: str) -> str:
    return process.upper().replace("-", "_")


def _addresses(port_of: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{ports.LOOPBACK}:{port}" for name, port in port_of.items())


def wipe(state_dir: Path) -> None:
    shutil.rmtree(state_dir / "kafka", ignore_errors=True)


def _is_ready(port: int) -> bool:
    return ports.accepts(port) and answers(f"{ports.LOOPBACK}:{port}")


def answers(bootstrap_servers: str) -> bool:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        admin.describe_cluster(request_timeout=ANSWER_SECONDS).result(timeout=ANSWER_SECONDS + 1)
    except (KafkaException, TimeoutError):
        return False
    return True


def jars_directory() -> Path:
    # Named after what is asked for: another version is another directory.
    asked = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    return cache_directory() / f"kafka-{VERSION}-{asked}"


def cache_directory() -> Path:
    chosen = os.environ.get("ENROLL_CACHE_DIR")
    return Path(chosen) if chosen else Path.home() / ".cache" / "enroll"


def fetch(on_progress: Callable[[str], None]) -> None:
    """Gets the jars with Maven, once; two that fetch at the same time do not meet."""
    _require(check_tools.about_java())
    wanted = jars_directory()
    if wanted.exists():
        return
    _require(check_tools.about_maven())
    on_progress(f"fetching Kafka {VERSION} with Maven (44 MB, only this once)")
    cache_directory().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_directory(), prefix="fetching-") as temporary:
        fetched, pom = Path(temporary) / "jars", Path(temporary) / "pom.xml"
        shutil.copy(POM, pom)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        command = ["mvn", "-q", "-B", "-f", str(pom), *goal, f"-DoutputDirectory={fetched}"]
        _run("Fetching Kafka with Maven", command, cache_directory() / "maven.log", FETCH_SECONDS)
        try:
            fetched.rename(wanted)
        except OSError:
            if not wanted.exists():  # nobody else was faster: this is a real failure
                raise


def _require(complaint: str) -> None:
    if complaint:
        raise StackError(complaint)


def _run(name: str, command: list[str], log: Path, timeout_seconds: float) -> None:
    spec = ProcessSpec(name=name, command=command, log=log, url="", is_ready=lambda: True)
    run_to_end(spec, timeout_seconds)
