"""Ask, and ask again, while Redis is flushed, paused, cut off and killed; then judge and count."""

import argparse
import json
import os
import sys
from pathlib import Path
from random import randrange
from typing import Final

from deploy.local.errors import StackError
from loadtests.idempotency.report import idempotency_lines
from loadtests.idempotency.running import Wishes, run_idempotency

SEEDS: Final = 1_000_000
STATE_DIR: Final = ".enroll/idempotency"
# With the default of ten seconds Redis would hardly be asked anything between its faults.
RECOVERY: Final = ("REDIS_CIRCUIT_RECOVERY_TIMEOUT", "1")


def main() -> int:
    """Give 0 where every promise was kept, 1 where one was not, 2 where it could not be tried."""
    wanted = _arguments()
    seed = randrange(SEEDS) if wanted.seed is None else wanted.seed
    os.environ.setdefault(*RECOVERY)
    state_dir = Path(os.environ.get("ENROLL_STATE_DIR") or STATE_DIR)
    try:
        report = run_idempotency(state_dir, Wishes(seed, wanted.requests, wanted.rate), _say)
    except StackError as error:
        _say(str(error))
        return 2
    text = json.dumps(report.as_json(), indent=2) if wanted.json else None
    print(text or "\n".join(idempotency_lines(report)))
    return 0 if report.is_fine else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.idempotency", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="each with a key of its own")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--seed", type=int, help="plans faults and load; default: a new one, told")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
