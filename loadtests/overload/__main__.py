"""Find what the ingress carries for a minute, offer twice that, and see what comes of it.

The generator shares the machine with the system. So the peak that the goodput is compared with is
taken once more, beside ballast: as much as in the overload is sent in all, but what is above the
peak goes to a server that refuses it at once and is no part of the system.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Final

from deploy.local.errors import StackError
from loadtests.overload.playing import Wishes
from loadtests.overload.report import overload_lines
from loadtests.overload.running import run_overload

STATE_DIR: Final = ".enroll/overload"


def main() -> int:
    """Give 0 where all is as promised, 1 where it is not, 2 where it could not be measured."""
    wanted = _arguments()
    wishes = Wishes(
        first_rate=wanted.first_rate,
        step_seconds=wanted.step_seconds,
        overload_factor=wanted.factor,
        overload_seconds=wanted.seconds,
        ingresses=wanted.ingresses,
    )
    try:
        state_dir = Path(os.environ.get("ENROLL_STATE_DIR") or STATE_DIR)
        report = run_overload(state_dir, wishes, _say)
    except StackError as error:
        _say(str(error))
        return 2
    text = json.dumps(report.as_json(), indent=2) if wanted.json else None
    print(text or "\n".join(overload_lines(report)))
    return 0 if report.is_fine else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.overload", description=__doc__)
    parser.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        help="how long it stays too much, and the peaks before that",
    )
    parser.add_argument("--factor", type=float, default=2.0, help="how many times the peak")
    parser.add_argument("--first-rate", type=float, default=200.0, help="where the climb begins")
    parser.add_argument("--step-seconds", type=float, default=15.0, help="of the climb")
    parser.add_argument("--ingresses", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
