"""Play the Kafka sampler's open model, and have an observer of our own read the same run.

For each request of the plateau the sampler tells the time from the moment at which it was due to
its outcome, the observer that from the moment at which it was sent to the moment at which the
observer reads the first outcome in the topic. Both are here, on one machine: the clocks of two
would differ.
"""

import argparse
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any, Final

from deploy.local.errors import StackError
from loadtests.jmeter.comparing import Cost, as_text, compared, verdicts_on
from loadtests.jmeter.ground import Ground, ground
from loadtests.jmeter.home import home
from loadtests.jmeter.jtl import JtlError, Sample, read_jtl
from loadtests.jmeter.observer import observed
from loadtests.jmeter.options import read_options
from loadtests.jmeter.plans import PLANS
from loadtests.jmeter.process import Files, ledger_of, run_jmeter
from loadtests.jmeter.sightings import KEPT_MAX, Sightings
from loadtests.jmeter.whole_sagas import make_whole_sagas
from shared.clock import system_clock
from shared.errors import EnrollmentSystemError

OVER_SECONDS_MAX: Final = 300.0  # JMeter's start, its last outcomes, its end
AGREED, DIFFERENT, NOT_PLAYED = 0, 1, 2


@dataclass(frozen=True)
class Wishes:
    """A rate that is held for so long, after a rise that warms everything up."""

    rate: float
    seconds: float
    rise_seconds: float

    @property
    def schedule(self) -> str:
        """Say it as the sampler reads it."""
        return f"0..{self.rate:g} for {self.rise_seconds:g}, {self.rate:g} for {self.seconds:g}"

    @property
    def rise_requests(self) -> int:
        """Count those of the rise."""
        return ceil(self.rate * self.rise_seconds / 2)

    @property
    def requests(self) -> int:
        """Count all."""
        return self.rise_requests + ceil(self.rate * self.seconds)


@dataclass(frozen=True)
class Played:
    """What a run has left."""

    samples: list[Sample]
    ledger: Mapping[str, Any] | None
    seen: Sightings
    cost: Cost


def main() -> int:
    """Give 0 where both tell the same, 1 where they do not, 2 where it could not be played."""
    given = _arguments()
    wishes = Wishes(given.rate, given.seconds, given.rise_seconds)
    try:
        played = _played(wishes, given.results)
    except (StackError, JtlError, EnrollmentSystemError) as error:
        _say(str(error))
        return NOT_PLAYED
    found = compared(played.samples, played.seen, wishes.rise_requests)
    verdicts = verdicts_on(found, played.ledger)
    print(f"{wishes.schedule}; {os.cpu_count()} processors")
    print(as_text(found, verdicts, played.ledger, played.cost))
    return AGREED if all(one.is_met for one in verdicts) else DIFFERENT


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.jmeter.observing", description=__doc__
    )
    add = parser.add_argument
    add("--rate", type=positive_number, default=1000, help="requests a second (1000)")
    add("--seconds", type=positive_number, default=120, help="for how long (120)")
    add("--rise-seconds", type=positive_number, default=30, help="until it has that rate (30)")
    add("--results", type=Path, default=Path(__file__).parent / "results", help="where files go")
    given = parser.parse_args()
    if Wishes(given.rate, given.seconds, given.rise_seconds).requests > KEPT_MAX:
        parser.error(f"that is more than {KEPT_MAX:,} requests: lower --rate or --seconds")
    return given


def positive_number(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def _played(wishes: Wishes, results: Path) -> Played:
    run = f"{system_clock():%Y%m%d-%H%M%S}"
    files = Files(results / f"observed-{run}")
    jmeter_home = home()
    with ground(read_options(["kafka"], {}), _say) as found:
        assert found.kafka_url is not None
        _say(f"importing what {wishes.requests:,} requests need")
        make_whole_sagas(files.folder, found.kafka_url, f"observed-{run}", wishes.requests)
        _say(f"playing {wishes.schedule}")
        with observed(found.kafka_url) as seen:
            cost = _run(jmeter_home, files, wishes, found)
    _say(f"files: {files.folder}")
    return Played(read_jtl(files.samples), ledger_of(files), seen, cost)


def _run(jmeter_home: Path, files: Files, wishes: Wishes, found: Ground) -> Cost:
    """Run JMeter, and tell what it took; there is no other child that ends meanwhile."""
    began, theirs, ours = monotonic(), _used(resource.RUSAGE_CHILDREN), _used(resource.RUSAGE_SELF)
    run_jmeter(
        jmeter_home,
        PLANS["kafka"].path,
        files,
        {
            "kafka.bootstrap.servers": str(found.kafka_url),
            "data": str(files.folder.resolve()),
            "threads": "0",  # nobody in the closed model
            "schedule": wishes.schedule,
        },
        with_report=False,
        seconds_max=wishes.rise_seconds + wishes.seconds + OVER_SECONDS_MAX,
        say=_say,
    )
    return Cost(
        wall_seconds=monotonic() - began,
        jmeter_seconds=_used(resource.RUSAGE_CHILDREN) - theirs,
        observer_seconds=_used(resource.RUSAGE_SELF) - ours,
    )


def _used(whose: int) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
