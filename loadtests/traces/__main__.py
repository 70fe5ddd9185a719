"""Play a day with a Jaeger beside: is each sampled saga one whole trace, and at what cost?"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Final

from deploy.local.errors import StackError
from loadtests.day.dataset import read_day
from loadtests.traces.running import Cost, Load, TraceReport, run_cost, run_traces

STATE_DIR: Final = ".enroll/traces"
DAY: Final = Path(__file__).parents[1] / "data" / "pu-cs-fal07"
RATIOS: Final = (0.0, 0.01, 0.1, 1.0)


def main() -> int:
    """Give 0 where every trace is whole, 1 where one is not, 2 where it could not be tried."""
    wanted = _arguments()
    state_dir = Path(os.environ.get("ENROLL_STATE_DIR") or STATE_DIR)
    day = read_day(wanted.day)
    try:
        if wanted.cost:
            costs = run_cost(state_dir, day, RATIOS, wanted.rounds, _say)
            print("\n".join(_cost_lines(costs)))
            return 0
        load = Load(day, wanted.rate, wanted.copies)
        report = run_traces(state_dir, load, wanted.ratio, _say)
    except StackError as error:
        _say(str(error))
        return 2
    print(json.dumps(asdict(report), indent=2) if wanted.json else "\n".join(_lines(report)))
    return 0 if report.is_fine else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.traces", description=__doc__)
    parser.add_argument("--day", type=Path, default=DAY, help="a folder as `enroll day` takes it")
    parser.add_argument("--ratio", type=float, default=1.0, help="the share that is sampled")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--copies", type=int, default=1, help="as of `enroll day`")
    parser.add_argument("--cost", action="store_true", help="measure 0, 1, 10 and 100 % instead")
    parser.add_argument("--rounds", type=int, default=3, help="how often, with --cost")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def _lines(report: TraceReport) -> list[str]:
    return [
        f"sagas      {report.enrollments:,}, {report.sampled:,} sampled",
        f"whole      {report.whole:,} traces of {report.sampled:,}",
        *(f"  lacks    {what}: {count:,}" for what, count in report.missing.items()),
        f"searches   {report.found_once} of {report.searched} ids found exactly one trace",
        f"graph      {', '.join(f'{one}->{other}' for one, other in report.graph)}",
        *(f"  missing  {one}->{other}" for one, other in report.graph_missing),
        *(f"  unknown  {one}->{other}" for one, other in report.graph_unknown),
        *(f"violation  {one}" for one in report.violations),
        *report.longest,
    ]


def _cost_lines(rounds: list[list[Cost]]) -> list[str]:
    """Compare within each round, and give medians."""
    lines = []
    for at, ratio in enumerate(RATIOS):
        times = [one[at].microseconds for one in rounds]
        shares = [one[at].microseconds / one[0].microseconds - 1 for one in rounds]
        lines.append(
            f"{ratio:5.0%} sampled: {median(times):6.0f} us of CPU an enrollment, "
            f"{median(shares):+.1%} ({', '.join(f'{share:+.1%}' for share in shares)})"
        )
    return lines


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
