"""Cause each alert on a stack of its own, see it fire and go, and measure how soon."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Final

from deploy.local.errors import StackError
from loadtests.drills.report import drill_lines
from loadtests.drills.running import Wishes, run_drills
from loadtests.drills.table import DRILLS
from services.cli.day_commands import sigterm_as_interrupt

STATE_DIR: Final = ".enroll/drills"
CALM_SECONDS: Final = 120.0
INTERRUPTED: Final = 130


def main() -> int:
    """Give 0 where each alert did as it should, 1 where one did not, 2 where it cannot be tried."""
    wanted = _arguments()
    state_dir = Path(os.environ.get("ENROLL_STATE_DIR") or STATE_DIR)
    wishes = Wishes(wanted.only or list(DRILLS), wanted.calm_seconds)
    try:
        with sigterm_as_interrupt():
            report = run_drills(state_dir, wishes, _say)
    except StackError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say("interrupted: all that was started is stopped")
        return INTERRUPTED
    text = json.dumps(report.as_json(), indent=2) if wanted.json else None
    print(text or "\n".join(drill_lines(report)))
    return 0 if report.is_fine else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.drills", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=list(DRILLS), metavar="NAME", help="of these alerts"
    )
    parser.add_argument(
        "--calm-seconds",
        type=float,
        default=CALM_SECONDS,
        help="how long nothing is done first: nothing may fire, where the machine is free for it",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
