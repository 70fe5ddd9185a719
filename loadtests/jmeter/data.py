"""Put students and sections into the system that runs here, and write the plans' CSV files.

It is the stack that `enroll up` started (ENROLL_STATE_DIR), or, with KAFKA_BOOTSTRAP_SERVERS and
--private-key, one elsewhere. Each call makes terms in which nobody has asked yet.
"""

import argparse
import os
import sys
from pathlib import Path

from deploy.local import keys, stack, state
from deploy.local.errors import StackError
from deploy.local.tokens import issuer_with
from loadtests.day.dataset import read_day
from loadtests.jmeter.data_files import DAY, Signers, Wishes, make_data
from loadtests.jmeter.ground import KAFKA_VARIABLE
from shared.clock import system_clock
from shared.errors import EnrollmentSystemError

CLIENT = "jmeter"
TOKEN_SECONDS = 8 * 86_400  # longer than the longest soak


def main() -> int:
    """Give 0, or 2 where it could not be done."""
    usual = Wishes(run=f"{system_clock():%Y%m%d-%H%M%S}")
    given = _arguments(usual)
    wishes = Wishes(given.run, given.days, given.rush_seats)
    try:
        kafka_url, private_key = _found(given.private_key)
        signers = signers_of(private_key)
        make_data(given.folder, read_day(given.day), kafka_url, wishes, signers=signers, say=_say)
    except (StackError, EnrollmentSystemError) as error:
        _say(str(error))
        return 2
    return 0


def signers_of(private_key: Path) -> Signers:
    """Make tokens by the issuer's key."""
    issuer, now = issuer_with(private_key), system_clock()

    def student(name: str) -> str:
        return issuer.student(name, client=CLIENT, now=now, lifetime_seconds=TOKEN_SECONDS)

    def staff(name: str) -> str:
        return issuer.staff(name, client=CLIENT, now=now, lifetime_seconds=TOKEN_SECONDS)

    return Signers(student, staff)


def _arguments(usual: Wishes) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.jmeter.data", description=__doc__)
    add = parser.add_argument
    add("--folder", type=Path, required=True, help="where the CSV files go")
    add("--day", type=Path, default=DAY, metavar="DIR", help="a folder that `enroll day` takes")
    add("--days", type=int, default=usual.days, help="how often the day's requests are there")
    add("--rush-seats", type=int, default=usual.rush_seats, help="of each section of the rush")
    add("--run", default=usual.run, help="names the terms (the time)")
    add("--private-key", type=Path, metavar="FILE", help="the issuer's, for a system elsewhere")
    return parser.parse_args()


def _found(private_key: Path | None) -> tuple[str, Path]:
    directory = state.default_directory()
    kafka_url = os.environ.get(KAFKA_VARIABLE) or stack.status(directory).servers.kafka.url
    key = private_key or keys.private_key_file(directory)
    if kafka_url is None or not key.exists():
        raise StackError(
            "No stack runs here: run `enroll up`, or set "
            f"{KAFKA_VARIABLE} and give --private-key FILE."
        )
    return kafka_url, key


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
