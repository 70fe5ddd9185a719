"""Play JMeter's plans and judge them: what run_tests.sh and run_tests.ps1 start."""

import os
import signal
import sys
from typing import Final

from deploy.local.errors import StackError
from loadtests.jmeter.jtl import JtlError
from loadtests.jmeter.options import OptionsError, read_options
from loadtests.jmeter.report import missed_sentence
from loadtests.jmeter.running import judged_file, run_tests
from shared.errors import EnrollmentSystemError

MET: Final = 0
MISSED: Final = 1
NOT_PLAYED: Final = 2
INTERRUPTED: Final = 130


def main() -> int:
    """Give 0 where all targets are met, 1 where one is missed, 2 where it could not be played."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite end stops all, as Ctrl-C
    try:
        options = read_options(sys.argv[1:], os.environ)
        if options.judged is None:
            results = run_tests(options, _say)
        else:
            results = judged_file(options, options.judged)
    except (OptionsError, StackError, JtlError, EnrollmentSystemError) as error:
        _say(str(error))
        return NOT_PLAYED
    except KeyboardInterrupt:
        _say("interrupted: JMeter, and the stack if it was started for this, are stopped")
        return INTERRUPTED
    missed = [missed_sentence(one, verdict) for one in results for verdict in one.missed]
    print("\n".join(missed or ["All targets are met."]))
    return MISSED if missed else MET


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
