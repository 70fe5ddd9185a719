"""Runs JMeter without its window, for one plan."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any, Final

from deploy.local.errors import StackError, tail

JAR: Final = Path("bin") / "ApacheJMeter.jar"
MEMORY: Final = ("-Xms256m", "-Xmx1g")
PROGRESS: Final = "summary "  # how JMeter's lines about its progress begin
STOP_SECONDS: Final = 20.0

# What our reader needs, whatever the properties of one's own JMeter say. Not that times are in
# milliseconds: they are unless told otherwise, and who says "ms" gets minutes and seconds in the
# HTML report, whose writer takes it for a pattern.
AS_READ: Final = {
    "jmeter.save.saveservice.output_format": "csv",
    "jmeter.save.saveservice.print_field_names": "true",
    "jmeter.save.saveservice.thread_counts": "true",
    "jmeter.save.saveservice.assertion_results_failure_message": "true",
    "summariser.interval": "10",
    # Plans last a minute: charts with a point for each minute would show nothing.
    "jmeter.reportgenerator.overall_granularity": "2000",
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Files:
    """What one play leaves in its folder."""

    folder: Path

    @property
    def samples(self) -> Path:
        """JMeter's own results."""
        return self.folder / "results.jtl"

    @property
    def log(self) -> Path:
        """JMeter's log."""
        return self.folder / "jmeter.log"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report"

    @property
    def ledger(self) -> Path:
        """What the Kafka sampler counted."""
        return self.folder / "ledger.json"


def ledger_of(files: Files) -> Any:
    """Read what the Kafka sampler counted; None where it wrote nothing."""
    return json.loads(files.ledger.read_text()) if files.ledger.exists() else None


def java() -> str:
    """Find Java; raises StackError where there is none."""
    at_home = Path(os.environ.get("JAVA_HOME", "")) / "bin" / "java"
    found = str(at_home) if "JAVA_HOME" in os.environ and at_home.exists() else shutil.which("java")
    if found is None:
        raise StackError("There is no java on the PATH: install Java 17 (`make install` says how).")
    return found


def run_jmeter(
    home: Path,
    plan: Path,
    files: Files,
    properties: Mapping[str, str],
    *,
    with_report: bool,
    seconds_max: float,
    say: Say,
) -> None:
    """Play a plan to its end, and stop JMeter whatever happens; raises StackError if it failed."""
    files.folder.mkdir(parents=True, exist_ok=True)
    command = _command(home, plan.resolve(), files, properties, with_report=with_report)
    process = subprocess.Popen(
        command,
        cwd=files.folder,  # where JMeter leaves what it has no other place for
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C comes to us, and we stop it
    )
    late = Timer(seconds_max, process.kill)
    late.start()
    try:
        _tell(process, say)
        code = process.wait()
    finally:
        is_late = not late.is_alive()
        late.cancel()
        _stop(process)
    if is_late:
        raise StackError(f"{plan.name} took more than {seconds_max:.0f} s and was stopped.")
    if code != 0 or not files.samples.exists():
        raise StackError(f"JMeter ended with {code}. {files.log} ends with:\n{tail(files.log)}")


def _tell(process: "subprocess.Popen[str]", say: Say) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(PROGRESS):
            say(line.strip())


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.stdout is not None:
        process.stdout.close()
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(
    home: Path, plan: Path, files: Files, properties: Mapping[str, str], *, with_report: bool
) -> list[str]:
    every = {**AS_READ, **properties, "ledger.file": str(files.ledger.resolve())}
    wanted = ["-e", "-o", str(files.report.resolve())] if with_report else []
    return [
        java(),
        *MEMORY,
        "-jar",
        str((home / JAR).resolve()),
        "-n",
        *("-t", str(plan)),
        *("-l", str(files.samples.resolve())),
        *("-j", str(files.log.resolve())),
        *wanted,
        *(f"-J{name}={value}" for name, value in every.items()),
    ]
