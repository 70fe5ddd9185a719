"""Runs the enrollment service by a clock that is off by as many seconds as a file says."""

import os
import runpy
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import shared.clock

VARIABLE = "CLOCK_SHIFT_FILE"
RIGHT_TIME = time.time


def shift_seconds() -> float:
    """Read how far this process's clock is ahead."""
    file = Path(os.environ[VARIABLE])
    return float(file.read_text() or 0) if file.exists() else 0.0


def shifted_clock() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=shift_seconds())


if __name__ == "__main__":
    shared.clock.system_clock = shifted_clock  # before anybody imports it by name
    time.time = lambda: RIGHT_TIME() + shift_seconds()
    runpy.run_module("services.enrollment", run_name="__main__")
