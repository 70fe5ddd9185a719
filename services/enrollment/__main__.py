"""Runs the enrollment service: `python -m services.enrollment`."""

import sys

from services.enrollment.settings import EnrollmentSettings
from services.enrollment.wiring import build
from shared.process import load_settings, run_process

if __name__ == "__main__":
    sys.exit(run_process(build(load_settings(EnrollmentSettings))))
