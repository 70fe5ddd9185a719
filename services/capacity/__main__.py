"""Runs the capacity service: `python -m services.capacity`."""

import sys

from services.capacity.settings import CapacitySettings
from services.capacity.wiring import build
from shared.process import load_settings, run_process

if __name__ == "__main__":
    sys.exit(run_process(build(load_settings(CapacitySettings))))
