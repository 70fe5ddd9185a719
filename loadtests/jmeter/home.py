"""Builds the JMeter that has our Kafka sampler in it, if a source is newer than what is built."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.local import check_tools
from deploy.local.errors import StackError, with_log

HERE: Final = Path(__file__).parent
BUILD_SECONDS_MAX: Final = 900.0
SAMPLER_JAR: Final = Path("lib") / "ext" / "enroll-jmeter.jar"
LAUNCHER_JAR: Final = Path("bin") / "ApacheJMeter.jar"


def home() -> Path:
    """Give JMeter's directory; two that build at the same time wait for one another."""
    return built_from(HERE)


def built_from(project: Path) -> Path:
    """Build a Maven project like ours if it is not built as its sources are now."""
    _require(check_tools.about_java())
    built = project / "target" / "jmeter"
    with _alone(project / "target"):
        if not is_fresh(project, built):
            _require(check_tools.about_maven())
            _build(project)
    return built


def is_fresh(project: Path, built: Path) -> bool:
    """Tell whether everything is built, and after the last change of a source."""
    results = [built / SAMPLER_JAR, built / LAUNCHER_JAR]
    if not all(result.is_file() for result in results):
        return False
    built_at = results[0].stat().st_mtime_ns
    return all(source.stat().st_mtime_ns <= built_at for source in _sources(project))


def _sources(project: Path) -> list[Path]:
    sources = [path for path in (project / "src").rglob("*") if path.is_file()]
    return [project / "pom.xml", *sources]


def _build(project: Path) -> None:
    sys.stderr.write("building JMeter and its Kafka sampler with Maven (93 MB, only this once)\n")
    log = project / "target" / "build.log"
    command = ["mvn", "-B", "-ntp", "-f", str(project / "pom.xml"), "package"]
    with log.open("wb") as output:
        try:
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=BUILD_SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            too_long = f"Building JMeter took longer than {BUILD_SECONDS_MAX:.0f} s."
            raise with_log(too_long, log) from error
    if ended.returncode != 0:
        raise with_log(f"Building JMeter with Maven ended with code {ended.returncode}.", log)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    target.mkdir(exist_ok=True)
    with (target / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require(complaint: str) -> None:
    if complaint:
        raise StackError(complaint)
