"""One Prometheus and its promtool, the machine's own or Debian's package: how they are run."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from deploy.local import ports, state
from deploy.local.errors import StackError
from deploy.local.kafka import cache_directory
from deploy.local.processes import ProcessSpec, run_to_end

NAME = "prometheus"
SERVER = "prometheus"
CHECKER = "promtool"
FETCH_SECONDS = 300.0
STOP_SECONDS = 5.0


def specify(
    directory: Path,
    port: int,
    targets: Mapping[str, Sequence[str]],
    rules: Path,
    interval_seconds: float,
) -> ProcessSpec:
    """Writes the configuration, and says how to run it; `targets`: hosts with ports, by service."""
    directory.mkdir(parents=True, exist_ok=True)
    interval = f"{round(interval_seconds * 1000)}ms"
    configuration = {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
        },
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": service, "static_configs": [{"targets": list(addresses)}]}
            for service, addresses in targets.items()
        ],
    }
    file = directory / "prometheus.json"  # JSON is YAML
    file.write_text(json.dumps(configuration, indent=2))
    address = f"{ports.LOOPBACK}:{port}"
    return ProcessSpec(
        name=NAME,
        command=[
            str(tool(SERVER)),
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ],
        log=state.log_file(directory, NAME),
        url=f"http://{address}",
        is_ready=partial(ports.serves, port, "/-/ready"),
        directory=directory,
        stop_seconds=STOP_SECONDS,
    )


def check_rules(rules: Path) -> None:
    """Raises StackError with what promtool says, unless the file is right."""
    done = subprocess.run(
        [str(tool(CHECKER)), "check", "rules", "--lint=all", "--lint-fatal", str(rules)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"promtool refuses {rules.name}: {done.stdout}{done.stderr}".strip())


def tool(name: str) -> Path:
    """Where a tool is, once `fetch` has been here."""
    found = shutil.which(name)
    return Path(found) if found else _unpacked() / "usr" / "bin" / name


def fetch(on_progress: Callable[[str], None]) -> None:
    """Takes what the machine has, or else unpacks Debian's package in the cache; installs nothing.

    Two that fetch at the same time do not meet.
    """
    if all(tool(name).exists() for name in (SERVER, CHECKER)):
        return
    if not all(shutil.which(one) for one in ("apt-get", "dpkg-deb")):
        raise StackError("prometheus and promtool are needed: https://prometheus.io/download")
    on_progress("fetching Debian's package of Prometheus (20 MB, only this once)")
    cache_directory().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_directory(), prefix="unpacking-") as temporary:
        unpacked = Path(temporary) / "unpacked"
        _run(["apt-get", "download", "--quiet", NAME], Path(temporary))
        [package] = Path(temporary).glob("*.deb")
        _run(["dpkg-deb", "--extract", str(package), str(unpacked)], Path(temporary))
        try:
            unpacked.replace(_unpacked())
        except OSError:
            if not _unpacked().exists():  # nobody else was quicker
                raise


def _unpacked() -> Path:
    return cache_directory() / "prometheus-debian"


def _run(command: Sequence[str], directory: Path) -> None:
    spec = ProcessSpec(
        name=f"Fetching Prometheus by {command[0]}",
        command=command,
        log=cache_directory() / "prometheus.log",
        url="",
        is_ready=lambda: True,
        directory=directory,
    )
    run_to_end(spec, FETCH_SECONDS)
