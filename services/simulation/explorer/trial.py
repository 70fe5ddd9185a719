"""Plants one bug in a fresh process, and explores until it shows: `python -m`."""

import json
import logging
import sys
import time
from importlib import import_module

from services.simulation.bugs.library import BUGS
from services.simulation.bugs.planting import plant

SECONDS_MAX = 900.0


def main(name: str) -> None:
    """Print the first violation, as a story, and how long the processor took to find it."""
    logging.disable(logging.CRITICAL)
    plant(BUGS[name])
    quick = import_module("services.simulation.explorer.quick")
    began = time.process_time()
    story = quick.first_violation(quick.small_configurations(), SECONDS_MAX)
    seconds = round(time.process_time() - began, 1)
    sys.stdout.write(json.dumps({"story": story, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
